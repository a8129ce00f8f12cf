"""A CUDA driver behind PyCUDA's names that checks what real hardware would punish later.

Memory is real memory of this process, so that kernels compiled for the CPU can run on its
addresses; fresh memory is full of 0xCD, freed memory of 0xDD. Streams are as lazy as they may be:
queued work runs when somebody waits for it, so who reads without waiting reads 0xCD. Freed twice,
used after free, freed while queued work needs it, a call without a context, a call that a capture
forbids: each is written down in `faults` and raised.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import unittest.mock
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

Use = Tuple[int, int]  # address, bytes
OURS = "edge.runtime."
FRESH, FREED = 0xCD, 0xDD


class Error(Exception):
    """pycuda.driver.Error."""


class CudaMemoryError(Error):
    """pycuda.driver.MemoryError."""


class LogicError(Error):
    """pycuda.driver.LogicError."""


class LaunchError(Error):
    """pycuda.driver.LaunchError."""


class CudaRuntimeError(Error):
    """pycuda.driver.RuntimeError."""


class Piece:
    """One allocation."""

    def __init__(self, nbytes: int, device: bool, host: bool) -> None:
        raw = np.full(nbytes + 4096, FRESH, np.uint8)
        start = -raw.ctypes.data % 4096
        self.bytes = raw[start : start + nbytes]
        self.address = int(self.bytes.ctypes.data)
        self.nbytes = nbytes
        self.device = device  # the GPU may touch it
        self.host = host  # so may the CPU
        self.live = True

    def holds(self, address: int, nbytes: int) -> bool:
        return self.address <= address and address + nbytes <= self.address + self.nbytes

    def touches(self, address: int, nbytes: int) -> bool:
        return address < self.address + self.nbytes and self.address < address + nbytes


class Work:
    """Something queued."""

    def __init__(self, label: str, uses: Sequence[Use], run: Callable[[], None]) -> None:
        self.label, self.uses, self.run = label, list(uses), run
        self.done = False


class Queue:
    """What is behind a stream."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.waiting: List[Work] = []
        self.captured: Optional[List[Work]] = None
        self.broken = False  # the capture
        self.live = True


