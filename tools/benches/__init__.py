"""Benches: this project and a peer, or this project and the bare networks, in one run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np


@dataclass(frozen=True)
class Row:
    """One figure, a ratio or a time, with its spread over the rounds."""

    name: str
    value: float  # median over the rounds
    low: float  # 10th percentile
    high: float  # 90th percentile
    unit: str  # "x" for ratios, ms, MB, s, count
    goal: Optional[float] = None  # upper limit; None = no goal
    detail: Dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> Optional[bool]:
        """Whether the goal is reached; None without a goal."""
        return None if self.goal is None else self.value <= self.goal


def row(
    name: str, values: Sequence[float], unit: str, goal: Optional[float] = None, **detail: Any
) -> Row:
    """A row of the median and the spread over the rounds."""
    low, middle, high = np.percentile(np.asarray(values, np.float64), (10, 50, 90))
    return Row(name, float(middle), float(low), float(high), unit, goal, detail)


class Spent(NamedTuple):
    """What a frame took."""

    wall_ms: float
    cpu_ms: float  # of all threads; a busy machine hardly disturbs it


def spent(work: Callable[[], object], frames: int) -> Spent:
    """Do work on some frames, and give what a frame took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return Spent(wall_s * 1e3 / frames, cpu_s * 1e3 / frames)


def duel_of_both(
    ours: Callable[[], Spent], theirs: Callable[[], Spent], rounds: int
) -> Dict[str, List[float]]:
    """A `duel` that compares CPU time, too.

    Returns:
        As `duel`, and `cpu_ratio` of each round.
    """
    cpu_ms: Dict[str, List[float]] = {"ours": [], "theirs": []}

    def wall(side: str, work: Callable[[], Spent]) -> Callable[[], float]:
        def once() -> float:
            took = work()
            cpu_ms[side].append(took.cpu_ms)
            return took.wall_ms

        return once

    times = duel(wall("ours", ours), wall("theirs", theirs), rounds)
    pairs = zip(cpu_ms["ours"][1:], cpu_ms["theirs"][1:])  # without the warm-up
    times["cpu_ratio"] = [a / b for a, b in pairs]
    return times


def duel(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int
) -> Dict[str, List[float]]:
    """Run both sides in turn. Each round begins with the other side, so both see the same noise.

    Args:
        ours: runs one round and returns its ms per frame.
        theirs: the same for the peer.
        rounds: rounds of each side.

    Returns:
        `ours` and `theirs` in ms, and `ratio` of each round.
    """
    times: Dict[str, List[float]] = {"ours": [], "theirs": [], "ratio": []}
    ours(), theirs()  # warm-up
    for turn in range(rounds):
        if turn % 2:
            theirs_ms, ours_ms = theirs(), ours()
        else:
            ours_ms, theirs_ms = ours(), theirs()
        times["ours"].append(ours_ms)
        times["theirs"].append(theirs_ms)
        times["ratio"].append(ours_ms / theirs_ms)
    return times
