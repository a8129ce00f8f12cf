from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Iterator, List, Tuple, Type

import cv2
import numpy as np
import pytest

from edge.capture import CaptureOptions, EndOfStream, Ring, Slot, Source, open_source
from edge.capture._reels import VideoReel
from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from tests.edge.capture.films import film, index_first, number_of, picture, png_bomb, turned
from tests.waiting import GIVE_UP_S

OPTIONS = CaptureOptions()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=12)


def frames(source: Source, ring: Ring) -> Iterator[Slot]:
    """What the loop would take, each slot valid until the next one."""
    while True:
        try:
            slot = source.read(ring)
        except EndOfStream:
            return
        assert slot is not None
        ring.publish(slot)
        assert ring.take() is slot
        yield slot
        ring.release(slot)


def play(uri: str, options: CaptureOptions = OPTIONS, limit: int = 1000) -> List[Tuple[int, ...]]:
    """Index, picture's number and time in ms of each frame."""
    source = open_source(uri, options)
    found: List[Tuple[int, ...]] = []
    first_ns = 0
    for slot in frames(source, Ring(4, source.live)):
        first_ns = first_ns or slot.t_ns
        found.append((slot.index, number_of(slot.image), (slot.t_ns - first_ns) // 1_000_000))
        if len(found) == limit:
            break
    source.close()
    source.close()
    return found


def test_every_frame_with_its_time(clip: Path) -> None:
    assert play(f"file://{clip}") == [(i, i, 40 * i) for i in range(12)]


@pytest.mark.parametrize(
    ("times_ms", "rise_ms"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([500, 500, 500], [0, 40, 80]),  # no time stamps
        ([0, 90, 60, 95, 200], [0, 90, 130, 170, 200]),  # they jump back
    ],
)
def test_times_always_rise(
    clip: Path, monkeypatch: pytest.MonkeyPatch, times_ms: List[float], rise_ms: List[int]
) -> None:
    reel = VideoReel(clip, 64)
    video = SimpleNamespace(grab=lambda: True, media_ms=0.0)
    monkeypatch.setattr(reel, "_video", video)
    for media_ms, expected in zip(times_ms, rise_ms):
        video.media_ms = media_ms
        assert reel.next_ns() == expected * 10**6


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi"])
@pytest.mark.parametrize("fps", [10, 50])
def test_containers_and_rates(tmp_path: Path, name: str, fps: int) -> None:
    film(tmp_path / name, frames=5, fps=fps)
    assert play(f"file://{tmp_path / name}") == [(i, i, i * 1000 // fps) for i in range(5)]


def test_relative_path(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clip.parent)
    assert len(play("file://clip.mp4")) == 12
    assert len(play("file://./clip.mp4")) == 12


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("zwölf Bilder.mp4", "zwölf Bilder.mp4"),
        ("zwölf Bilder.mp4", "zw%C3%B6lf%20Bilder.mp4"),
        ("100%.mp4", "100%.mp4"),
        ("a%20b.mp4", "a%20b.mp4"),
        ("what?.mp4", "what%3F.mp4"),
        ("me@home:#1 [a]*.mp4", "me@home:#1 [a]*.mp4"),
        ("体育館.mp4", "体育館.mp4"),
    ],
)
def test_names_as_people_give_them(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, written: str
) -> None:
    (tmp_path / name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(play(f"file://{written}")) == 12
    assert len(play(f"file://{tmp_path}/{written}")) == 12


def test_loop_goes_on_rising(clip: Path) -> None:
    assert play(f"file://{clip}?loop=1", limit=30) == [(i, i % 12, 40 * i) for i in range(30)]


def test_steady_state_reuses_the_ring_and_allocates_nothing(tmp_path: Path) -> None:
    film(tmp_path / "x.mp4", frames=10, size=(640, 480))
    source = open_source(f"file://{tmp_path}/x.mp4?loop=1", OPTIONS)
    ring = Ring(4, live=False)
    playing = frames(source, ring)
    seen = {next(playing).image.ctypes.data for _ in range(8)}
    tracemalloc.start()
    for _ in range(40):
        seen.add(next(playing).image.ctypes.data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    source.close()
    assert len(seen) <= 4
    assert peak < 640 * 480 * 3 / 10, "NumPy tells tracemalloc of each array it makes"


def test_native_rate_keeps_the_recording_s_pace(clip: Path) -> None:
    source = open_source(f"file://{clip}?rate=native", OPTIONS)
    assert source.live
    times = [(s.t_ns, s.arrival_ns) for s in frames(source, Ring(4, live=True))]
    assert [round((t - times[0][0]) / 1e6) for t, _ in times] == [40 * i for i in range(12)]
    assert all(arrival >= due for due, arrival in times), "no frame comes before its time"


def test_native_rate_marks_its_waits_as_rest(tmp_path: Path) -> None:
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(number))
    source = open_source(f"file://{tmp_path}?rate=native&fps=0.02", OPTIONS)
    ring = Ring(4, live=True)
    assert source.read(ring) is not None
    got: List[object] = []
    reading = threading.Thread(target=lambda: got.append(source.read(ring)))
    reading.start()
    while not ring.resting:
        pass
    source.close()
    reading.join(GIVE_UP_S)
    assert got == [None], "close ends a wait of 50 s"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_filmed_upright_are_turned(tmp_path: Path, clip: Path, degrees: int) -> None:
    path = tmp_path / "turned.mp4"
    path.write_bytes(turned(clip.read_bytes(), degrees))
    oracle = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    oracle.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # it turns by itself, through new memory
    source = open_source(f"file://{path}", OPTIONS)
    seen = set()
    for slot in frames(source, Ring(4, live=False)):
        ok, expected = oracle.read()
        assert ok
        np.testing.assert_array_equal(slot.image, expected)
        seen.add(slot.image.ctypes.data)
    assert slot.image.shape == ((96, 64, 3) if degrees != 180 else (64, 96, 3))
    assert len(seen) <= 4


def test_single_image_is_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), picture(5))
    assert play(f"file://{tmp_path}/x.png") == [(0, 5, 0)]
    assert play(f"file://{tmp_path}/x.png?loop=1&fps=10", limit=3) == [
        (0, 5, 0),
        (1, 5, 100),
        (2, 5, 200),
    ]


def test_image_is_known_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), picture(6))
    (tmp_path / "x.png").rename(tmp_path / "photo")
    assert play(f"file://{tmp_path}/photo") == [(0, 6, 0)]


