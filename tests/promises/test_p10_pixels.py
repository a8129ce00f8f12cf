"""No pixels in anything that leaves the program or stays on its disk."""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import cv2
import numpy as np
import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from tests.promises.whole_daemon import ROOT, Daemon, key_pair, settings
from tests.waiting import GIVE_UP_S
from tools.__main__ import main as tools

VIDEO = ROOT / "calibration" / "multiperson" / "cam01.mp4"
FRAMES = 8
PIECE = 48  # bytes: sixteen pixels of a row
IMAGES = {
    "JPEG": rb"\xff\xd8\xff[\xe0-\xef\xdb\xc0]",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WebP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM....\x00\x00\x00\x00[\x36\x8a]\x00\x00\x00",
    "JPEG in base64": rb"/9j/[24][A-Za-z0-9+/]{16}",
    "PNG in base64": rb"iVBORw0KGgo",
    "WebP in base64": rb"UklGR[A-Za-z0-9+/]{6}XRUJQ",
    "JPEG in hex": rb"(?i)ffd8ffe[01][0-9a-f]{8}",
    "PNG in hex": rb"(?i)89504e470d0a1a0a",
}


class Finder:
    """Knows the pixels of a recording; finds them, and encoded pictures, in bytes.

    Pieces of rows are looked for as they are (BGR), as RGB, as grey, and in base64; flat pieces,
    which any file may hold, are left out.
    """

    def __init__(self, video: Path) -> None:
        capture = cv2.VideoCapture(str(video))
        self.pieces: Dict[bytes, str] = {}
        for index in range(FRAMES):
            fine, frame = capture.read()
            assert fine
            views = (
                ("BGR", frame),
                ("RGB", frame[..., ::-1]),
                ("grey", cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)),
            )
            for name, view in views:
                self._learn(f"frame {index} {name}", np.ascontiguousarray(view))

    def _learn(self, name: str, image: np.ndarray) -> None:
        for row in np.linspace(0, len(image) - 1, 10).astype(int):
            line = image[row].tobytes()
            for at in (0, len(line) // 3, len(line) // 2):
                piece = line[at : at + PIECE]
                if len(set(piece)) >= 12:
                    self.pieces[piece] = f"{name} row {row}"
                    for shift in range(3):
                        text = base64.b64encode(piece[shift:])[:-4]
                        self.pieces[text] = f"{name} row {row} in base64"

    def find(self, data: bytes) -> List[str]:
        found = [name for name, form in IMAGES.items() if re.search(form, data, re.DOTALL)]
        return found + [name for piece, name in self.pieces.items() if piece in data]


@pytest.fixture(scope="module")
def finder() -> Finder:
    assert VIDEO.is_file() or tools(["get", "multiperson"]) == 0
    made = Finder(VIDEO)
    assert len(made.pieces) > 200
    return made


def test_the_finder_finds_pictures(finder: Finder) -> None:
    """P10: what the other tests look with does see."""
    _, frame = cv2.VideoCapture(str(VIDEO)).read()
    for suffix, name in ((".jpg", "JPEG"), (".png", "PNG"), (".webp", "WebP"), (".bmp", "BMP")):
        data = bytes(cv2.imencode(suffix, frame[:270, :480])[1])
        assert name in finder.find(b"{" + data)
        text = base64.b64encode(data)
        if name != "BMP":
            assert f"{name} in base64" in finder.find(b'"' + text)
    for image in (frame, frame[..., ::-1], cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)):
        raw = image[: len(image) // 8].tobytes()  # a part of a frame, too
        assert finder.find(b"x" + raw)
        assert finder.find(base64.b64encode(b"x" + raw))
    assert finder.find(np.random.default_rng(0).bytes(1 << 20)) == []


class Everything:
    """All that a broker is told."""

    def __init__(self, port: int) -> None:
        self.said: List[Tuple[str, bytes]] = []
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.on_message = lambda c, d, m: self.said.append((m.topic, bytes(m.payload)))
        ready = threading.Event()
        self.client.on_connect = lambda c, d, f, r, p: c.subscribe("#", qos=1)
        self.client.on_subscribe = lambda c, d, mid, r, p: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(GIVE_UP_S)

    def until(self, part: str) -> None:
        end = time.monotonic() + GIVE_UP_S
        while not any(part in topic for topic, _ in list(self.said)):
            assert time.monotonic() < end, f"{part} did not come"
            time.sleep(0.02)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def everything(broker: Any) -> Iterator[Everything]:
    heard = Everything(broker.port)
    yield heard
    heard.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("codec", ["json", "cbor"])
def test_no_sink_and_no_file_holds_pixels(
    finder: Finder, everything: Everything, broker: Any, tmp_path: Path, codec: str, figures: Any
) -> None:
    """P10: 0 image bytes in every sink, the outbox, the recording and the log, on real video."""
    page = f"127.0.0.1:{free_port()}"
    sinks = [broker.uri, "jsonl:out.jsonl", f"prometheus://{page}"]
    # At the camera's own pace and only as long as the finder knows it: the agent must find us.
    table = settings(
        tmp_path,
        sinks,
        record={"max_mb": 64},
        cameras=[{"source": f"file://{VIDEO}?rate=native&loop=1", "name": "door"}],
        rules=[{"kind": "presence", "enter_s": 0.1}, {"kind": "fall"}],
        publish={"sinks": sinks, "metrics_s": 0.5, "codec": codec},
    )
    (tmp_path / "tmp").mkdir()
    told: Dict[str, bytes] = {}
    daemon = Daemon(tmp_path, table, "-v")
    daemon.start(TMPDIR=str(tmp_path / "tmp"))
    try:
        everything.until("/metrics")
        everything.until("/event/presence")
        with urllib.request.urlopen(f"http://{page}/metrics", timeout=GIVE_UP_S) as answer:
            told["prometheus"] = answer.read()
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    told["mqtt"] = b"\n".join(body for _, body in everything.said)
    kept = [p for p in tmp_path.rglob("*") if p.is_file()]
    told.update({str(p.relative_to(tmp_path)): p.read_bytes() for p in kept})
    assert {"out.jsonl", "edge.log", "mqtt", "prometheus"} <= set(told)
    assert any(name.endswith(".poses") for name in told), "the recording was looked at"
    frames = told["out.jsonl"].count(b'/frame"')
    assert frames >= FRAMES
    assert len(told["mqtt"]) > 1000 * frames // 10
    # Room that a database keeps for itself is no place to look at.
    told = {name: re.sub(rb"\0{64,}", bytes(64), data) for name, data in told.items()}
    found = {name: finder.find(data) for name, data in told.items()}
    figures(
        "P10",
        codec=codec,
        places=len(told),
        bytes_searched=sum(map(len, told.values())),
        frames=frames,
        image_bytes=sum(map(len, found.values())),
    )
    assert {name: what for name, what in found.items() if what} == {}


def test_a_picture_that_was_asked_for_is_found(
    finder: Finder, everything: Everything, broker: Any, tmp_path: Path
) -> None:
    """P10: the same search finds the one picture that a signed command gets, and only there."""
    key_pair(tmp_path)
    commands = {"allow": ["snapshot"], "key_file": str(tmp_path / "operator.pub")}
    table = settings(
        tmp_path,
        [broker.uri, "jsonl:out.jsonl"],
        commands=commands,
        cameras=[{"source": f"file://{VIDEO}?rate=native&loop=1", "name": "door"}],
    )
    with Daemon(tmp_path, table) as daemon:
        everything.until("/frame")
        assert (
            tools(
                [
                    "command",
                    "snapshot",
                    "--device",
                    "hall",
                    "--broker",
                    broker.uri,
                    "--key",
                    str(tmp_path / "operator.key"),
                    "--wait",
                    "60",
                    "--out",
                    str(tmp_path.parent / "picture.jpg"),
                ]
            )
            == 0
        )
        everything.until("/answer/")
        assert daemon.stop() == 0
    pictured = {topic.split("/")[3] for topic, body in everything.said if finder.find(body)}
    assert pictured == {"answer"}
    for path in tmp_path.rglob("*"):
        data = re.sub(rb"\0{64,}", bytes(64), path.read_bytes()) if path.is_file() else b""
        assert finder.find(data) == [], path
