"""MQTT 5 or 3.1.1: what a broker answers decides, and a line says so."""

from __future__ import annotations

from typing import Any, List

import pytest

from edge.errors import ConfigError
from edge.messages import Builder, Message
from edge.publish import SinkOptions, mqtt
from edge.publish._protocol import ProtocolChoice
from edge.settings.publishing import Mqtt, Outbox
from tests.faults.hand_broker import HandBroker
from tests.waiting import until


def opened(broker: HandBroker, **more: Any) -> mqtt.MqttSink:
    will = Builder("box").offline("lost")
    options = SinkOptions("box", will, **more)
    return mqtt.open_sink(broker.uri, options)


def event(seq: int) -> Message:
    return Message("poses/v1/box/cam0/event/wave", "event", {"seq": seq}, qos=1)


@pytest.mark.parametrize("refuses", [False, True], ids=["closes", "refuses"])
def test_a_broker_of_mqtt_3_only_gets_everything_and_it_is_said_once(
    refuses: bool, caplog: Any
) -> None:
    caplog.set_level("INFO")
    with HandBroker() as broker:
        broker.speaks, broker.refuses = ("3.1.1",), refuses
        sink = opened(broker)
        sink(event(0))
        until(lambda: broker.topics(), "the event")
        assert sink.ok
        assert caplog.text.count("late frames do not expire") == 1
        if not refuses:
            assert broker.connects == ["5", "3.1.1", "5", "3.1.1"], "asked twice before it counts"
            assert broker.left == 1, "the trial ended in order: no will is published"
        sink.close(1.0)


def test_a_broker_of_mqtt_5_that_closed_while_it_started_is_spoken_to_with_5() -> None:
    with HandBroker() as broker:
        broker.speaks = ("3.1.1",)
        sink = opened(broker)
        until(lambda: "3.1.1" in broker.accepted, "the trial")
        broker.speaks = ("5", "3.1.1")
        until(lambda: sink.ok, "the connection")
        sink(event(0))
        until(lambda: broker.topics(), "the event")
        assert broker.connects[-1] == "5" or broker.accepted[-1] == "5"
        sink.close(1.0)


def test_every_new_connection_tries_5_first() -> None:
    with HandBroker() as broker:
        broker.speaks = ("3.1.1",)
        broker.takes = lambda topic, qos: "close" if topic.endswith("old") else "ack"
        sink = opened(broker)
        until(lambda: sink.ok, "the connection")
        broker.speaks = ("5", "3.1.1")
        sink(Message("poses/v1/box/cam0/event/old", "event", {"seq": 0}, qos=1))
        until(lambda: "5" in broker.accepted, "the broker was updated")
        sink.close(1.0)


@pytest.mark.parametrize(
    ("protocol", "speaks", "line"),
    [
        ("5", ("3.1.1",), 'does it speak MQTT 3.1.1 only (mqtt.protocol = "3.1.1")'),
        ("3.1.1", ("5",), 'does it speak MQTT 5 only (mqtt.protocol = "5")'),
        ("auto", (), "closed the connection before it answered MQTT 5 and MQTT 3.1.1"),
    ],
)
def test_a_broker_that_closes_before_it_answered_is_told_with_the_likely_causes(
    protocol: str, speaks: Any, line: str, caplog: Any
) -> None:
    with HandBroker() as broker:
        broker.speaks = speaks
        sink = opened(broker, mqtt=Mqtt(protocol=protocol, reconnect_max_s=0.1))
        until(lambda: line in caplog.text, line)
        assert "is the port one for TLS (mqtts://) or websockets?" in caplog.text
        until(lambda: len(broker.connects) >= 9, "further tries")
        assert caplog.text.count(line) == 1
        assert set(broker.connects) == ({"5", "3.1.1"} if protocol == "auto" else {protocol})
        sink.close(0.1)


def test_with_ack_consumer_only_mqtt_5_is_spoken(caplog: Any) -> None:
    with HandBroker() as broker:
        broker.speaks = ("3.1.1",)
        sink = opened(broker, outbox=Outbox(ack="consumer"), mqtt=Mqtt(reconnect_max_s=0.1))
        until(lambda: len(broker.connects) >= 3, "tries")
        assert set(broker.connects) == {"5"}
        sink.close(0.1)
        with pytest.raises(ConfigError, match=r'needs mqtt.protocol = "5"'):
            opened(broker, outbox=Outbox(ack="consumer"), mqtt=Mqtt(protocol="3.1.1"))


def test_a_broker_that_answers_late_is_waited_for(monkeypatch: Any) -> None:
    """paho itself would give up after one keepalive."""
    with HandBroker() as broker:
        broker.answer_s = 3.0
        sink = opened(broker, mqtt=Mqtt(keepalive_s=2))
        until(lambda: sink.ok, "the answer")
        assert broker.connects == ["5"]
        sink.close(0.1)


def test_a_broker_that_never_answers_is_given_ever_more_time(monkeypatch: Any, caplog: Any) -> None:
    from edge.publish import _sender

    monkeypatch.setattr(_sender, "ANSWER_S", 0.1)
    with HandBroker() as broker:
        broker.answer_s = 0.5
        sink = opened(broker, mqtt=Mqtt(protocol="5", reconnect_max_s=0.1))
        until(lambda: sink.ok, "a try that waits long enough")
        assert "connected, but the broker does not answer" in caplog.text
        sink.close(0.1)


def played(choice: ProtocolChoice, *answers: str) -> List[str]:
    """The versions that are tried when the broker answers each try so."""
    tried = []
    for answer in answers:
        version = choice.next
        tried.append(version)
        if answer == "closes":
            choice.unanswered(version)
        elif answer == "refuses":
            choice.refused(version, 0x84)
        elif answer == "forbids":
            choice.refused(version, 0x87)
        elif choice.accepted(version):
            tried[-1] += " trial"
    return tried


@pytest.mark.parametrize(
    ("answers", "tried"),
    [
        ("closes accepts closes accepts", "5 3.1.1-trial 5 3.1.1"),
        ("closes accepts accepts", "5 3.1.1-trial 5"),
        ("closes closes closes accepts accepts", "5 3.1.1 5 3.1.1-trial 5"),
        ("refuses accepts", "5 3.1.1"),
        ("refuses closes closes accepts", "5 3.1.1 5 3.1.1-trial"),
        ("forbids forbids", "5 5"),
        ("closes accepts closes accepts closes accepts", "5 3.1.1-trial 5 3.1.1 5 3.1.1"),
        (
            "closes accepts closes accepts accepts closes accepts",
            "5 3.1.1-trial 5 3.1.1 5 5 3.1.1-trial",
        ),
    ],
)
def test_what_is_tried_after_what(answers: str, tried: str) -> None:
    found = played(ProtocolChoice("auto"), *answers.split())
    assert [one.replace(" ", "-") for one in found] == tried.split()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_version_that_was_configured_is_the_only_one(protocol: str) -> None:
    found = played(ProtocolChoice(protocol), *(["closes", "refuses", "accepts", "closes"]))
    assert found == [protocol] * 4