def test_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11, 100):
        cv2.imwrite(str(tmp_path / f"frame{number}.bmp"), picture(number))
    (tmp_path / "notes.txt").write_text("not an image", encoding="utf-8")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert [f[1] for f in play(f"file://{tmp_path}")] == [1, 2, 9, 10, 11, 100]


def test_glob_picks_images(tmp_path: Path) -> None:
    for name, number in (("a1.png", 1), ("a2.jpg", 2), ("b3.png", 3), ("sub/a4.webp", 4)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), picture(number))
    assert [f[1] for f in play(f"file://{tmp_path}/a*")] == [1, 2]
    assert [f[1] for f in play(f"file://{tmp_path}/%3F[12].*")] == [1, 2]
    assert [f[1] for f in play(f"file://{tmp_path}/**/*.[pw]*")] == [1, 3, 4]


def test_images_of_a_folder_may_differ_in_size(tmp_path: Path) -> None:
    sizes = [(96, 64), (64, 96), (200, 120), (96, 64)]
    for number, (width, height) in enumerate(sizes):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(number, width, height))
    source = open_source(f"file://{tmp_path}", OPTIONS)
    found = [(s.image.shape[1::-1], number_of(s.image)) for s in frames(source, Ring(4, False))]
    assert found == list(zip(sizes, range(4)))


def test_images_reuse_the_ring(tmp_path: Path) -> None:
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(number))
    source = open_source(f"file://{tmp_path}", OPTIONS)
    assert len({s.image.ctypes.data for s in frames(source, Ring(4, live=False))}) <= 4


def test_photo_is_turned_by_its_exif_tag(tmp_path: Path) -> None:
    ok, data = cv2.imencode(".jpg", picture(3, 96, 64))
    assert ok
    tag = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6
    exif = b"\xff\xe1" + (len(tag) + 8).to_bytes(2, "big") + b"Exif\0\0" + tag
    raw = data.tobytes()
    (tmp_path / "x.jpg").write_bytes(raw[:2] + exif + raw[2:])
    source = open_source(f"file://{tmp_path}/x.jpg", OPTIONS)
    slot = next(frames(source, Ring(4, live=False)))
    assert slot.image.shape == (96, 64, 3)
    unturned = cv2.rotate(slot.image, cv2.ROTATE_90_COUNTERCLOCKWISE)
    assert number_of(unturned) == 3


