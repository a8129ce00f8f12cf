"""Overhead of the loop: time and CPU time of a frame beyond its networks."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge.runtime import Runner
from tools.benches import Row, duel, row
from tools.benches._people import loop_of
from tools.benches.memory import read_video
from tools.fetch.by_name import ensure_model, ensure_set

GOAL_SHARE = 0.10
CASES = ((1, 1), (1, 5), (1, 20), (4, 1), (4, 5))  # cameras, people in each
STEPS = 60  # enough steps to make filling and emptying the pipeline a small part
_LATER = ("hand", "face")  # networks that may run one step later
WHOLE = 40  # index of a frame in which the networks find both hands and the face


class Bare:
    """Runs the same networks on batches of the same sizes as the loop, and nothing else.

    As in the loop, hands and faces run beside the bodies of the next frame. No execution waits for
    the results of another.
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
        """Forget all recorded batches."""
        self._batches.clear()

    def samples(self) -> Dict[str, float]:
        """Samples fed to each network per step since `forget`."""
        return {
            name: round(sum(batch for n, batch in self._batches if n == name) / STEPS, 2)
            for name in self._runners
        }

    def round_ms(self) -> float:
        """Repeat all executions since `forget`; returns ms per step."""
        noted = list(self._batches)
        later = [(n, b) for n, b in noted if n.endswith(_LATER)]
        beside = threading.Thread(target=self._run_side_by_side, args=(later,))
        start = time.perf_counter()
        beside.start()
        for name, batch in noted:
            if not name.endswith(_LATER):
                self._runners[name].feed(batch)
                self._runners[name].begin(_as_it_is)
                self._runners[name].run()
        beside.join()
        self._batches = noted
        return (time.perf_counter() - start) * 1e3 / STEPS

    def _run_side_by_side(self, executions: Sequence[Tuple[str, int]]) -> None:
        """Start the hands and faces of a step together."""
        for i in range(0, len(executions), len(_LATER)):
            some = [(self._runners[name], batch) for name, batch in executions[i : i + len(_LATER)]]
            for runner, batch in some:
                runner.feed(batch)
                runner.begin(_as_it_is)
            for runner, _ in some:
                runner.run()


def _as_it_is(start: int, count: int) -> None:
    """Leave the input as the loop wrote it last."""


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """How much longer a frame takes than its networks, for 1 to 20 people."""
    for name in ("yolov4-tiny", "blazepose"):
        ensure_model(name, models)
    picture = read_video(ensure_set("walker", sets) / "demo.mp4", WHOLE + 1)[-1]
    rows: List[Row] = []
    own_ms: Dict[Tuple[int, int], float] = {}
    for cameras, people in CASES:
        measured = _measure(models, picture, cameras, people, max(3, rounds // 2))
        name = f"overhead: {cameras} cameras, {cameras * people} people"
        goal = GOAL_SHARE if people == 5 else None
        counts = {"runs": measured["runs"], "samples": measured["samples"]}
        rows.append(row(f"{name}, share", measured["share"], "x", goal, **counts))
        rows.append(row(f"{name}, a frame", measured["loop"], "ms"))
        rows.append(row(f"{name}, its own CPU time", measured["own"], "ms"))
        own_ms[cameras, people] = float(np.median(measured["own"]))
    per_person = (own_ms[1, 20] - own_ms[1, 1]) / 19
    return [*rows, row("overhead: each further person", [per_person], "ms")]


def _measure(
    models: Path, picture: np.ndarray, cameras: int, people: int, rounds: int
) -> Dict[str, Any]:
    loop = loop_of(models, picture, cameras, people, STEPS)
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
    return {
        "share": share,
        "loop": times["ours"],
        "own": own,
        "runs": runs,
        "samples": bare.samples(),
    }
