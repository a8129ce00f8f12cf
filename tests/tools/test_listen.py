"""`edge-tools listen`: figures from messages, and the command against a real broker."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge import codec
from edge.health import Health
from edge.messages import Builder, Message
from edge.publish import Publisher
from edge.publish._address import parse
from edge.settings.config import Camera, Config
from edge.settings.publishing import Mqtt, Publish
from edge.structures import CameraState, Frame, PoseEvent, Poses
from tests.waiting import GIVE_UP_S
from tools.listen import JsonLines
from tools.mqtt.broker import Broker, free_port
from tools.mqtt.figures import Figures, Screen
from tools.mqtt.subscriber import Received, Subscriber

ROOT = Path(__file__).resolve().parents[2]
MORE: Dict[str, Any] = {"runs": {}, "reconnects": {}, "dropped": {"cam0": 4, "cam1": 1}}


def received(message: Message) -> Received:
    return Received(message.topic, message.body, message.content_type)


def frame(camera: str = "cam0") -> Frame:
    return Frame(np.zeros((4, 4, 3), np.uint8), 0, time.monotonic_ns(), camera)


def people(n: int) -> Poses:
    zeros = np.zeros((n, 4), np.float32)
    return Poses(zeros.reshape(n, 2, 2), zeros[:, :2], zeros, np.arange(n), zeros[:, 0], "x")


def state(name: str, detail: str = "") -> CameraState:
    return CameraState("cam0", name, detail, time.monotonic_ns())


@pytest.fixture
def builder() -> Builder:
    return Builder("box", "cbor")


def test_figures_are_those_of_the_messages(builder: Builder) -> None:
    figures = Figures()
    for camera, n in (("cam0", 2), ("cam1", 1), ("cam0", 3)):
        assert figures.take(received(builder.frame(frame(camera), people(n)))) == []
    report = Health().report()
    report["latency_ms"] = {"p50": 12.2, "p95": 31.0, "p99": 40.0}
    figures.take(received(builder.metrics({**report, **MORE})))
    now = figures.report(time.monotonic_ns())
    assert now == {
        "fps": 1.5,
        "cameras": 2,
        "people": 4,
        "latency_ms": {"p50": 12.2, "p95": 31.0},
        "dropped": 5,
        "gaps": 0,
        "frames": 3,
        "events": 0,
    }
    assert figures.line(time.monotonic_ns()) == (
        "1.5 fps of 2 cameras | people 4 | latency p50 12 ms p95 31 ms | dropped 5, gaps 0 | "
        "events 0"
    )
    assert figures.report(time.monotonic_ns() + 3 * 10**9)["fps"] == 0


def test_gaps_in_seq_are_frames_lost_and_a_new_start_is_no_gap(builder: Builder) -> None:
    figures = Figures()
    made = [builder.frame(frame(), people(0)) for _ in range(10)]
    for i in (3, 4, 7, 9):
        figures.take(received(made[i]))
    figures.take(received(Builder("box").frame(frame(), people(0))))
    assert figures.gaps == 3


def test_lines_for_what_happens(builder: Builder) -> None:
    figures = Figures()
    lines: List[str] = []
    for message in (
        builder.online(version="9"),
        builder.state(state("ok"), 0),
        builder.state(state("ok"), 2),
        builder.event(PoseEvent("zone", "cam0", 7, time.monotonic_ns(), 0.9, {"name": "door"})),
        builder.event(PoseEvent("presence", "cam0", -1, time.monotonic_ns(), 0.9)),
        builder.state(state("stalled", "no frame for 3 s"), 2),
        builder.offline("lost"),
    ):
        lines += figures.take(received(message))
    clock = r"HH:MM:SS.mmm"
    shown = [line[:0] + clock + line[12:] if line[2] == ":" else line for line in lines]
    assert shown == [
        "box is online (version 9)",
        f"{clock}  cam0 is ok",
        f'{clock}  cam0  zone  person 7  name="door"',
        f"{clock}  cam0  presence",
        f"{clock}  cam0 is stalled: no frame for 3 s",
        "box is offline (lost)",
    ]


@pytest.mark.parametrize("name", ["frame", "state", "event/fall"])
@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b'{"people": 3}', b"\xa1\x61", b"\x01"])
def test_what_breaks_the_contract_is_counted_and_nothing_more(name: str, body: bytes) -> None:
    figures = Figures()
    assert figures.take(Received(f"poses/v1/x/c/{name}", body)) == []
    assert (figures.unreadable, figures.frames) == (1, figures.frames)
    figures.line(time.monotonic_ns())


def test_other_topics_are_nobodys_business() -> None:
    figures = Figures()
    for topic in ("poses/v1/x/c/picture", "poses/v1", "poses/v1/x/c/command/fall", "a"):
        assert figures.take(Received(topic, b"")) == []
    assert figures.unreadable == 0


def test_on_a_terminal_the_figures_are_one_line_that_is_rewritten() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    screen = Screen(stream)
    screen.live(Figures())
    screen.live(Figures())
    screen.tell(["an event"])
    screen.end()
    shown = stream.getvalue()
    assert shown.count("fps of") == 1, "not more often than people can read"
    assert shown.endswith("\r\x1b[Kan event\n\n")
    assert shown.startswith("\r\x1b[K0.0 fps of 0 cameras")


def test_for_machines_frames_are_figures_and_the_rest_lines(builder: Builder) -> None:
    stream = io.StringIO()
    lines, figures = JsonLines(stream), Figures()
    for message in (builder.frame(frame(), people(1)), builder.online(version="9")):
        figures.take(received(message))
        lines.message(received(message))
    lines.live(figures)
    lines.live(figures)
    status, told = (json.loads(line) for line in stream.getvalue().splitlines())
    assert status["topic"] == "poses/v1/box/status"
    assert status["payload"]["version"] == "9"
    assert told["figures"]["frames"] == 1


class Listener:
    """The command as a child whose lines can be waited for."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-u", "-m", "tools", "listen", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.lines: List[str] = []
        self._too_long = threading.Timer(GIVE_UP_S, self.process.kill)
        self._too_long.start()

    def wait_for(self, text: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} was never printed: {self.lines}")

    def end(self) -> List[str]:
        self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=GIVE_UP_S)
        self._too_long.cancel()
        assert (errors, self.process.returncode) == ("", 0)
        return out.splitlines()


