"""Image files: how many pictures are in one, and the true reason if it cannot be read."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path
from typing import Any, List

import cv2
import numpy as np
import pytest

from edge.capture import CaptureOptions, EndOfStream, Ring, open_source
from edge.capture._picture_files import webp_rate_hz
from edge.errors import DataError, NoInputError
from tests.edge.capture.films import film, number_of, picture

OPTIONS = CaptureOptions()


def play(uri: str) -> List[Any]:
    """Number in the picture, time in ms and whether it stands for itself, of each frame."""
    source, ring, found = open_source(uri, OPTIONS), Ring(4, live=False), []
    begun_ns = 0
    try:
        while True:
            slot = source.read(ring)
            assert slot is not None
            begun_ns = begun_ns or slot.t_ns
            found.append((number_of(slot.image), (slot.t_ns - begun_ns) // 10**6, slot.still))
            ring.cancel(slot)
    except EndOfStream as end:
        why = str(end)
    source.close()
    assert not why
    return found


def png_chunks(number: int) -> List[bytes]:
    data = cv2.imencode(".png", picture(number))[1].tobytes()
    found, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 8 + size])
        at += 12 + size
    return found


def apng(count: int, rate_hz: int) -> bytes:
    """An animated PNG (PNG 3, section 11.3.6) of whole pictures."""
    out, sequence = b"\x89PNG\r\n\x1a\n", 0

    def chunk(body: bytes) -> bytes:
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    for number in range(count):
        parts = png_chunks(number)
        if number == 0:
            out += chunk(parts[0]) + chunk(b"acTL" + struct.pack(">II", count, 0))
        width, height = struct.unpack(">II", parts[0][4:12])
        control = (sequence, width, height, 0, 0, 1, rate_hz, 0, 0)
        out += chunk(b"fcTL" + struct.pack(">IIIIIHHBB", *control))
        sequence += 1
        data = b"".join(p[4:] for p in parts if p[:4] == b"IDAT")
        if number == 0:
            out += chunk(b"IDAT" + data)
        else:
            out += chunk(b"fdAT" + struct.pack(">I", sequence) + data)
            sequence += 1
    return out + chunk(b"IEND")


def webp(count: int, rate_hz: int) -> bytes:
    """An animated WebP (RFC 9649, section 2.7) of whole pictures."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def u24(value: int) -> bytes:
        return value.to_bytes(3, "little")

    body = b"WEBP" + chunk(b"VP8X", b"\2\0\0\0" + u24(95) + u24(63))
    body += chunk(b"ANIM", b"\0" * 6)
    for number in range(count):
        still = cv2.imencode(".webp", picture(number), [cv2.IMWRITE_WEBP_QUALITY, 101])[1]
        inner = still.tobytes()[12:]
        head = u24(0) + u24(0) + u24(95) + u24(63) + u24(1000 // rate_hz) + b"\2"
        body += chunk(b"ANMF", head + inner)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_an_animated_png_plays_as_many_pictures_as_it_has(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(apng(5, 10))
    assert play(f"file://{tmp_path}/x.png") == [(i, 100 * i, False) for i in range(5)]


def test_an_animated_webp_plays_at_its_own_rate(tmp_path: Path) -> None:
    (tmp_path / "x.webp").write_bytes(webp(5, 10))
    assert webp_rate_hz(tmp_path / "x.webp") == 10
    found = play(f"file://{tmp_path}/x.webp")
    assert found == [(i, 100 * i, False) for i in range(5)]
    assert [t for _, t, _ in play(f"file://{tmp_path}/x.webp?fps=50")] == [20 * i for i in range(5)]


@pytest.mark.parametrize(("query", "period_ms", "still"), [("", 40, True), ("?fps=50", 20, False)])
def test_a_tiff_of_many_pages_plays_all(
    tmp_path: Path, query: str, period_ms: int, still: bool
) -> None:
    cv2.imwritemulti(str(tmp_path / "x.tif"), [picture(i) for i in range(40)])
    wanted = [(i, period_ms * i, still) for i in range(40)]
    assert play(f"file://{tmp_path}/x.tif{query}") == wanted
    cv2.imwrite(str(tmp_path / "y.png"), picture(99))
    assert [n for n, _, _ in play(f"file://{tmp_path}")] == [*range(40), 99], "in a folder, too"


def test_a_tiff_that_breaks_off_gives_no_picture_twice(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "x.tif"), [picture(i) for i in range(5)])
    data = bytearray((tmp_path / "x.tif").read_bytes())
    data[-len(data) // 3 :] = bytes(len(data) // 3)
    (tmp_path / "x.tif").write_bytes(data)
    with contextlib.suppress(DataError):  # or libtiff finds fewer pages
        assert len(play(f"file://{tmp_path}/x.tif")) < 5


def half(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    data = cv2.imencode(suffix, noise)[1].tobytes()
    return data[: len(data) // 2]


FTYP = b"\0\0\0\x18ftyp"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.jpg", b"", "zero bytes"),
        ("x.jpg", bytes(5000), "all zeros at its start"),
        ("x.jpg", b"<!DOCTYPE html><html>log in</html>", "is a web page, not a picture"),
        ("x.png", b"hello", "is text, not a picture"),
        ("x.png", b"\x01\x02\x03\x04" * 99, "is no PNG, JPEG, BMP, WebP or TIFF image"),
        ("x.jpg", FTYP + b"heic" + bytes(40), "is a HEIC picture, which is not read; convert"),
        ("IMG_1.HEIC", FTYP + b"mif1" + bytes(40), "is a HEIC picture"),
        ("x.avif", FTYP + b"avif" + bytes(40), "is an AVIF picture"),
        ("x.jxl", b"\xff\x0a" + bytes(40), "is a JPEG XL picture"),
        ("x.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "is a JPEG 2000 picture"),
        ("x.psd", b"8BPS" + bytes(40), "is a Photoshop file"),
        ("x.pdf", b"%PDF-1.7 " + bytes(40), "is a PDF document"),
        ("x.zip", b"PK\3\4" + bytes(40), "is a ZIP archive"),
        ("x.ppm", b"P6\n2 2\n255\n" + bytes(12), "is a PNM picture"),
        ("x.dng", b"II*\0" + bytes(40), "is a raw picture of a camera"),
        ("x.jpg", FTYP + b"isom" + bytes(40), "is a video, not a picture"),
        ("x.jpg", b"GIF89a" + bytes(40), "is a GIF"),
        ("x.png", half(".png"), "is cut off"),
        ("x.jpg", half(".jpg"), "is cut off"),
        ("x.webp", half(".webp"), "is cut off"),
        ("x.bmp", half(".bmp"), "damaged or cut off|cannot be decoded"),
        ("x.tif", half(".tif"), "header is damaged|cannot be decoded|cut off"),
    ],
)
def test_a_picture_is_refused_for_its_true_reason(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=words) as caught:
        play(f"file://{tmp_path}/{name}")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def tiff(samples: np.ndarray, orientation: int) -> bytes:
    """An uncompressed TIFF 6.0 of samples [H,W,3] in RGB, u8 or f32."""
    height, width, _ = samples.shape
    data = samples.tobytes()
    bits, kind = samples.itemsize * 8, 3 if samples.dtype == np.float32 else 1
    entries = [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8), (259, 3, 1, 1)),
        *((262, 3, 1, 2), (273, 4, 1, 14), (274, 3, 1, orientation), (277, 3, 1, 3)),
        *((278, 4, 1, height), (279, 4, 1, len(data)), (339, 3, 1, kind)),
    ]
    head = struct.pack("<2sHIHHH", b"II", 42, 14 + len(data), bits, bits, bits)
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return head + data + struct.pack("<H", len(entries)) + table + bytes(4)


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
def test_a_tiff_is_turned_by_its_orientation(tmp_path: Path, orientation: int) -> None:
    upright = np.ascontiguousarray(picture(5)[..., ::-1])
    stored = {
        1: upright,
        3: upright[::-1, ::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, 3),
    }[orientation]
    (tmp_path / "x.tif").write_bytes(tiff(np.ascontiguousarray(stored), orientation))
    assert [n for n, _, _ in play(f"file://{tmp_path}/x.tif")] == [5]


def test_a_tiff_of_floats_is_refused_for_its_true_reason(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(tiff(np.zeros((8, 8, 3), np.float32), 1))
    with pytest.raises(DataError, match="has float32 samples, which are not read; save it with"):
        play(f"file://{tmp_path}/x.tif")


def test_a_tiff_on_its_side_that_is_cut_off_gives_no_picture(tmp_path: Path) -> None:
    whole = tiff(np.ascontiguousarray(picture(5)), 6)
    table = whole[14 + picture(5).size :]
    head = struct.pack("<2sHI", b"II", 42, 14) + whole[8:14]
    (tmp_path / "x.tif").write_bytes(head + table + whole[14:400])
    with pytest.raises(DataError, match="damaged or cut off"):
        play(f"file://{tmp_path}/x.tif")


def test_what_follows_the_end_of_a_picture_does_not_matter(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".webp", ".bmp"):
        data = cv2.imencode(suffix, picture(7))[1].tobytes()
        (tmp_path / f"x{suffix}").write_bytes(data + b"more" * 50_000)
        assert [n for n, _, _ in play(f"file://{tmp_path}/x{suffix}")] == [7]


def test_a_file_that_may_not_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the system's answer is made."""
    cv2.imwrite(str(tmp_path / "x.png"), picture(1))
    film(tmp_path / "x.mp4", frames=2)

    def refuse(self: Path, *_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    for name in ("x.png", "x.mp4"):
        with pytest.raises(NoInputError, match=r"Permission denied; let the user of this program"):
            play(f"file://{tmp_path}/{name}")


def test_a_folder_of_videos_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("b.mp4", "a.mkv"):
        film(tmp_path / "clips" / name, frames=3)
    (tmp_path / "clips/notes.txt").write_text("x", encoding="utf-8")
    for what in ("clips", "clips/*"):
        with pytest.raises(NoInputError, match="has no images, but 2 videos; give each as a cam"):
            play(f"file://{tmp_path}/{what}")
    assert len(play(f"file://{tmp_path}/clips/*.mp4")) == 3, "a glob that means one video"
    with pytest.raises(NoInputError, match=r"has no images .*did you mean its folder clips\?"):
        play(f"file://{tmp_path}")


def test_a_folder_of_pictures_that_are_not_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(FTYP + b"heic" + bytes(40))
    with pytest.raises(NoInputError, match=r"has no images: IMG_1\.HEIC is a HEIC picture"):
        play(f"file://{tmp_path}")
