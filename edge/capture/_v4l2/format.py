"""Negotiates format, size and frame rate with a V4L2 driver."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Iterator, List, Optional, Tuple

from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.request import PIXEL_LAYOUTS, ZERO_COPY, V4l2Request
from edge.errors import ConfigError, DataError

log = logging.getLogger(__name__)


_IN_PAIRS = ("NV12", "YUYV", "UYVY")  # neighbouring pixels share their colour
ENOUGH = 0.99  # of the frames per second asked for: a request for 30 also means 29.97
_MAX_LISTED = 64  # formats or intervals; a driver that lists more is broken


@dataclass(frozen=True)
class PictureFormat:
    """The format of the camera's frames."""

    format: str  # one of PIXEL_LAYOUTS
    width: int  # px
    height: int  # px
    stride: int  # bytes from one row to the next, 0 = compressed
    size_bytes: int  # of a buffer, as the driver needs it
    rate_hz: float

    @property
    def rows(self) -> int:
        """Rows in memory, including chroma."""
        return int(self.height * PIXEL_LAYOUTS[self.format].rows)

    @property
    def least_bytes(self) -> int:
        """The least bytes of a complete frame."""
        row = self.width * PIXEL_LAYOUTS[self.format].row_bytes
        return self.stride * (self.rows - 1) + row if self.stride else 4


def negotiate(io: Io, fd: int, request: V4l2Request, max_megapixels: float) -> PictureFormat:
    """Choose a format, set it, and return what the driver chose.

    Raises:
        ConfigError: no format of the camera can be used.
        DataError: the driver's answer is invalid, or the size too large.
        OSError: from the kernel.
    """
    name = _choose(io, fd, request)
    pix = calls.set_format(io, fd, raw.fourcc(name), request.width, request.height)
    picture = _picture(request, name, pix)
    if picture.width * picture.height > max_megapixels * 1e6:
        raise DataError(
            f"{request.device}: its picture of {picture.width}x{picture.height} is larger than "
            f"capture.max_megapixels = {max_megapixels:g}"
        )
    if (picture.width, picture.height) != (request.width, request.height):
        log.warning(
            "%s: asked for %dx%d, the camera gives %dx%d",
            request.device,
            request.width,
            request.height,
            picture.width,
            picture.height,
        )
    rate_hz = calls.set_interval(io, fd, request.rate_hz) or picture.rate_hz
    if rate_hz < ENOUGH * request.rate_hz:
        log.warning(
            "%s: asked for %.4g fps, the camera gives %.4g at %dx%d %s; try a smaller size",
            request.device,
            request.rate_hz,
            rate_hz,
            picture.width,
            picture.height,
            picture.format,
        )
    return replace(picture, rate_hz=rate_hz)


def _picture(request: V4l2Request, name: str, pix: raw.PixelFormat) -> PictureFormat:
    device = request.device
    given = raw.letters(pix.pixelformat)
    if given != name:
        raise DataError(
            f"{device}: asked for {name}, the driver switched to {given}; use another format"
        )
    row = pix.width * PIXEL_LAYOUTS[name].row_bytes
    stride = max(int(pix.bytesperline), row) if row else 0
    # Some drivers leave the sizes empty; their rows then have no padding.
    plain = int(stride * pix.height * PIXEL_LAYOUTS[name].rows)
    if not pix.width or not pix.height or (not row and not pix.sizeimage):
        raise DataError(f"{device}: the driver gives an empty picture {pix.width}x{pix.height}")
    if name in _IN_PAIRS and (pix.width % 2 or (name == "NV12" and pix.height % 2)):
        raise DataError(f"{device}: {name} cannot have the odd size {pix.width}x{pix.height}")
    return PictureFormat(
        name, pix.width, pix.height, stride, max(pix.sizeimage, plain), request.rate_hz
    )


def _choose(io: Io, fd: int, request: V4l2Request) -> str:
    """The format nearest to the request: by size, then by rate, then by preference."""
    offered = _offered(io, fd)
    ranked = [
        (_distance(io, fd, request, name), i, name)
        for i, name in enumerate(PIXEL_LAYOUTS)
        if name in offered and request.usable(name)
    ]
    if not ranked:
        raise ConfigError(_no_format(request, offered))
    return min(ranked)[2]


def _offered(io: Io, fd: int) -> List[str]:
    found = (calls.enumerate_format(io, fd, i) for i in range(_MAX_LISTED))
    names: List[str] = []
    for number in found:
        if number is None:
            break
        names.append(raw.letters(number))
    return names


def _distance(io: Io, fd: int, request: V4l2Request, name: str) -> Tuple[int, float]:
    """How far a format is from the request: px of width and height, then missing Hz."""
    number = raw.fourcc(name)
    pix = calls.try_format(io, fd, number, request.width, request.height)
    if pix is None:  # the driver cannot say: assume that it can
        return 0, 0.0
    size = abs(pix.width - request.width) + abs(pix.height - request.height)
    rate_hz = _best_rate_hz(io, fd, number, pix.width, pix.height)
    few = (
        0.0 if rate_hz is None or rate_hz >= ENOUGH * request.rate_hz else request.rate_hz - rate_hz
    )
    return size, few


def _best_rate_hz(io: Io, fd: int, number: int, width: int, height: int) -> Optional[float]:
    return max(_rates_hz(io, fd, number, width, height), default=None)


def _rates_hz(io: Io, fd: int, number: int, width: int, height: int) -> Iterator[float]:
    for index in range(_MAX_LISTED):
        interval = calls.enumerate_interval(io, fd, index, number, width, height)
        if interval is None:
            return
        discrete = interval.type == raw.INTERVAL_DISCRETE
        one = interval.interval.discrete if discrete else interval.interval.stepwise.min
        if one.numerator:
            yield one.denominator / one.numerator
        if not discrete:
            return


def _no_format(request: V4l2Request, offered: List[str]) -> str:
    there = ", ".join(offered) or "none"
    if request.memory in ZERO_COPY:
        fix = f"memory={request.memory} needs a format without conversion: BGR3, or layout=raw; "
        fix += "or memory=auto"
    elif request.layout == "raw":
        fix = "layout=raw needs " + ", ".join(n for n, k in PIXEL_LAYOUTS.items() if k.layout)
    elif request.format == "auto":
        fix = f"known are {', '.join(PIXEL_LAYOUTS)}; use csi:// for a raw sensor on the board"
    else:
        fix = "use format=auto"
    if request.format in offered:
        return f"{request.device}: the camera's {request.format} cannot be used as it is; {fix}"
    what = "format we can use" if request.format == "auto" else request.format
    return f"{request.device}: the camera offers no {what} (it has {there}); {fix}"
