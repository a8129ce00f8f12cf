"""Preprocessing compared with rtmlib's pixels and with an exact sampler."""

from __future__ import annotations

import dataclasses
import gc
import threading
import tracemalloc
import zlib
from pathlib import Path
from typing import Any, List, Tuple

import cv2
import numpy as np
import pytest

from edge import geometry
from edge.models._preprocess import crops as p
from edge.recipe import Network
from edge.structures import Frame

PICTURE = Path(__file__).parent.parent / "golden/reference/image_s0.png"
IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


def network(width: int, height: int, **more: Any) -> Network:
    return Network(file="x.onnx", width=width, height=height, **more)


def empty(net: Network, batch: int) -> np.ndarray:
    return np.full((batch, *net.sample_shape), 77, net.dtype)


def picture() -> Frame:
    return Frame(cv2.imread(str(PICTURE)), 0, 0, "a")


def smooth(width: int = 320, height: int = 240) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 19 + c) + np.cos(y / 23 - c) for c in range(3)]
    return np.rint(np.stack(waves, -1) * 60 + 128).astype(np.uint8)


def exact(image: np.ndarray, matrix: np.ndarray, net: Network, border: float) -> np.ndarray:
    """Bilinear sampling in float64, normalised: [3,H,W] in the network's order, BGR frame."""
    y, x = np.mgrid[: net.height, : net.width]
    inverse = np.linalg.inv(np.vstack((matrix, [0, 0, 1])).astype(np.float64))
    at = inverse[:2, :2] @ np.stack((x.ravel(), y.ravel())) + inverse[:2, 2:]
    padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)), constant_values=border)
    limit = np.array([[image.shape[1]], [image.shape[0]]])
    at = np.clip(at, -1, limit) + 1
    low = np.minimum(np.floor(at).astype(int), limit)
    part = at - low
    total = np.zeros((at.shape[1], 3))
    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = (part[0] if i else 1 - part[0]) * (part[1] if j else 1 - part[1])
        total += share[:, None] * padded[low[1] + j, low[0] + i]
    if net.channels == "rgb":
        total = total[:, ::-1]
    return ((total - net.mean) / net.std).T.reshape(3, net.height, net.width)


def test_bars_show_nothing_of_the_picture_before() -> None:
    """A wide picture, then an upright one: the first has filled the bars of the second."""
    net = network(64, 64, dtype="uint8", layout="nhwc")
    white = [
        Frame(np.full((*shape, 3), 255, np.uint8), 0, 0, "a") for shape in ((32, 64), (64, 16))
    ]
    out = empty(net, 1)
    for frame in (*white, *white):
        p.letterbox([frame], net, out)
        width, height = frame.size
        assert (out[0, :height, :width] == 255).all()
        assert (out[0, height:] == p.PAD).all()
        assert (out[0, :, width:] == p.PAD).all()


def test_a_converted_picture_stays_while_its_frame_is_there() -> None:
    rng = np.random.default_rng(0)
    pictures = p._Pictures()
    frames = [
        Frame(rng.integers(0, 255, (36, 32), np.uint8), i, 0, "a", layout="nv12") for i in range(3)
    ]
    converted = [pictures.of(frame) for frame in frames]
    kept = [picture.copy() for picture in converted]
    for frame, picture, before in zip(frames, converted, kept):
        np.testing.assert_array_equal(picture, before)
        assert pictures.of(frame) is picture, "converted once"
    memory = converted.pop(0)
    del frames[0], frame, picture
    fresh = Frame(rng.integers(0, 255, (36, 32), np.uint8), 3, 0, "a", layout="nv12")
    assert pictures.of(fresh) is memory, "its frame is gone"


@pytest.mark.parametrize(
    ("side", "name", "step"), [(416, "yolox", 1), (320, "rtmdet", 1), (640, "yolox640", 4)]
)
def test_letterbox_gives_rtmlibs_pixels(recorded: Any, side: int, name: str, step: int) -> None:
    """Equal to the last bit, so a checksum of every `step`-th row was kept."""
    z = recorded("letterbox_s0")
    net = network(side, side, channels="bgr", dtype="uint8", layout="nhwc")
    out = empty(net, 1)
    matrix = p.letterbox([picture()], net, out)[0]
    rows = np.ascontiguousarray(out[0, ::step])
    assert zlib.crc32(rows.tobytes()) == z[f"{name}_padded_bgr_crc32"]
    assert matrix[0, 0] == np.float32(z[f"{name}_ratio"])


def test_normalised_letterbox_equals_rtmlib(recorded: Any) -> None:
    z = recorded("letterbox_s0")
    mean, std = z["rtmdet_mean"].tolist(), z["rtmdet_std"].tolist()
    net = network(320, 320, channels="bgr", mean=mean, std=std)
    p.letterbox([picture()], net, out := empty(net, 1))
    every8 = out[0].transpose(1, 2, 0)[::8, ::8]
    np.testing.assert_array_equal(every8, z["rtmdet_normalised_every8"])


