"""csi:// read in place: this machine's GStreamer, the board's surface library as a stand-in."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from typing import Any, Iterator, List, NamedTuple

import cv2
import numpy as np
import pytest

from edge.capture import CaptureOptions, Ring, Slot, _gstreamer, csi, open_source, parse
from edge.capture._csi import nvmm
from edge.capture._gstreamer_calls import Pipeline
from edge.capture._memory import PlainMemory
from edge.errors import ConfigError, TempError, UnavailableError
from tests.edge.capture.fake_opencv import backends, elements
from tests.fakes import nvmm_fake
from tests.waiting import GIVE_UP_S

OPTIONS = CaptureOptions(timeout_s=1.0)
SIZE = (128, 64)
URI = "csi://0?width=128&height=64"


class Imported:
    """A surface as the GPU of this test sees it: at the address that its EGLImage shows."""

    def __init__(self, memory: Memory, image: int) -> None:
        self.pointer, self._memory = memory.library.images[image], memory

    def close(self) -> None:
        self._memory.closed += 1


class Memory(PlainMemory):
    """What gives rings their memory where a GPU reads them."""

    gpu_reads = True

    def __init__(self, library: nvmm_fake.Library) -> None:
        self.library, self.imports, self.closed = library, 0, 0
        self.refuses = False
        self.given: List[np.ndarray] = []

    def allocate(self, shape: Any) -> np.ndarray:
        self.given.append(super().allocate(shape))
        return self.given[-1]

    def device_ptr(self, memory: np.ndarray) -> int:
        return int(memory.ctypes.data)

    def import_image(self, image: int, pitch: int) -> Imported:
        if self.refuses:
            raise UnavailableError("CUDA sees it otherwise")
        assert pitch == 256
        self.imports += 1
        return Imported(self, image)


class Board(NamedTuple):
    library: nvmm_fake.Library
    memory: Memory
    pipelines: List[Pipeline]
    ring: Ring

    def read(self, source: Any) -> Slot:
        slot = source.read(self.ring)
        assert slot is not None
        return slot


@pytest.fixture
def board(monkeypatch: Any, tmp_path: Any, capture: Any) -> Iterator[Board]:
    library, pipelines = nvmm_fake.Library(), []

    def started(text: str) -> Pipeline:
        pipelines.append(Pipeline(text))
        return pipelines[-1]

    backends(monkeypatch, cv2.CAP_GSTREAMER)
    elements(monkeypatch, tmp_path, "nvarguscamerasrc")
    capture.size = SIZE
    monkeypatch.setattr(nvmm, "library", lambda: library)
    monkeypatch.setattr(csi, "Pipeline", started)
    monkeypatch.setattr(_gstreamer, "csi_in_place", lambda *_, buffers: nvmm_fake.TEXT)
    memory = Memory(library)
    yield Board(library, memory, pipelines, Ring(3, True, memory))
    for pipeline in pipelines:
        pipeline.close()


def open_started(board: Board) -> Any:
    """The camera runs from the first read on, which then waits."""
    source = open_source(URI, OPTIONS)
    source._use(source._in_place(board.ring))  # type: ignore[attr-defined]
    return source


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 2), np.uint8)


def test_frames_are_read_where_the_camera_put_them(board: Board) -> None:
    """The surface's address is the slot's, for GPU and CPU; nothing is copied, all given back."""
    camera, source = nvmm_fake.Camera(board.library, *SIZE), open_started(board)
    addresses = set()
    for index in range(40):
        began_ns = time.monotonic_ns()
        at = camera.show(board.pipelines[0], picture(index))
        slot = board.read(source)
        assert (slot.device_ptr, slot.image.ctypes.data) == (at, at) != (0, 0)
        assert (slot.index, slot.layout, slot.transfer, slot.copies) == (index, "yuyv", "dmabuf", 0)
        np.testing.assert_array_equal(slot.image, picture(index))
        assert not slot.image.flags.writeable
        assert began_ns <= slot.t_ns <= slot.arrival_ns <= time.monotonic_ns()
        addresses.add(at)
        board.ring.publish(slot)
        taken = board.ring.take()
        assert taken is slot
        board.ring.release(slot)
    assert board.memory.imports == len(addresses) <= 4, "each surface is mapped once"
    assert board.library.synced == 40
    assert (board.ring.transfer, board.ring.host_copies) == ("dmabuf", 0)
    assert not board.memory.given, "the ring's own memory is not needed"
    source.close()
    source.close()
    assert source.read(board.ring) is None
    assert board.memory.closed == board.memory.imports
    camera.check()


def test_a_frame_in_the_loops_hands_outlives_its_camera(board: Board) -> None:
    camera, source = nvmm_fake.Camera(board.library, *SIZE), open_started(board)
    camera.show(board.pipelines[0], picture(1))
    board.ring.publish(board.read(source))
    held = board.ring.take()
    assert held is not None
    source.close()
    np.testing.assert_array_equal(held.image, picture(1))
    assert len(camera.out) == 1, "only that one is out"
    board.ring.release(held)
    another = open_started(board)
    for seed in range(2, 6):
        camera.show(board.pipelines[1], picture(seed))
        board.ring.publish(board.read(another))
    last = board.ring.take()
    assert last is not None
    board.ring.release(last)
    another.close()
    camera.check()


def test_a_loop_that_holds_everything_loses_frames_and_counts_them(board: Board) -> None:
    camera, source = nvmm_fake.Camera(board.library, *SIZE), open_started(board)
    held = []
    for seed in range(3):
        camera.show(board.pipelines[0], picture(seed))
        board.ring.publish(board.read(source))
        held.append(board.ring.take())
    for seed in range(5):
        assert camera.show(board.pipelines[0], picture(seed)), "the camera never starves"
        assert source.read(board.ring) is None
    board.ring.release(held[1])
    camera.show(board.pipelines[0], picture(9))
    slot = board.read(source)
    assert slot.index == 8
    np.testing.assert_array_equal(held[0].image, picture(0))
    source.close()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"width": 1920}, "1 planes of 1920x64 px"),
        ({"planes": 2}, "2 planes of 128x64"),
        ({"pitch": 64}, "rows of 64 bytes"),
        ({"layout": 1}, "block linear"),
        ({"fails": "NvBufSurfaceMap"}, "NvBufSurfaceMap failed"),
        ({"fails": "NvBufSurfaceMapEglImage"}, "NvBufSurfaceMapEglImage failed"),
        ({"fails": "NvBufSurfaceSyncForCpu"}, "NvBufSurfaceSyncForCpu failed"),
        ({"refuses": True}, "CUDA sees it otherwise"),
    ],
)
def test_what_the_gpu_cannot_read_is_copied_once(
    board: Board, params: Any, words: str, caplog: Any, capture: Any
) -> None:
    """One line says why, nothing stays mapped, and the frames come by OpenCV, as NV12 for a GPU."""
    caplog.set_level(logging.INFO)
    params = dict(params)
    board.library.fails = params.pop("fails", "")
    board.memory.refuses = params.pop("refuses", False)
    camera = nvmm_fake.Camera(board.library, *SIZE, told=params)
    source = open_started(board)
    camera.show(board.pipelines[0], picture(0))
    capture.shape = (96, 128)
    slot = board.read(source)
    assert (slot.layout, slot.image.shape) == ("nv12", (96, 128))
    assert words in caplog.text
    assert caplog.text.count("frames are copied once") == 1
    board.read(source)
    source.close()
    camera.check()


def test_memory_dmabuf_does_not_copy_instead(board: Board) -> None:
    ring = Ring(3, True)
    source = open_source(URI + "&memory=dmabuf", OPTIONS)
    with pytest.raises(TempError, match=r"memory=dmabuf refused \(no GPU .*; use memory=auto"):
        source.read(ring)
    source.close()


def test_without_a_gpu_the_frames_are_opencvs(board: Board) -> None:
    source, ring = open_source(URI, OPTIONS), Ring(3, True)
    slot = source.read(ring)
    assert slot is not None
    assert slot.layout == "bgr"
    assert not board.pipelines
    source.close()


@pytest.mark.parametrize("how", ["layout=bgr", "layout=nv12", "memory=copy"])
def test_who_asks_for_a_copy_gets_one(board: Board, how: str, capture: Any) -> None:
    if "nv12" in how:
        capture.shape = (96, 128)
    source = open_source(f"{URI}&{how}", OPTIONS)
    assert source.read(board.ring) is not None
    assert not board.pipelines
    source.close()


def test_dmabuf_on_a_machine_without_the_library(capture: Any) -> None:
    with pytest.raises(UnavailableError, match=r"memory=dmabuf: no libnvbufsurface"):
        open_source(URI + "&memory=dmabuf", OPTIONS)
    with pytest.raises(ConfigError, match="leave layout out"):
        open_source(URI + "&memory=dmabuf&layout=nv12", OPTIONS)


def test_a_camera_that_goes_silent_or_ends(board: Board) -> None:
    source = open_started(board)
    began_s = time.monotonic()
    with pytest.raises(TempError, match=r"csi://0.*: no more frames; is its cable loose"):
        source.read(board.ring)
    assert time.monotonic() - began_s >= 1.0
    camera = nvmm_fake.Camera(board.library, *SIZE)
    camera.end(board.pipelines[0])
    with pytest.raises(TempError, match="no more frames"):
        source.read(board.ring)
    source.close()


def test_a_frame_that_is_no_surface(board: Board, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    camera, source = nvmm_fake.Camera(board.library, *SIZE), open_started(board)
    junk = np.zeros(16, np.uint8)
    camera.push(board.pipelines[0], junk.ctypes.data, junk.nbytes, nvmm_fake.FREED())
    board.read(source)
    assert "a frame of 16 bytes is no NVMM surface" in caplog.text
    source.close()


def test_close_ends_a_read_that_waits(board: Board) -> None:
    source = open_started(board)
    found: List[Any] = []
    reader = threading.Thread(target=lambda: found.append(source.read(board.ring)))
    reader.start()
    time.sleep(0.1)
    source.close()
    reader.join(GIVE_UP_S)
    assert found == [None]


def test_pipelines_that_cannot_run_say_why() -> None:
    with pytest.raises(UnavailableError, match='refuses the pipeline: no element "nvnothing"'):
        Pipeline("nvnothing ! appsink name=edge")
    with pytest.raises(TempError, match=r'Resource not found.*No such file "/nowhere/x"'):
        Pipeline("filesrc location=/nowhere/x ! appsink name=edge")


def test_real_frames_through_gstreamer() -> None:
    """The bytes and times of a source of GStreamer's own."""
    pipeline = Pipeline(
        "videotestsrc is-live=true pattern=red num-buffers=5 ! "
        "video/x-raw,format=YUY2,width=64,height=48,framerate=50/1 ! appsink name=edge sync=false"
    )
    times = []
    for _ in range(5):
        sample = pipeline.pull(5)
        assert sample is not None
        assert sample.size == 64 * 48 * 2
        seen = np.ctypeslib.as_array((ctypes.c_uint8 * sample.size).from_address(sample.data))
        assert seen[:4].tolist() == [81, 90, 81, 240], "red in BT.601"
        times.append(pipeline.time_ns(sample))
        assert 0 <= time.monotonic_ns() - times[-1] < 5e9
        sample.close()
        sample.close()
    np.testing.assert_allclose(np.diff(times), 20e6, atol=1e6)
    assert pipeline.pull(1) is None
    assert pipeline.ended()
    assert pipeline.error() == ""
    pipeline.close()
    pipeline.close()


def test_the_pipeline_on_the_board() -> None:
    assert _gstreamer.csi_in_place(1, 1280, 720, 60, 3, buffers=7) == (
        "nvarguscamerasrc sensor-id=1 ! "
        "video/x-raw(memory:NVMM),width=1280,height=720,framerate=60/1,format=NV12 ! "
        "nvvidconv bl-output=false output-buffers=7 flip-method=3 ! "
        "video/x-raw(memory:NVMM),format=YUY2 ! "
        "appsink drop=true max-buffers=1 sync=false name=edge"
    )
    request = csi.read_request(parse("csi://0?flip=90"), OPTIONS)
    assert request.size == (1080, 1920)


def test_structures_are_as_large_as_the_headers() -> None:
    """nvbufsurface.h on 64-bit machines: counted by hand, field by field."""
    assert (ctypes.sizeof(nvmm.Surface), nvmm.Surface.list.offset) == (64, 24)
    assert ctypes.sizeof(nvmm.Params) == 384
    offsets = {n: getattr(nvmm.Params, n).offset for n in ("fd", "planes", "mapped", "egl_image")}
    assert offsets == {"fd": 24, "planes": 48, "mapped": 280, "egl_image": 312}