def write_cases(where: Path, clip: Path) -> None:
    (where / "folder").mkdir()
    (where / "mixed").mkdir()
    cv2.imwrite(str(where / "mixed/0.png"), picture(0))
    (where / "mixed/1.png").write_bytes(b"no image at all")
    (where / "empty.mp4").write_bytes(b"")
    (where / "empty.png").write_bytes(b"")
    (where / "text.mp4").write_text("hello, this is no video\n" * 50, encoding="utf-8")
    (where / "notes.txt").write_text(
        "libav would show these letters as a film\n" * 50, encoding="utf-8"
    )
    (where / "text.png").write_text("hello", encoding="utf-8")
    (where / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(40000))
    (where / "cut.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    begun = index_first(clip.read_bytes())
    (where / "head.mp4").write_bytes(begun[: begun.index(b"mdat") + 4])
    data = cv2.imencode(".png", picture(1, 400, 400))[1]
    (where / "cut.png").write_bytes(data.tobytes()[:20])
    data = cv2.imencode(".jpg", picture(1, 400, 400))[1]
    (where / "cut.jpg").write_bytes(data.tobytes()[:300])


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("missing.mp4", NoInputError, "no such file or folder"),
        ("missing/*.png", NoInputError, "has no images"),
        ("folder", NoInputError, "has no images"),
        ("x" * 300, NoInputError, "name too long"),
        ("empty.mp4", DataError, "is empty"),
        ("empty.png", DataError, "is empty"),
        ("text.mp4", DataError, "is text"),
        ("notes.txt", DataError, "is text"),
        ("text.png", DataError, "is text, not a picture"),
        ("noise.mp4", DataError, "cannot be played as a video"),
        ("cut.mp4", DataError, "cut off before its index"),
        ("head.mp4", DataError, "no frame of it|cannot be played as a video"),
        ("cut.png", DataError, "header is damaged"),
        ("cut.jpg", DataError, "is cut off"),
        ("mixed", DataError, "1.png: is text"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    clip: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    error: Type[EdgeError],
    words: str,
) -> None:
    write_cases(tmp_path, clip)
    with pytest.raises(error, match=words) as caught:
        play(f"file://{tmp_path}/{name}")
    assert "\n" not in str(caught.value)
    assert name.split("*")[0].strip("/")[:20] in str(caught.value)
    assert capfd.readouterr().err == "", "the libraries below say nothing of their own"


@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"caf\xe9.png", b"caf\xe9/1.png"])
def test_name_that_opencv_crashes_on_is_told(tmp_path: Path, clip: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    data = cv2.imencode(".png", picture(1))[1].tobytes()
    path.write_bytes(data if path.suffix == ".png" else clip.read_bytes())
    for written in (path, path.parent):
        if written != tmp_path or path.suffix == ".png":
            with pytest.raises(NoInputError, match="not in UTF-8; rename it"):
                play(f"file://{written}")


def test_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NoInputError, match=r"dangling\.mp4"):
        play(f"file://{tmp_path}/dangling.mp4")


def read_out(source: Source, ring: Ring) -> Tuple[int, str]:
    """How many frames there are, and what is said at the end."""
    count = 0
    while True:
        try:
            slot = source.read(ring)
        except EndOfStream as end:
            return count, str(end)
        assert slot is not None
        assert number_of(slot.image) == count
        count += 1
        ring.cancel(slot)


