"""What OpenCV does not tell: trims, rates, codecs, shapes of pixels, interlaced pictures."""

from __future__ import annotations

import base64
import contextlib
import re
import struct
from pathlib import Path
from typing import List, Optional, Tuple

import cv2
import numpy as np
import pytest

from edge.capture import CaptureOptions, EndOfStream, Ring, _libav, _opencv, open_source
from edge.capture._container import codec_name, read_facts, why_undecoded
from edge.capture._decoder.video import RemoteVideo
from edge.capture._woven import WovenVideo
from edge.errors import DataError, EdgeError, TempError
from tests.edge.capture.films import INTERLACED, PROGRESSIVE, film, picture

OPTIONS = CaptureOptions()
# H.265 made with x265: three red frames of 64 x 64 and of 96 x 64 px.
HEVC_64 = base64.b64decode(
    "AAAAAUABDAH//wFgAAADAJAAAAMAAAMAHpWYCQAAAAFCAQEBYAAAAwCQAAADAAADAB6gIIEFllZpJMrwFoCAAAADAI"
    "AAAAyEAAAAAUQBwXK0IkAAAAEoAa8dgPfPoT/81KfzqoXVUWvHwAAAAAECAdARV4QxjkD6hAAAAAEAAeAkv4YUwMgg"
)
HEVC_96 = base64.b64decode(
    "AAAAAUABDAH//wFgAAADAJAAAAMAAAMAHpWYCQAAAAFCAQEBYAAAAwCQAAADAAADAB6gMIEFllZpJMrwFoCAAAADAI"
    "AAAAyEAAAAAUQBwXK0IkAAAAEoAa8dgPfPoT/81KfzqoXVUWuv8zgAAAABAgHQEVeEMY5A+WpAAAAAAQAB4CS/hhTA"
    "log="
)


def play(path: Path) -> Tuple[List[np.ndarray], str]:
    """The pictures of a file, and what is said at its end."""
    source, ring, found = open_source(f"file://{path}", OPTIONS), Ring(4, live=False), []
    try:
        while True:
            slot = source.read(ring)
            assert slot is not None
            found.append(slot.image.copy())
            ring.cancel(slot)
    except EndOfStream as end:
        return found, str(end)
    finally:
        source.close()


@pytest.mark.parametrize("weaves", [True, False])
def test_an_interlaced_picture_is_shown_or_refused_and_never_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weaves: bool
) -> None:
    """OpenCV 5 gives the picture before, or what was in memory, and says that all is well."""
    if not weaves:
        monkeypatch.setattr(_libav, "_DECODERS", {})
    for name, data in (("i", INTERLACED), ("mix", PROGRESSIVE + INTERLACED)):
        (tmp_path / f"{name}.h264").write_bytes(data)
        seen: List[np.ndarray] = []
        source, ring = open_source(f"file://{tmp_path}/{name}.h264", OPTIONS), Ring(4, live=False)
        why = ""
        try:
            while True:
                slot = source.read(ring)
                assert slot is not None
                seen.append(slot.image.copy())
                ring.cancel(slot)
        except EndOfStream:
            pass
        except DataError as error:
            why = str(error)
        source.close()
        blue = [image[..., 0].mean() > 200 for image in seen]
        red = [image[..., 2].mean() > 200 for image in seen]
        before = 3 if name == "mix" else 0
        assert all(red[:before])
        assert all(blue[before:])
        shown = len(seen) - before
        if weaves or _opencv.VERSION < (5, 0):
            assert shown == 3
        else:
            assert shown == 0
            assert "is interlaced" in why
            assert "yadif" in why


@pytest.mark.parametrize(
    ("before", "after", "size"),
    [(HEVC_64 * 200, HEVC_96 * 9, "another size"), (PROGRESSIVE * 9, b"", "")],
    ids=["H.265", "no change"],
)
def test_a_decoder_process_notices_other_sizes_whatever_the_codec(
    tmp_path: Path, before: bytes, after: bytes, size: str
) -> None:
    (tmp_path / "x.bin").write_bytes(before + after)
    told = told_by_decoder(tmp_path / "x.bin")
    assert (f"has changed to {size}" in told) if size else "no more frames" in told


