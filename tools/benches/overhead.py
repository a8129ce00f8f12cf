"""The loop against its own networks: what everything that is no network costs a frame."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.capture._synthetic_scene import Scene, Setup
from edge.errors import DataError
from edge.models import halves
from edge.runtime import Runner, begin
from edge.structures import Detections, Frame, Poses
from tools.benches import Row, duel, row
from tools.benches.memory import Loop, read_video
from tools.get import ensure_model, ensure_set

GOAL_SHARE = 0.10
CASES = ((1, 1), (1, 5), (1, 20), (4, 1), (4, 5))  # cameras, people in each
STEPS = 60  # filling and emptying the pipeline once is little of it
_LATER = ("hand", "face")  # networks of the second half


class Crowd:
    """A real person at a real picture, as often as wanted, so that the number is exact.

    All networks run on real crops; what tracking and all after it are given is a synthetic scene
    of as many people, since the same person twice would be merged.
    """

    def __init__(self, loop: Loop, picture: np.ndarray, people: int) -> None:
        self._detect, self._pose = loop.models.detect, loop.models.pose
        self._bodies, parts = halves(self._pose)
        assert parts
        self._parts = parts
        self._real = self._look_twice(picture)
        self._candidates = self._real.take(np.zeros(people, np.int64))
        scene = Scene(Setup(people=people, motion="wave"), picture.shape[1], picture.shape[0])
        self._truth = [_nameless(scene.poses(i, self._real.skeleton)) for i in range(STEPS)]
        self._seen: queue.SimpleQueue[List[Poses]] = queue.SimpleQueue()  # between the halves

    def detect(self, frames: Sequence[Frame]) -> List[Detections]:
        """Boxes of the scene, after the real detector ran."""
        self._detect(frames)
        truth = [self._of(f) for f in frames]
        return [Detections(t.boxes, t.person_scores) for t in truth]

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """Keypoints of the scene, after the real network ran on the real person."""
        self._seen.put(self._bodies(frames, [self._candidates for _ in frames]))
        return [self._of(f) for f in frames]

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The same people, after the real networks looked for the real person's hands and face."""
        self._parts(frames, self._seen.get())
        return list(people)

    def _of(self, frame: Frame) -> Poses:
        return self._truth[frame.index % STEPS]

    def _look_twice(self, picture: np.ndarray) -> Poses:
        frame = Frame(picture, 0, 0, "still")
        found = self._detect([frame])[0]
        skeleton = self._pose.skeleton
        people = Poses.of_boxes(found, len(skeletons.get(skeleton)), skeleton)
        for _ in range(2):
            people = self._pose([frame], [people])[0]
        if not len(people):
            raise DataError("bench: nobody was found in the picture that has a person")
        return people.take(np.array([0]))


class Bare:
    """The same executions of the same networks on batches of the same size, and nothing else.

    Arranged as in the loop: hands and faces beside the next frame's bodies, but nothing waits for
    what it would need.
    """

    def __init__(self, runners: Dict[str, Runner]) -> None:
        self._runners = runners
        self._batches: List[Tuple[str, int]] = []
        for name, runner in runners.items():
            runner.feed = self._noted(name, runner.feed)  # type: ignore[method-assign]

    def _noted(self, name: str, feed: Any) -> Any:
        def noted(batch: int) -> Any:
            self._batches.append((name, batch))
            return feed(batch)

        return noted

    def forget(self) -> None:
        """Note anew what is fed."""
        self._batches.clear()

    def round_ms(self) -> float:
        """Everything that was fed since `forget` once more; ms a step."""
        noted = list(self._batches)
        later = [(n, b) for n, b in noted if n.endswith(_LATER)]
        beside = threading.Thread(target=self._run_side_by_side, args=(later,))
        start = time.perf_counter()
        beside.start()
        for name, batch in noted:
            if not name.endswith(_LATER):
                self._runners[name].feed(batch)
                begin(self._runners[name], _as_it_is, urgent=True)
                self._runners[name].run()
        beside.join()
        self._batches = noted
        return (time.perf_counter() - start) * 1e3 / STEPS

    def _run_side_by_side(self, executions: Sequence[Tuple[str, int]]) -> None:
        """Hands and faces of a step are begun together."""
        for i in range(0, len(executions), len(_LATER)):
            some = [(self._runners[name], batch) for name, batch in executions[i : i + len(_LATER)]]
            for runner, batch in some:
                runner.feed(batch)
                begin(runner, _as_it_is)
            for runner, _ in some:
                runner.run()


def _as_it_is(start: int, count: int) -> None:
    """The input holds what the loop wrote last."""


def _nameless(poses: Poses) -> Poses:
    nobody = np.full(len(poses), -1, np.int64)
    return replace(poses, ids=nobody, person_scores=np.ones(len(poses), np.float32))


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """How much longer a frame takes than its networks, for one to twenty people."""
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
        rows.append(row(f"{name}, a frame", measured["loop"], "ms"))
        rows.append(row(f"{name}, its own CPU time", measured["own"], "ms"))
        own_ms[cameras, people] = float(np.median(measured["own"]))
    per_person = (own_ms[1, 20] - own_ms[1, 1]) / 19
    return [*rows, row("overhead: each further person", [per_person], "ms")]


def _measure(
    models: Path, picture: np.ndarray, cameras: int, people: int, rounds: int
) -> Dict[str, Any]:
    tables = {"models": {"dir": str(models)}, "track": {"min_hits": 1}}
    loop = Loop([[picture] * STEPS] * cameras, tables)
    crowd = Crowd(loop, picture, people)
    loop.pipeline.detect, loop.pipeline.pose = crowd.detect, crowd.bodies
    loop.pipeline.parts = crowd.parts
    bare = Bare(loop.models.runners)
    cpu_ms: Dict[str, List[float]] = {"loop": [], "bare": []}
    counts = dict.fromkeys(loop.models.runners, 0)
    turns = 0

    def whole() -> float:
        nonlocal turns
        bare.forget()
        already = loop.models.runs()
        start = time.process_time()
        taken = loop.round_ms()
        cpu_ms["loop"].append((time.process_time() - start) * 1e3 / STEPS)
        for name, count in loop.models.runs().items():
            counts[name] += count - already[name]
        turns += 1
        return taken

    def networks() -> float:
        start = time.process_time()
        taken = bare.round_ms()
        cpu_ms["bare"].append((time.process_time() - start) * 1e3 / STEPS)
        return taken

    times = duel(whole, networks, rounds)
    loop.close()
    own = [a - b for a, b in zip(cpu_ms["loop"][1:], cpu_ms["bare"][1:])]
    runs = {name: round(count / turns / STEPS, 2) for name, count in counts.items()}
    share = [1 - 1 / ratio for ratio in times["ratio"]]
    return {"share": share, "loop": times["ours"], "own": own, "runs": runs}
