"""`edge-tools view` against a real broker, and the mistakes that a user can make."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest

from edge.messages import Builder, Message
from edge.publish._address import parse
from edge.settings.publishing import Mqtt
from tests.tools.viewer.moving import frame, lines, people, state, write_lines
from tests.waiting import GIVE_UP_S, until
from tools.__main__ import main
from tools.mqtt.broker import Broker
from tools.viewer import opening
from tools.viewer.board import Board, Cursor
from tools.viewer.live import Live
from tools.viewer.replay import Replay
from tools.viewer.server import Viewer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker("mosquitto", user="reader") as started:
        yield started


def uri(broker: Broker) -> str:
    return f"{broker.uri}?password_file={broker.password_file}"


def publish(broker: Broker, *messages: Message) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("reader", broker.password)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for message in messages:
        client.publish(message.topic, message.body, 1, message.retain).wait_for_publish(GIVE_UP_S)
    client.disconnect()
    client.loop_stop()


def told(board: Board) -> List[Tuple[str, bytes]]:
    return list(lines(board.news(Cursor(), 0)))


@pytest.mark.parametrize("codec_name", ["json", "cbor"])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_messages_of_a_broker_reach_the_board(
    broker: Broker, codec_name: str, protocol: str
) -> None:
    builder, board = Builder("hall", codec_name), Board()
    publish(broker, builder.state(state("door"), 2))  # retained: it was there before
    with Live(parse(f"{uri(broker)}&protocol={protocol}", Mqtt()), "+", board):
        publish(broker, builder.frame(frame("door", 1), people(2)))
        until(lambda: "poses/v1/hall/door/frame" in dict(told(board)), "the frame")
        names = [topic for topic, _ in told(board)]
    assert sorted(names) == ["link", "poses/v1/hall/door/frame", "poses/v1/hall/door/state"]
    assert b'"keypoints":[' in dict(told(board))["poses/v1/hall/door/frame"]


def test_one_box_can_be_chosen(broker: Broker) -> None:
    board = Board()
    with Live(parse(uri(broker), Mqtt()), "ward", board):
        for device in ("hall", "ward"):
            publish(broker, Builder(device).state(state("door"), 2))
        until(lambda: "poses/v1/ward/door/state" in dict(told(board)), "the state")
    assert "poses/v1/hall/door/state" not in dict(told(board))


def test_the_page_is_told_that_the_broker_went_and_came_back(broker: Broker) -> None:
    board = Board()
    with Live(parse(uri(broker), Mqtt()), "+", board):
        assert dict(told(board))["link"] == b'{"up":true,"why":""}'
        broker.stop()
        until(lambda: b'"up":false,"why":"' in dict(told(board))["link"], "the loss")
        broker.start()
        until(lambda: dict(told(board))["link"] == b'{"up":true,"why":""}', "the return")
        publish(broker, Builder("hall").state(state("door"), 2))
        until(lambda: "poses/v1/hall/door/state" in dict(told(board)), "a message after it")


def test_it_prints_a_link_and_ends_well(tmp_path: Path) -> None:
    recording = write_lines(tmp_path / "messages.jsonl")
    process = subprocess.Popen(
        [sys.executable, "-m", "tools", "view", "--replay", str(recording)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert re.fullmatch(r"open http://127\.0\.0\.1:\d+/\?token=\S{20,}\n", first)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=GIVE_UP_S)
    assert process.returncode == 0
    assert "the viewer has ended" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["mqtt://127.0.0.1:9"], 69, "mqtt://127.0.0.1:9: Connection refused"),
        (["mqtt://me:secret@h"], 78, "no password in the address"),
        (["--ca", "x.pem"], 78, "--ca: only with mqtts://"),
        (["http://127.0.0.1"], 78, "sink http: "),
        (["--port", "70000"], 78, "--port 70000"),
        (["mqtt://h", "--replay", "x"], 78, "--replay: shows a recording, so give no broker"),
        (["--replay", "/nowhere/x"], 66, "/nowhere/x: contains no recording"),
        (["--replay", str(ROOT / "setup.py")], 65, "is not a file of messages"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(
    words: List[str], code: int, text: str, capsys: Any
) -> None:
    assert main(["view", *words]) == code
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1
    assert "secret" not in said


def test_help_has_examples(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["view", "--help"])
    assert "edge-tools view --replay" in capsys.readouterr().out


@pytest.mark.parametrize(("desktop", "opens"), [("", False), (":0", True)])
def test_the_browser_is_opened_only_on_a_desktop(
    monkeypatch: Any, capsys: Any, desktop: str, opens: bool
) -> None:
    """A browser in the terminal would hide the link."""
    opened: List[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda link: opened.append(link) or True)
    for name in ("WAYLAND_DISPLAY", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", desktop)
    opening.show("http://127.0.0.1:1/?token=x", in_browser=True)
    assert opened == (["http://127.0.0.1:1/?token=x"] if opens else [])
    assert ("no browser" in capsys.readouterr().err) != opens


def test_threads_of_a_viewer_end(tmp_path: Path) -> None:
    before = threading.active_count()
    with Replay(write_lines(tmp_path / "m.jsonl")) as replay, Viewer(replay.board):
        pass
    assert threading.active_count() == before
