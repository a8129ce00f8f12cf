"""Structures and numbers against what a C compiler makes of linux/videodev2.h."""

import ctypes

import pytest

from edge.capture._v4l2 import raw

# sizeof and offsetof of gcc on x86-64; aarch64 is the same (LP64, same alignments).
SIZES = {
    "Capability": 104,
    "FormatDescription": 64,
    "Format": 208,
    "PixelFormat": 48,
    "StreamParameters": 204,
    "CaptureParameters": 40,
    "RequestBuffers": 20,
    "Buffer": 88,
    "ExportBuffer": 64,
    "FrameInterval": 52,
    "TimeCode": 16,
    "Stepwise": 24,
}
OFFSETS = [
    ("Buffer", "timestamp", 24),
    ("Buffer", "timecode", 40),
    ("Buffer", "sequence", 56),
    ("Buffer", "memory", 60),
    ("Buffer", "m", 64),
    ("Buffer", "length", 72),
    ("Buffer", "request_fd", 80),
    ("Format", "fmt", 8),
    ("StreamParameters", "parm", 4),
    ("RequestBuffers", "capabilities", 12),
    ("PixelFormat", "priv", 28),
    ("FormatDescription", "pixelformat", 44),
    ("Capability", "capabilities", 84),
    ("ExportBuffer", "fd", 16),
    ("FrameInterval", "interval", 20),
]
NUMBERS = {
    "QUERYCAP": 0x80685600,
    "ENUM_FMT": 0xC0405602,
    "S_FMT": 0xC0D05605,
    "TRY_FMT": 0xC0D05640,
    "REQBUFS": 0xC0145608,
    "QUERYBUF": 0xC0585609,
    "QBUF": 0xC058560F,
    "EXPBUF": 0xC0405610,
    "DQBUF": 0xC0585611,
    "STREAMON": 0x40045612,
    "STREAMOFF": 0x40045613,
    "S_PARM": 0xC0CC5616,
    "ENUM_FRAMEINTERVALS": 0xC034564B,
}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_size(name, size):
    assert ctypes.sizeof(getattr(raw, name)) == size


@pytest.mark.parametrize(("name", "member", "offset"), OFFSETS)
def test_offset(name, member, offset):
    assert getattr(getattr(raw, name), member).offset == offset


@pytest.mark.parametrize(("name", "number"), NUMBERS.items())
def test_number(name, number):
    assert getattr(raw, name) == number


def test_fourcc():
    codes = {
        "BGR3": 0x33524742,
        "YUYV": 0x56595559,
        "UYVY": 0x59565955,
        "NV12": 0x3231564E,
        "MJPG": 0x47504A4D,
        "GREY": 0x59455247,
        "Y16": 0x20363159,
    }
    assert {n: raw.fourcc(n) for n in codes} == codes
    assert [raw.letters(c) for c in codes.values()] == list(codes)


@pytest.mark.parametrize(("code", "text"), [("XR15", "XR15-BE"), ("Y16 ", "Y16-BE")])
def test_big_endian_formats_have_names_of_their_own(code, text):
    assert raw.letters(raw.fourcc(code) | 1 << 31) == text
