"""The Jetson's surface library and a camera of the board, for the real GStreamer of this machine.

The library works on the true structures and notes every call out of order. The camera puts
surfaces into a running pipeline, and writes to one again only when its buffer came back.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from edge.capture._csi.nvmm import Params, Surface
from edge.capture._gstreamer_calls import Pipeline
from tests.fakes.egl_fake import DISPLAY, FakeEgl
from tests.waiting import until

FREED = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
# What stands in the place of nvarguscamerasrc and nvvidconv.
TEXT = (
    "appsrc name=camera is-live=true format=time do-timestamp=true ! "
    "appsink name=edge drop=true max-buffers=1 sync=false"
)


class Library:
    """libnvbufsurface; the EGL images it makes are those of `egl`, where that is given."""

    def __init__(self, egl: Optional[FakeEgl] = None) -> None:
        self.egl = egl
        self.fails = ""
        self.mapped: Dict[int, np.ndarray] = {}  # by address of the surface
        self.images: Dict[int, int] = {}  # address of the pixels by EGLImage
        self.misuse: List[str] = []
        self.synced = self.synced_for_device = 0
        self.written_by_cpu = False
        self.pixels: Dict[int, np.ndarray] = {}  # what the board's memory holds, by surface
        self._made = 0

    def _params(self, surface: Any) -> Params:
        return ctypes.cast(surface, ctypes.POINTER(Surface)).contents.list[0]

    def _note(self, fine: bool, what: str) -> None:
        if not fine:
            self.misuse.append(what)

    def NvBufSurfaceMap(self, surface: Any, index: int, plane: int, how: int) -> int:
        self._note((index, plane) == (0, 0) and how in (0, 2), "Map: arguments")
        self.written_by_cpu = how == 2
        self._note(surface.value not in self.mapped, "Map twice")
        if self.fails == "NvBufSurfaceMap":
            return -1
        self.mapped[surface.value] = self.pixels[surface.value]
        self._params(surface).mapped[0] = self.pixels[surface.value].ctypes.data
        return 0

    def NvBufSurfaceUnMap(self, surface: Any, index: int, plane: int) -> int:
        self._note(self.mapped.pop(surface.value, None) is not None, "UnMap twice")
        self._note(not self._params(surface).egl_image, "UnMap before UnMapEglImage")
        return 0

    def NvBufSurfaceMapEglImage(self, surface: Any, index: int) -> int:
        if self.fails == "NvBufSurfaceMapEglImage":
            return -1
        self._made += 1
        self._params(surface).egl_image = 0x9000 + self._made
        self.images[0x9000 + self._made] = self.pixels[surface.value].ctypes.data
        if self.egl is not None:
            params = self._params(surface)
            rows, pitch = self.pixels[surface.value].shape
            self.egl.images[params.egl_image] = {
                0x3057: pitch,
                0x3056: rows,
                0x3274: pitch,
                0x3272: params.fd,
            }
        return 0

    def NvBufSurfaceUnMapEglImage(self, surface: Any, index: int) -> int:
        params = self._params(surface)
        gone = self.images.pop(params.egl_image or 0, None)
        self._note(gone is not None, "UnMapEglImage twice")
        if self.egl is not None:
            self.egl._destroy(DISPLAY, params.egl_image)
        params.egl_image = None
        return 0

    def NvBufSurfaceSyncForCpu(self, surface: Any, index: int, plane: int) -> int:
        self._note(surface.value in self.mapped, "SyncForCpu of what is not mapped")
        self.synced += 1
        return -(self.fails == "NvBufSurfaceSyncForCpu")

    def NvBufSurfaceSyncForDevice(self, surface: Any, index: int, plane: int) -> int:
        self._note(surface.value in self.mapped, "SyncForDevice of what is not mapped")
        self._note(self.written_by_cpu, "SyncForDevice of what is mapped for reading")
        self.synced_for_device += 1
        return -(self.fails == "NvBufSurfaceSyncForDevice")


class Camera:
    """A pool of surfaces that goes round through a pipeline made of `TEXT`."""

    def __init__(
        self,
        library: Library,
        width: int,
        height: int,
        count: int = 8,
        told: Optional[Dict[str, int]] = None,
    ) -> None:
        self.library, self.size = library, (width, height)
        pitch = -(-2 * width // 256) * 256
        self._keep: List[Any] = []
        self.surfaces: List[Surface] = []
        for number in range(count):
            params = Params(width=width, height=height, pitch=pitch, fd=100 + number)
            params.planes.count = 1
            for name, value in (told or {}).items():
                if name == "planes":
                    params.planes.count = value
                else:
                    setattr(params, name, value)
            surface = Surface(batch=1, filled=1, list=ctypes.pointer(params))
            self._keep.append(params)
            self.surfaces.append(surface)
            library.pixels[ctypes.addressof(surface)] = np.zeros((height, pitch), np.uint8)
        self.out: Dict[int, int] = {}  # number by address: where the pipeline or the loop has it
        self._came_back = FREED(lambda at: self.out.pop(at, None) and None)

    def show(self, pipeline: Pipeline, picture: np.ndarray) -> int:
        """Film a picture [H,W,2]; returns the address of its pixels, 0 when all are in use."""
        for number, surface in enumerate(self.surfaces):
            at = ctypes.addressof(surface)
            if at not in self.out:
                self.out[at] = number
                width, height = self.size
                self.library.pixels[at][:, : 2 * width] = picture.reshape(height, 2 * width)
                self.push(pipeline, at, ctypes.sizeof(surface), self._came_back)
                return int(self.library.pixels[at].ctypes.data)
        return 0

    def push(self, pipeline: Pipeline, at: int, size: int, freed: Callable[..., None]) -> None:
        """Put memory into the pipeline as a buffer."""
        gst, app = pipeline._libraries.gst, pipeline._libraries.app
        gst.gst_buffer_new_wrapped_full.restype = ctypes.c_void_p
        pointer, length = ctypes.c_void_p(at), ctypes.c_size_t(size)
        buffer = gst.gst_buffer_new_wrapped_full(
            0, pointer, length, ctypes.c_size_t(0), length, pointer, freed
        )
        source = ctypes.c_void_p(gst.gst_bin_get_by_name(pipeline._pipeline, b"camera"))
        app.gst_app_src_push_buffer(source, ctypes.c_void_p(buffer))
        gst.gst_object_unref(source)

    def end(self, pipeline: Pipeline) -> None:
        """The stream is over."""
        gst, app = pipeline._libraries.gst, pipeline._libraries.app
        source = ctypes.c_void_p(gst.gst_bin_get_by_name(pipeline._pipeline, b"camera"))
        app.gst_app_src_end_of_stream(source)
        gst.gst_object_unref(source)

    def check(self) -> None:
        """Every surface came back and nothing is mapped any more."""
        # GStreamer's own thread may still hold the last one for a moment.
        until(lambda: not self.out, f"the return of {self.out}")
        assert not self.library.misuse, self.library.misuse
        assert not self.library.mapped
        assert not self.library.images
