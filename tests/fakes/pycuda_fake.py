"""PyCUDA's driver module over a fake driver (cuda_fake): the names that our code uses, strictly."""

from __future__ import annotations

import ctypes
import threading
import types
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from tests.fakes.cuda_fake import (
    CudaMemoryError,
    CudaRuntimeError,
    Error,
    FakeCuda,
    LaunchError,
    LogicError,
    Piece,
    Queue,
    Use,
    Work,
)


def modules(cuda: FakeCuda) -> Dict[str, types.ModuleType]:
    driver = types.ModuleType("pycuda.driver")
    for name, kind in (
        ("Error", Error),
        ("MemoryError", CudaMemoryError),
        ("LogicError", LogicError),
        ("LaunchError", LaunchError),
        ("RuntimeError", CudaRuntimeError),
    ):
        setattr(driver, name, kind)
    for owner in (_driver, _memory, _streams, _kernels):
        for name, value in owner(cuda).items():
            setattr(driver, name, value)
    package = types.ModuleType("pycuda")
    package.driver = driver  # type: ignore[attr-defined]
    return {"pycuda": package, "pycuda.driver": driver}


def _driver(cuda: FakeCuda) -> Dict[str, Any]:
    class device_attribute:
        INTEGRATED, CAN_MAP_HOST_MEMORY = 18, 19

    class Context:
        def push(self) -> None:
            cuda.call("cuCtxPushCurrent", context=False, in_capture=True)
            cuda.stacks.setdefault(threading.get_ident(), []).append(self)

        @staticmethod
        def pop() -> None:
            stack = cuda.stacks.get(threading.get_ident())
            if not stack:
                raise cuda.wrong("context::pop failed: cannot pop non-current context")
            stack.pop()

        def detach(self) -> None:
            cuda.retained -= 1
            if cuda.retained < 0:
                cuda.wrong("detached twice")

    class Device:
        def __init__(self, index: int) -> None:
            cuda.call("cuDeviceGet", context=False)
            assert 0 <= index < cuda.gpus

        @staticmethod
        def count() -> int:
            cuda.call("cuDeviceGetCount", context=False)
            return cuda.gpus

        def name(self) -> str:
            return cuda.name

        def compute_capability(self) -> Tuple[int, int]:
            return cuda.compute_capability

        def get_attribute(self, which: int) -> int:
            return int({18: cuda.integrated, 19: cuda.can_map}[which])

        def retain_primary_context(self) -> Any:
            cuda.retained += 1
            return Context()

    def init(flags: int = 0) -> None:
        if not cuda.driver:
            raise RuntimeError("cuInit failed: no CUDA-capable device is detected")
        cuda.started = True

    return {
        "device_attribute": device_attribute,
        "Context": Context,
        "Device": Device,
        "init": init,
    }


def _address(buffer: Any) -> Use:
    array = np.asarray(buffer)
    assert array.flags.c_contiguous
    return int(array.ctypes.data), array.nbytes


def _memory(cuda: FakeCuda) -> Dict[str, Any]:
    class host_alloc_flags:
        PORTABLE, DEVICEMAP = 1, 2

    class HostAllocation:
        def __init__(self, piece: Piece) -> None:
            self._piece = piece

        def free(self) -> None:
            cuda.release("cuMemFreeHost", self._piece)

        def get_device_pointer(self) -> int:
            cuda.call("cuMemHostGetDevicePointer")
            if not self._piece.device:
                raise LogicError("cuMemHostGetDevicePointer failed: invalid argument")
            return self._piece.address

        @property
        def __array_interface__(self) -> Dict[str, Any]:
            return self._piece.bytes.__array_interface__

    class DeviceAllocation:
        def __init__(self, piece: Piece) -> None:
            self._piece = piece

        def __int__(self) -> int:
            return self._piece.address

        __index__ = __int__

        def free(self) -> None:
            cuda.release("cuMemFree", self._piece)

    class Locked(np.ndarray):
        """NumPy would look through an allocation for the memory's true owner."""

        base: Any = None

    def pagelocked_empty(
        shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0
    ) -> np.ndarray:
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        mapped = bool(mem_flags & host_alloc_flags.DEVICEMAP)
        if mapped and not cuda.can_map:
            raise LogicError("cuMemHostAlloc failed: operation not supported")
        piece = cuda.allocate("cuMemHostAlloc", nbytes, device=mapped, host=True)
        array = piece.bytes.view(dtype).reshape(shape).view(Locked)
        array.base = HostAllocation(piece)
        return array

    def mem_alloc(nbytes: int) -> Any:
        return DeviceAllocation(cuda.allocate("cuMemAlloc", nbytes, device=True, host=False))

    def host(buffer: Any) -> Use:
        """Page-locked memory, without which a copy would not be asynchronous."""
        address, nbytes = _address(buffer)
        piece = next((p for p in cuda.pieces if p.holds(address, nbytes)), None)
        if piece is None or not piece.live or not piece.host:
            raise cuda.wrong("an asynchronous copy of memory that is not page-locked, or freed")
        return address, nbytes

    def copy(
        name: str, target: int, source: int, nbytes: int, uses: Sequence[Use], stream: Any
    ) -> None:
        cuda.call(name, in_capture=True)
        cuda.enqueue(stream, name, uses, lambda: ctypes.memmove(target, source, nbytes) and None)

    def memcpy_htod_async(dest: int, src: Any, stream: Any = None) -> None:
        address, nbytes = host(src)
        copy("cuMemcpyHtoDAsync", int(dest), address, nbytes, [(int(dest), nbytes)], stream)

    def memcpy_dtoh_async(dest: Any, src: int, stream: Any = None) -> None:
        address, nbytes = host(dest)
        copy("cuMemcpyDtoHAsync", address, int(src), nbytes, [(int(src), nbytes)], stream)

    def memcpy_dtod_async(dest: int, src: int, size: int, stream: Any = None) -> None:
        uses = [(int(dest), size), (int(src), size)]
        copy("cuMemcpyDtoDAsync", int(dest), int(src), size, uses, stream)

    def memcpy_htod(dest: int, src: Any) -> None:
        cuda.call("cuMemcpyHtoD")
        address, nbytes = _address(src)
        cuda.memory(int(dest), nbytes)
        ctypes.memmove(int(dest), address, nbytes)

    def memcpy_dtoh(dest: Any, src: int) -> None:
        cuda.call("cuMemcpyDtoH")
        address, nbytes = _address(dest)
        cuda.memory(int(src), nbytes)
        ctypes.memmove(address, int(src), nbytes)

    def mem_get_info() -> Tuple[int, int]:
        cuda.call("cuMemGetInfo")
        return cuda.memory_bytes - cuda.live_bytes(), cuda.memory_bytes

    names = (
        host_alloc_flags,
        HostAllocation,
        DeviceAllocation,
        pagelocked_empty,
        mem_alloc,
        memcpy_htod_async,
        memcpy_dtoh_async,
        memcpy_dtod_async,
        memcpy_htod,
        memcpy_dtoh,
        mem_get_info,
    )
    return {value.__name__: value for value in names}


