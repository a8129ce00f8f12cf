"""A runner that can be replaced by a better one while the loop runs."""

from __future__ import annotations

import threading
from typing import Dict, Optional, Set, Tuple

import numpy as np

from edge.runtime._contract import Crops, Fill, Runner, TensorSpec


class SwappableRunner(Runner):
    """Forwards to a runner that can be replaced; the contract is `edge.runtime.Runner`.

    The replacement takes over when the loop asks for the input of its next batch. The loop has then
    no use for the buffers of the runner before, so no batch waits, is lost, or is executed twice.

    Args:
        runner: serves first; closed here.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.inputs: Dict[str, TensorSpec] = runner.inputs
        self.outputs: Dict[str, TensorSpec] = runner.outputs
        self.sha256 = runner.sha256
        self._wanted: Set[str] = set()
        self._next: Optional[Runner] = None
        self._before: Optional[Runner] = None
        self._runs_before = 0
        self._lock = threading.Lock()
        self._closed = False
        self.taken = threading.Event()  # the runner that was offered last serves now

    @property
    def concurrent(self) -> bool:
        """As the runner that serves now."""
        return self._runner.concurrent

    @property
    def runs(self) -> int:
        """Executions of all runners so far."""
        return self._runs_before + self._runner.runs

    @property
    def crops(self) -> Optional[Crops]:
        """As the runner that serves from now on: this is asked for before each batch."""
        self._turn()
        return self._runner.crops

    @crops.setter
    def crops(self, crops: Optional[Crops]) -> None:
        self._runner.crops = crops

    def want(self, output: str) -> None:
        """Note that this output is read, for the runner that serves and for those after it."""
        self._wanted.add(output)
        self._runner.want(output)

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        """Input buffers of the runner that serves from now on."""
        self._turn()
        return self._runner.feed(batch)

    def begin(self, fill: Fill) -> bool:
        """Fill the input and execute while the caller goes on, if the runner can."""
        return self._runner.begin(fill)

    def run(self) -> Dict[str, np.ndarray]:
        """Execute what was fed."""
        return self._runner.run()

    def offer(self, runner: Runner) -> str:
        """Let a runner take over; from now on it is closed here, whatever happens.

        Returns:
            Why it cannot take over; empty = it can.
        """
        with self._lock:
            why = "the program is ending" if self._closed else mismatch(self._runner, runner)
            if not why:
                for output in self._wanted:
                    runner.want(output)
                self.taken.clear()
                self._next = runner
        if why:
            runner.close()
        return why

    def retire(self) -> None:
        """Close the runner that was replaced; takes a while, so not in the loop's thread."""
        with self._lock:
            before, self._before = self._before, None
        if before is not None:
            before.close()

    def close(self) -> None:
        """Close all runners; may be called twice."""
        with self._lock:
            self._closed = True
            offered, self._next = self._next, None
        self.retire()
        if offered is not None:
            offered.close()
        self._runner.close()

    def _turn(self) -> None:
        if self._next is None:  # asked for each batch, so without the lock
            return
        with self._lock:
            if self._next is None:
                return
            self._before, self._runner, self._next = self._runner, self._next, None
            self._runs_before += self._before.runs
            self.inputs, self.outputs = self._runner.inputs, self._runner.outputs
            self.sha256 = self._runner.sha256
        self.taken.set()


def mismatch(old: Runner, new: Runner) -> str:
    """Why a runner cannot replace another; empty = it can.

    Integers may have another width: TensorRT before 10 has none of 64 bits.
    """
    if set(old.inputs) != set(new.inputs):
        return f"its inputs are {', '.join(new.inputs)}, not {', '.join(old.inputs)}"
    for name, spec in {**old.inputs, **old.outputs}.items():
        other = {**new.inputs, **new.outputs}.get(name)
        if other is None:
            return f"it has no output {name!r}"
        integers = spec.dtype.kind == other.dtype.kind == "i"
        if spec.dtype != other.dtype and not integers:
            return f"{name!r} is {other.dtype}, not {spec.dtype}"
        if not _compatible(spec.shape, other.shape):
            return f"{name!r} is {list(other.shape)}, not {list(spec.shape)}"
    return ""


def _compatible(one: Tuple[int, ...], other: Tuple[int, ...]) -> bool:
    """Whether samples have one shape, as far as both are known; the batches may differ."""
    return len(one) == len(other) and all(
        a < 0 or b < 0 or a == b for a, b in zip(one[1:], other[1:])
    )
