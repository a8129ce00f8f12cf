"""The MQTT sink against a real mosquitto: what arrives, and how it is marked."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge.health import Health
from edge.publish import Publisher
from tests.faults.mqtt_consumer import Consumer, config, connected, event, frame, poses, state
from tests.waiting import GIVE_UP_S, until
from tools.mqtt.broker import Broker

ROOT = Path(__file__).resolve().parents[2]
MORE: Dict[str, Any] = {"temperatures_c": {}, "runs": {}, "dropped": {}, "reconnects": {}}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("codec_name", ["json", "cbor"])
def test_everything_arrives_and_holds_the_contract(
    broker: Broker, contract: Any, protocol: str, codec_name: str
) -> None:
    with Consumer(broker.port) as consumer:
        publisher = connected(broker.uri, protocol=protocol, codec_name=codec_name)
        publisher.camera(state(), 3)
        for i in range(20):
            publisher.frame(frame(), poses())
            publisher.event(event(i))
        publisher.metrics({**Health().report(), **MORE})
        until(lambda: len(consumer.of("frame")) == 20, "all frames")
        publisher.close()
        until(lambda: len(consumer.of("status")) == 2, "the goodbye")
    assert consumer.seqs("frame") == list(range(20))
    assert [g.record["data"]["number"] for g in consumer.of("event/wave")] == list(range(20))
    assert [g.record["state"] for g in consumer.of("status")] == ["online", "offline"]
    assert consumer.of("status")[1].record["reason"] == "stopped"
    assert [g.record["state"] for g in consumer.of("state")] == ["ok", "ended"]
    assert len(consumer.of("metrics")) == 1
    wanted = "application/cbor" if codec_name == "cbor" else "application/json"
    for got in consumer.got:
        contract(got.topic, got.record)
        live = got.topic.endswith(("/frame", "/metrics"))
        assert got.qos == (0 if live else 1)
        if protocol == "5":
            frames = got.topic.endswith("/frame")
            assert got.content_type == (wanted if frames else "application/json")
            assert got.expiry_s == (2 if frames else None)
    assert publisher.report()[0]["sent"] == len(consumer.got)
    assert publisher.report()[0]["dropped"] == 0


def test_who_comes_late_learns_status_and_state_and_no_old_frames(broker: Broker) -> None:
    publisher = connected(broker.uri)
    publisher.camera(state(), 1)
    publisher.camera(state("stalled"), 1)
    publisher.frame(frame(), poses())
    until(lambda: publisher.report()[0]["sent"] >= 3, "delivery")
    with Consumer(broker.port) as late:
        until(lambda: len(late.got) == 2, "the retained ones")
        time.sleep(0.1)
        told = {g.topic: (g.retained, g.record["state"]) for g in late.got}
    publisher.close()
    assert told == {
        "poses/v1/box/status": (True, "online"),
        "poses/v1/box/cam0/state": (True, "stalled"),
    }


def test_a_recording_begins_when_the_broker_has_answered(broker: Broker) -> None:
    with Consumer(broker.port) as consumer:
        publisher = Publisher(config(broker.uri), lossless=True)
        for _ in range(5):
            publisher.frame(frame(), poses())
        publisher.close()
        until(lambda: consumer.of("status"), "the goodbye")
    assert consumer.seqs("frame") == list(range(5))


def test_a_login_by_password_file(caplog: Any) -> None:
    caplog.set_level("INFO")
    with Broker("mosquitto", user="bob") as broker:
        publisher = connected(broker.uri, password_file=str(broker.password_file))
        publisher.close()
        assert broker.password not in caplog.text
        assert "u'bob'" in broker.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_one_clear_line_and_no_harm(
    tmp_path: Path, caplog: Any, protocol: str
) -> None:
    (tmp_path / "password").write_text("wrong\n", encoding="utf-8")
    with Broker("mosquitto", user="bob") as broker:
        publisher = Publisher(
            config(broker.uri, protocol, password_file=str(tmp_path / "password"))
        )
        until(lambda: "refused us" in caplog.text, "the refusal")
        publisher.frame(frame(), poses())
        publisher.event(event(0))
        until(
            lambda: broker.log.read_text(encoding="utf-8").count("not authorised") >= 3,
            "more tries",
        )
        publisher.close(0.1)
    lines = [r.getMessage() for r in caplog.records if "refused us" in r.getMessage()]
    assert len(lines) == 1, "told once, not at every try"
    assert lines[0].startswith(f"mqtt://127.0.0.1:{broker.port}: the broker refused us: Not author")
    assert "(code 135); check the user, mqtt.password_file" in lines[0]
    assert publisher.report()[0]["dropped"] == 2, "the frame at once, the event at the end"


def test_what_the_access_list_forbids_is_refused_and_delays_nobody(
    caplog: Any,
) -> None:
    guarded = Broker("mosquitto")
    rules = ("read #", "write poses/v1/box/status", "write poses/v1/box/cam0/#")
    (guarded.folder / "acl").write_text(
        "".join(f"topic {rule}\n" for rule in rules), encoding="utf-8"
    )
    guarded.extra = [f"acl_file {guarded.folder / 'acl'}"]
    with guarded as broker, Consumer(broker.port) as consumer:
        publisher = connected(broker.uri)
        elsewhere = state()
        publisher.camera(type(elsewhere)("cam9", "ok", "", elsewhere.t_ns), 0)
        publisher.event(event(0))
        until(lambda: consumer.of("event"), "the event that is allowed")
        until(lambda: publisher.report()[0]["refused"] == 1, "the refusal")
        publisher.close()
    assert "poses/v1/box/cam9/state: refused: Not authorized (code 135)" in caplog.text


def test_a_message_above_the_brokers_limit_is_refused_here_and_delays_nobody(caplog: Any) -> None:
    extra = ["max_packet_size 20000"]
    with Broker("mosquitto", extra=extra) as broker, Consumer(broker.port) as consumer:
        publisher = connected(broker.uri)
        publisher.event(event(0, "x" * 50_000))
        publisher.frame(frame(), poses(60))
        publisher.event(event(1))
        until(lambda: consumer.of("event/wave"), "the small event")
        until(lambda: consumer.of("outbox_parked"), "the report")
        publisher.close()
        assert broker.log.read_text(encoding="utf-8").count("New client connected") == 2, (
            "nobody was cut off"
        )
    assert [g.record["data"]["number"] for g in consumer.of("event/wave")] == [1]
    assert publisher.report()[0]["refused"] == 2
    assert "poses/v1/box/cam0/event/wave: 50" in caplog.text
    assert "the broker takes only 20000" in caplog.text


def test_two_boxes_of_one_name_are_told_why_they_lose_their_connection(
    broker: Broker, caplog: Any
) -> None:
    first, second = connected(broker.uri), connected(broker.uri)
    until(lambda: "do two boxes share the device name?" in caplog.text, "the line")
    for publisher in (first, second):
        publisher.close(0.2)


def example_subscriber(broker: Broker) -> List[str]:
    return [sys.executable, "-u", str(ROOT / "examples/subscriber.py"), f"localhost:{broker.port}"]


def test_the_example_subscriber_says_who_is_where(broker: Broker) -> None:
    command = example_subscriber(broker)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as child:
        until(
            lambda: broker.log.read_text(encoding="utf-8").count("New client connected") == 1,
            "its connection",
        )
        publisher = connected(broker.uri)
        for i in range(20):
            publisher.frame(frame(), poses(1))
            publisher.event(event(i))
            time.sleep(0.02)  # its subscription may still be on its way
        publisher.close()
        assert child.stdout is not None
        lines = [child.stdout.readline().strip() for _ in range(10)]
        child.kill()
    assert any(line.startswith("cam0: person 0 in x1 y1 x2 y2 = [") for line in lines)
    assert any(line.startswith("cam0: wave, person 1, {'number': ") for line in lines)


def test_the_example_subscriber_shows_what_an_outage_held_back(broker: Broker) -> None:
    command = example_subscriber(broker)
    head = {"boot_id": "0" * 16, "camera": "cam0", "kind": "wave", "person": 1, "data": {}}

    def tell(client: Client, seq: int) -> None:
        body = json.dumps({**head, "seq": seq, "person": seq})
        client.publish("poses/v1/box/cam0/event/wave", body, qos=1).wait_for_publish(20)

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    lines: List[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as child:
        assert child.stdout is not None
        reader = threading.Thread(target=lambda out: lines.extend(out), args=(child.stdout,))
        reader.start()
        give_up_s = time.monotonic() + GIVE_UP_S
        while not lines and time.monotonic() < give_up_s:  # till it has subscribed
            tell(client, 9)
            time.sleep(0.05)
        for seq in (3, 9, 3, 10):
            tell(client, seq)
        until(lambda: any("person 10" in line for line in lines), "the newest")
        child.kill()
        reader.join(GIVE_UP_S)
    client.loop_stop()
    assert [line.split(",")[1] for line in lines] == [" person 9", " person 3", " person 10"]
