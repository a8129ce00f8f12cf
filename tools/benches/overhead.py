"""The loop's own work: everything that is neither network execution nor video decoding."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.capture._synthetic_scene import Scene, Setup
from edge.errors import DataError
from edge.structures import Detections, Frame, Poses
from tools.benches import Row, row
from tools.benches.memory import Loop, read_video
from tools.get import ensure_model, ensure_set

GOAL_SHARE = 0.10
CASES = ((1, 1), (1, 5), (1, 20), (4, 1), (4, 5))  # cameras, people in each
STEPS = 10


class Spans:
    """When networks ran, in any thread; overlapping runs count once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: List[Tuple[int, int]] = []

    def timed(self, run: Any) -> Any:
        """The same callable, its times remembered."""

        def call() -> Any:
            start = time.perf_counter_ns()
            try:
                return run()
            finally:
                with self._lock:
                    self._spans.append((start, time.perf_counter_ns()))

        return call

    def take_ms(self) -> float:
        """Time in which at least one network ran, since the last call."""
        with self._lock:
            spans, self._spans = sorted(self._spans), []
        total, until = 0, 0
        for start, end in spans:
            total += max(0, end - max(start, until))
            until = max(until, end)
        return total * 1e-6


class Crowd:
    """A real person at a real picture, as often as wanted, so that the number is exact.

    All networks run on real crops; what tracking and all after it are given is a synthetic scene
    of as many people, since the same person twice would be merged.
    """

    def __init__(self, loop: Loop, picture: np.ndarray, people: int) -> None:
        self._detect, self._pose = loop.models.detect, loop.models.pose
        self._real = self._look_twice(picture)
        self._candidates = self._real.take(np.zeros(people, np.int64))
        self.step = 0
        scene = Scene(Setup(people=people, motion="wave"), picture.shape[1], picture.shape[0])
        self._truth = [_nameless(scene.poses(i, self._real.skeleton)) for i in range(STEPS)]

    def detect(self, frames: Sequence[Frame]) -> List[Detections]:
        """Boxes of the scene, after the real detector ran."""
        self._detect(frames)
        truth = self._truth[self.step]
        return [Detections(truth.boxes, truth.person_scores) for _ in frames]

    def pose(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """Keypoints of the scene, after the real networks ran on the real person."""
        self._pose(frames, [self._candidates for _ in frames])
        return [self._truth[self.step] for _ in frames]

    def _look_twice(self, picture: np.ndarray) -> Poses:
        frame = Frame(picture, 0, 0, "still")
        found = self._detect([frame])[0]
        people = Poses.of_boxes(found, len(skeletons.get(self.skeleton)), self.skeleton)
        for _ in range(2):
            people = self._pose([frame], [people])[0]
        if not len(people):
            raise DataError("bench: nobody was found in the picture that has a person")
        return people.take(np.array([0]))

    @property
    def skeleton(self) -> str:
        """What the pose model gives."""
        return self._pose.skeleton


def _nameless(poses: Poses) -> Poses:
    nobody = np.full(len(poses), -1, np.int64)
    return replace(poses, ids=nobody, person_scores=np.ones(len(poses), np.float32))


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Share of the loop's own work in a step, for one to twenty people."""
    for name in ("yolov4-tiny", "blazepose"):
        ensure_model(name, models)
    picture = read_video(ensure_set("walker", sets) / "demo.mp4", 1)[0]
    rows: List[Row] = []
    own_ms: Dict[Tuple[int, int], float] = {}
    for cameras, people in CASES:
        measured = _measure(models, picture, cameras, people, max(3, rounds // 2))
        name = f"overhead: {cameras} cameras, {cameras * people} people"
        goal = GOAL_SHARE if people == 5 else None
        rows.append(row(f"{name}, share", measured["share"], "x", goal, runs=measured["runs"]))
        rows.append(row(f"{name}, own work", measured["own"], "ms"))
        own_ms[cameras, people] = float(np.median(measured["own"]))
    per_person = (own_ms[1, 20] - own_ms[1, 1]) / 19
    return [*rows, row("overhead: each further person", [per_person], "ms")]


def _measure(
    models: Path, picture: np.ndarray, cameras: int, people: int, rounds: int
) -> Dict[str, Any]:
    tables = {"models": {"dir": str(models)}, "track": {"min_hits": 1}}
    loop = Loop([[picture] * STEPS] * cameras, tables)
    crowd = Crowd(loop, picture, people)
    spans = Spans()
    for runner in loop.models.runners.values():
        runner.run = spans.timed(runner.run)  # type: ignore[method-assign]
    loop.pipeline.detect, loop.pipeline.pose = crowd.detect, crowd.pose
    shares, own = [], []
    before = loop.models.runs()
    for _ in range(rounds + 1):
        total_ms, network_ms = _round(loop, crowd, spans)
        shares.append((total_ms - network_ms) / total_ms)
        own.append((total_ms - network_ms) / STEPS)
    steps = loop.health.steps
    runs = {n: round((r - before[n]) / steps, 2) for n, r in loop.models.runs().items()}
    loop.close()
    return {"share": shares[1:], "own": own[1:], "runs": runs}


def _round(loop: Loop, crowd: Crowd, spans: Spans) -> Tuple[float, float]:
    """One pass in a single thread, so that nothing hides behind the networks."""
    loop.cameras.rewind()
    total_ns = 0
    spans.take_ms()
    for step in range(STEPS):
        crowd.step = step
        frames = loop.cameras.take(0)
        start = time.perf_counter_ns()
        loop.pipeline.tell(loop.pipeline.look(frames))
        total_ns += time.perf_counter_ns() - start
        loop.health.steps += 1
    return total_ns * 1e-6, spans.take_ms()
