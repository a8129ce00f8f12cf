from __future__ import annotations

import struct
from pathlib import Path
from typing import List, Tuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture._image_size import image_size, jpeg_size
from tests.edge.capture.films import png_bomb

KINDS = [".png", ".jpg", ".bmp", ".webp", ".tiff"]


def encode(kind: str, width: int, height: int, *options: int) -> bytes:
    ok, data = cv2.imencode(kind, np.full((height, width, 3), 99, np.uint8), list(options))
    assert ok
    return bytes(data.tobytes())


def size_of(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return image_size(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (1921, 33)])
def test_size_is_that_of_the_decoded_picture(
    tmp_path: Path, kind: str, size: Tuple[int, int]
) -> None:
    data = encode(kind, *size)
    assert size_of(tmp_path / "x", data) == size
    assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape[1::-1] == size


def test_lossless_webp(tmp_path: Path) -> None:
    data = encode(".webp", 33, 44, cv2.IMWRITE_WEBP_QUALITY, 101)
    assert data[12:16] == b"VP8L"
    assert size_of(tmp_path / "x", data) == (33, 44)


def test_extended_webp(tmp_path: Path) -> None:
    sizes = (16383).to_bytes(3, "little") + (99).to_bytes(3, "little")
    data = b"RIFF" + bytes(4) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes
    assert size_of(tmp_path / "x", data) == (16384, 100)


def test_progressive_jpeg_behind_a_thumbnail_and_fill_bytes(tmp_path: Path) -> None:
    data = encode(".jpg", 640, 480, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    small = encode(".jpg", 16, 12)
    app = b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small
    assert size_of(tmp_path / "x", data[:2] + app + b"\xff\xff" + data[2:]) == (640, 480)


def test_bmp_upside_down_and_of_the_oldest_kind(tmp_path: Path) -> None:
    head = b"BM" + bytes(12)
    assert size_of(tmp_path / "x", head + struct.pack("<Iii", 40, 50, -60) + bytes(20)) == (50, 60)
    assert size_of(tmp_path / "x", head + struct.pack("<IHH", 12, 50, 60) + bytes(20)) == (50, 60)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("kind", "code"), [(3, "H"), (4, "I")])
def test_tiff_of_both_byte_orders_and_widths(
    tmp_path: Path, order: str, big: bool, kind: int, code: str
) -> None:
    def entry(tag: int, value: int) -> bytes:
        field = struct.pack(order + code, value).ljust(8 if big else 4, b"\0")
        return struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, 1) + field

    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, 16) + struct.pack(order + "Q", 2)
    else:
        head = mark + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", 2)
    assert size_of(tmp_path / "x", head + entry(256, 70) + entry(257, 9)) == (70, 9)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_header_is_no_size(tmp_path: Path, kind: str) -> None:
    data = encode(kind, 20, 10)
    for length in [*range(64), *range(64, min(len(data), 700), 9)]:
        assert size_of(tmp_path / "x", data[:length]) in (None, (0, 0), (20, 10))
    assert size_of(tmp_path / "x", data[:13]) in (None, (0, 0))


@pytest.mark.parametrize("data", [b"", b"text", b"\0" * 64, b"BMxxxxxxxxxxxxxxxx", b"GIF89a"])
def test_other_files_are_no_picture(tmp_path: Path, data: bytes) -> None:
    assert size_of(tmp_path / "x", data) is None


def test_size_zero_is_damage(tmp_path: Path) -> None:
    assert size_of(tmp_path / "x", png_bomb(8, 8).replace(struct.pack(">I", 8), bytes(4))) == (0, 0)


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
)
def test_flipped_bytes_never_raise(
    tmp_path_factory: pytest.TempPathFactory, kind: str, flips: List[Tuple[int, int]]
) -> None:
    data = bytearray(encode(kind, 20, 10))
    for at, value in flips:
        data[at % len(data)] = value
    found = size_of(tmp_path_factory.getbasetemp() / "flipped", bytes(data))
    assert found is None or found == (0, 0) or min(found) > 0


@pytest.mark.parametrize("size", [(16, 16), (1920, 1080), (641, 479)])
@pytest.mark.parametrize("flag", [cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL])
def test_jpeg_in_memory(tmp_path: Path, size: Tuple[int, int], flag: int) -> None:
    data = encode(".jpg", *size, flag, 1)
    assert jpeg_size(np.frombuffer(data, np.uint8)) == size
    assert size_of(tmp_path / "x", data) == size


def test_fill_bytes_and_lone_markers_before_the_header() -> None:
    data = encode(".jpg", 64, 48)
    lone = data[:2] + b"\xff\x01" + b"\xff" * 3 + data[2:]
    assert jpeg_size(np.frombuffer(lone, np.uint8)) == (64, 48)


def test_endless_fill_bytes_are_no_jpeg() -> None:
    assert jpeg_size(np.frombuffer(b"\xff\xd8" + b"\xff" * (1 << 17), np.uint8)) is None
    assert jpeg_size(np.frombuffer(b"\xff\xd8" + b"\xff\xd0" * (1 << 17), np.uint8)) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_garbage_in_memory_has_no_size_or_one(data: bytes, start: bool) -> None:
    memory = np.frombuffer((b"\xff\xd8\xff" if start else b"") + data, np.uint8)
    found = jpeg_size(memory)
    assert found is None or (len(found) == 2 and all(0 <= v < 65536 for v in found))
