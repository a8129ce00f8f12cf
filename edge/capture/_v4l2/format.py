"""Which picture a camera is asked for, and what it then gives."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.calls import Io
from edge.errors import ConfigError, DataError

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """How a pixel format lies in memory; what `edge.structures.Frame` calls it, "" = cannot."""

    layout: str
    row_bytes: int  # bytes of one row per pixel of width; 0 = compressed
    rows: float  # rows in memory per row of the picture


# In order of liking: nothing to convert, cheap to convert, one plane of grey, to be decompressed.
# Grey comes behind MJPG because the networks want colour.
KINDS: Dict[str, Kind] = {
    "BGR3": Kind("bgr", 3, 1),
    "NV12": Kind("nv12", 1, 1.5),
    "YUYV": Kind("yuyv", 2, 1),
    "UYVY": Kind("", 2, 1),
    "RGB3": Kind("rgb", 3, 1),
    "MJPG": Kind("", 0, 1),
    "JPEG": Kind("", 0, 1),
    "GREY": Kind("gray", 1, 1),
}
_IN_PAIRS = ("NV12", "YUYV", "UYVY")  # pixels that share their colour
ZERO_COPY = ("userptr", "dmabuf")  # memory that nothing is converted into
_MOST = 64  # formats or intervals listed by a device; more is a broken driver


@dataclass(frozen=True)
class Wish:
    """What the address asks for."""

    device: str
    width: int = 1280  # px
    height: int = 720  # px
    rate_hz: float = 30.0
    format: str = "auto"  # or one of KINDS
    memory: str = "auto"  # or mmap, userptr, dmabuf
    layout: str = "auto"  # raw = as the camera gives it; auto = raw if a GPU reads it, else bgr

    def direct(self, name: str) -> bool:
        """Whether a camera's bytes of that format are a frame as they are."""
        return bool(KINDS[name].layout) if self.layout == "raw" else name == "BGR3"

    def usable(self, name: str) -> bool:
        """Whether that format can be turned into the frame that is wanted."""
        if name not in KINDS or self.format not in ("auto", name):
            return False
        return self.direct(name) or (self.layout != "raw" and self.memory not in ZERO_COPY)


@dataclass(frozen=True)
class Picture:
    """What the camera gives."""

    format: str  # one of KINDS
    width: int  # px
    height: int  # px
    stride: int  # bytes from one row to the next, 0 = compressed
    size_bytes: int  # of the buffer a driver wants
    rate_hz: float

    @property
    def rows(self) -> int:
        """Rows in memory, chroma included."""
        return int(self.height * KINDS[self.format].rows)

    @property
    def least_bytes(self) -> int:
        """Fewer bytes than this are not a whole picture."""
        row = self.width * KINDS[self.format].row_bytes
        return self.stride * (self.rows - 1) + row if self.stride else 4


def agree(io: Io, fd: int, wish: Wish, max_megapixels: float) -> Picture:
    """Choose a format, set it, and see what the driver made of it.

    Raises:
        ConfigError: no format of the camera can be used. DataError: its answer makes no sense or
            is too large. OSError: as the kernel gives it.
    """
    name = _choose(io, fd, wish)
    pix = calls.set_format(io, fd, raw.fourcc(name), wish.width, wish.height)
    picture = _picture(wish, name, pix)
    if picture.width * picture.height > max_megapixels * 1e6:
        raise DataError(
            f"{wish.device}: its picture of {picture.width}x{picture.height} is larger than "
            f"capture.max_megapixels = {max_megapixels:g}"
        )
    if (picture.width, picture.height) != (wish.width, wish.height):
        log.warning(
            "%s: asked for %dx%d, the camera gives %dx%d",
            wish.device,
            wish.width,
            wish.height,
            picture.width,
            picture.height,
        )
    rate_hz = calls.set_interval(io, fd, wish.rate_hz)
    return replace(picture, rate_hz=rate_hz) if rate_hz else picture


def _picture(wish: Wish, name: str, pix: raw.PixelFormat) -> Picture:
    device = wish.device
    given = raw.letters(pix.pixelformat)
    if given != name:
        raise DataError(f"{device}: asked for {name}, the driver switched to {given}; use another")
    row = pix.width * KINDS[name].row_bytes
    stride = max(int(pix.bytesperline), row) if row else 0
    # Some drivers leave the sizes empty; the rows then lie close together.
    plain = int(stride * pix.height * KINDS[name].rows)
    if not pix.width or not pix.height or (not row and not pix.sizeimage):
        raise DataError(f"{device}: the driver gives an empty picture {pix.width}x{pix.height}")
    if name in _IN_PAIRS and (pix.width % 2 or (name == "NV12" and pix.height % 2)):
        raise DataError(f"{device}: {name} cannot have the odd size {pix.width}x{pix.height}")
    return Picture(name, pix.width, pix.height, stride, max(pix.sizeimage, plain), wish.rate_hz)


def _choose(io: Io, fd: int, wish: Wish) -> str:
    """The format nearest to the wish: size first, then rate, then the least work."""
    offered = _offered(io, fd)
    ranked = [
        (_miss(io, fd, wish, name), i, name)
        for i, name in enumerate(KINDS)
        if name in offered and wish.usable(name)
    ]
    if not ranked:
        raise ConfigError(_nothing(wish, offered))
    return min(ranked)[2]


def _offered(io: Io, fd: int) -> List[str]:
    found = (calls.enumerate_format(io, fd, i) for i in range(_MOST))
    names: List[str] = []
    for number in found:
        if number is None:
            break
        names.append(raw.letters(number))
    return names


def _miss(io: Io, fd: int, wish: Wish, name: str) -> Tuple[int, float]:
    """How far a format is from the wish: pixels of size, then frames per second too few."""
    number = raw.fourcc(name)
    pix = calls.try_format(io, fd, number, wish.width, wish.height)
    if pix is None:  # the driver does not say: take it for able
        return 0, 0.0
    size = abs(pix.width - wish.width) + abs(pix.height - wish.height)
    rate_hz = _best_rate_hz(io, fd, number, pix.width, pix.height)
    # 29.97 frames per second are what is meant by 30.
    few = 0.0 if rate_hz is None or rate_hz >= 0.99 * wish.rate_hz else wish.rate_hz - rate_hz
    return size, few


def _best_rate_hz(io: Io, fd: int, number: int, width: int, height: int) -> Optional[float]:
    return max(_rates_hz(io, fd, number, width, height), default=None)


def _rates_hz(io: Io, fd: int, number: int, width: int, height: int) -> Iterator[float]:
    for index in range(_MOST):
        interval = calls.enumerate_interval(io, fd, index, number, width, height)
        if interval is None:
            return
        discrete = interval.type == raw.INTERVAL_DISCRETE
        one = interval.interval.discrete if discrete else interval.interval.stepwise.min
        if one.numerator:
            yield one.denominator / one.numerator
        if not discrete:
            return


def _nothing(wish: Wish, offered: List[str]) -> str:
    there = ", ".join(offered) or "none"
    if wish.memory in ZERO_COPY:
        fix = f"memory={wish.memory} needs one that is not converted: BGR3, or layout=raw; "
        fix += "or memory=auto"
    elif wish.layout == "raw":
        fix = "layout=raw needs " + ", ".join(n for n, k in KINDS.items() if k.layout)
    elif wish.format == "auto":
        fix = f"known are {', '.join(KINDS)}; a raw sensor of the board is opened by csi://"
    else:
        fix = "use format=auto"
    what = "format we can use" if wish.format == "auto" else wish.format
    return f"{wish.device}: the camera offers no {what} (it has {there}); {fix}"
