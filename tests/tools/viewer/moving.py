"""Messages of people who move, made by the program's own builder."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np

from edge import skeletons
from edge.messages import Builder, Clock, Message
from edge.recording.ring import Recorder
from edge.settings import config
from edge.structures import CameraState, Frame, PoseEvent, Poses
from tools.mqtt.subscriber import Received

SIZE = (640, 480)
RULES = """
device = "hall"
[[cameras]]
name = "door"
source = "synthetic://walk"
[[cameras]]
name = "yard"
source = "synthetic://walk"
[[rules]]
kind = "zone"
name = "mat"
polygon = [[0, 0], [320, 0], [320, 480], [0, 480]]
enter_s = 0.1
"""


def people(n: int, at: float = 0.0, skeleton: str = "wholebody133") -> Poses:
    """People side by side; `at` 0..1 moves them to the right."""
    k = len(skeletons.get(skeleton).names)
    rng = np.random.default_rng(k)
    shape = rng.random((k, 2)) * [60, 200]
    left = at * (SIZE[0] - 60) + np.arange(n)[:, None, None] * 70
    points = (shape + [0, 200] + left * [1, 0]).astype(np.float32)
    boxes = np.concatenate([points.min(1), points.max(1)], 1).astype(np.float32)
    scores = np.full((n, k), 0.9, np.float32)
    return Poses(points, scores, boxes, np.arange(n), np.full(n, 0.9, np.float32), skeleton)


def frame(camera: str, t_ns: int, index: int = 0) -> Frame:
    image = np.broadcast_to(np.zeros(3, np.uint8), (SIZE[1], SIZE[0], 3))
    return Frame(image, index, t_ns, camera)


def received(message: Message) -> Received:
    return Received(message.topic, message.body, message.content_type)


def state(camera: str, word: str = "ok", detail: str = "") -> CameraState:
    return CameraState(camera, word, detail, time.monotonic_ns(), size=SIZE)


def settings(folder: Path, text: str = RULES) -> config.Config:
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def record(folder: Path, seconds: float, fps: int = 10, start_s: float = 100.0) -> Path:
    """A recording of two cameras: a person walks from right to left and back every 4 s."""
    loaded = settings(folder)
    builder = Builder(loaded.device, clock=Clock(lambda: 10**18, lambda: 0))
    place = folder / "recordings"
    recorder = Recorder(place, 64 << 20, builder, lambda: loaded, lossless=True)
    for i in range(int(seconds * fps)):
        t_ns = int((start_s + i / fps) * 1e9)
        seen = people(1, abs((i / fps / 2) % 2 - 1))
        frames = [frame(name, t_ns, i) for name in ("door", "yard")]
        for one in frames:
            builder.frame(one, seen)
        recorder(frames, [seen] * 2)
    recorder.close()
    return place


def write_lines(path: Path) -> Path:
    """What a jsonl: sink writes of a camera, a state, an event and metrics."""
    builder = Builder("hall")
    sent = [builder.online(version="1", cameras=["door"], engines={}, clock={})]
    sent.append(builder.state(state("door"), 1))
    for i in range(50):
        shown = frame("door", int((7 + i / 10) * 1e9), i)
        sent.append(builder.frame(shown, people(1, i / 50)))
        if i == 20:
            sent.append(builder.event(PoseEvent("fall", "door", 0, shown.t_ns, 0.9, {}, "alarm")))
            sent.append(builder.state(state("door", "stalled", "gone"), 1))
    text = [json.dumps({"topic": m.topic, "payload": json.loads(m.json)}) for m in sent]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def lines(stream: bytes) -> Iterator[Any]:
    """Topic and body of each message of a stream of server-sent events."""
    for line in stream.split(b"\n\n"):
        if line.startswith(b"data: "):
            topic, _, body = line[6:].partition(b" ")
            yield topic.decode(), body


def topics(stream: bytes) -> List[str]:
    return [topic for topic, _ in lines(stream)]
