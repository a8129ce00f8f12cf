"""Functions around the ioctls of a video device; each does one on an open file descriptor.

They reach the kernel through an `Io`, which a test can replace. They raise the kernel's OSError;
only answers that mean "no more" or "not yet" become None.
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
    """The system calls that a camera needs."""

    def open(self, path: str) -> int:
        """Open a device in non-blocking mode; returns its file descriptor."""
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ioctl(self, fd: int, number: int, argument: Any) -> None:
        """One request, which changes the structure in place; repeated after a signal."""
        while True:
            try:
                fcntl.ioctl(fd, number, argument, True)
                return
            except InterruptedError:
                continue

    def mmap(self, fd: int, length: int, offset: int) -> Any:
        """Map a driver's buffer; returns an object with the buffer interface."""
        return mmap.mmap(fd, length, offset=offset)

    def munmap(self, memory: Any) -> None:
        """Unmap; raises BufferError while a view of the mapping exists."""
        memory.close()

    def poll(self, fd: int, timeout_ms: int) -> int:
        """Wait for a frame; returns the poll events, 0 at the time-out."""
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        events = waiting.poll(timeout_ms)
        return events[0][1] if events else 0

    def close(self, fd: int) -> None:
        """Close the device."""
        os.close(fd)


def query_capability(io: Io, fd: int) -> raw.Capability:
    """Driver, name and capabilities of the device."""
    capability = raw.Capability()
    io.ioctl(fd, raw.QUERYCAP, capability)
    return capability


def enumerate_format(io: Io, fd: int, index: int) -> Optional[int]:
    """The pixel format at `index` in the device's list; None after the last."""
    description = raw.FormatDescription(index=index, type=raw.VIDEO_CAPTURE)
    return int(description.pixelformat) if _any(io, fd, raw.ENUM_FMT, description) else None


def enumerate_interval(
    io: Io, fd: int, index: int, pixelformat: int, width: int, height: int
) -> Optional[raw.FrameInterval]:
    """The frame interval at `index` for a size; None after the last, or if unknown."""
    interval = raw.FrameInterval(index=index, pixel_format=pixelformat, width=width, height=height)
    return interval if _any(io, fd, raw.ENUM_FRAMEINTERVALS, interval) else None


def try_format(
    io: Io, fd: int, pixelformat: int, width: int, height: int
) -> Optional[raw.PixelFormat]:
    """What `set_format` would return, without setting it; None if the driver cannot say."""
    wanted = _format(pixelformat, width, height)
    answered = _any(io, fd, raw.TRY_FMT, wanted)
    pix: raw.PixelFormat = wanted.fmt.pix
    return pix if answered else None


def set_format(io: Io, fd: int, pixelformat: int, width: int, height: int) -> raw.PixelFormat:
    """Set format and size; returns what the driver chose."""
    wanted = _format(pixelformat, width, height)
    io.ioctl(fd, raw.S_FMT, wanted)
    pix: raw.PixelFormat = wanted.fmt.pix
    return pix


def set_interval(io: Io, fd: int, rate_hz: float) -> Optional[float]:
    """Set the frame rate; returns what the driver chose, None if it has no such setting."""
    parameters = raw.StreamParameters(type=raw.VIDEO_CAPTURE)
    interval = parameters.parm.capture.timeperframe
    interval.numerator, interval.denominator = 1000, round(rate_hz * 1000)
    if not _any(io, fd, raw.S_PARM, parameters):
        return None
    known = parameters.parm.capture.capability & raw.CAP_TIMEPERFRAME and interval.numerator
    return interval.denominator / interval.numerator if known else None


def request_buffers(io: Io, fd: int, memory: int, count: int) -> int:
    """Request `count` buffers of a memory type, 0 frees all; returns how many there are."""
    request = raw.RequestBuffers(count=count, type=raw.VIDEO_CAPTURE, memory=memory)
    io.ioctl(fd, raw.REQBUFS, request)
    return int(request.count)


def buffer_abilities(io: Io, fd: int) -> int:
    """Memory types that the driver accepts, as CAN_* bits; 0 with kernels before 4.20."""
    request = raw.RequestBuffers(count=0, type=raw.VIDEO_CAPTURE, memory=raw.MMAP)
    io.ioctl(fd, raw.REQBUFS, request)
    return int(request.capabilities)


def query_buffer(io: Io, fd: int, index: int) -> raw.Buffer:
    """The place of a driver's buffer: m.offset and length."""
    buffer = raw.Buffer(index=index, type=raw.VIDEO_CAPTURE, memory=raw.MMAP)
    io.ioctl(fd, raw.QUERYBUF, buffer)
    return buffer


def queue_mapped(io: Io, fd: int, index: int) -> None:
    """Queue a driver's buffer to be filled."""
    buffer = raw.Buffer(index=index, type=raw.VIDEO_CAPTURE, memory=raw.MMAP)
    io.ioctl(fd, raw.QBUF, buffer)


def queue_user(io: Io, fd: int, index: int, address: int, length: int) -> None:
    """Queue memory of ours to be filled."""
    buffer = raw.Buffer(index=index, type=raw.VIDEO_CAPTURE, memory=raw.USERPTR, length=length)
    buffer.m.userptr = address
    io.ioctl(fd, raw.QBUF, buffer)


def dequeue(io: Io, fd: int, memory: int) -> Optional[raw.Buffer]:
    """A filled buffer; None if there is none yet."""
    buffer = raw.Buffer(type=raw.VIDEO_CAPTURE, memory=memory)
    try:
        io.ioctl(fd, raw.DQBUF, buffer)
    except BlockingIOError:
        return None
    return buffer


def export_buffer(io: Io, fd: int, index: int) -> int:
    """A driver's buffer as a DMA-BUF file descriptor, which the caller closes."""
    export = raw.ExportBuffer(type=raw.VIDEO_CAPTURE, index=index, flags=os.O_CLOEXEC | os.O_RDWR)
    io.ioctl(fd, raw.EXPBUF, export)
    return int(export.fd)


def stream_on(io: Io, fd: int) -> None:
    """Start the stream."""
    io.ioctl(fd, raw.STREAMON, ctypes.c_int(raw.VIDEO_CAPTURE))


def stream_off(io: Io, fd: int) -> None:
    """Stop the stream; the driver releases all queued buffers."""
    io.ioctl(fd, raw.STREAMOFF, ctypes.c_int(raw.VIDEO_CAPTURE))


def _format(pixelformat: int, width: int, height: int) -> raw.Format:
    wanted = raw.Format(type=raw.VIDEO_CAPTURE)
    wanted.fmt.pix.width, wanted.fmt.pix.height = width, height
    wanted.fmt.pix.pixelformat, wanted.fmt.pix.field = pixelformat, raw.FIELD_ANY
    return wanted


def _any(io: Io, fd: int, number: int, argument: Any) -> bool:
    """Whether the driver answered; EINVAL ends a list, ENOTTY means an unknown request."""
    try:
        io.ioctl(fd, number, argument)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise
    return True
