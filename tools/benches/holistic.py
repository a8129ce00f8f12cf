"""Compare this project with MediaPipe Holistic: one person, the same weights, the same frames."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import List

import numpy as np

from tools.benches import Row, duel_of_both, row
from tools.benches.memory import Loop, read_video
from tools.benches.peer import Peer
from tools.fetch.by_name import ensure_model, ensure_set

GOAL = 0.4
FRAMES = 100
DETECT = "yolov4-tiny-tall"  # the camera of this clip is in portrait orientation


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Time per frame of both sides in turn. Our side gives the body, the face and both hands."""
    for name in (DETECT, "blazepose"):
        ensure_model(name, models)
    clip = read_video(ensure_set("singleperson", sets) / "cam03.mp4", FRAMES)
    frames = clip + clip[::-1]  # forwards, then backwards: a camera has no cuts
    loop = Loop([frames], {"models": {"dir": str(models)}, "detect": {"model": DETECT}})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.npy"
        np.save(file, np.stack(frames)[..., ::-1])
        with Peer("mediapipe", ["mediapipe==0.10.21"], str(file)) as peer:
            times = duel_of_both(loop.spent, peer.spent, rounds)
            found = peer.ask()["found"]
    people = loop.health.people
    runs, runtimes = loop.models.runs(), loop.models.engines.report()
    loop.close()
    counts = {"people": people, "runs": runs, "runtimes": runtimes}
    return [
        row("holistic: ours / MediaPipe", times["ratio"], "x", GOAL, frames=len(frames)),
        row("holistic: CPU time, ours / MediaPipe", times["cpu_ratio"], "x"),
        row("holistic: ours", times["ours"], "ms", None, **counts),
        row("holistic: MediaPipe", times["theirs"], "ms", None, found=found),
    ]
