"""What every source of frames promises, whatever its scheme."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import cv2
import numpy as np
import pytest

from edge import plug
from edge.capture import (
    CAMERA,
    PLAYBACK,
    RECORDING,
    Cameras,
    CaptureOptions,
    EndOfStream,
    Ring,
    Slot,
    Source,
    kind,
    open_source,
)
from edge.capture._source import SourcePlug
from edge.errors import ConfigError
from edge.settings import config
from edge.view import View
from tests.edge.capture.fake_opencv import backends, elements
from tests.edge.capture.films import film, picture
from tests.http_by_hand import HttpCamera
from tests.waiting import GIVE_UP_S

# v4l2 needs a kernel: its tests keep these promises on a fake one.
ELSEWHERE = {"v4l2"}
SOURCES: Dict[str, str] = {
    "file": "file://{tmp}/x.mp4?loop=1",
    "file, native": "file://{tmp}/x.mp4?loop=1&rate=native",
    "file, images": "file://{tmp}/images?loop=1",
    "rtsp": "rtsp://h/live",
    "rtsps": "rtsps://h/live",
    "http": "{http}/shot.jpg?poll_hz=60",
    "https": "{https}/video?tls_verify=0",
    "csi": "csi://0",
    "synthetic": "synthetic://walk?people=1&width=96&height=64&fps=200",
    "synthetic, every frame": "synthetic://walk?people=1&width=96&height=64&rate=max",
}


def test_every_plug_keeps_the_contract_somewhere() -> None:
    assert {name.split(",")[0] for name in SOURCES} | ELSEWHERE == set(plug.names("capture"))


@pytest.mark.parametrize("name", plug.names("capture"))
def test_every_plug_defines_what_a_source_plug_is(name: str) -> None:
    module = plug.load("capture", name)
    for function in (n for n in vars(SourcePlug) if not n.startswith("_")):
        assert callable(vars(module)[function]), f"{name}.py has no {function}()"


@pytest.fixture
def http_cameras(certificate: Path) -> Iterator[Dict[str, str]]:
    """The addresses of two cameras written by hand."""
    cameras = {"http": HttpCamera(), "https": HttpCamera(certificate=certificate)}
    yield {name: camera.url for name, camera in cameras.items()}
    for camera in cameras.values():
        camera.close()


@pytest.fixture(params=SOURCES)
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = request.param
    if name.startswith("file"):
        film(tmp_path / "x.mp4", frames=8, fps=200)
        (tmp_path / "images").mkdir()
        for number in range(3):
            cv2.imwrite(str(tmp_path / f"images/{number}.png"), picture(number))
    if name in ("http", "https"):
        return SOURCES[name].format(**request.getfixturevalue("http_cameras"))
    if name in ("rtsp", "rtsps", "csi"):
        fake = request.getfixturevalue("capture")
        fake.frames = 10**6
        if name == "csi":
            monkeypatch = request.getfixturevalue("monkeypatch")
            backends(monkeypatch, cv2.CAP_GSTREAMER)
            elements(monkeypatch, tmp_path, "nvarguscamerasrc")
    return SOURCES[name].format(tmp=tmp_path)


@pytest.fixture
def source(uri: str) -> Source:
    return open_source(uri, CaptureOptions())


def next_of(source: Source, ring: Ring) -> Slot:
    slot = None
    while slot is None:
        slot = source.read(ring)
    return slot


def test_index_and_time_rise_and_frames_stay_in_the_ring(source: Source) -> None:
    ring = Ring(4, source.live)
    stamps: List[Tuple[int, int, int]] = []
    addresses = set()
    for _ in range(24):
        slot = next_of(source, ring)
        stamps.append((slot.index, slot.t_ns, slot.arrival_ns))
        addresses.add(slot.image.ctypes.data)
        assert slot.image.dtype == np.uint8
        assert slot.layout == "bgr"
        assert slot.image.ndim == 3
        ring.publish(slot)
        taken = ring.take()
        assert taken is slot
        ring.release(taken)
    source.close()
    assert stamps[0][0] == 0 or source.live, "only a live source may be late for its first frame"
    for before, after in zip(stamps, stamps[1:]):
        assert after[0] > before[0]
        assert after[1] > before[1]
        assert after[2] >= before[2]
    if not source.live:
        assert [s[0] for s in stamps] == list(range(24)), "a recording loses nothing"
    assert len(addresses) <= 4


def test_close_twice_and_before_the_first_frame(uri: str) -> None:
    for _ in range(2):
        source = open_source(uri, CaptureOptions())
        source.close()
        source.close()


def test_close_from_another_thread_ends_a_read(source: Source) -> None:
    ring = Ring(4, live=source.live)
    flowing, ended = threading.Event(), threading.Event()
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                slot = source.read(ring)
                if slot is not None:
                    ring.publish(slot)
                    ring.release(ring.take())  # type: ignore[arg-type]
                    flowing.set()
        except EndOfStream:
            pass
        ended.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert flowing.wait(GIVE_UP_S)
    source.close()
    source.close()
    stop.set()
    thread.join(GIVE_UP_S)
    assert ended.is_set()


def test_ring_without_room_gives_none_and_loses_nothing_of_its_own(source: Source) -> None:
    ring = Ring(2, live=True)
    held = [ring.acquire(0), ring.acquire(0)]
    assert source.read(ring) is None
    for slot in held:
        assert slot is not None
        ring.cancel(slot)
    assert next_of(source, ring) in held
    source.close()


def test_slow_loop_sees_gaps_of_a_live_source_and_none_of_a_recording(
    uri: str, eventually: Callable[[Callable[[], object]], None]
) -> None:
    cameras = Cameras([config.Camera(uri)], config.Capture(backoff_max_s=0.1))
    cameras.start()
    try:
        frames = cameras.take(20)
        first = frames[0].index
        cameras.release(frames)
        live = kind(uri) != RECORDING
        if live:
            eventually(lambda: cameras.states()[0].frames >= first + 10)
        frames = cameras.take(20)
        state = cameras.states()[0]
        assert (frames[0].index > first + 1) == live
        assert (state.dropped > 0) == live
        cameras.release(frames)
    finally:
        cameras.close()


def test_kind_is_one_of_three(uri: str) -> None:
    assert kind(uri) in (CAMERA, PLAYBACK, RECORDING)


@pytest.mark.parametrize("name", ["file", "csi", "synthetic"])
def test_unknown_option_is_refused(name: str, tmp_path: Path) -> None:
    film(tmp_path / "x.mp4", frames=2)
    uri = SOURCES[name].format(tmp=tmp_path)
    uri += ("&" if "?" in uri else "?") + "nonsense=1"
    with pytest.raises(ConfigError, match="unknown option 'nonsense'"):
        open_source(uri, CaptureOptions())


@pytest.mark.parametrize("by", ["key", "option"])
def test_every_source_can_be_turned_and_mirrored(uri: str, by: str) -> None:
    """The frame stays as it is in memory; its size is that of the upright picture."""
    camera = config.Camera(uri, rotate=90, flip="v")
    if by == "option":
        camera = config.Camera(f"{uri}{'&' if '?' in uri else '?'}rotate=90&flip=v", rotate=180)
    cameras = Cameras([camera], config.Capture())
    cameras.start()
    try:
        frame = cameras.take(20)[0]
        assert frame.view == View(90, "v")
        assert frame.size == frame.image.shape[:2]
        assert cameras.states()[0].size == frame.size
        cameras.release([frame])
    finally:
        cameras.close()


@pytest.mark.parametrize("option", ["rotate=45", "rotate=", "flip=x", "flip=180", "rotate=-90"])
def test_wrong_turns_are_refused_whatever_the_source(uri: str, option: str) -> None:
    if uri.startswith("csi") and option == "flip=180":
        return  # its own, older option
    wrong = f"{uri}{'&' if '?' in uri else '?'}{option}"
    with pytest.raises(ConfigError, match=r"rotate=.*: use one of 0, 90|flip=.*: use h, v"):
        kind(wrong)
