"""Cost of one decoder process per network camera, compared with decoding in the program itself.

The camera is an MJPEG file in AVI, read without pacing. The difference between both sides is the
way of a frame into the ring's memory.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np

from edge.capture import CaptureOptions, Ring
from edge.capture._decoder.processes import decoders
from edge.capture._decoder.video import RemoteVideo
from edge.capture._opencv import FFMPEG, Video
from tools.benches import Row, row

SIZES = ((1280, 720), (1920, 1080))
FRAMES, WARM_UP = 240, 40
CAMERAS = 16
_OPTIONS = CaptureOptions(timeout_s=30.0)


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """CPU time of both sides, program and decoder together, and the memory of many decoders."""
    rows: List[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for width, height in SIZES:
            clip = _clip(Path(folder), width, height)
            rows += _times(clip, width, height, rounds)
        rows += _memory(clip)
    return rows


def _clip(folder: Path, width: int, height: int) -> str:
    path = folder / f"{width}.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (width, height))
    noise = np.random.default_rng(1)
    small = noise.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
    for i in range(FRAMES):
        writer.write(cv2.resize(np.roll(small, i, 1), (width, height)))
    writer.release()
    return str(path)


def _asked(clip: str) -> Dict[str, Any]:
    return {"target": clip, "backend": FFMPEG, "parameters": [], "layout": "bgr"}


def _times(clip: str, width: int, height: int, rounds: int) -> List[Row]:
    """Run both sides in turn."""
    ours: List[float] = []
    theirs: List[float] = []
    for _ in range(rounds):
        ours.append(_remote_ms(clip))
        theirs.append(_local_ms(clip))
    extra = [a - b for a, b in zip(ours, theirs)]
    name = f"decoders: {width}x{height}, CPU time of a frame"
    return [
        row(f"{name} in a process of its own", ours, "ms"),
        row(f"{name} in the program", theirs, "ms"),
        row(f"{name}, difference", extra, "ms"),
    ]


def _local_ms(clip: str) -> float:
    video = Video(clip, FFMPEG, [])
    used_ms = _used_ms(video, time.process_time)
    video.close()
    return used_ms


def _remote_ms(clip: str) -> float:
    video = RemoteVideo("bench", _OPTIONS)
    video.open(_asked(clip), 30.0)
    used_ms = _used_ms(video, lambda: time.process_time() + _cpu_s(video._decoder.pid))
    video.close()
    return used_ms


def _used_ms(video: Any, clock_s: Callable[[], float]) -> float:
    """CPU time of a frame, measured after all memory has been touched once."""
    ring = Ring(6, live=True)
    _play(video, ring, WARM_UP)
    before_s = clock_s()
    frames = _play(video, ring, FRAMES - WARM_UP - 5)
    return (clock_s() - before_s) * 1e3 / max(1, frames)


def _play(video: Any, ring: Ring, count: int) -> int:
    for done in range(count):
        slot = ring.acquire(0.0)
        if slot is None or not video.grab() or not video.retrieve(slot, ring):
            return done
        ring.publish(slot)
    return count


def _cpu_s(pid: int) -> float:
    """CPU time of a process with all its threads, from the scheduler (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(t.read_text(encoding="utf-8").split()[0]) for t in tasks) / 1e9


def _memory(clip: str) -> List[Row]:
    """Memory of many decoders, without the frames: these are in the ring on both sides."""
    opened: List[RemoteVideo] = []
    own_mb = []
    for _ in range(CAMERAS):
        video = RemoteVideo("bench", _OPTIONS)
        opened.append(video)
        video.open(_asked(clip), 30.0)
        _play(video, Ring(6, live=True), 8)
    for video in opened:
        own_mb.append(_private_mb(video._decoder.pid))
    server_mb = _private_mb(decoders.server_pid)
    for video in opened:
        video.close()
    return [
        row(f"decoders: private memory of one of {CAMERAS}, 1920x1080", own_mb, "MB"),
        row(
            f"decoders: private memory of all {CAMERAS} and the fork server",
            [sum(own_mb) + server_mb],
            "MB",
        ),
    ]


def _private_mb(pid: int) -> float:
    """Memory that no other process shares (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    private_kb = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
    return sum(private_kb) / 1024