def test_a_decoder_process_weaves_interlaced_pictures(tmp_path: Path) -> None:
    # It drops what comes faster than real time, but for no longer than Backlog.MAX_S.
    (tmp_path / "x.h264").write_bytes(INTERLACED * 60_000)
    seen: List[np.ndarray] = []
    told_by_decoder(tmp_path / "x.h264", seen)
    assert seen
    assert all(image[..., 0].mean() > 200 and image[..., 2].mean() < 50 for image in seen)


def test_a_decoder_process_notices_other_sizes_of_mjpeg(tmp_path: Path) -> None:
    data = b""
    for size in ((96, 64), (64, 48)):
        for number in range(3):
            data += cv2.imencode(".jpg", picture(number, *size))[1].tobytes()
    (tmp_path / "x.mjpeg").write_bytes(data)
    assert "has changed to 64x48" in told_by_decoder(tmp_path / "x.mjpeg")


def told_by_decoder(path: Path, seen: Optional[List[np.ndarray]] = None) -> str:
    """How a decoder process ends that plays a file as if it were a camera.

    Args:
        path: the file.
        seen: receives three pictures, and then the stream is left.
    """
    video, ring = RemoteVideo("camera", OPTIONS), Ring(3, live=True)
    try:
        assert video.open({"target": str(path), "backend": cv2.CAP_FFMPEG}, 20)
        while video.grab():
            slot = ring.acquire()
            assert slot is not None
            fine = video.retrieve(slot, ring)
            if fine and seen is not None:
                seen.append(slot.image.copy())
            ring.cancel(slot)
            if seen is not None and len(seen) == 3:
                break
        return "no more frames"
    except (DataError, TempError) as error:
        return str(error)
    finally:
        video.close()


