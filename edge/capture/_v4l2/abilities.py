"""Asks a V4L2 driver, without starting the camera, how its frames can be read."""

from __future__ import annotations

import errno

from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.request import PIXEL_LAYOUTS

_MAX_FORMATS = 64  # a driver that lists more is broken


def frame_memory(device: str, io: Io) -> str:
    """How frames of a camera can come into the ring, in words for `edge doctor`.

    Args:
        device: such as /dev/video0.
        io: the system calls.

    Raises:
        OSError: the driver does not answer.
    """
    fd = io.open(device)
    try:
        caps = calls.query_capability(io, fd).device_caps
        if not caps & raw.CAP_VIDEO_CAPTURE or not caps & raw.CAP_STREAMING:
            return "no camera"
        return f"{_kind(io, fd)} ({_formats(io, fd)})"
    finally:
        io.close(fd)


def _kind(io: Io, fd: int) -> str:
    try:
        abilities = calls.buffer_abilities(io, fd)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return "is in use; see frame_memory in its metrics"
        raise
    if abilities & raw.CAN_USERPTR:
        return "userptr, zero copy"
    return "dmabuf if the GPU accepts it, else mmap with one copy" if abilities else "unknown"


def _formats(io: Io, fd: int) -> str:
    names = []
    for index in range(_MAX_FORMATS):
        number = calls.enumerate_format(io, fd, index)
        if number is None:
            break
        names.append(raw.letters(number))
    plain = [n for n in names if n in PIXEL_LAYOUTS and PIXEL_LAYOUTS[n].layout]
    if not plain:
        return f"{', '.join(names) or 'no format'}: converted, one copy"
    return f"{', '.join(plain)} with layout=raw"
