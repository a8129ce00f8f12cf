"""Which memory a camera fills, who sees it, and how often the CPU moves a frame."""

from __future__ import annotations

import errno
import gc
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from edge import doctor
from edge.capture import Cameras, Ring
from edge.capture._memory import PlainMemory
from edge.capture._source import CaptureOptions
from edge.capture._v4l2 import abilities
from edge.capture._v4l2.request import V4l2Request
from edge.capture.v4l2 import V4l2
from edge.errors import TempError
from edge.settings import config
from tests.edge.capture.fake_kernel import FakeKernel, frame

SIZE = (64, 48)
BGR = {"BGR3": {SIZE: [30]}}
YUYV = {"YUYV": {SIZE: [30]}}


class Import:
    def __init__(self, gpu: Gpu, fd: int) -> None:
        self.gpu, self.pointer = gpu, 0x7000_0000 + fd * 0x10000
        gpu.imported.append(self)

    def close(self) -> None:
        if self in self.gpu.imported:
            self.gpu.imported.remove(self)


class Gpu(PlainMemory):
    """An allocator whose memory a GPU sees at other addresses; takes drivers' buffers, too."""

    gpu_reads = True
    SHIFT = 1 << 40

    def __init__(self) -> None:
        self.made: Dict[int, np.ndarray] = {}
        self.freed: List[int] = []
        self.imported: List[Import] = []
        self.asked: List[Tuple[int, int, int]] = []
        self.refuses = False

    def allocate(self, shape: Tuple[int, ...]) -> np.ndarray:
        memory = super().allocate(shape)
        self.made[memory.ctypes.data] = memory
        return memory

    def device_ptr(self, memory: np.ndarray) -> int:
        return int(memory.ctypes.data) + self.SHIFT

    def free(self, memory: np.ndarray) -> None:
        self.freed.append(int(memory.ctypes.data))

    def import_dmabuf(self, fd: int, pitch: int, rows: int) -> Import:
        self.asked.append((fd, pitch, rows))
        if self.refuses:
            raise TempError("the GPU does not take it")
        return Import(self, fd)


def pictures(count: int, channels: int = 3) -> np.ndarray:
    shape = (count, SIZE[1], SIZE[0], channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def camera(kernel: FakeKernel, **request: Any) -> V4l2:
    return V4l2(V4l2Request("/dev/video0", *SIZE, **request), CaptureOptions(), kernel)


def run(source: V4l2, ring: Ring, sent: np.ndarray) -> List[int]:
    """Read every picture as supervisor and loop do; gives the addresses the GPU would read."""
    pointers = []
    for picture in sent:
        slot = source.read(ring)
        assert slot is not None
        ring.publish(slot)
        held = ring.take()
        assert held is not None
        np.testing.assert_array_equal(held.image, picture)
        pointers.append(held.device_ptr)
        ring.release(held)
    return pointers


def test_userptr_the_gpu_reads_what_the_camera_filled() -> None:
    sent, gpu = pictures(20), Gpu()
    kernel, ring = FakeKernel(BGR, [frame(p.tobytes()) for p in sent]), Ring(6, True, gpu)
    source = camera(kernel)
    pointers = run(source, ring, sent)
    assert {p - Gpu.SHIFT for p in pointers} <= set(kernel.addresses)
    assert (ring.transfer, ring.host_copies) == ("userptr", 0)
    assert len(gpu.made) == 6
    source.close()
    kernel.assert_clean()


def test_userptr_with_padded_rows_begins_where_the_memory_begins() -> None:
    kernel = FakeKernel(BGR, row_padding=13, size_padding=512)
    sent, gpu = pictures(4), Gpu()
    padded = np.zeros((4, SIZE[1], SIZE[0] * 3 + 13), np.uint8)
    padded[:, :, : SIZE[0] * 3] = sent.reshape(4, SIZE[1], -1)
    kernel.script = [frame(p.tobytes() + bytes(512)) for p in padded]
    ring = Ring(6, True, gpu)
    source = camera(kernel)
    for pointer in run(source, ring, sent):
        assert pointer - Gpu.SHIFT in kernel.addresses
    source.close()
    kernel.assert_clean()


def test_dmabuf_the_gpu_reads_the_drivers_buffers() -> None:
    sent, gpu = pictures(30, 2), Gpu()
    kernel = FakeKernel(YUYV, [frame(p.tobytes()) for p in sent], userptr=False)
    ring = Ring(6, True, gpu)
    source = camera(kernel, layout="raw")
    pointers = run(source, ring, sent)
    assert [a[1:] for a in gpu.asked] == [(SIZE[0] * 2, SIZE[1])] * 6
    assert set(pointers) <= {i.pointer for i in gpu.imported}
    assert len(set(pointers)) > 1
    assert (ring.transfer, ring.host_copies) == ("dmabuf", 0)
    source.close()
    kernel.assert_clean()
    assert not gpu.imported, "every import was given back"
    assert not gpu.made, "no memory of ours was needed"


def test_dmabuf_frames_held_by_the_loop_stay_readable_after_the_end() -> None:
    sent, gpu = pictures(6), Gpu()
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in sent], userptr=False)
    ring = Ring(6, True, gpu)
    source = camera(kernel)
    held = []
    for _ in range(2):
        ring.publish(source.read(ring))
        held.append(ring.take())
    source.close()
    assert {h.device_ptr for h in held} == {i.pointer for i in gpu.imported}, "still in use"
    for slot, picture in zip(held, sent):
        np.testing.assert_array_equal(slot.image, picture)
        ring.release(slot)
    again = FakeKernel(BGR, [frame(p.tobytes()) for p in sent])  # now with userptr
    other = camera(again)
    pointers = run(other, ring, sent)
    assert {p - Gpu.SHIFT for p in pointers} <= set(again.addresses)
    assert not gpu.imported, "given back once nobody looked"
    other.close()
    again.assert_clean()
    gc.collect()


