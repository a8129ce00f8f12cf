"""Memory over many frames of the real loop."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, List, Tuple

import cv2
import numpy as np
from whole_daemon import Daemon, settings

PAGE = os.sysconf("SC_PAGE_SIZE")
SLOPE_BYTES = 1.0  # a frame, over 100 000 frames


def resident(pid: int) -> int:
    """Bytes of memory that are the process's own: what files and libraries share is left out."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * PAGE


def frames_of(path: Path, at: int) -> Tuple[int, int]:
    """Steps that the metrics tell from a place of the file on, and the place to go on from."""
    with path.open("rb") as file:
        file.seek(at)
        data = file.read()
    end = data.rfind(b"\n") + 1
    steps = 0
    for line in data[:end].splitlines():
        if b'/metrics"' in line[:80]:
            steps = max(steps, json.loads(line)["payload"]["steps"])
    return steps, at + end


def slope(samples: List[Tuple[int, int]]) -> float:
    """Bytes a frame of the line through (frames, bytes)."""
    frames, sizes = np.array(samples, float).T
    return float(np.polyfit(frames, sizes, 1)[0])


def noise(path: Path) -> Path:
    """A clip in which the tiny networks see two people in every frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 72))
    rng = np.random.default_rng(0)
    for _ in range(50):
        writer.write(rng.integers(0, 255, (72, 96, 3), np.uint8))
    writer.release()
    return path


def test_memory_does_not_grow_with_frames(tmp_path: Path, soak: bool, figures: Any) -> None:
    """P8: the memory slope is at most 1 byte/frame over 100 000 frames of the whole program.

    Two people, decoding, networks, tracking, filters, rules, messages and a recording.
    Metrics twenty times and segments far more often than on a box, so what is done by time shows,
    too. The warm-up of the full form fills what the interpreter keeps for every step anyway: its
    free tuples (tests/edge/test_blocks_kept.py) and its cache of attributes (4096 names).
    The short form runs 2 000 frames after a warm-up of 1 500: over so few a page more or less is
    already two bytes a frame, so it only shows a leak of 200 bytes a frame or more (a pose has
    1600).
    """
    warm, count, most = (20_000, 100_000, SLOPE_BYTES) if soak else (1_500, 2_000, 200.0)
    clip = noise(tmp_path / "noise.avi")
    table = settings(
        tmp_path, ["jsonl:out.jsonl"], record={"max_mb": 1},
        cameras=[{"source": f"file://{clip}?loop=1&rate=max", "name": "door"}],
        publish={"sinks": ["jsonl:out.jsonl"], "metrics_s": 0.5},
        rules=[{"kind": "presence", "enter_s": 0.1}, {"kind": "fall"}],
    )  # fmt: skip
    out, samples, at = tmp_path / "out.jsonl", [], 0
    with Daemon(tmp_path, table) as daemon:
        assert daemon.process is not None
        end = time.monotonic() + (3600 if soak else 300)
        while not samples or samples[-1][0] < warm + count:
            assert time.monotonic() < end, f"only {samples[-1:]} frames"
            assert daemon.process.poll() is None, daemon.text()
            time.sleep(0.2)
            steps, at = frames_of(out, at) if out.exists() else (0, at)
            if at > 1 << 26:
                os.truncate(out, 0)  # the test's own disk is bounded, too
                at = 0
            if steps > warm:
                samples.append((steps, resident(daemon.process.pid)))
        assert daemon.stop() == 0
    found = slope(samples)
    figures("P8", frames=samples[-1][0] - samples[0][0], samples=len(samples),
            bytes_a_frame=round(found, 3), memory_mb=round(samples[-1][1] / 2**20, 1))
    assert found <= most, f"{found:.2f} bytes a frame"


def test_a_planted_leak_is_seen() -> None:
    """P8: sixteen bytes a frame do show."""
    rng = np.random.default_rng(0)
    frames = np.arange(20_000, 120_000, 500)
    noise = rng.normal(0, 6000, len(frames))
    calm = slope(list(zip(frames.tolist(), (1e8 + noise).tolist())))
    leaky = slope(list(zip(frames.tolist(), (1e8 + noise + 16 * frames).tolist())))
    assert abs(calm) < SLOPE_BYTES < leaky
