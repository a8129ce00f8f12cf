"""csi:// without a Jetson: the pipeline as text, and frames through a fake OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from edge.capture import CAMERA, CaptureOptions, Ring, kind, open_source, parse
from edge.capture._gstreamer import csi
from edge.capture._source import hung_of
from edge.capture.csi import read_request
from edge.errors import ConfigError, TempError, UnavailableError
from edge.view import View
from tests.edge.capture.fake_opencv import backends, elements

OPTIONS = CaptureOptions()


def text(uri: str) -> str:
    request = read_request(parse(uri), OPTIONS)
    return csi(*request.mode, layout="bgr" if request.layout == "auto" else request.layout)


def test_pipelines_are_these() -> None:
    assert text("csi://0") == (
        "nvarguscamerasrc sensor-id=0 ! "
        "video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30/1,format=NV12 ! "
        "nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR ! "
        "appsink drop=true max-buffers=1 sync=false"
    )
    assert text("csi://1?width=1280&height=720&fps=60&flip=180&layout=nv12") == (
        "nvarguscamerasrc sensor-id=1 ! "
        "video/x-raw(memory:NVMM),width=1280,height=720,framerate=60/1,format=NV12 ! "
        "nvvidconv flip-method=2 ! video/x-raw,format=NV12 ! "
        "appsink drop=true max-buffers=1 sync=false"
    )


@pytest.mark.parametrize(
    ("flip", "method"), [("90", 3), ("180", 2), ("270", 1), ("horizontal", 4), ("vertical", 6)]
)
def test_flips(flip: str, method: int) -> None:
    assert f"nvvidconv flip-method={method} !" in text(f"csi://0?flip={flip}")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("csi://left", "the camera's number"),
        ("csi://0?width=wide", "width=wide"),
        ("csi://0?fps=29.97", "fps=29.97"),
        ("csi://0?flip=45", "flip=45"),
        ("csi://0?layout=rgb", "layout=rgb"),
        ("csi://0?memory=mmap", "memory=mmap"),
        ("csi://0?sensor=1", "unknown option 'sensor'"),
        ("csi://0?width=16384&height=16384", "16384x16384 pixels are more than"),
    ],
)
def test_wrong_option_is_named(uri: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        text(uri)


def test_opencv_without_gstreamer_is_one_line(capture: Any) -> None:
    with pytest.raises(UnavailableError, match=r"built without GStreamer.*--system-site-packages"):
        open_source("csi://0", OPTIONS)


def test_machine_without_argus_is_one_line(
    capture: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backends(monkeypatch, cv2.CAP_GSTREAMER)
    elements(monkeypatch, tmp_path, "videoconvert")
    with pytest.raises(UnavailableError, match="no element 'nvarguscamerasrc'"):
        open_source("csi://0", OPTIONS)


@pytest.fixture
def jetson(capture: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type:
    backends(monkeypatch, cv2.CAP_GSTREAMER)
    elements(monkeypatch, tmp_path, "nvarguscamerasrc", "nvvidconv")
    return capture


def test_camera_that_does_not_start_may_start_later(jetson: Any) -> None:
    jetson.is_open = False
    with pytest.raises(TempError, match=r"does not start.*nvargus-daemon"):
        open_source("csi://0", OPTIONS)


@pytest.mark.parametrize(("layout", "shape"), [("bgr", (720, 1280, 3)), ("nv12", (1080, 1280))])
def test_frames(jetson: Any, layout: str, shape: tuple) -> None:
    jetson.size, jetson.shape = (1280, 720), shape
    source, ring = open_source(f"csi://0?layout={layout}", OPTIONS), Ring(4, live=True)
    seen = set()
    for index in range(5):
        slot = source.read(ring)
        assert slot is not None
        assert (slot.index, slot.layout, slot.image.shape) == (index, layout, shape)
        seen.add(slot.image.ctypes.data)
        ring.publish(slot)
    assert len(seen) <= 4
    assert jetson.opened[0][1] == cv2.CAP_GSTREAMER
    with pytest.raises(TempError, match="nvargus-daemon"):
        source.read(ring)
    source.close()


@pytest.mark.parametrize(
    ("flip", "view"), [("180", View()), ("horizontal", View()), ("h", View(0, "h"))]
)
def test_its_older_flip_is_the_hardwares_and_the_common_one_is_not(flip: str, view: View) -> None:
    uri = f"csi://0?flip={flip}"
    assert kind(uri) == CAMERA
    assert hung_of(uri) == view
    assert hung_of(f"{uri}&rotate=90").turn == 90
