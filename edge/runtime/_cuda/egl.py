"""Makes a camera driver's buffer readable for the GPU: DMA-BUF -> EGLImage -> CUDA, by ctypes.

PyCUDA does not wrap these calls: EGL_EXT_image_dma_buf_import (Khronos), then
cuGraphicsEGLRegisterImage (cudaEGL.h). A buffer is imported as bytes (one plane of 8 bits, as wide
as its rows are long), so all pixel formats are treated alike, and kernels read the buffer like any
other memory. Tested with stand-ins for both libraries; not yet run on a board.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, List

from edge.errors import EdgeError, UnavailableError
from edge.runtime._cuda.memory import Device

EGL, CUDA = "libEGL.so.1", "libcuda.so.1"
# Khronos EGL registry.
_LINUX_DMA_BUF = 0x3270
_WIDTH, _HEIGHT, _FOURCC = 0x3057, 0x3056, 0x3271
_FD, _OFFSET, _PITCH, _NONE = 0x3272, 0x3273, 0x3274, 0x3038
_R8 = int.from_bytes(b"R8  ", "little")  # DRM_FORMAT_R8 (drm_fourcc.h)
_READ_ONLY = 1  # CU_GRAPHICS_REGISTER_FLAGS_READ_ONLY
_PITCHED = 1  # CU_EGL_FRAME_TYPE_PITCH
_PLANES = 3  # MAX_PLANES


class EglFrame(ctypes.Structure):
    """CUeglFrame of cudaEGL.h."""

    _fields_ = [
        ("planes", ctypes.c_void_p * _PLANES),
        ("width", ctypes.c_uint),
        ("height", ctypes.c_uint),
        ("depth", ctypes.c_uint),
        ("pitch", ctypes.c_uint),
        ("plane_count", ctypes.c_uint),
        ("channels", ctypes.c_uint),
        ("frame_type", ctypes.c_int),
        ("colour_format", ctypes.c_int),
        ("array_format", ctypes.c_int),
    ]


class Importer:
    """Imports buffers of camera drivers into a GPU.

    Args:
        device: the GPU.

    Raises:
        UnavailableError: EGL is not installed, or lacks the extensions.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._egl, self._cuda = _library(EGL), _library(CUDA)
        self._egl.eglGetDisplay.restype = ctypes.c_void_p
        self._egl.eglGetProcAddress.restype = ctypes.c_void_p
        self.display = ctypes.c_void_p(self._egl.eglGetDisplay(None))
        if not self.display or not self._egl.eglInitialize(self.display, None, None):
            raise UnavailableError(f"{EGL} gives no display: {self._error()}")
        handle, types = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p)
        self._create = self._extension(
            "eglCreateImageKHR", handle, handle, *types, ctypes.POINTER(ctypes.c_int)
        )
        self._destroy = self._extension("eglDestroyImageKHR", ctypes.c_uint, handle, handle)

    def __call__(self, fd: int, pitch: int, rows: int) -> ImportedBuffer:
        """Import a DMA-BUF.

        Args:
            fd: its file descriptor; may be closed afterwards.
            pitch: bytes from one row to the next.
            rows: of memory, chroma included.

        Raises:
            UnavailableError: EGL or CUDA refuses it.
        """
        image = self._image(fd, pitch, rows)
        try:
            return self.image(image, pitch, lambda: self.destroy(image))
        except BaseException:
            self.destroy(image)
            raise

    def image(
        self, image: int, pitch: int, after: Callable[[], None] = lambda: None
    ) -> ImportedBuffer:
        """Import an EGLImage of one plane.

        Args:
            image: its handle; the caller still owns it.
            pitch: bytes from one row to the next.
            after: called when the import has ended.

        Raises:
            UnavailableError: CUDA refuses it.
        """
        with self.device.active("camera buffer"):
            return self._registered(image, pitch, after)

    def _image(self, fd: int, pitch: int, rows: int) -> int:
        pairs = [
            (_WIDTH, pitch),
            (_HEIGHT, rows),
            (_FOURCC, _R8),
            (_FD, fd),
            (_OFFSET, 0),
            (_PITCH, pitch),
        ]
        flat = [n for pair in pairs for n in pair] + [_NONE]
        attributes = (ctypes.c_int * len(flat))(*flat)
        image = self._create(self.display, None, _LINUX_DMA_BUF, None, attributes)
        if not image:
            raise UnavailableError(f"EGL refuses the camera's buffer: {self._error()}")
        return int(image)

    def _registered(self, image: int, pitch: int, after: Callable[[], None]) -> ImportedBuffer:
        resource, frame = ctypes.c_void_p(), EglFrame()
        self._must(
            "cuGraphicsEGLRegisterImage",
            ctypes.byref(resource),
            ctypes.c_void_p(image),
            ctypes.c_uint(_READ_ONLY),
        )
        try:
            self._must(
                "cuGraphicsResourceGetMappedEglFrame",
                ctypes.byref(frame),
                resource,
                ctypes.c_uint(0),
                ctypes.c_uint(0),
            )
            if frame.frame_type != _PITCHED or frame.pitch != pitch or not frame.planes[0]:
                raise UnavailableError(
                    f"CUDA sees the camera's buffer with rows of {frame.pitch} bytes, not {pitch}"
                )
        except EdgeError:
            self._must("cuGraphicsUnregisterResource", resource)
            raise
        return ImportedBuffer(self, resource, int(frame.planes[0] or 0), after)

    def unregister(self, resource: ctypes.c_void_p) -> None:
        """End CUDA's import of a buffer."""
        with self.device.active("camera buffer"):
            self._must("cuGraphicsUnregisterResource", resource)

    def destroy(self, image: int) -> None:
        """Destroy the EGLImage of a buffer."""
        self._destroy(self.display, ctypes.c_void_p(image))

    def _extension(self, name: str, *types: Any) -> Any:
        address = self._egl.eglGetProcAddress(name.encode())
        if not address:
            raise UnavailableError(f"{EGL} has no {name}, so the GPU cannot read camera buffers")
        return ctypes.CFUNCTYPE(*types)(address)

    def _error(self) -> str:
        return f"EGL error {self._egl.eglGetError():#x}"

    def _must(self, name: str, *arguments: Any) -> None:
        call = getattr(self._cuda, name, None)
        if call is None:
            raise UnavailableError(f"{CUDA} has no {name}: this is not the driver of a Jetson")
        code = call(*arguments)
        if code:
            raise UnavailableError(f"{name} failed with CUDA error {code}")


class ImportedBuffer:
    """An imported buffer; the contract is `edge.capture._memory.Imported`.

    Args:
        importer: imported it.
        resource: CUDA's handle of the import.
        pointer: address of the first byte for the GPU.
        after: called when the import has ended.
    """

    def __init__(
        self,
        importer: Importer,
        resource: ctypes.c_void_p,
        pointer: int,
        after: Callable[[], None],
    ) -> None:
        self.pointer = pointer
        self._importer, self._after = importer, after
        self._held: List[ctypes.c_void_p] = [resource]

    def close(self) -> None:
        """End the import; may be called twice. No queued work may still read the buffer."""
        while self._held:
            resource = self._held.pop()
            self.pointer = 0
            self._importer.unregister(resource)
            self._after()


def _library(name: str) -> Any:
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise UnavailableError(f"no {name} here, so the GPU cannot read camera buffers") from None
