"""Surfaces of the Jetson's video hardware (NVMM), mapped for GPU and CPU without a copy.

The structures are those of nvbufsurface.h of JetPack 5 and 6, which agree in every field used
here. A surface of another size or layout than requested is refused, which also catches a header
that has changed.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Dict, Optional, Tuple

import numpy as np

from edge.capture._gstreamer_calls import Sample
from edge.capture._memory import FrameMemory, Imported
from edge.errors import EdgeError, UnavailableError

LIBRARY = "libnvbufsurface.so.1.0.0"
_PLANES, _PADDING = 4, 4
_PITCH_LINEAR = 0  # NVBUF_LAYOUT_PITCH
_MAP_READ, _MAP_READ_WRITE = 0, 2  # NVBUF_MAP_READ, NVBUF_MAP_READ_WRITE
_MAX_SURFACES = 64  # of one camera; more means a pool that is recreated endlessly


class _PlaneParams(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_uint32),
        ("width", ctypes.c_uint32 * _PLANES),
        ("height", ctypes.c_uint32 * _PLANES),
        ("pitch", ctypes.c_uint32 * _PLANES),
        ("offset", ctypes.c_uint32 * _PLANES),
        ("size", ctypes.c_uint32 * _PLANES),
        ("pixel_bytes", ctypes.c_uint32 * _PLANES),
        ("reserved", ctypes.c_void_p * (_PADDING * _PLANES)),
    ]


class Params(ctypes.Structure):
    """NvBufSurfaceParams: one picture."""

    _fields_ = [
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("pitch", ctypes.c_uint32),
        ("colour_format", ctypes.c_int),
        ("layout", ctypes.c_int),
        ("fd", ctypes.c_uint64),
        ("bytes", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
        ("planes", _PlaneParams),
        ("mapped", ctypes.c_void_p * _PLANES),
        ("egl_image", ctypes.c_void_p),
        ("mapped_reserved", ctypes.c_void_p * _PADDING),
        ("extended", ctypes.c_void_p),
        ("reserved", ctypes.c_void_p * (_PADDING - 1)),
    ]


class Surface(ctypes.Structure):
    """NvBufSurface: the content of a GStreamer buffer of NVMM memory."""

    _fields_ = [
        ("gpu", ctypes.c_uint32),
        ("batch", ctypes.c_uint32),
        ("filled", ctypes.c_uint32),
        ("contiguous", ctypes.c_bool),
        ("memory", ctypes.c_int),
        ("list", ctypes.POINTER(Params)),
        ("reserved", ctypes.c_void_p * _PADDING),
    ]


def library() -> Any:
    """The board's own library.

    Raises:
        UnavailableError: this machine is no Jetson.
    """
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        raise UnavailableError(f"no {LIBRARY} here; it is part of JetPack") from None


class _MappedSurface:
    """One surface of the pipeline's pool, mapped for CPU and GPU until nobody uses it."""

    def __init__(
        self, calls: Any, at: int, size: Tuple[int, int], memory: FrameMemory, written: bool
    ) -> None:
        self._calls, self._at = calls, ctypes.c_void_p(at)
        params = ctypes.cast(at, ctypes.POINTER(Surface)).contents.list[0]
        _check(params, size)
        self.users = 0
        self._map("NvBufSurfaceMap", 0, 0, _MAP_READ_WRITE if written else _MAP_READ)
        try:
            self.image = _view(int(params.mapped[0] or 0), int(params.pitch), size, written)
            self._map("NvBufSurfaceMapEglImage", 0)
            try:
                self._imported: Imported = memory.import_image(
                    int(params.egl_image or 0), int(params.pitch)
                )
            except BaseException:
                calls.NvBufSurfaceUnMapEglImage(self._at, 0)
                raise
        except BaseException:
            calls.NvBufSurfaceUnMap(self._at, 0, 0)
            raise
        self.pointer = self._imported.pointer

    def _map(self, name: str, *arguments: int) -> None:
        if getattr(self._calls, name)(self._at, *arguments):
            raise UnavailableError(f"{name} failed")

    def sync_for_cpu(self, at: int) -> None:
        """Synchronise the CPU's cache with the frame; `at` is the address of its surface."""
        if self._calls.NvBufSurfaceSyncForCpu(ctypes.c_void_p(at), 0, 0):
            raise UnavailableError("NvBufSurfaceSyncForCpu failed")

    def sync_for_device(self, at: int) -> None:
        """Let the GPU see what the CPU wrote; `at` is the address of the frame's surface."""
        if self._calls.NvBufSurfaceSyncForDevice(ctypes.c_void_p(at), 0, 0):
            raise UnavailableError("NvBufSurfaceSyncForDevice failed")

    def close(self) -> None:
        """Undo both mappings, in reverse order."""
        self._imported.close()
        self._calls.NvBufSurfaceUnMapEglImage(self._at, 0)
        self._calls.NvBufSurfaceUnMap(self._at, 0, 0)


