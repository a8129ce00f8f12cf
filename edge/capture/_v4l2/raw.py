"""Structures, ioctl numbers and flags of the kernel's video capture interface.

From Linux `include/uapi/linux/videodev2.h`, for machines with 64-bit pointers and longs (aarch64,
x86-64). The tests compare sizes, offsets and numbers with those of a C compiler.
"""

from __future__ import annotations

import ctypes
from typing import Type

_U8, _U32, _S32 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_int32


class Capability(ctypes.Structure):
    """Name and capabilities of a device: v4l2_capability."""

    _fields_ = [
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", _U32),
        ("capabilities", _U32),  # of the whole device
        ("device_caps", _U32),  # of this node, when capabilities has DEVICE_CAPS
        ("reserved", _U32 * 3),
    ]


class FormatDescription(ctypes.Structure):
    """One pixel format of a device: v4l2_fmtdesc."""

    _fields_ = [
        ("index", _U32),
        ("type", _U32),
        ("flags", _U32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", _U32),
        ("mbus_code", _U32),
        ("reserved", _U32 * 3),
    ]


class PixelFormat(ctypes.Structure):
    """Size and layout of a picture: v4l2_pix_format."""

    _fields_ = [
        ("width", _U32),
        ("height", _U32),
        ("pixelformat", _U32),
        ("field", _U32),
        ("bytesperline", _U32),
        ("sizeimage", _U32),
        ("colorspace", _U32),
        ("priv", _U32),
        ("flags", _U32),
        ("ycbcr_enc", _U32),
        ("quantization", _U32),
        ("xfer_func", _U32),
    ]


class _FormatUnion(ctypes.Union):
    # A member of the kernel's union holds a pointer, which aligns it to 8 bytes.
    _fields_ = [("pix", PixelFormat), ("raw", _U8 * 200), ("pointer", ctypes.c_void_p)]


class Format(ctypes.Structure):
    """A picture format of a stream type: v4l2_format."""

    _fields_ = [("type", _U32), ("fmt", _FormatUnion)]


class Fraction(ctypes.Structure):
    """v4l2_fract, here always seconds per frame."""

    _fields_ = [("numerator", _U32), ("denominator", _U32)]


class CaptureParameters(ctypes.Structure):
    """Frame interval: v4l2_captureparm."""

    _fields_ = [
        ("capability", _U32),
        ("capturemode", _U32),
        ("timeperframe", Fraction),
        ("extendedmode", _U32),
        ("readbuffers", _U32),
        ("reserved", _U32 * 4),
    ]


class _ParametersUnion(ctypes.Union):
    _fields_ = [("capture", CaptureParameters), ("raw", _U8 * 200)]


class StreamParameters(ctypes.Structure):
    """v4l2_streamparm."""

    _fields_ = [("type", _U32), ("parm", _ParametersUnion)]


class Stepwise(ctypes.Structure):
    """v4l2_frmival_stepwise."""

    _fields_ = [("min", Fraction), ("max", Fraction), ("step", Fraction)]


class _IntervalUnion(ctypes.Union):
    _fields_ = [("discrete", Fraction), ("stepwise", Stepwise)]


class FrameInterval(ctypes.Structure):
    """One frame interval of a format at a size: v4l2_frmivalenum."""

    _fields_ = [
        ("index", _U32),
        ("pixel_format", _U32),
        ("width", _U32),
        ("height", _U32),
        ("type", _U32),
        ("interval", _IntervalUnion),
        ("reserved", _U32 * 2),
    ]


class RequestBuffers(ctypes.Structure):
    """v4l2_requestbuffers."""

    _fields_ = [
        ("count", _U32),
        ("type", _U32),
        ("memory", _U32),
        ("capabilities", _U32),
        ("flags", _U8),
        ("reserved", _U8 * 3),
    ]


class TimeValue(ctypes.Structure):
    """Struct timeval."""

    _fields_ = [("tv_sec", ctypes.c_long), ("tv_usec", ctypes.c_long)]


class TimeCode(ctypes.Structure):
    """v4l2_timecode."""

    _fields_ = [
        ("type", _U32),
        ("flags", _U32),
        ("frames", _U8),
        ("seconds", _U8),
        ("minutes", _U8),
        ("hours", _U8),
        ("userbits", _U8 * 4),
    ]


class _PlaceUnion(ctypes.Union):
    _fields_ = [
        ("offset", _U32),
        ("userptr", ctypes.c_ulong),
        ("planes", ctypes.c_void_p),
        ("fd", _S32),
    ]


class Buffer(ctypes.Structure):
    """One frame buffer: v4l2_buffer."""

    _fields_ = [
        ("index", _U32),
        ("type", _U32),
        ("bytesused", _U32),
        ("flags", _U32),
        ("field", _U32),
        ("timestamp", TimeValue),
        ("timecode", TimeCode),
        ("sequence", _U32),
        ("memory", _U32),
        ("m", _PlaceUnion),
        ("length", _U32),
        ("reserved2", _U32),
        ("request_fd", _S32),
    ]


class ExportBuffer(ctypes.Structure):
    """v4l2_exportbuffer."""

    _fields_ = [
        ("type", _U32),
        ("index", _U32),
        ("plane", _U32),
        ("flags", _U32),
        ("fd", _S32),
        ("reserved", _U32 * 11),
    ]


_WRITE, _READ = 1, 2


def _number(direction: int, command: int, argument: Type[ctypes._SimpleCData[int]]) -> int:
    """An ioctl number: direction, size of the argument, 'V', command (asm-generic/ioctl.h)."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | command


def _both(command: int, argument: Type[ctypes.Structure]) -> int:
    return _number(_READ | _WRITE, command, argument)  # type: ignore[arg-type]


QUERYCAP = _number(_READ, 0, Capability)  # type: ignore[arg-type]
ENUM_FMT = _both(2, FormatDescription)
S_FMT = _both(5, Format)
REQBUFS = _both(8, RequestBuffers)
QUERYBUF = _both(9, Buffer)
QBUF = _both(15, Buffer)
EXPBUF = _both(16, ExportBuffer)
DQBUF = _both(17, Buffer)
STREAMON = _number(_WRITE, 18, ctypes.c_int)
STREAMOFF = _number(_WRITE, 19, ctypes.c_int)
S_PARM = _both(22, StreamParameters)
TRY_FMT = _both(64, Format)
ENUM_FRAMEINTERVALS = _both(75, FrameInterval)

VIDEO_CAPTURE = 1  # stream type: single-planar capture
MMAP, USERPTR = 1, 2  # memory types
CAN_USERPTR = 2  # of RequestBuffers.capabilities
FIELD_ANY = 0
INTERVAL_DISCRETE = 1

CAP_VIDEO_CAPTURE = 0x0000_0001
CAP_VIDEO_CAPTURE_MPLANE = 0x0000_1000
CAP_STREAMING = 0x0400_0000
CAP_DEVICE_CAPS = 0x8000_0000
CAP_TIMEPERFRAME = 0x1000  # of CaptureParameters

FLAG_ERROR = 0x0040  # the data may be damaged
FLAG_TIMESTAMP_MASK = 0xE000
FLAG_TIMESTAMP_MONOTONIC = 0x2000


def fourcc(text: str) -> int:
    """A pixel format's number from its four letters."""
    return int.from_bytes(text.ljust(4).encode("ascii"), "little")


BIG_ENDIAN = 1 << 31  # bit of a pixel format: linux/videodev2.h, v4l2_fourcc_be


def letters(pixelformat: int) -> str:
    """A pixel format's four letters from its number; -BE follows if its bytes are big-endian."""
    plain = pixelformat & ~BIG_ENDIAN
    text = plain.to_bytes(4, "little").decode("latin-1").strip("\0 ")
    return f"{text}-BE" if pixelformat & BIG_ENDIAN else text