class FakeCuda:
    """The driver. Put it in place with `installed`; look at `faults` and call `check` at the end.

    `kernels[name] = function(grid, block, args)` are the kernels of every module that is loaded;
    `fail[call] = text` makes the next such call fail; `calls` counts them.
    """

    def __init__(
        self,
        integrated: bool = True,
        can_map: bool = True,
        compute_capability: Tuple[int, int] = (8, 7),
        name: str = "Orin",
        gpus: int = 1,
        memory_bytes: int = 1 << 30,
        driver: bool = True,
    ) -> None:
        self.integrated, self.can_map = integrated, can_map
        self.compute_capability, self.name, self.gpus = compute_capability, name, gpus
        self.memory_bytes, self.driver = memory_bytes, driver
        self.kernels: Dict[str, Callable[..., None]] = {}
        self.fail: Dict[str, str] = {}
        self.calls: Dict[str, int] = {}
        self.faults: List[str] = []
        self.pieces: List[Piece] = []
        self.queues: Dict[int, Queue] = {}
        self.graphs: Dict[int, List[Work]] = {}
        self.executables: Dict[int, List[Work]] = {}
        self.stacks: Dict[int, List[Any]] = {}
        self.executed: List[Dict[str, int]] = []  # addresses of each execution of an engine
        self.retained = 0
        self.started = False
        self._numbers = iter(range(0x1000, 1 << 40, 16))

    # what tests ask

    def check(self) -> None:
        """Everything was given back, in order."""
        leaks = [f"{p.nbytes} bytes" for p in self.pieces if p.live]
        leaks += [f"stream {q.number:#x}" for q in self.queues.values() if q.live]
        leaks += [f"graph {n:#x}" for n in (*self.graphs, *self.executables)]
        leaks += [f"context of thread {t}" for t, stack in self.stacks.items() if stack]
        assert not self.faults, self.faults
        assert not leaks, f"leaked: {leaks}"

    def live_bytes(self) -> int:
        """Allocated and not given back."""
        return sum(p.nbytes for p in self.pieces if p.live)

    def memory(self, address: int, nbytes: int) -> np.ndarray:
        """The bytes that the GPU sees at an address."""
        for piece in self.pieces:
            if piece.live and piece.holds(address, nbytes):
                if not piece.device:
                    self.wrong(f"the GPU touches host memory that is not mapped: {address:#x}")
                start = address - piece.address
                return piece.bytes[start : start + nbytes]
        dead = any(p.holds(address, nbytes) for p in self.pieces)
        raise self.wrong(
            f"{nbytes} bytes at {address:#x} " + ("used after free" if dead else "are nobody's")
        )

    def wrong(self, text: str) -> Error:
        """Write a fault down and raise it."""
        self.faults.append(text)
        raise LogicError(text)

    # what the driver does

    def call(self, name: str, context: bool = True, in_capture: bool = False) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if not self.started:
            self.wrong(f"{name} before cuInit")
        if name in self.fail:
            raise failure(name, self.fail.pop(name))
        if context and not self.stacks.get(threading.get_ident()):
            self.wrong(f"{name} failed: invalid device context")
        if not in_capture:
            for queue in self.queues.values():
                if queue.captured is not None:
                    queue.broken = True
                    raise LogicError(f"{name} failed: operation not permitted while capturing")

    def allocate(self, name: str, nbytes: int, device: bool, host: bool) -> Piece:
        self.call(name)
        if nbytes <= 0:
            raise LogicError(f"{name} failed: invalid argument")
        if self.live_bytes() + nbytes > self.memory_bytes:
            raise CudaMemoryError(f"{name} failed: out of memory")
        self.pieces.append(Piece(nbytes, device, host))
        return self.pieces[-1]

    def release(self, name: str, piece: Piece) -> None:
        self.call(name)
        if not piece.live:
            self.wrong(f"{name}: freed twice")
        for queue in self.queues.values():
            for work in queue.waiting:
                if any(piece.touches(*use) for use in work.uses):
                    self.wrong(f"{name}: freed while {work.label} is queued")
        for graph in (*self.graphs.values(), *self.executables.values()):
            if any(piece.touches(*use) for work in graph for use in work.uses):
                self.wrong(f"{name}: freed while a graph holds its address")
        piece.live = False
        piece.bytes[:] = FREED

    def queue_of(self, stream: Any) -> Queue:
        """Of a PyCUDA stream or its number."""
        number = stream if isinstance(stream, int) else stream.handle
        queue = self.queues.get(number)
        if queue is None or not queue.live:
            raise self.wrong(f"stream {number:#x} does not exist")
        return queue

    def enqueue(
        self, stream: Any, label: str, uses: Sequence[Use], run: Callable[[], None]
    ) -> None:
        """Queue work, or write it into the graph being captured."""
        for use in uses:
            self.memory(*use)
        queue = self.queue_of(stream)
        work = Work(label, uses, run)
        (queue.waiting if queue.captured is None else queue.captured).append(work)

    def drain(self, queue: Queue, until: Optional[Work] = None) -> None:
        """Run what is queued, in order."""
        while queue.waiting and not (until is not None and until.done):
            work = queue.waiting.pop(0)
            for use in work.uses:
                self.memory(*use)
            work.run()
            work.done = True

    def number(self) -> int:
        """A fresh handle."""
        return next(self._numbers)

    @contextlib.contextmanager
    def installed(self, **more: Any) -> Iterator[FakeCuda]:
        """In the place of PyCUDA and libcuda; our modules on top are loaded anew, and forgotten.

        Args:
            more: further modules by name, such as tensorrt.
        """
        from tests.fakes.libcuda_fake import Libcuda
        from tests.fakes.pycuda_fake import modules

        library, true_load = Libcuda(self), ctypes.CDLL

        def load(name: Any, *args: Any, **named: Any) -> Any:
            ours = str(name).startswith("libcuda.so")
            return library if ours else true_load(name, *args, **named)

        with unittest.mock.patch.dict(sys.modules, {**modules(self), **more}):
            forget()
            try:
                with unittest.mock.patch("ctypes.CDLL", load):
                    yield self
            finally:
                forget()


def forget() -> None:
    """Have the modules that import the fakes imported anew."""
    import edge.runtime

    for name in list(sys.modules):
        last = name[len(OURS) :].split(".")[0] if name.startswith(OURS) else ""
        if last.startswith(("_cuda", "_trt", "trt", "kernels")):
            sys.modules.pop(name)
            vars(edge.runtime).pop(last, None)


def failure(name: str, text: str) -> Error:
    if "memory" in text and "illegal" not in text:
        return CudaMemoryError(f"{name} failed: {text}")
    return LaunchError(f"{name} failed: {text}")