def test_film_that_is_cut_off_gives_its_frames_and_says_where(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.avi", frames=40, codec="MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    source = open_source(f"file://{tmp_path}/cut.avi", OPTIONS)
    ring = Ring(4, live=False)
    count, why = read_out(source, ring)
    assert 10 < count < 30
    assert f"broke off at frame {count} of about 40" in why
    assert "cut.avi" in why


def test_whole_film_ends_without_a_word(clip: Path) -> None:
    source = open_source(f"file://{clip}", OPTIONS)
    assert read_out(source, Ring(4, live=False)) == (12, "")


@pytest.mark.parametrize("seed", range(5))
def test_scratched_film_gives_frames_or_one_clear_error(tmp_path: Path, seed: int) -> None:
    data = bytearray(film(tmp_path / "x.avi", frames=20).read_bytes())
    random = np.random.default_rng(seed)
    for at in random.integers(200, len(data), 60):
        data[at] ^= 1 << random.integers(8)
    (tmp_path / "x.avi").write_bytes(bytes(data))
    message = "x.avi"
    try:
        assert len(play(f"file://{tmp_path}/x.avi")) <= 40
    except EdgeError as error:
        message = str(error)
    assert "x.avi" in message
    assert "\n" not in message


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".webp", ".jpg"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_picture_cut_off_after_a_good_one_of_its_size(
    tmp_path: Path, suffix: str, share: float
) -> None:
    """The one before must not be shown in its place."""
    noise = np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)
    for name in ("0", "1"):
        cv2.imwrite(str(tmp_path / f"{name}{suffix}"), noise)
    whole = (tmp_path / f"1{suffix}").read_bytes()
    (tmp_path / f"1{suffix}").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=rf"1\{suffix}"):
        play(f"file://{tmp_path}")


def test_image_bomb_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bomb.png").write_bytes(png_bomb(30000, 30000))
    (tmp_path / "folder").mkdir()
    cv2.imwrite(str(tmp_path / "folder/0.png"), picture(0))
    os.link(tmp_path / "bomb.png", tmp_path / "folder/1.png")
    read: List[str] = []
    imread = cv2.imread
    monkeypatch.setattr(cv2, "imread", lambda path, *rest: read.append(path) or imread(path, *rest))
    for uri in ("bomb.png", "folder"):
        with pytest.raises(DataError, match=r"30000x30000 pixels.*max_megapixels = 64"):
            play(f"file://{tmp_path}/{uri}")
    assert read == [str(tmp_path / "folder/0.png")], "the bomb was never decoded"


def test_film_larger_than_allowed_is_refused(clip: Path) -> None:
    with pytest.raises(DataError, match=r"96x64 pixels are more than .* 0\.006"):
        open_source(f"file://{clip}", CaptureOptions(max_megapixels=0.006))


@pytest.mark.parametrize("query", ["rate=fast", "loop=yes", "fps=0", "fps=nan", "lop=1", "rate="])
def test_wrong_option_is_named(clip: Path, query: str) -> None:
    with pytest.raises(ConfigError, match=query.split("=")[0]):
        open_source(f"file://{clip}?{query}", OPTIONS)


def test_close_while_another_thread_reads(clip: Path) -> None:
    source = open_source(f"file://{clip}?loop=1", OPTIONS)
    ring = Ring(4, live=True)
    ended = threading.Event()

    def read() -> None:
        slot = source.read(ring)
        while slot is not None:
            ring.publish(slot)
            slot = source.read(ring)
        ended.set()

    reading = threading.Thread(target=read)
    reading.start()
    while ring.take() is None:
        pass
    source.close()
    source.close()
    reading.join(GIVE_UP_S)
    assert ended.is_set()


@pytest.mark.parametrize(
    ("what", "stills"),
    [
        ("a.png", [True]),
        ("a.png?fps=1", [True]),  # there is no other picture to follow anybody into
        ("", [True, True, True]),
        ("?fps=25", [False, False, False]),
        ("?fps=1", [True, False, False]),  # the first one has nothing before it
        ("slow.avi", [True, False, False]),
        ("fast.avi", [False, False, False]),
        ("one.avi", [True]),
    ],
)
def test_pictures_for_themselves_are_marked(tmp_path: Path, what: str, stills: List[bool]) -> None:
    for i, name in enumerate("abc"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture(i))
    film(tmp_path / "slow.avi", frames=3, fps=2, codec="MJPG")
    film(tmp_path / "fast.avi", frames=3, fps=25, codec="MJPG")
    film(tmp_path / "one.avi", frames=1, fps=25, codec="MJPG")
    source = open_source(f"file://{tmp_path}/{what}", OPTIONS)
    assert [s.still for s in frames(source, Ring(4, source.live))] == stills


def test_recordings_that_are_opened_together_begin_at_one_time() -> None:
    from edge.capture._start_together import TOGETHER_NS, CommonStart

    start = CommonStart()
    first = start.begin_ns(10**12)
    assert first == 10**12
    assert start.begin_ns(first + TOGETHER_NS) == first
    later = first + TOGETHER_NS + 1
    assert start.begin_ns(later) == later, "a recording of a later run begins at its own time"
