"""CUDA graphs: work that was captured once is queued again by one call.

PyCUDA does not wrap stream capture, so libcuda is called directly. The symbols are those of CUDA
11.4 (JetPack 5), which later drivers keep.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, Callable

from edge.errors import UnavailableError
from edge.runtime._cuda.memory import Device, Stream

LIBRARY = "libcuda.so.1"
# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL of cuda.h: calls of other threads meanwhile, such as loading
# an engine, neither fail nor invalidate the capture.
_THREAD_LOCAL = 1


class Graph:
    """Captured work; bound to the addresses and shapes at the time of the capture."""

    def __init__(self, device: Device, work: ctypes.c_void_p) -> None:
        self._device = device
        self._work = work

    def launch(self, stream: Stream) -> None:
        """Queue the work.

        Raises:
            UnavailableError: the driver refuses.
        """
        _call("cuGraphLaunch", self._work, ctypes.c_void_p(stream.number))

    def close(self) -> None:
        """Free the graph; may be called twice. None of its work may still be queued."""
        if self._work:
            work, self._work = self._work, ctypes.c_void_p()
            with self._device.active("CUDA graph"):
                _call("cuGraphExecDestroy", work)


def capture(device: Device, stream: Stream, queue: Callable[[], bool]) -> Graph:
    """Capture the work that `queue` queues on a stream; none of it is executed yet.

    Args:
        device: the GPU.
        stream: `queue` queues its work there.
        queue: gives false if it failed.

    Raises:
        UnavailableError: the driver or the work does not allow it; the stream can still be used.
    """
    handle, graph = ctypes.c_void_p(stream.number), ctypes.c_void_p()
    with device.active("CUDA graph"):
        _call("cuStreamBeginCapture_v2", handle, ctypes.c_int(_THREAD_LOCAL))
        try:
            queued = queue()
        finally:
            code = _function("cuStreamEndCapture")(handle, ctypes.byref(graph))
        if code or not queued or not graph:
            raise UnavailableError(
                _error_of("cuStreamEndCapture", code) if code else "nothing queued"
            )
        return _executable(device, graph)


def _executable(device: Device, graph: ctypes.c_void_p) -> Graph:
    work = ctypes.c_void_p()
    try:
        _call("cuGraphInstantiateWithFlags", ctypes.byref(work), graph, ctypes.c_ulonglong(0))
    finally:
        _call("cuGraphDestroy", graph)
    return Graph(device, work)


def _call(name: str, *arguments: Any) -> None:
    code = _function(name)(*arguments)
    if code:
        raise UnavailableError(_error_of(name, code))


def _function(name: str) -> Any:
    try:
        return getattr(_library(), name)
    except (OSError, AttributeError):
        raise UnavailableError(
            f"{LIBRARY} has no {name}; drivers since CUDA 11.4 have it"
        ) from None


@lru_cache(maxsize=None)
def _library() -> Any:
    return ctypes.CDLL(LIBRARY)


def _error_of(name: str, code: int) -> str:
    text = ctypes.c_char_p()
    _function("cuGetErrorString")(ctypes.c_int(code), ctypes.byref(text))
    return f"{name} gives {(text.value or b'nothing').decode(errors='replace')} ({code})"