def _streams(cuda: FakeCuda) -> Dict[str, Any]:
    class Stream:
        def __init__(self, flags: int = 0) -> None:
            cuda.call("cuStreamCreate")
            self._queue = Queue(cuda.number())
            cuda.queues[self._queue.number] = self._queue

        @property
        def handle(self) -> int:
            return self._queue.number

        def synchronize(self) -> None:
            cuda.call("cuStreamSynchronize")
            cuda.drain(self._queue)

        def is_done(self) -> bool:
            return not self._queue.waiting

        def wait_for_event(self, event: Any) -> None:
            cuda.call("cuStreamWaitEvent", in_capture=True)
            mark, queue = event._mark, event._queue
            if mark is not None:
                cuda.enqueue(self.handle, "wait", [], lambda: cuda.drain(queue, mark))

        def __del__(self) -> None:
            if self._queue.waiting:
                cuda.faults.append("a stream was destroyed while work was queued")
            if not cuda.stacks.get(threading.get_ident()):
                cuda.faults.append("a stream was destroyed without a context: it leaks")
            self._queue.live = False

    class Event:
        def __init__(self, flags: int = 0) -> None:
            cuda.call("cuEventCreate")
            self._mark: Optional[Work] = None
            self._queue: Optional[Queue] = None

        def record(self, stream: Any) -> Any:
            cuda.call("cuEventRecord", in_capture=True)
            self._queue = cuda.queue_of(stream)
            self._mark = Work("event", [], lambda: None)
            self._queue.waiting.append(self._mark)
            return self

        def synchronize(self) -> Any:
            cuda.call("cuEventSynchronize")
            if self._mark is not None and self._queue is not None:
                cuda.drain(self._queue, self._mark)
            return self

        def query(self) -> bool:
            return self._mark is None or self._mark.done

    class event_flags:
        DISABLE_TIMING = 2

    return {"Stream": Stream, "Event": Event, "event_flags": event_flags}


def _kernels(cuda: FakeCuda) -> Dict[str, Any]:
    class Function:
        def __init__(self, name: str) -> None:
            self._name = name

        def __call__(self, *args: Any, grid: Any, block: Any, stream: Any, shared: int = 0) -> None:
            cuda.call("cuLaunchKernel", in_capture=True)
            assert len(grid) == len(block) == 3
            assert all(n >= 1 for n in (*grid, *block))
            if int(np.prod(block)) > 1024:
                raise LaunchError("cuLaunchKernel failed: too many threads in a block")
            kept = [np.array(a) for a in args]  # by value, at the time of the call
            run = cuda.kernels[self._name]
            cuda.enqueue(stream, f"kernel {self._name}", [], lambda: run(grid, block, kept))

    class Module:
        def get_function(self, name: str) -> Any:
            cuda.call("cuModuleGetFunction")
            if name not in cuda.kernels:
                raise LogicError("cuModuleGetFunction failed: named symbol not found")
            return Function(name)

    def module_from_buffer(buffer: bytes) -> Any:
        cuda.call("cuModuleLoadDataEx")
        if bytes(buffer[:4]) != b"\x7fELF":
            raise LogicError("cuModuleLoadDataEx failed: device kernel image is invalid")
        return Module()

    return {"Function": Function, "Module": Module, "module_from_buffer": module_from_buffer}
