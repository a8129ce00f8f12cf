"""Camera bytes to frames: known colours, padded rows, nothing allocated."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture._ring import Ring
from edge.capture._source import CaptureOptions
from edge.capture._v4l2.request import V4l2Request
from edge.capture.v4l2 import V4l2
from tests.edge.capture.fake_kernel import FakeKernel, frame

SIZE = (64, 48)
# Y, Cb, Cr of ITU-R BT.601 in video range, and their colour in BGR.
COLOURS = [
    ((81, 90, 240), (0, 0, 255)),
    ((145, 54, 34), (0, 255, 0)),
    ((41, 240, 110), (255, 0, 0)),
    ((235, 128, 128), (255, 255, 255)),
    ((16, 128, 128), (0, 0, 0)),
]


def packed(name, planes, padding):
    """The bytes of a picture of [H,W] Y, Cb, Cr; chroma of even pixels."""
    y, cb, cr = planes
    height, width = y.shape
    if name == "NV12":
        rows = np.empty((height * 3 // 2, width), np.uint8)
        rows[:height], rows[height:, ::2], rows[height:, 1::2] = y, cb[::2, ::2], cr[::2, ::2]
    elif name in ("YUYV", "UYVY"):
        first, chroma = (0, 1) if name == "YUYV" else (1, 0)
        rows = np.empty((height, width * 2), np.uint8)
        rows[:, first::2] = y
        rows[:, chroma::4], rows[:, chroma + 2 :: 4] = cb[:, ::2], cr[:, ::2]
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=77).tobytes()


def quarters():
    """Four quarters of different colour: a wrong stride or shift shows."""
    yuv = np.empty((3, SIZE[1], SIZE[0]), np.uint8)
    bgr = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    for i, (top, left) in enumerate([(0, 0), (0, 32), (24, 0), (24, 32)]):
        yuv[:, top : top + 24, left : left + 32] = np.reshape(COLOURS[i][0], (3, 1, 1))
        bgr[top : top + 24, left : left + 32] = COLOURS[i][1]
    return yuv, bgr


def read(name, data, count=1, padding=0, ring=None, **request):
    kernel = FakeKernel({name: {SIZE: [30]}}, [frame(data)] * count, row_padding=padding)
    source = V4l2(V4l2Request("/dev/video0", *SIZE, **request), CaptureOptions(), kernel)
    ring = ring or Ring(6, True)
    slots = []
    for _ in range(count):
        slot = source.read(ring)
        slots.append((slot.image.copy(), slot.layout, slot.image.ctypes.data))
        ring.cancel(slot)
    source.close()
    kernel.assert_clean()
    return slots, kernel


@pytest.mark.parametrize("padding", [0, 2, 64])
@pytest.mark.parametrize("name", ["YUYV", "UYVY", "NV12"])
def test_colours(name, padding):
    yuv, bgr = quarters()
    (slot,), _ = read(name, packed(name, yuv, padding), padding=padding)
    assert slot[1] == "bgr"
    error = np.abs(slot[0].astype(int) - bgr)
    assert error.max() <= 3


@pytest.mark.parametrize("padding", [0, 5])
def test_rgb_and_grey(padding):
    bgr = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    rows = np.pad(bgr[:, :, ::-1].reshape(SIZE[1], -1), ((0, 0), (0, padding)))
    (slot,), _ = read("RGB3", rows.tobytes(), padding=padding)
    np.testing.assert_array_equal(slot[0], bgr)
    rows = np.pad(bgr[:, :, 0], ((0, 0), (0, padding)))
    (slot,), _ = read("GREY", rows.tobytes(), padding=padding)
    np.testing.assert_array_equal(slot[0], np.repeat(bgr[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("memory", ["mmap", "userptr"])
@pytest.mark.parametrize(
    ("name", "layout", "shape"),
    [
        ("NV12", "nv12", (72, 64)),
        ("YUYV", "yuyv", (48, 64, 2)),
        ("RGB3", "rgb", (48, 64, 3)),
        ("GREY", "gray", (48, 64)),
        ("BGR3", "bgr", (48, 64, 3)),
    ],
)
def test_raw_layouts(name, layout, shape, memory):
    """As the camera gives it; with userptr in the memory the camera wrote."""
    sent = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for padding in (0, 7):
        rows = np.pad(sent.reshape(len(sent), -1), ((0, 0), (0, padding)))
        (slot,), kernel = read(name, rows.tobytes(), padding=padding, layout="raw", memory=memory)
        np.testing.assert_array_equal(slot[0], sent)
        assert slot[1] == layout
        assert (slot[2] in kernel.addresses) == (memory == "userptr")


@pytest.mark.parametrize("name", ["YUYV", "NV12"])
def test_no_frame_is_allocated_in_the_steady_state(name):
    size = (640, 480)
    kernel = FakeKernel({name: {size: [30]}}, [])
    source = V4l2(V4l2Request("/dev/video0", *size), CaptureOptions(), kernel)
    ring = Ring(5, True)
    data = frame(bytes(kernel.layout(name, *size)[1]))
    kernel.script = [data] * 20
    for _ in range(5):
        ring.publish(source.read(ring))
    tracemalloc.start()
    for _ in range(15):
        ring.publish(source.read(ring))
        ring.release(ring.take())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source.close()
    assert peak < 100_000  # a frame has 921600 bytes


def test_jpeg():
    smooth = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    smooth = cv2.resize(smooth, SIZE, interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    for name in ("MJPG", "JPEG"):
        slots, _ = read(name, data, count=3)
        for image, layout, _ in slots:
            assert layout == "bgr"
            assert np.abs(image.astype(int) - smooth).mean() < 3


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_jpeg_never_raises(data):
    good = cv2.imencode(".jpg", np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))[1].tobytes()
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(2, len(bad) - 3))] = data.draw(st.integers(0, 255))
    kernel = FakeKernel({"MJPG": {SIZE: [30]}}, [frame(bytes(bad)), frame(good)])
    source = V4l2(V4l2Request("/dev/video0", *SIZE), CaptureOptions(), kernel)
    ring = Ring(4, True)
    assert source.read(ring).image.shape == (SIZE[1], SIZE[0], 3)
    source.close()
    kernel.assert_clean()