def test_dmabuf_with_fewer_buffers_than_slots_and_held_frames() -> None:
    sent, gpu = pictures(30), Gpu()
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in sent], userptr=False)
    kernel.granted = 3
    ring = Ring(6, True, gpu)
    source = camera(kernel)
    run(source, ring, sent)
    source.close()
    kernel.assert_clean()
    assert not gpu.imported


@pytest.mark.parametrize("reason", ["gpu", errno.EINVAL, errno.ENOTTY])
def test_mmap_is_the_last_way_and_counts_its_copies(reason: Any) -> None:
    sent, gpu = pictures(7), Gpu()
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in sent], userptr=False)
    gpu.refuses = reason == "gpu"
    if reason != "gpu":
        kernel.errors["EXPBUF"] = reason
    ring = Ring(6, True, gpu)
    source = camera(kernel)
    pointers = run(source, ring, sent)
    assert (ring.transfer, ring.host_copies) == ("mmap", 7)
    assert {p - Gpu.SHIFT for p in pointers} <= set(gpu.made), "the GPU sees it all the same"
    source.close()
    kernel.assert_clean()
    assert not gpu.imported


def test_a_conversion_is_a_copy_whatever_memory_there_is() -> None:
    sent = pictures(3, 2)
    kernel = FakeKernel(YUYV, [frame(p.tobytes()) for p in sent])
    ring = Ring(6, True, Gpu())
    source = camera(kernel, layout="bgr")
    for _ in sent:
        ring.publish(source.read(ring))
    assert (ring.transfer, ring.host_copies) == ("mmap", 3)
    source.close()
    kernel.assert_clean()


@pytest.mark.parametrize("gpu", [True, False])
def test_auto_leaves_colour_to_the_gpu_where_there_is_one(gpu: bool) -> None:
    sent = pictures(3, 2)
    kernel = FakeKernel(YUYV, [frame(p.tobytes()) for p in sent])
    ring = Ring(6, True, Gpu() if gpu else PlainMemory())
    source = camera(kernel, layout="auto")
    for picture in sent:
        slot = source.read(ring)
        assert slot is not None
        ring.publish(slot)
        if gpu:
            np.testing.assert_array_equal(slot.image, picture)
    assert (slot.layout, ring.transfer) == (("yuyv", "userptr") if gpu else ("bgr", "mmap"))
    assert ring.host_copies == (0 if gpu else 3)
    source.close()
    kernel.assert_clean()