def publisher(broker: Broker) -> Publisher:
    made = Publisher(
        Config(
            device="box",
            cameras=[Camera("synthetic://", "cam0")],
            publish=Publish(sinks=[broker.uri]),
            mqtt=Mqtt(protocol=broker.protocol),
        ),
        lossless=True,
    )
    made.online()
    return made


@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
def test_events_and_figures_come_over_a_real_broker(kind: str) -> None:
    with Broker(kind) as broker:
        said = publisher(broker)
        listener = Listener(f"{broker.uri}?protocol={broker.protocol}", "--device", "box")
        listener.wait_for("box is online")
        for i in range(1, 4):
            said.frame(frame(), people(2))
            said.event(PoseEvent("fall", "cam0", i, time.monotonic_ns(), 1.0))
        assert "cam0  fall  person 3" in listener.wait_for("person 3")
        said.close()
        listener.wait_for("box is offline (stopped)")
        assert listener.end()[-1] == "3 frames, 3 events received"


def test_json_lines_hold_the_contract(broker: Broker, contract: Any) -> None:
    said = publisher(broker)
    listener = Listener(broker.uri, "--json")
    listener.wait_for("status")
    said.event(PoseEvent("wave", "cam0", 1, time.monotonic_ns(), 1.0))
    line = json.loads(listener.wait_for("/event/"))
    contract(line["topic"], line["payload"])
    said.close()
    listener.end()
    assert any("figures" in json.loads(line) for line in listener.lines)


def test_garbage_from_others_is_counted(broker: Broker) -> None:
    listener = Listener(broker.uri)
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.publish("poses/v1/evil/c/frame", b"\xff" * 100, qos=1, retain=True).wait_for_publish(20)
    good = Builder("box").online(version="9")
    client.publish(good.topic, good.body, qos=1, retain=True).wait_for_publish(20)
    listener.wait_for("box is online")
    client.disconnect()
    assert listener.end()[-1].endswith("events received, 1 unreadable")


def test_no_broker_is_one_line_and_an_exit_code() -> None:
    port = free_port()
    done = subprocess.run(
        [sys.executable, "-m", "tools", "listen", f"mqtt://127.0.0.1:{port}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVE_UP_S,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == f"edge-tools: mqtt://127.0.0.1:{port}: Connection refused\n"


def test_a_wrong_login_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong", encoding="utf-8")
    with Broker("mosquitto", user="bob") as broker:
        uri = f"{broker.uri}?password_file={tmp_path / 'password'}"
        done = subprocess.run(
            [sys.executable, "-m", "tools", "listen", uri],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=GIVE_UP_S,
            encoding="utf-8",
        )
    assert done.returncode == 69
    assert "refused: Not authorized (code 135)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_content_type_is_told_by_the_first_byte_where_the_protocol_has_none() -> None:
    builder = Builder("box", "cbor")
    message = builder.frame(frame(), people(1))
    assert Received(message.topic, message.body).content_type == codec.CBOR
    assert Received(message.topic, message.json).content_type == codec.JSON


@pytest.mark.parametrize("broken", [False, True])
def test_what_came_is_acknowledged_at_once(broken: bool) -> None:
    """A broker with Nagle's algorithm holds the next message back until then."""
    options: List[Any] = []

    def setsockopt(*option: int) -> None:
        options.append(option)
        if broken:
            raise OSError("closed")

    listener = Subscriber(parse("mqtt://h", Mqtt()))
    client = SimpleNamespace(socket=lambda: SimpleNamespace(setsockopt=setsockopt))
    message = SimpleNamespace(topic="poses/v1/box/door/frame", payload=b"{}", properties=None)
    listener._on_message(client, None, message)
    listener._on_message(SimpleNamespace(socket=lambda: None), None, message)
    assert options == [(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)]
    messages = listener.messages(0.0)
    assert [next(messages) is not None for _ in range(3)] == [True, True, False]
