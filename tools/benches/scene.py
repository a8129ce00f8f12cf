"""Four calibrated cameras at 4K beside the same at 1080p: detection to joints in metres."""

from __future__ import annotations

from pathlib import Path
from typing import List

import cv2
import numpy as np

from edge import skeletons
from edge.loop.parts import timed_scenes
from edge.loop.scenes import build_scenes
from tools.benches import Row, duel_of_both, row
from tools.benches.memory import Loop, read_video
from tools.evaluation.rig_run import calibration_of
from tools.fetch.by_name import ensure_model, ensure_set

GOAL = 1.15
FRAMES = 8  # of each camera: at 4K they take 800 MB
_TIMES = 2  # 1088 x 1920 -> 2176 x 3840 px


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """The time of a step at 4K over that at 1080p, and the share of the scene in it."""
    for name in ("hybrid", "blazepose"):
        ensure_model(name, models)
    folder = ensure_set("multiperson", sets)
    clips = [read_video(path, FRAMES) for path in sorted(folder.glob("cam*.mp4"))]
    large = [[_enlarged(picture) for picture in clip] for clip in clips]
    sides = [_loop(models, folder, pictures) for pictures in (large, clips)]
    times = duel_of_both(sides[0].spent, sides[1].spent, max(3, rounds // 2))
    scene_ms = [side.health.stages["scene"].percentiles()["p50"] for side in sides]
    for side in sides:
        side.close()
    return [
        row("scene: 4 x 4K over 4 x 1080p, a step", times["ratio"], "x", GOAL),
        row("scene: 4 x 4K over 4 x 1080p, CPU time", times["cpu_ratio"], "x", GOAL),
        row("scene: 4 x 4K, a step", times["ours"], "ms"),
        row("scene: people joined and triangulated, a step of 4K", [scene_ms[0]], "ms"),
        row("scene: its share of a step", [scene_ms[0] / float(np.median(times["ours"]))], "x"),
    ]


def _enlarged(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=_TIMES, fy=_TIMES, interpolation=cv2.INTER_CUBIC)


def _loop(models: Path, folder: Path, pictures: List[List[np.ndarray]]) -> Loop:
    names = [f"cam{c}" for c in range(len(pictures))]
    scene = {
        "name": "court",
        "calibration": str(calibration_of(folder)),
        "views": [f"cam{c + 1:02d}" for c in range(len(names))],
    }
    loop = Loop(
        pictures,
        {
            "models": {"dir": str(models)},
            "runtime": {"prefer": "onnx"},
            "scenes": [scene],
        },
    )
    skeleton = skeletons.get(loop.models.pose.skeleton).name
    loop.pipeline.scenes = timed_scenes(build_scenes(loop.config, skeleton), loop.health)
    return loop
