"""The CUDA context of a thread, and the driver's errors as one line. PyCUDA is imported here first.

PyCUDA keeps a stack of contexts for each thread, and ends the process if a thread dies with a
context on its stack. So every call happens inside `with device.active(...)`, which pushes the
context, pops it, and translates the driver's errors.
"""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Any, Optional, Type

from edge.errors import EdgeError, TempError, UnavailableError

_DRIVER = "libcuda.so.1"


def _has_driver() -> bool:
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True


try:
    import pycuda.driver as drv
except ImportError as error:
    if not _has_driver():
        raise UnavailableError("no NVIDIA driver here") from error
    raise UnavailableError(
        f"PyCUDA cannot be imported ({error}): engines need it and the NVIDIA driver; "
        'pip install pycuda, or let ONNX Runtime serve: runtime.prefer = "onnx"'
    ) from error

__all__ = ["Active", "drv", "one_line"]


def one_line(error: BaseException) -> str:
    """The first line of a library's error, cut to a readable length."""
    text = (str(error).strip().split("\n") or [""])[0] or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


class Active:
    """A `with` block in which a device is current for the calling thread; may be nested.

    Args:
        context: PyCUDA's context of the device.
        name: of the device, for messages.
        what: what the block does, for messages.
    """

    def __init__(self, context: Any, name: str, what: str) -> None:
        self._context = context
        self._name = name
        self._what = what

    def __enter__(self) -> None:
        try:
            self._context.push()
        except drv.Error as error:
            raise self._translated(error) from error

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._context.pop()
        if isinstance(error, drv.Error):
            raise self._translated(error) from error

    def _translated(self, error: BaseException) -> EdgeError:
        where = f"{self._what}: {self._name}"
        if isinstance(error, drv.MemoryError):
            return TempError(
                f"{where}: out of GPU memory ({one_line(error)}); lower runtime.max_batch, "
                "or close what else uses the GPU"
            )
        return TempError(f"{where}: CUDA failed: {one_line(error)}; start the program again")
