"""What the doctor finds out about brokers: real sockets that answer what a test says."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from edge.doctor import broker
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.settings import config
from edge.settings.config import Config
from tests.faults.hand_broker import HandBroker
from tests.waiting import until

NO_BROKER = "is it an MQTT broker"


def settings(uri: str, **tables: Any) -> Config:
    return config.complete(config.build(Config, {"publish": {"sinks": [uri]}, **tables}))


@pytest.fixture
def answers() -> Iterator[Callable[..., int]]:
    """Brokers that give one answer to every CONNECT; gives their port."""
    opened: List[socket.socket] = []

    def listen(answer: bytes, heard: Any = None) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        opened.append(server)

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link, contextlib.suppress(OSError):
                    got = link.recv(4096)
                    link.sendall(answer)
                    got += link.recv(16) if answer else b""
                    if heard is not None:
                        heard.append(got)

        threading.Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    yield listen
    for server in opened:
        server.close()


def look(port: int, **mqtt: Any) -> Finding:
    found = broker.brokers(settings(f"mqtt://127.0.0.1:{port}", mqtt=mqtt))
    assert len(found) == 1
    assert found[0].what == f"broker mqtt://127.0.0.1:{port}"
    return found[0]


@pytest.mark.parametrize(
    ("answer", "state", "words", "fix"),
    [
        (b"\x20\x03\x00\x00\x00", OK, "lets this box in", ""),
        (b"\x20\x03\x00\x86\x00", FAIL, "Bad user name or password (code 0x86)", "password_file"),
        (b"\x20\x03\x00\x87\x00", FAIL, "Not authorized (code 0x87)", "access list"),
        (b"\x20\x03\x00\x84\x00", FAIL, "code 0x84", 'mqtt.protocol = "3.1.1"'),
        (b"\x20\x02\x00\x01", FAIL, "code 0x84", 'mqtt.protocol = "3.1.1"'),  # knows no MQTT 5
        (b"\x20\x03\x00\x97\x00", FAIL, "Quota exceeded (code 0x97)", "log tells more"),
        (b"", FAIL, "closed the connection", NO_BROKER),
        (b"\x20\x03\x00\x01\xff\xff", FAIL, "code 0x84", "mqtt.protocol"),
        (b"\x20\x03\x00\x55\x00", FAIL, "closed the connection", NO_BROKER),
        (b"\x15\x03\x03\x00\x02\x02\x28", FAIL, "closed the connection", NO_BROKER),  # a TLS alert
        (b"\x20\x7f" + bytes(127), OK, "lets this box in", ""),
    ],
)
def test_what_a_broker_answers(
    answers: Any, answer: bytes, state: str, words: str, fix: str
) -> None:
    found = look(answers(answer))
    assert (found.state, words in found.found, fix in found.fix) == (state, True, True), found


@pytest.mark.parametrize(
    ("code", "state", "words", "fix"),
    [
        (0, OK, "lets this box in", ""),
        (1, FAIL, "Unsupported protocol version (code 0x84)", 'mqtt.protocol = "5"'),
        (4, FAIL, "Bad user name or password (code 0x86)", "mqtt.password_file"),
        (5, FAIL, "Not authorized (code 0x87)", "access list"),
    ],
)
def test_what_a_broker_of_mqtt_3_answers(
    answers: Any, code: int, state: str, words: str, fix: str
) -> None:
    found = look(answers(bytes([0x20, 2, 0, code])), protocol="3.1.1")
    assert (found.state, words in found.found, fix in found.fix) == (state, True, True), found


@pytest.mark.parametrize("refuses", [False, True])
def test_a_broker_of_mqtt_3_only_is_a_warning(refuses: bool) -> None:
    with HandBroker() as hand:
        hand.speaks, hand.refuses = ("3.1.1",), refuses
        found = look(hand.port)
        assert (found.state, "MQTT 3.1.1 only" in found.found) == (WARN, True), found
        assert look(hand.port, protocol="3.1.1").state == OK
        found = look(hand.port, protocol="5")
        assert (found.state, 'mqtt.protocol = "3.1.1"' in found.fix) == (FAIL, True), found


def test_something_that_waits_for_more_is_given_up(answers: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(broker, "ANSWER_S", 1.0)
    found = look(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert (found.state, found.found) == (FAIL, "no answer within 1 s")
    assert NO_BROKER in found.fix


def test_a_broker_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = look(port)
    assert (found.state, found.found) == (FAIL, "Connection refused")
    assert "is it on and reachable" in found.fix


def test_it_says_hello_under_a_name_of_its_own(answers: Any, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n", encoding="utf-8")
    heard: List[bytes] = []
    port = answers(b"\x20\x03\x00\x00\x00", heard)
    mqtt = {"password_file": str(tmp_path / "password")}
    found = broker.brokers(settings(f"mqtt://bob@127.0.0.1:{port}", device="hall", mqtt=mqtt))
    assert found[0].state == OK
    # A clean start, a user and a password; no will: others must not hear of this visit.
    body = b"\x00\x04MQTT\x05\xc2\x00\x0a\x00\x00\x0bdoctor-hall\x00\x03bob\x00\x06s3cret"
    disconnect = b"\xe0\x00"
    until(lambda: heard, "the end of the visit")
    assert heard == [b"\x10" + bytes([len(body)]) + body + disconnect]
    assert "s3cret" not in repr(found)


def test_without_paho_it_says_what_is_missing(monkeypatch: Any) -> None:
    monkeypatch.delitem(sys.modules, "edge.publish._probe", raising=False)
    monkeypatch.delattr("edge.publish._probe", raising=False)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    found = look(1883)
    assert (found.state, found.fix) == (FAIL, "pip install paho-mqtt")


@pytest.mark.parametrize(("left", "state"), [(400.0, OK), (29.0, WARN), (0.5, WARN), (-1.0, FAIL)])
def test_days_of_a_certificate(left: float, state: str) -> None:
    assert broker._days("x", left).state == state


def test_a_sink_that_makes_no_sense_is_told_not_thrown(tmp_path: Path) -> None:
    found = broker.brokers(settings("mqtts://h", mqtt={"ca_file": f"{tmp_path}/ca.crt"}))
    assert found[0].state == FAIL
    assert f"{tmp_path}/ca.crt: no such file" in found[0].found