@pytest.mark.parametrize(("width", "height"), [(192, 256), (288, 384)])
def test_crops_equal_rtmlib_as_far_as_opencv_equals_itself(
    recorded: Any, width: int, height: int
) -> None:
    """Between OpenCV 4.11 and 5.0 under 1 % of pixels differ by more than 1, none by over 6."""
    z, name = recorded("rtmpose_preprocess_s0"), f"{width}x{height}"
    net = network(width, height, channels="bgr")
    matrices = geometry.crop_affine(z["boxes_xyxy"], (width, height))
    out = empty(net, 6)
    p.sample([picture()], np.zeros(6, np.int64), matrices, net, out)
    crops = out.transpose(0, 2, 3, 1)[:, :: int(z[f"{name}_row_step"])]
    off = np.abs(crops - z[f"{name}_crops"])
    assert (off > 1).mean() < 0.01
    assert off.max() <= 6


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("border", [0, 114])
def test_sampling_is_bilinear(layout: str, channels: str, border: int) -> None:
    net = network(48, 64, layout=layout, channels=channels, **IMAGENET)
    frames = [Frame(smooth(), 0, 0, "a"), Frame(smooth(200, 300)[::-1].copy(), 0, 0, "b")]
    boxes = np.array([[30, 40, 90, 160], [-40, -30, 80, 90], [250, 150, 400, 300]], np.float32)
    matrices = geometry.crop_affine(boxes, (48, 64), rotations_rad=np.array([0, 0.7, -2.0]))
    which = np.array([0, 1, 0])
    out = empty(net, 3)
    p.sample(frames, which, matrices, net, out, border)
    planes = out if layout == "nchw" else out.transpose(0, 3, 1, 2)
    for i, source in enumerate(which):
        expected = exact(frames[source].image, matrices[i], net, border)
        grey = np.abs(planes[i] - expected) * np.array(net.std)[:, None, None]
        # OpenCV counts in 1/32 px, which shows most where the picture meets the border.
        assert np.quantile(grey, 0.95) < 1.0
        assert grey.max() < 6.0


