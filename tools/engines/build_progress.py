"""Progress of a TensorRT build, which may print nothing for ten minutes.

TensorRT 10 and later report phases. Older versions report nothing, so only the elapsed time is
shown.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import Any, List, Tuple

from tools.progress import Progress

PARTS = 1000  # parts of the whole build, as phases give a fraction
TICK_S = 1.0


class BuildProgress:
    """A progress display that updates itself, and a way to end the build.

    with BuildProgress("building x", phases=True, quiet=False) as progress:
        build(..., on_phase=progress.on_phase)

    Args:
        label: what is built.
        phases: whether this TensorRT reports phases.
        quiet: show nothing.

    Raises:
        KeyboardInterrupt: at the end of the block, if the user interrupted the build.
    """

    def __init__(self, label: str, phases: bool, quiet: bool) -> None:
        self._progress = Progress(label, PARTS if phases else None, "" if phases else "s", quiet)
        self._phases = phases
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._started_s = time.monotonic()
        self._stack: List[Tuple[str, int, int]] = []  # open phases: name, step, steps
        self._stop = threading.Event()
        self._before: Any = None
        self._thread = threading.Thread(target=self._tick, name="build-progress", daemon=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._started_s

    def on_phase(self, phase: str, step: int, steps: int) -> bool:
        """Note that a phase has done `step` of `steps`; False = the build should end."""
        with self._lock:
            known = [name for name, _, _ in self._stack]
            if phase in known:
                del self._stack[known.index(phase) :]
            while self._stack and self._stack[-1][1] >= self._stack[-1][2]:
                self._stack.pop()
            self._stack.append((phase, step, max(steps, 1)))
            self._move(int(self.fraction() * PARTS))
        return not self._stop.is_set()

    def fraction(self) -> float:
        """Finished share of the build; each phase lies inside one step of the phase before it."""
        share, weight = 0.0, 1.0
        for _, step, steps in self._stack:
            share += weight * min(step, steps) / steps
            weight /= steps
        return min(share, 1.0)

    def _move(self, done: int) -> None:
        self._progress.update(max(0, done - self._progress.done))

    def _tick(self) -> None:
        while not self._over.wait(TICK_S):
            with self._lock:
                self._move(0 if self._phases else int(self.elapsed_s))

    def _interrupted(self, *signal_and_frame: object) -> None:
        self._stop.set()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends the process

    def _handle_interrupts(self) -> None:
        """Keep KeyboardInterrupt out of the build: an exception inside TensorRT would abort."""
        if threading.current_thread() is threading.main_thread():
            handler = self._interrupted if self._phases else signal.SIG_DFL
            self._before = signal.signal(signal.SIGINT, handler)

    def __enter__(self) -> BuildProgress:
        self._handle_interrupts()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._progress.close()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._stop.is_set():
            raise KeyboardInterrupt