@pytest.mark.parametrize("memory", ["userptr", "dmabuf"])
def test_what_was_demanded_and_refused_is_said(memory: str) -> None:
    kernel, gpu = FakeKernel(BGR, userptr=False), Gpu()
    gpu.refuses = True
    source, ring = camera(kernel, memory=memory), Ring(6, True, gpu)
    with pytest.raises(TempError, match=f"refuses memory={memory} .*; use memory=auto"):
        source.read(ring)
    plain = Ring(6, True)
    if memory == "dmabuf":
        with pytest.raises(TempError, match="memory=dmabuf needs a GPU"):
            source.read(plain)
    source.close()
    kernel.assert_clean()


@pytest.mark.parametrize("name", ["EXPBUF", "QUERYBUF", "QBUF", "STREAMON"])
def test_any_request_may_fail_and_nothing_leaks(name: str) -> None:
    kernel, gpu = FakeKernel(BGR, [frame(pictures(1).tobytes())] * 4, userptr=False), Gpu()
    kernel.errors[name] = [0, 0, errno.EIO] if name != "STREAMON" else [errno.EIO]
    source, ring = camera(kernel, memory="dmabuf"), Ring(6, True, gpu)
    with pytest.raises(TempError, match="input/output"):
        source.read(ring)
    assert not gpu.imported
    source.close()
    kernel.assert_clean()


def test_memory_of_another_size_is_given_back() -> None:
    gpu = Gpu()
    ring = Ring(5, True, gpu)
    slot = ring.acquire(0)
    assert slot is not None
    first = slot.shape_to((4, 6, 3), gpu).ctypes.data
    slot.shape_to((8, 6, 3), gpu)
    assert gpu.freed == [first]
    assert slot.device_ptr == slot.image.ctypes.data + Gpu.SHIFT


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (FakeKernel(YUYV), "userptr, zero copy (YUYV with layout=raw)"),
        (
            FakeKernel({**BGR, "MJPG": {}}, userptr=False),
            "dmabuf if the GPU accepts it, else mmap with one copy (BGR3 with layout=raw)",
        ),
        (FakeKernel({"MJPG": {}}), "userptr, zero copy (MJPG: converted, one copy)"),
        (FakeKernel(YUYV, caps=0x00800000), "no camera"),
    ],
)
def test_doctor_asks_a_camera_and_starts_nothing(kernel: FakeKernel, words: str) -> None:
    kernel.format = ("YUYV", SIZE, 0)
    assert abilities.frame_memory("/dev/video0", kernel) == words
    assert "STREAMON" not in kernel.calls
    assert "S_FMT" not in kernel.calls
    kernel.assert_clean()


def test_doctor_hears_of_a_camera_in_use_and_of_a_broken_one() -> None:
    kernel = FakeKernel(YUYV)
    kernel.errors["REQBUFS"] = errno.EBUSY
    assert "is in use" in abilities.frame_memory("/dev/video0", kernel)
    kernel.errors["REQBUFS"] = errno.EIO
    found = doctor.machine.camera("/dev/video0", kernel)
    assert (found.state, found.found[:15]) == ("warn", "does not answer")
    kernel.assert_clean()


def test_the_state_of_a_camera_tells() -> None:
    settings = config.Capture()
    cameras = Cameras([config.Camera("synthetic://stand?rate=max&frames=3")], settings)
    cameras.start()
    frames = cameras.take(20)
    state = cameras.states()[0]
    assert (state.memory, state.host_copies) == ("drawn", 0)
    cameras.release(frames)
    cameras.close()


def test_a_driver_s_buffer_is_not_lent_to_the_gpu_where_there_is_a_mask() -> None:
    """Paint of the CPU might not reach a GPU that reads the driver's memory."""
    sent, gpu = pictures(4), Gpu()
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in sent], userptr=False)
    ring, options = Ring(6, True, gpu), CaptureOptions(masked=True)
    source = V4l2(V4l2Request("/dev/video0", *SIZE), options, kernel)
    run(source, ring, sent)
    assert (ring.transfer, gpu.imported) == ("mmap", [])
    source.close()
    kernel.assert_clean()
    request = V4l2Request("/dev/video0", *SIZE, memory="dmabuf")
    source = V4l2(request, options, FakeKernel(BGR, [], userptr=False))
    with pytest.raises(TempError, match="a mask cannot be painted with memory=dmabuf"):
        source.read(ring)
    source.close()
