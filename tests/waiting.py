"""How long tests wait, so that a slow machine fails none, and whether they run in full length."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable

# `make soak`: the full length of tests that `make test` runs in a short form.
SOAK = os.environ.get("EDGE_SOAK", "") not in ("", "0")
# Guards against hanging only: a test that passes never waits so long. The trial of mutants waits
# less, because a mutant may make a test wait for what never comes.
GIVE_UP_S = float(os.environ.get("EDGE_GIVE_UP_S", "600"))


def until(true: Callable[[], Any], what: str = "it", every_s: float = 0.01) -> float:
    """Waits until `true()` holds.

    Args:
        true: the question.
        what: named when it never holds.
        every_s: pause between two questions; longer for a question that takes time.

    Returns:
        For how long it waited, in seconds.
    """
    start_s = time.monotonic()
    while not true():
        assert time.monotonic() < start_s + GIVE_UP_S, f"{what} never happened"
        time.sleep(every_s)
    return time.monotonic() - start_s


class Slowness:
    """How much slower this machine is than a quiet one, while a test runs.

    A promise in seconds is one of a quiet machine. A test that checks it multiplies it by `worst`,
    so that other programs cannot make it fail.
    """

    SPIN_S, PAUSE_S = 0.02, 0.2  # longer than a scheduler's slice; a tenth of one core

    def __init__(self) -> None:
        self._worst = 1.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="slowness", daemon=True)

    @property
    def worst(self) -> float:
        """Elapsed time over CPU time of the slowest spin so far; at least 1."""
        return self._worst

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _measure(self) -> None:
        while not self._ended.wait(self.PAUSE_S):
            begun_s, begun_cpu_s = time.monotonic(), time.thread_time()
            while time.thread_time() - begun_cpu_s < self.SPIN_S:
                pass
            self._worst = max(self._worst, (time.monotonic() - begun_s) / self.SPIN_S)
