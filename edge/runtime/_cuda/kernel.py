"""Compiled CUDA kernels: loads a module, finds a kernel, launches it."""

from __future__ import annotations

import ctypes
from typing import Any, Sequence, cast

import numpy as np

from edge.errors import InternalError
from edge.runtime._cuda.context import drv
from edge.runtime._cuda.memory import Device, Stream


class Function:
    """One kernel of a module."""

    def __init__(self, device: Device, function: Any, name: str) -> None:
        self._device = device
        self._function = function
        self.name = name

    def launch(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        stream: Stream,
        shared_bytes: int = 0,
    ) -> None:
        """Queue the kernel.

        Args:
            grid: blocks in x, y, z.
            block: threads in x, y, z.
            args: NumPy scalars (an address is np.uint64) and ctypes structures. Structures come
                first, because PyCUDA packs arguments without padding.
            stream: the kernel is queued there.
            shared_bytes: dynamic shared memory.
        """
        packed = [_argument(a) for a in args]
        size = [tuple([int(n) for n in (*shape, 1, 1)[:3]]) for shape in (grid, block)]
        with self._device.active(f"kernel {self.name}"):
            self._function(
                *packed, grid=size[0], block=size[1], stream=stream.handle, shared=shared_bytes
            )


def _argument(value: Any) -> Any:
    if isinstance(value, (ctypes.Structure, ctypes.Array)):
        return np.frombuffer(cast(Any, value), np.uint8)
    if isinstance(value, np.generic):
        return value
    raise InternalError(f"a kernel takes NumPy scalars and structures, not {type(value).__name__}")


class Module:
    """Loaded kernels.

    Args:
        device: the GPU.
        cubin: compiled for its architecture.
        what: whose kernels, for messages.

    Raises:
        TempError: the driver refuses them, such as a cubin of another GPU.
    """

    def __init__(self, device: Device, cubin: bytes, what: str = "kernels") -> None:
        self._device = device
        self._what = what
        with device.active(what):
            self._module: Any = drv.module_from_buffer(cubin)

    def function(self, name: str) -> Function:
        """Find a kernel by its name.

        Raises:
            TempError: there is no kernel of that name.
        """
        with self._device.active(f"{self._what}: {name}"):
            return Function(self._device, self._module.get_function(name), name)

    def close(self) -> None:
        """Unload; may be called twice."""
        if self._module is not None:
            with self._device.active(self._what):
                self._module = None
