"""Measurements of the loop: stage times, latency, rates and memory, in one record."""

from __future__ import annotations

import collections
import os
import time
from pathlib import Path
from typing import Any, Callable, Deque, Dict, Tuple, TypeVar

import numpy as np

R = TypeVar("R")
WINDOW = 512  # durations of which percentiles are computed
WINDOW_S = 5.0  # time over which rates are measured
STATM = Path("/proc/self/statm")


class Durations:
    """The last WINDOW durations of one stage; adding one costs one store."""

    def __init__(self) -> None:
        self._values_ms = np.zeros(WINDOW, np.float32)
        self.count = 0
        self.total_ms = 0.0  # of all durations since the start

    def add_ns(self, duration_ns: int) -> None:
        """Add one duration."""
        self.total_ms += duration_ns * 1e-6
        self._values_ms[self.count % WINDOW] = duration_ns * 1e-6
        self.count += 1

    def percentiles(self) -> Dict[str, float]:
        """p50, p95 and p99 in ms over the window; empty if nothing was added."""
        if not self.count:
            return {}
        values = np.percentile(self._values_ms[: min(self.count, WINDOW)], (50, 95, 99))
        return {f"p{p}": round(float(v), 3) for p, v in zip((50, 95, 99), values)}


class RateMeter:
    """Counts per second over about the last WINDOW_S, however often it is read."""

    def __init__(self, now_ns: int) -> None:
        self.count = 0
        self._readings: Deque[Tuple[int, int]] = collections.deque([(now_ns, 0)])

    def read_hz(self, now_ns: int) -> float:
        """The rate up to now."""
        self._readings.append((now_ns, self.count))
        while len(self._readings) > 2 and now_ns - self._readings[1][0] >= WINDOW_S * 1e9:
            self._readings.popleft()
        since_ns, before = self._readings[0]
        return round((self.count - before) * 1e9 / max(now_ns - since_ns, 1), 2)


class Health:
    """Counts and times of one loop. Each entry is written by one of the loop's threads only."""

    def __init__(self) -> None:
        self.started_ns = time.monotonic_ns()
        self.latency = Durations()
        self.stages: Dict[str, Durations] = {}
        self.frames: Dict[str, RateMeter] = {}
        self.people: Dict[str, int] = {}
        self.steps = 0
        self.events = 0

    def timed(self, name: str, stage: Callable[..., R]) -> Callable[..., R]:
        """Wrap a callable so that its durations are added to `stages[name]`."""
        window = self.stages.setdefault(name, Durations())

        def call(*args: Any, **kwargs: Any) -> R:
            start = time.perf_counter_ns()
            try:
                return stage(*args, **kwargs)
            finally:
                window.add_ns(time.perf_counter_ns() - start)

        return call

    def published(self, camera: str, people: int, arrival_ns: int) -> None:
        """Note that a frame was published.

        Args:
            camera: its name.
            people: number of people in the frame.
            arrival_ns: monotonic time at which the frame arrived.
        """
        now = time.monotonic_ns()
        if camera not in self.frames:
            self.frames[camera] = RateMeter(self.started_ns)
        self.frames[camera].count += 1
        self.people[camera] = people
        self.latency.add_ns(now - arrival_ns)

    def forget(self, camera: str) -> None:
        """Remove the entries of a camera that was removed."""
        self.frames.pop(camera, None)
        self.people.pop(camera, None)

    def report(self) -> Dict[str, Any]:
        """The metrics record; times in ms, memory in MB."""
        now = time.monotonic_ns()
        return {
            "uptime_s": round((now - self.started_ns) * 1e-9, 1),
            "steps": self.steps,
            "events": self.events,
            "fps": {name: rate.read_hz(now) for name, rate in list(self.frames.items())},
            "frames": {name: rate.count for name, rate in list(self.frames.items())},
            "people": dict(self.people),
            "latency_ms": self.latency.percentiles(),
            "stages_ms": {n: w.percentiles() for n, w in list(self.stages.items()) if w.count},
            "memory_mb": memory_mb(),
        }


def memory_mb(statm: Path = STATM) -> float:
    """Resident memory of this process in MiB, from proc(5); 0 if it cannot be read.

    The file counts pages: 4 KiB on x86-64; 4, 16 or 64 KiB on arm64.
    """
    try:
        pages = int(statm.read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