def every_grey() -> Frame:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    return Frame(np.stack((ramp, ramp[::-1], ramp.T), -1), 0, 0, "a")


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_network_of_half_precision_gets_its_picture(layout: str, grey: bool) -> None:
    """Exports in FP16 whose inputs are FP16, too: the recipe still says float32."""
    net = network(16, 16, layout=layout, **IMAGENET)
    image = every_grey().image
    frames = [Frame(image[..., 0].copy(), 0, 0, "a", layout="gray") if grey else every_grey()]
    whole, half = empty(net, 1), empty(net, 1).astype(np.float16)
    p.letterbox(frames, net, whole)
    p.letterbox(frames, net, half)
    np.testing.assert_allclose(half.astype(np.float32), whole, rtol=1e-3, atol=1e-4)
    one = np.eye(2, 3)[None]
    p.sample(frames, np.zeros(1, np.int64), one, net, whole)
    p.sample(frames, np.zeros(1, np.int64), one, net, half)
    np.testing.assert_allclose(half.astype(np.float32), whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_every_grey_is_normalised_exactly(dtype: str, layout: str, channels: str) -> None:
    scale = IMAGENET if dtype == "float32" else {"mean": [3.0, 0.0, 1.0], "std": [1.0, 2.0, 0.5]}
    net = network(16, 16, dtype=dtype, layout=layout, channels=channels, **scale)
    out = empty(net, 1)
    identity = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    p.sample([every_grey()], np.array([0]), identity, net, out)
    planes = out[0] if layout == "nchw" else out[0].transpose(2, 0, 1)
    source = every_grey().image[..., :: -1 if channels == "rgb" else 1]
    values = (source - np.array(net.mean)) / np.array(net.std)
    if dtype != "float32":
        values = np.clip(
            np.rint(values), 0 if dtype == "uint8" else -1000, 255 if dtype == "uint8" else 1000
        )
    np.testing.assert_array_equal(planes, values.transpose(2, 0, 1).astype(dtype))


def in_layout(layout: str, bgr: np.ndarray) -> Frame:
    if layout == "rgb":
        return Frame(bgr[..., ::-1].copy(), 0, 0, "a", layout="rgb")
    if layout == "gray":
        return Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), 0, 0, "a", layout="gray")
    planar = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    rows, columns = bgr.shape[:2]
    luma, chroma = planar[:rows], planar[rows:].reshape(2, rows // 2, columns // 2)
    if layout == "nv12":
        pairs = chroma.transpose(1, 2, 0).reshape(rows // 2, columns)
        return Frame(np.concatenate((luma, pairs)), 0, 0, "a", layout="nv12")
    wide = chroma.repeat(2, 1)
    both = np.empty((rows, columns, 2), np.uint8)
    both[..., 0], both[:, ::2, 1], both[:, 1::2, 1] = luma, wide[0], wide[1]
    return Frame(both, 0, 0, "a", layout="yuyv")


@pytest.mark.parametrize("layout", ["rgb", "gray", "nv12", "yuyv"])
@pytest.mark.parametrize("order", ["nchw", "nhwc"])
def test_every_layout_shows_the_same_picture(layout: str, order: str) -> None:
    bgr = smooth()
    if layout == "gray":
        bgr = np.repeat(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)[..., None], 3, -1)
    net = network(64, 64, layout=order)
    matrices = geometry.crop_affine(np.array([[20, 30, 200, 210]], np.float32), (64, 64))
    outs = [empty(net, 1) for _ in range(4)]
    for i, frame in enumerate((Frame(bgr, 0, 0, "a"), in_layout(layout, bgr))):
        assert frame.size == (320, 240)
        p.sample([frame], np.array([0]), matrices, net, outs[i])
        p.letterbox([frame], net, outs[2 + i])
    limit = 0 if layout in ("rgb", "gray") else 8  # chroma at half resolution, video range
    assert np.abs(outs[0] - outs[1]).max() <= limit
    assert np.abs(outs[2] - outs[3]).max() <= limit


def test_yuv_is_converted_once_for_a_frame_and_again_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A camera's buffer comes back with another picture in it."""
    real, calls = cv2.cvtColor, []
    monkeypatch.setattr(cv2, "cvtColor", lambda *a, **k: calls.append(1) or real(*a, **k))
    net = network(32, 32)
    first, second = in_layout("nv12", smooth()), in_layout("nv12", smooth()[::-1].copy())
    calls.clear()
    outs = [empty(net, 1) for _ in range(3)]
    p.letterbox([first], net, outs[0])
    p.letterbox([first], net, outs[1])
    assert len(calls) == 1
    first.image[:] = second.image
    p.letterbox([dataclasses.replace(first)], net, outs[2])
    assert len(calls) == 2
    assert np.abs(outs[2] - outs[0]).max() > 20


def test_a_picture_in_use_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one thread still cuts hands out of a frame, another converts the next."""
    net, pictures = network(32, 32), p._Pictures()
    monkeypatch.setattr(p, "_pictures", pictures)
    first, second = in_layout("nv12", smooth()), in_layout("nv12", smooth()[::-1].copy())
    outs = [empty(net, 1) for _ in range(2)]
    p.letterbox([first], net, outs[0])
    other = threading.Thread(target=p.letterbox, args=([second], net, empty(net, 1)))
    other.start()
    other.join()
    p.letterbox([first], net, outs[1])
    np.testing.assert_array_equal(outs[0], outs[1])
    held = pictures.of(first)
    del first
    assert pictures.of(in_layout("nv12", smooth())) is held, "used again once its frame is gone"


def test_no_crops_and_odd_crops_are_legal() -> None:
    net = network(16, 16)
    p.sample(
        [picture()], np.zeros(0, np.int64), np.zeros((0, 2, 3), np.float32), net, empty(net, 0)
    )
    p.letterbox([], net, empty(net, 0))
    far = geometry.crop_affine(np.array([[1e6, 1e6, 2e6, 2e6], [5, 5, 5, 5]], np.float32), (16, 16))
    out = empty(net, 2)
    p.sample([picture()], np.zeros(2, np.int64), far, net, out, border=50)
    assert (out[0] == 50).all()


def test_a_frame_far_from_square_still_fills_the_letterbox() -> None:
    net = network(32, 32)
    out = empty(net, 1)
    p.letterbox([Frame(np.full((4, 4000, 3), 9, np.uint8), 0, 0, "a")], net, out)
    assert (out[0, :, 0] == 9).all()
    assert (out[0, :, 1:] == p.PAD).all()


def test_steady_state_allocates_no_picture() -> None:
    """NumPy reports its memory to tracemalloc; OpenCV is only ever given its destination."""
    net = network(192, 256, **IMAGENET)
    frames = [Frame(np.zeros((1080, 1920, 3), np.uint8), 0, 0, c) for c in "ab"]
    boxes = np.tile(np.array([[100, 100, 500, 900]], np.float32), (20, 1))
    matrices, which = geometry.crop_affine(boxes, (192, 256)), np.arange(20) % 2
    out, wide = empty(net, 20), empty(net, 2)
    used: List[Tuple[int, int]] = []
    for _ in range(3):
        gc.collect()
        tracemalloc.start()
        p.sample(frames, which, matrices, net, out)
        p.letterbox(frames, net, wide)
        used.append(tracemalloc.get_traced_memory())
        tracemalloc.stop()
    kept, peaks = zip(*used[1:])
    assert max(kept) < 20_000
    assert max(peaks) < 600_000, "nothing as large as a picture, not even for a moment"
