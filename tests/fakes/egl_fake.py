"""libEGL and the EGL part of libcuda at the ctypes seam: buffers go in, addresses come out.

It keeps what is registered and notes every call out of order. The functions of extensions are true
C function pointers, since that is how they are called.
"""

from __future__ import annotations

import ctypes
from typing import Any, Dict, List, Tuple

CREATE = ctypes.CFUNCTYPE(
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_uint,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_int),
)
DESTROY = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)
DISPLAY, FIRST_IMAGE, FIRST_RESOURCE, BASE = 0x51, 0x1000, 0x2000, 0x7F00_0000


class Function:
    """A function of a library; `restype` may be set as on a real one."""

    def __init__(self, call: Any) -> None:
        self._call, self.restype = call, ctypes.c_int

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class FakeEgl:
    """Both libraries; settings are `display extensions takes frame_type pitch codes`."""

    def __init__(self) -> None:
        self.display = DISPLAY
        self.extensions = ["eglCreateImageKHR", "eglDestroyImageKHR"]
        self.takes = True
        self.frame_type, self.pitch = 1, 0  # pitched; 0 = as it was imported
        self.codes: Dict[str, int] = {}
        self.where: Any = None  # file descriptor -> true address
        self.images: Dict[int, Dict[int, int]] = {}  # attributes by image
        self.registered: Dict[int, int] = {}  # image by resource
        self.misuse: List[str] = []
        self._count = 0
        self._kept = (CREATE(self._create), DESTROY(self._destroy))

    def libraries(self) -> Dict[str, Any]:
        return {"libEGL.so.1": self._egl(), "libcuda.so.1": self._cuda()}

    def _egl(self) -> Any:
        class Library:
            eglGetDisplay = Function(lambda which: self.display)
            eglInitialize = Function(lambda display, major, minor: 1)
            eglGetError = Function(lambda: 0x3004)
            eglGetProcAddress = Function(self._address)

        return Library

    def _cuda(self) -> Any:
        class Library:
            cuGraphicsEGLRegisterImage = Function(self._register)
            cuGraphicsResourceGetMappedEglFrame = Function(self._frame)
            cuGraphicsUnregisterResource = Function(self._unregister)

        return Library

    def _address(self, name: bytes) -> Any:
        if name.decode() not in self.extensions:
            return None
        which = self._kept[name != b"eglCreateImageKHR"]
        return ctypes.cast(which, ctypes.c_void_p).value

    def _create(self, display: int, context: Any, target: int, buffer: Any, flat: Any) -> int:
        pairs: List[Tuple[int, int]] = []
        while flat[2 * len(pairs)] != 0x3038:  # EGL_NONE
            pairs.append((flat[2 * len(pairs)], flat[2 * len(pairs) + 1]))
        if (display, context, target, buffer) != (DISPLAY, None, 0x3270, None):
            self.misuse.append("eglCreateImageKHR")
        if not self.takes:
            return 0
        self._count += 1
        self.images[FIRST_IMAGE + self._count] = dict(pairs)
        return FIRST_IMAGE + self._count

    def _destroy(self, display: int, image: int) -> int:
        if image in self.registered.values() or display != DISPLAY:
            self.misuse.append("eglDestroyImageKHR of an image CUDA still has")
        if self.images.pop(image, None) is None:
            self.misuse.append("eglDestroyImageKHR twice")
        return 1

    def _register(self, resource: Any, image: Any, flags: Any) -> int:
        if self.codes.get("register"):
            return self.codes["register"]
        if image.value not in self.images or flags.value != 1:
            self.misuse.append("cuGraphicsEGLRegisterImage")
        resource._obj.value = FIRST_RESOURCE + image.value
        self.registered[resource._obj.value] = image.value
        return 0

    def _frame(self, frame: Any, resource: Any, index: Any, level: Any) -> int:
        if self.codes.get("frame"):
            return self.codes["frame"]
        attributes = self.images[self.registered[resource.value]]
        told = frame._obj
        told.planes[0] = BASE + self.registered[resource.value]
        if self.where is not None:
            told.planes[0] = self.where(attributes[0x3272])
        told.width, told.height = attributes[0x3057], attributes[0x3056]
        told.pitch = self.pitch or attributes[0x3274]
        told.frame_type, told.plane_count = self.frame_type, 1
        return 0

    def _unregister(self, resource: Any) -> int:
        if self.registered.pop(resource.value, None) is None:
            self.misuse.append("cuGraphicsUnregisterResource twice")
        return 0

    def check(self) -> None:
        """Everything was given back, in order."""
        assert not self.misuse, self.misuse
        assert not self.registered
        assert not self.images
