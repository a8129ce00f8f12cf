"""What a kernel camera can do without a copy: asked of its driver, nothing is started."""

from __future__ import annotations

import errno

from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.format import KINDS

_MOST = 64  # formats listed; more is a broken driver


def frame_memory(device: str, io: Io) -> str:
    """In words, how frames of a camera can come into the loop.

    Args:
        device: such as /dev/video0.
        io: the way to the kernel.

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
            return "is in use; its metrics tell frame_memory"
        raise
    if abilities & raw.CAN_USERPTR:
        return "userptr, zero copy"
    return "dmabuf where the GPU takes it, else mmap with one copy" if abilities else "not told"


def _formats(io: Io, fd: int) -> str:
    names = []
    for index in range(_MOST):
        number = calls.enumerate_format(io, fd, index)
        if number is None:
            break
        names.append(raw.letters(number))
    plain = [n for n in names if n in KINDS and KINDS[n].layout]
    if not plain:
        return f"{', '.join(names) or 'no format'}: converted, one copy"
    return f"{', '.join(plain)} with layout=raw"
