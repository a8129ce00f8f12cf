"""The options of a v4l2:// address, and the pixel formats that they can name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, NamedTuple

from edge.capture import _query
from edge.capture._source import Address
from edge.errors import ConfigError


class PixelLayout(NamedTuple):
    """How a pixel format lies in memory."""

    layout: str  # its name in `edge.structures.Frame`; "" = a frame cannot have it
    row_bytes: int  # bytes of a row per pixel of width; 0 = compressed
    rows: float  # rows in memory per row of the picture


# In order of preference: nothing to convert, cheap to convert, compressed, without colour. Grey is
# the last because the networks need colour.
PIXEL_LAYOUTS: Dict[str, PixelLayout] = {
    "BGR3": PixelLayout("bgr", 3, 1),
    "NV12": PixelLayout("nv12", 1, 1.5),
    "YUYV": PixelLayout("yuyv", 2, 1),
    "UYVY": PixelLayout("", 2, 1),
    "RGB3": PixelLayout("rgb", 3, 1),
    "MJPG": PixelLayout("", 0, 1),
    "JPEG": PixelLayout("", 0, 1),
    "GREY": PixelLayout("gray", 1, 1),
}
ZERO_COPY = ("userptr", "dmabuf")  # kinds of memory without a conversion


@dataclass(frozen=True)
class V4l2Request:
    """The options of a v4l2:// address."""

    device: str
    width: int = 1280  # px
    height: int = 720  # px
    rate_hz: float = 30.0
    format: str = "auto"  # or one of PIXEL_LAYOUTS
    memory: str = "auto"  # or mmap, userptr, dmabuf
    layout: str = "auto"  # or bgr; or raw = the camera's format

    def direct(self, name: str) -> bool:
        """Whether the camera's bytes in this format are a frame without conversion."""
        return bool(PIXEL_LAYOUTS[name].layout) if self.layout == "raw" else name == "BGR3"

    def usable(self, name: str) -> bool:
        """Whether this format can be turned into the requested frame."""
        if name not in PIXEL_LAYOUTS or self.format not in ("auto", name):
            return False
        return self.direct(name) or (self.layout != "raw" and self.memory not in ZERO_COPY)


def read_request(address: Address) -> V4l2Request:
    """Read and check the options of an address.

    Raises:
        ConfigError: names the option.
    """
    address.only("width", "height", "fps", "format", "memory", "layout")
    if not address.path.startswith("/"):
        raise ConfigError(f"{address.uri}: expected v4l2:///dev/video0 (three slashes)")
    return V4l2Request(
        device=address.path,
        width=_query.integer(address, "width", 1280, 16, 16384),
        height=_query.integer(address, "height", 720, 16, 16384),
        rate_hz=_query.number(address, "fps", 30, 0.1, 1000),
        format=_query.choice(address, "format", ("auto", *PIXEL_LAYOUTS)),
        memory=_query.choice(address, "memory", ("auto", "mmap", "userptr", "dmabuf")),
        layout=_query.choice(address, "layout", ("auto", "bgr", "raw")),
    )