def _check(params: Params, size: Tuple[int, int]) -> None:
    """Raises UnavailableError: it is not one plane of YUYV rows of the requested size."""
    found, pitch = (params.width, params.height), params.pitch
    if found != size or params.planes.count != 1 or pitch < 2 * size[0]:
        raise UnavailableError(
            f"the camera's surface has {params.planes.count} planes of {found[0]}x{found[1]} px "
            f"and rows of {pitch} bytes, instead of one plane of {size[0]}x{size[1]} px"
        )
    if params.layout != _PITCH_LINEAR:
        raise UnavailableError("the camera's surface is block linear instead of pitch linear")


def _view(address: int, pitch: int, size: Tuple[int, int], written: bool) -> np.ndarray:
    if not address:
        raise UnavailableError("NvBufSurfaceMap gave no address")
    width, height = size
    memory = (ctypes.c_uint8 * (pitch * height)).from_address(address)
    rows = np.ctypeslib.as_array(memory).reshape(height, pitch)
    shape, strides = (height, width, 2), (pitch, 2, 1)
    return np.lib.stride_tricks.as_strided(rows, shape, strides, writeable=written)


class HeldFrame:
    """A frame held by the loop; the contract is `edge.capture._memory.Imported`."""

    def __init__(self, surfaces: Surfaces, mapped: _MappedSurface, sample: Sample) -> None:
        self.pointer, self.image = mapped.pointer, mapped.image
        self._surfaces, self._mapped = surfaces, mapped
        self._sample: Optional[Sample] = sample

    def sync_for_device(self) -> None:
        """Let the GPU see what the CPU wrote.

        Raises:
            UnavailableError: the board's library refuses.
        """
        if self._sample is not None:
            self._mapped.sync_for_device(self._sample.data)

    def close(self) -> None:
        """Return the frame to the camera; may be called twice."""
        sample, self._sample = self._sample, None
        if sample is not None:
            self._surfaces.release(self._mapped)
            sample.close()


class Surfaces:
    """The surfaces in use between a camera and the loop, each mapped once.

    Args:
        calls: the board's library.
        size: width and height in px that frames must have.
        memory: imports EGLImages into the GPU.
        written: the CPU writes to the frames, too.
    """

    def __init__(
        self, calls: Any, size: Tuple[int, int], memory: FrameMemory, written: bool = False
    ) -> None:
        self._calls, self._size, self._memory = calls, size, memory
        self._written = written
        self._mapped: Dict[
            Tuple[int, int], _MappedSurface
        ] = {}  # by address of the list and file descriptor
        self._lock = threading.Lock()
        self._closed = False

    def hold(self, sample: Sample) -> HeldFrame:
        """Map a frame for CPU and GPU; the caller closes the result.

        Raises:
            UnavailableError: the GPU cannot read it in place; the sample stays open.
        """
        if sample.size < ctypes.sizeof(Surface):
            raise UnavailableError(f"a frame of {sample.size} bytes is no NVMM surface")
        surface = ctypes.cast(sample.data, ctypes.POINTER(Surface)).contents
        if not surface.list or not surface.batch:
            raise UnavailableError("an NVMM surface without a picture")
        key = (ctypes.cast(surface.list, ctypes.c_void_p).value or 0, int(surface.list[0].fd))
        with self._lock:
            mapped = self._mapped.get(key)
            if mapped is None:
                mapped = self._mapped[key] = self._new(sample.data)
            mapped.sync_for_cpu(sample.data)
            mapped.users += 1
        return HeldFrame(self, mapped, sample)

    def _new(self, at: int) -> _MappedSurface:
        if len(self._mapped) >= _MAX_SURFACES:
            raise UnavailableError(f"the camera gave more than {_MAX_SURFACES} different surfaces")
        try:
            return _MappedSurface(self._calls, at, self._size, self._memory, self._written)
        except EdgeError as error:
            raise UnavailableError(str(error)) from error

    def release(self, mapped: _MappedSurface) -> None:
        """One user less; after `close`, the last user unmaps the surface."""
        with self._lock:
            mapped.users -= 1
            if self._closed and not mapped.users:
                mapped.close()

    def close(self) -> None:
        """Unmap the surfaces that nobody holds; each of the others when it is released."""
        with self._lock:
            self._closed = True
            for mapped in self._mapped.values():
                if not mapped.users:
                    mapped.close()
            self._mapped.clear()
