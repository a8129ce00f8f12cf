"""Thin functions over a video device: each does one ioctl on an open file descriptor.

All of them reach the kernel through an `Io`, so that a stand-in can answer in its place. They raise
OSError as the kernel gives it; only the answers that mean "no more" or "not yet" become None.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
from typing import Any, Optional

from edge.capture._v4l2 import raw


class Io:
    """The five system calls a camera needs."""

    def open(self, path: str) -> int:
        """Open a device without blocking; gives its file descriptor."""
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ioctl(self, fd: int, number: int, argument: Any) -> None:
        """One request; the structure is changed in place. Signals restart it."""
        while True:
            try:
                fcntl.ioctl(fd, number, argument, True)
                return
            except InterruptedError:
                continue

    def mmap(self, fd: int, length: int, offset: int) -> Any:
        """Map a driver's buffer: an object with the buffer interface."""
        return mmap.mmap(fd, length, offset=offset)

    def munmap(self, memory: Any) -> None:
        """Give a mapping back; nothing may look into it any more."""
        memory.close()

    def poll(self, fd: int, timeout_ms: int) -> int:
        """Wait for a frame: the poll events that came, 0 at time-out."""
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        events = waiting.poll(timeout_ms)
        return events[0][1] if events else 0

    def close(self, fd: int) -> None:
        """Close the device."""
        os.close(fd)


def query_capability(io: Io, fd: int) -> raw.Capability:
    """What the device is."""
    capability = raw.Capability()
    io.ioctl(fd, raw.QUERYCAP, capability)
    return capability


def enumerate_format(io: Io, fd: int, index: int) -> Optional[int]:
    """The pixel format number `index` of those the device offers; None after the last."""
    description = raw.FormatDescription(index=index, type=raw.VIDEO_CAPTURE)
    return int(description.pixelformat) if _any(io, fd, raw.ENUM_FMT, description) else None


def enumerate_interval(
    io: Io, fd: int, index: int, pixelformat: int, width: int, height: int
) -> Optional[raw.FrameInterval]:
    """The frame interval number `index` at a size; None after the last or when not told."""
    interval = raw.FrameInterval(index=index, pixel_format=pixelformat, width=width, height=height)
    return interval if _any(io, fd, raw.ENUM_FRAMEINTERVALS, interval) else None


def try_format(
    io: Io, fd: int, pixelformat: int, width: int, height: int
) -> Optional[raw.PixelFormat]:
    """What `set_format` would give, without doing it; None when the driver does not say."""
    wanted = _format(pixelformat, width, height)
    answered = _any(io, fd, raw.TRY_FMT, wanted)
    pix: raw.PixelFormat = wanted.fmt.pix
    return pix if answered else None


def set_format(io: Io, fd: int, pixelformat: int, width: int, height: int) -> raw.PixelFormat:
    """Ask for a format and size; gives what the driver made of it."""
    wanted = _format(pixelformat, width, height)
    io.ioctl(fd, raw.S_FMT, wanted)
    pix: raw.PixelFormat = wanted.fmt.pix
    return pix


def set_interval(io: Io, fd: int, rate_hz: float) -> Optional[float]:
    """Ask for a frame rate; the rate the driver gives, None when it has no such setting."""
    parameters = raw.StreamParameters(type=raw.VIDEO_CAPTURE)
    interval = parameters.parm.capture.timeperframe
    interval.numerator, interval.denominator = 1000, round(rate_hz * 1000)
    if not _any(io, fd, raw.S_PARM, parameters):
        return None
    known = parameters.parm.capture.capability & raw.CAP_TIMEPERFRAME and interval.numerator
    return interval.denominator / interval.numerator if known else None


def request_buffers(io: Io, fd: int, memory: int, count: int) -> int:
    """Ask for buffers of a memory kind; how many there are now. 0 gives all back."""
    request = raw.RequestBuffers(count=count, type=raw.VIDEO_CAPTURE, memory=memory)
    io.ioctl(fd, raw.REQBUFS, request)
    return int(request.count)


def buffer_abilities(io: Io, fd: int) -> int:
    """Memory kinds that the driver takes, as CAN_* bits; 0 from kernels before 4.20."""
    request = raw.RequestBuffers(count=0, type=raw.VIDEO_CAPTURE, memory=raw.MMAP)
    io.ioctl(fd, raw.REQBUFS, request)
    return int(request.capabilities)


def query_buffer(io: Io, fd: int, index: int) -> raw.Buffer:
    """Where a driver's own buffer is: m.offset and length."""
    buffer = raw.Buffer(index=index, type=raw.VIDEO_CAPTURE, memory=raw.MMAP)
    io.ioctl(fd, raw.QUERYBUF, buffer)
    return buffer


def queue_mapped(io: Io, fd: int, index: int) -> None:
    """Hand a driver's own buffer to the driver to fill."""
    buffer = raw.Buffer(index=index, type=raw.VIDEO_CAPTURE, memory=raw.MMAP)
    io.ioctl(fd, raw.QBUF, buffer)


def queue_user(io: Io, fd: int, index: int, address: int, length: int) -> None:
    """Hand memory of ours to the driver to fill."""
    buffer = raw.Buffer(index=index, type=raw.VIDEO_CAPTURE, memory=raw.USERPTR, length=length)
    buffer.m.userptr = address
    io.ioctl(fd, raw.QBUF, buffer)


def dequeue(io: Io, fd: int, memory: int) -> Optional[raw.Buffer]:
    """A filled buffer, None when there is none yet."""
    buffer = raw.Buffer(type=raw.VIDEO_CAPTURE, memory=memory)
    try:
        io.ioctl(fd, raw.DQBUF, buffer)
    except BlockingIOError:
        return None
    return buffer


def export_buffer(io: Io, fd: int, index: int) -> int:
    """A driver's own buffer as a DMA-BUF file descriptor; the caller closes it."""
    export = raw.ExportBuffer(type=raw.VIDEO_CAPTURE, index=index, flags=os.O_CLOEXEC | os.O_RDWR)
    io.ioctl(fd, raw.EXPBUF, export)
    return int(export.fd)


def stream_on(io: Io, fd: int) -> None:
    """Start the camera."""
    io.ioctl(fd, raw.STREAMON, ctypes.c_int(raw.VIDEO_CAPTURE))


def stream_off(io: Io, fd: int) -> None:
    """Stop the camera; all queued buffers are ours again."""
    io.ioctl(fd, raw.STREAMOFF, ctypes.c_int(raw.VIDEO_CAPTURE))


def _format(pixelformat: int, width: int, height: int) -> raw.Format:
    wanted = raw.Format(type=raw.VIDEO_CAPTURE)
    wanted.fmt.pix.width, wanted.fmt.pix.height = width, height
    wanted.fmt.pix.pixelformat, wanted.fmt.pix.field = pixelformat, raw.FIELD_ANY
    return wanted


def _any(io: Io, fd: int, number: int, argument: Any) -> bool:
    """Whether the driver answered; EINVAL ends an enumeration, ENOTTY is a lacking feature."""
    try:
        io.ioctl(fd, number, argument)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise
    return True