def trimmed(mp4: bytes, shown: int, hidden: int, fps: int = 25) -> bytes:
    """The same MP4 with an edit list that hides its first frames, as phones trim."""
    data = bytearray(mp4)
    scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    media = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    entry = struct.pack(">IIIiI", 0, 1, shown * scale // fps, hidden * media // fps, 1 << 16)
    struct.pack_into(">I", data, data.index(b"tkhd") + 24, shown * scale // fps)
    edts = struct.pack(">I4sI4s", 16 + len(entry), b"edts", 8 + len(entry), b"elst") + entry
    at = data.index(b"elst") - 12 if b"elst" in data else data.index(b"mdia") - 4
    old = 16 + len(entry) if b"elst" in data else 0
    data[at : at + old] = edts
    for box in (b"moov", b"trak"):
        place = data.index(box) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(edts) - old)
    return bytes(data)


def test_a_clip_that_was_trimmed_without_encoding_is_whole(tmp_path: Path) -> None:
    whole = film(tmp_path / "x.mp4", frames=40).read_bytes()
    (tmp_path / "trim.mp4").write_bytes(trimmed(whole, 16, 24))
    found, why = play(tmp_path / "trim.mp4")
    assert 14 <= len(found) <= 18
    assert why == ""
    assert read_facts(tmp_path / "trim.mp4").shown_s == pytest.approx(16 / 25, abs=0.05)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_variable_rate_is_no_damage_and_a_cut_is(tmp_path: Path, share: float) -> None:
    """The file says that it lasts 1.8 s; frames come in its first half only."""
    data = bytearray(film(tmp_path / "x.webm", frames=25, codec="VP80").read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    assert struct.unpack_from(">d", data, at)[0] == pytest.approx(1000, abs=50)
    struct.pack_into(">d", data, at, 1800.0)
    (tmp_path / "x.webm").write_bytes(data[: int(len(data) * share)])
    found, why = play(tmp_path / "x.webm")
    assert len(found) == 25 or share < 1
    assert ("broke off at frame" in why) == (share < 1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("av01", "its video is AV1, which this OpenCV cannot decode; convert it to H.264: ffmpeg"),
        ("V_AV1", "its video is AV1"),
        ("vvc1", "its video is H.266"),
        ("abcd", "its video is abcd, which"),
        ("avc1", "no frame of its H.264 video can be decoded: it is damaged"),
        ("", "no frame of it can be decoded"),
    ],
)
def test_a_codec_that_cannot_be_decoded_is_named(code: str, words: str) -> None:
    assert words in why_undecoded(code)
    assert "\0" not in codec_name(code)


@pytest.mark.parametrize("code", [b"av01", b"vvc1", b"xyz1"])
def test_an_mp4_of_an_unknown_codec_names_it(tmp_path: Path, code: bytes) -> None:
    data = film(tmp_path / "x.mp4").read_bytes()
    (tmp_path / "x.mp4").write_bytes(data.replace(b"mp4v", code).replace(b"esds", b"free"))
    with pytest.raises(DataError, match=re.escape(f"its video is {codec_name(code.decode())}")):
        play(tmp_path / "x.mp4")


def test_sound_without_a_video_is_told(tmp_path: Path) -> None:
    data = film(tmp_path / "x.mp4").read_bytes()
    (tmp_path / "x.mp4").write_bytes(data.replace(b"vide", b"soun"))
    with pytest.raises(DataError, match=r"has sound and no video|cannot be played"):
        play(tmp_path / "x.mp4")


@pytest.mark.parametrize("damage", range(40))
def test_damaged_containers_never_raise_more_than_a_line(tmp_path: Path, damage: int) -> None:
    random = np.random.default_rng(damage)
    name = ("x.mp4", "x.webm")[damage % 2]
    data = bytearray(
        film(tmp_path / name, frames=3, codec=("mp4v", "VP80")[damage % 2]).read_bytes()
    )
    head = len(data) - 600 if damage % 2 == 0 else 0  # the index of an MP4 is at its end
    for _ in range(20):
        data[int(random.integers(max(head, 4), min(head + 600, len(data))))] = random.integers(256)
    (tmp_path / name).write_bytes(data)
    read_facts(tmp_path / name)
    with contextlib.suppress(EdgeError):
        play(tmp_path / name)


@pytest.mark.parametrize(
    ("ratio", "aspect"), [((2, 1), 2.0), ((16, 15), 16 / 15), ((1, 1), 1.0), ((10, 11), 10 / 11)]
)
def test_pixels_that_are_not_square_are_told(
    tmp_path: Path, ratio: Tuple[int, int], aspect: float
) -> None:
    """The box `pasp` of an MP4 says how wide its pixels are."""
    data = film(tmp_path / "x.mp4", size=(96, 64)).read_bytes()
    (tmp_path / "x.mp4").write_bytes(with_pasp(data, *ratio))
    source, ring = open_source(f"file://{tmp_path}/x.mp4", OPTIONS), Ring(4, live=False)
    slot = source.read(ring)
    assert slot is not None
    assert slot.aspect == pytest.approx(aspect)
    assert slot.image.shape == (64, 96, 3)
    source.close()


def with_pasp(mp4: bytes, wide: int, high: int) -> bytes:
    data, box = bytearray(mp4), struct.pack(">I4sII", 16, b"pasp", wide, high)
    if b"pasp" in data:
        struct.pack_into(">II", data, data.index(b"pasp") + 4, wide, high)
        return bytes(data)
    at = data.index(b"esds") - 4
    data[at:at] = box
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4v"):
        place = data.index(name, data.index(b"moov")) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(box))
    return bytes(data)


def test_packets_without_a_picture_do_not_pile_up_in_a_woven_video(tmp_path: Path) -> None:
    (tmp_path / "x.h264").write_bytes(INTERLACED * 30)
    video = WovenVideo(str(tmp_path / "x.h264"), cv2.CAP_FFMPEG)
    video._times_ms = [float(i) for i in range(60)]
    count = 0
    while video.grab():
        count += 1
        assert len(video._times_ms) <= max(60 - count, 33)
    video.close()
    video.close()
    assert count == 90
