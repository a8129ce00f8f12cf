"""The crop kernel, compiled by g++, against float64 NumPy and against OpenCV, bit for bit.

Largest errors measured before rounding to whole grey values, on noise, which is the worst there is:
0.005 in frames of 160 px, 0.06 in 1920, 0.12 in 3840 (places in float32 are 1/4096 px apart there);
0.31 in whole frames, since cv2.resize counts shares in 1/2048 and cuts twice.
"""

from __future__ import annotations

import dataclasses
from typing import Any, List, Tuple

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge import geometry
from edge.errors import InternalError
from edge.models._preprocess import crops as preprocess
from edge.models._preprocess import veil
from edge.recipe import Network
from edge.runtime.kernels import crops, layouts
from edge.structures import LAYOUTS, Frame, Veils
from edge.view import FLIPS, TURNS, View
from tests.fakes import crop_reference as reference
from tests.fakes import kernel_cpu as kernel

pytestmark = pytest.mark.one_python

IMAGENET: Any = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
GREY, WHOLE = 0.02, 0.32  # grey values; see above
# OpenCV 5 on x86-64 with FMA samples crops as the kernel does; before it, places are of 1/32 px.
SAMPLES_ALIKE = int(cv2.__version__.split(".")[0]) >= 5 and cv2.checkHardwareSupport(12)


def network(width: int = 24, height: int = 32, **more: Any) -> Network:
    return Network(file="x.onnx", width=width, height=height, **more)


def noise(layout: str, width: int, height: int, seed: int = 0, padding: int = 0) -> Frame:
    """A frame of noise whose rows are longer in memory than in the picture by `padding` bytes."""
    rng = np.random.default_rng(seed)
    rows = height + height // 2 if layout == "nv12" else height
    channels = {"bgr": 3, "rgb": 3, "yuyv": 2}.get(layout, 1)
    memory = rng.integers(0, 256, (rows, width * channels + padding), np.uint8)
    plain = memory[:, : width * channels]
    if channels == 1:
        return Frame(plain, 0, 0, "a", layout=layout)
    shape, strides = (rows, width, channels), (memory.strides[0], channels, 1)
    image = np.ndarray(shape, np.uint8, memory.data, strides=strides)
    return Frame(image, 0, 0, "a", layout=layout)


def expected(frames: Any, which: Any, matrices: Any, net: Network, border: float) -> np.ndarray:
    rgb = [reference.cropped(frames[w], m, net, border) for w, m in zip(which, matrices)]
    return reference.normalised(np.array(rgb), net)


def agree(ours: np.ndarray, exact: np.ndarray, net: Network, grey: float = GREY) -> None:
    """Whole grey values, and the right ones unless the exact one is within `grey` of a half."""
    shape = (3,) if net.layout == "nhwc" else (3, 1, 1)
    mean, std = np.reshape(net.mean, shape), np.reshape(net.std, shape)
    got, wanted = ours * std + mean, exact * std + mean
    assert np.abs(got - np.rint(got)).max() < 1e-3
    assert np.abs(got - wanted).max() <= 0.5 + grey
    clear = np.abs(wanted - np.floor(wanted) - 0.5) > grey
    assert (np.rint(got) == np.rint(wanted))[clear].all()


def boxes_around(width: int, height: int) -> np.ndarray:
    """Inside, half outside at each side, far away, larger than the frame, tiny."""
    w, h = width, height
    return np.array(
        [
            [w * 0.2, h * 0.1, w * 0.7, h * 0.9],
            [-w / 2, h / 4, w / 2, h],
            [w / 2, 0, w * 1.5, h],
            [0, -h / 2, w, h / 2],
            [0, h / 2, w, h * 1.5],
            [9 * w, 9 * h, 10 * w, 10 * h],
            [-w, -h, 2 * w, 2 * h],
            [w / 3, h / 3, w / 3 + 1, h / 3 + 1],
        ],
        np.float32,
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("border", [0, 114])
@pytest.mark.parametrize("padding", [0, 13])
def test_every_format_in_and_out_of_the_frame(layout: str, border: int, padding: int) -> None:
    frame, net = noise(layout, 160, 120, 1, padding), network(**IMAGENET)
    boxes = boxes_around(160, 120)
    turns = np.linspace(-4, 4, len(boxes))
    matrices = geometry.crop_affine(boxes, (24, 32), rotations_rad=turns)
    which = [0] * len(boxes)
    ours = kernel.sampled([frame], which, matrices, net, border=border)
    agree(ours, expected([frame], which, matrices, net, border), net)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(2, 2), (3, 2), (33, 7), (161, 119), (1, 4)])
def test_odd_and_tiny_sizes(layout: str, size: Tuple[int, int]) -> None:
    """Frames whose last pair of pixels is half: nothing is read beyond the row."""
    width, height = size
    if layout == "nv12":
        height -= height % 2
    frame, net = noise(layout, max(width, 2), height, 2), network(17, 9, std=[255.0] * 3)
    boxes = np.array([[-1, -1, width + 1, height + 1]], np.float32)
    matrices = geometry.crop_affine(boxes, (17, 9), rotations_rad=np.array([0.3]))
    ours = kernel.sampled([frame], [0], matrices, net, border=9)
    agree(ours, expected([frame], [0], matrices, net, 9), net)
    rgb = reference.letterboxed(frame, net, 114)
    agree(kernel.letterboxed([frame], net)[0], reference.normalised(rgb, net), net, WHOLE)


@pytest.mark.parametrize("layout", ["nv12", "yuyv"])
@pytest.mark.parametrize("width", [1, 3, 5])
def test_nothing_beyond_an_odd_row_is_read(layout: str, width: int) -> None:
    """Rows padded with bytes that change: the picture does not."""
    net, height = network(8, 8), 4
    one, other = (noise(layout, width, height, 3, padding=4) for _ in range(2))
    other.image.base[:, width * (2 if layout == "yuyv" else 1) :] ^= 255  # type: ignore[index]
    np.testing.assert_array_equal(one.image, other.image)
    results = [kernel.letterboxed([f], net) for f in (one, other)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("batch", [0, 1, 64])
def test_a_batch_of_crops_from_several_frames(batch: int) -> None:
    frames = [noise(kind, 64 + 2 * i, 48, i) for i, kind in enumerate(LAYOUTS)]
    rng = np.random.default_rng(4)
    low = rng.uniform(-20, 50, (batch, 2))
    boxes = np.concatenate((low, low + rng.uniform(1, 60, (batch, 2))), -1).astype(np.float32)
    net = network(**IMAGENET)
    matrices = geometry.crop_affine(boxes, (24, 32), rotations_rad=rng.uniform(-3, 3, batch))
    which = rng.integers(0, len(frames), batch)
    ours = kernel.sampled(frames, which, matrices, net)
    assert ours.shape == (batch, 3, 32, 24)
    if batch:
        agree(ours, expected(frames, which, matrices, net, 0), net)


def test_slots_say_where_each_crop_goes() -> None:
    frame, net = noise("bgr", 32, 32, 5), network(8, 8)
    matrices = np.array([[[1, 0, -i], [0, 1, 0]] for i in range(3)], np.float64)
    sources = crops.rows_of_frames([frame], [frame.image.ctypes.data])
    table = np.zeros(3, layouts.CROP)
    crops.fill_samples(table, sources, np.zeros(3, int), matrices, (8, 8))
    plain = kernel.cut(table, net)
    table["slot"] = [4, 0, 2]
    out = kernel.cut(table, net, slots=5)
    np.testing.assert_array_equal(out[[4, 0, 2]], plain)
    assert (out[[1, 3]] == 77).all()


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int32"])
def test_every_output(layout: str, channels: str, dtype: str) -> None:
    frame = noise("rgb", 40, 30, 6)
    net = network(12, 16, layout=layout, channels=channels, mean=[10.0, 20.0, 30.0], std=[2.0] * 3)
    matrices = geometry.crop_affine(np.array([[3, 2, 30, 28]], np.float32), (12, 16))
    whole = np.rint(reference.cropped(frame, matrices[0], net, 0))
    wanted = reference.normalised(whole, net)[None]
    ours = kernel.sampled([frame], [0], matrices, net, dtype)
    assert ours.dtype == dtype
    if dtype.startswith("float"):
        exact = wanted.astype(dtype)
    else:
        limits = np.iinfo(dtype)
        exact = np.clip(np.rint(wanted), limits.min, limits.max).astype(dtype)
    assert (ours != exact).mean() < 0.01  # colours that are half way between two
    apart = np.abs(ours.astype(np.float64) - exact)
    assert apart.max() <= (0.51 if dtype.startswith("float") else 1)


def test_int8_takes_the_engines_step() -> None:
    frame, net = noise("bgr", 16, 16, 7), network(16, 16, std=[255.0] * 3)
    sources = crops.rows_of_frames([frame], [frame.image.ctypes.data])
    table = np.zeros(1, layouts.CROP)
    identity = np.array([[[1, 0, 0], [0, 1, 0]]], np.float64)
    crops.fill_samples(table, sources, np.zeros(1, int), identity, (16, 16))
    ours = kernel.cut(table, net, np.int8, quantum=1 / 127)
    wanted = np.rint(frame.image[..., ::-1].transpose(2, 0, 1) / 255 * 127)
    assert np.abs(ours[0] - wanted).max() <= 1
    assert (ours[0] != wanted).mean() < 0.01


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(97, 55), (640, 360), (30, 300)])
def test_letterbox(layout: str, size: Tuple[int, int]) -> None:
    width, height = size[0] - size[0] % 2, size[1] - size[1] % 2
    frame, net = noise(layout, width, height, 8), network(64, 48, std=[255.0] * 3)
    ours = kernel.letterboxed([frame, frame], net)
    wanted = reference.normalised(reference.letterboxed(frame, net, 114), net)
    agree(ours[0], wanted, net, WHOLE)
    np.testing.assert_array_equal(ours[0], ours[1])


def scaled(size: float, layout: str) -> int:
    """What a picture of that layout can be: colours of YUV come in pairs."""
    return int(size) if layout in ("bgr", "rgb", "gray") else 2 * (int(size) // 2 or 1)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), layout=st.sampled_from(LAYOUTS))
def test_whole_frames_are_those_of_opencv(data: st.DataObject, layout: str) -> None:
    """Every number of the input, shrunk and enlarged, in every format."""
    width, height = (scaled(data.draw(st.integers(1, 700)), layout) for _ in range(2))
    frame = noise(layout, width, height, data.draw(st.integers(0, 99)))
    net = network(*(data.draw(st.integers(1, 200)) for _ in range(2)), **IMAGENET)
    opencv = np.zeros((1, *net.sample_shape), np.float32)
    preprocess.letterbox([frame], net, opencv)
    np.testing.assert_array_equal(kernel.letterboxed([frame], net), opencv)


@settings(max_examples=60, deadline=None)
@example(seed=3894, layout="bgr")  # half way between two floats
@example(seed=204, layout="gray")
@given(seed=st.integers(0, 9999), layout=st.sampled_from(LAYOUTS))
def test_crops_are_those_of_opencv(seed: int, layout: str) -> None:
    """Every number of the input from OpenCV 5 on; before it noise is up to 9 grey values apart."""
    rng = np.random.default_rng(seed)
    width, height = (2 * rng.integers(1, 960, 2)).tolist()
    frame = noise(layout, width, height, seed)
    low = rng.uniform(-300, 1500, (2, 2))
    boxes = np.concatenate((low, low + rng.uniform(1, 900, (2, 2))), -1).astype(np.float32)
    # OpenCV takes 16 px at once; what is left over in a row it rounds elsewhere.
    net = network(32 * int(rng.integers(1, 9)), int(rng.integers(1, 200)), **IMAGENET)
    turns = np.array([0.0, rng.uniform(-7, 7)])
    matrices = geometry.crop_affine(boxes, (net.width, net.height), rotations_rad=turns)
    opencv = np.zeros((2, *net.sample_shape), np.float32)
    border = int(rng.integers(0, 256))
    preprocess.sample([frame], np.zeros(2, int), matrices, net, opencv, border)
    ours = kernel.sampled([frame], [0, 0], matrices, net, border=border)
    if SAMPLES_ALIKE:
        np.testing.assert_array_equal(ours, opencv)
    assert (np.abs(ours - opencv) * np.reshape(net.std, (3, 1, 1))).max() < 9.6


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 9999),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    layout=st.sampled_from(["nchw", "nhwc"]),
)
def test_veils_hide_the_same_pixels_as_on_the_host(
    seed: int, width: int, height: int, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    frame = Frame(np.full((90, 90), 200, np.uint8), 0, 0, "a", layout="gray")
    net = network(width, height, layout=layout)
    matrices = np.tile(np.array([[1.0, 0, 0], [0, 1, 0]]), (4, 1, 1))
    cells = rng.integers(0, 2, veil.blank(2, (width, height)).shape, np.uint8) * 255
    veils = Veils(np.array([0, -1, 1, 0], np.int32), cells)
    which, border = np.zeros(4, int), int(rng.integers(0, 256))
    opencv = np.zeros((4, *net.sample_shape), np.float32)
    preprocess.sample([frame], which, matrices, net, opencv, border, veils)
    ours = kernel.sampled([frame], which, matrices, net, border=border, veils=veils)
    np.testing.assert_array_equal(ours, opencv)
    assert (ours[1] == 200).all(), "the second has no veil"


@given(
    mean=st.lists(st.floats(0, 255), min_size=3, max_size=3),
    std=st.lists(st.floats(0.01, 500), min_size=3, max_size=3),
)
@example(mean=[0.0, 0.0, 255.0], std=[1.0, 1.0, 0.010000206434293144])
def test_every_grey_is_normalised_as_by_float64(mean: List[float], std: List[float]) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame, net = Frame(grey, 0, 0, "a", layout="gray"), network(16, 16, mean=mean, std=std)
    ours = kernel.sampled([frame], [0], np.array([[[1, 0, 0], [0, 1, 0]]]), net)[0]
    exact = (grey - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    off = np.abs(ours - exact)
    # Near the mean grey and bias cancel; their 48 bits (two floats) leave a part of their size.
    left = 2.0**-47 * (np.maximum(255, mean) / std)[:, None, None]
    assert (off <= np.spacing(np.abs(exact).astype(np.float32)) * 0.501 + left).all()


def test_a_wide_frame_up_to_its_far_corner() -> None:
    frame, net = noise("gray", 3840, 2160, 9), network(64, 64)
    boxes = np.array([[3700, 2000, 3860, 2180]], np.float32)
    matrices = geometry.crop_affine(boxes, (64, 64), rotations_rad=np.array([0.7]))
    ours = kernel.sampled([frame], [0], matrices, net)
    agree(ours, expected([frame], [0], matrices, net, 0), net, 0.25)


def test_identity_keeps_every_value() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame = Frame(grey, 0, 0, "a", layout="gray")
    identity = np.array([[[1, 0, 0], [0, 1, 0]]])
    ours = kernel.sampled([frame], [0], identity, network(16, 16))
    for plane in ours[0]:
        np.testing.assert_array_equal(plane, grey)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, 0.0])
def test_a_matrix_that_makes_no_sense_gives_border(bad: float) -> None:
    """Nothing outside the frame is read, whatever the matrix holds."""
    frame, net = noise("nv12", 16, 16, 10), network(8, 8)
    matrices = np.full((1, 2, 3), bad)
    ours = kernel.sampled([frame], [0], matrices, net, border=50)
    assert np.isfinite(ours).all()
    assert ours.min() >= 0
    assert ours.max() <= 255


@given(data=st.data())
def test_any_crop_of_any_frame(data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(LAYOUTS))
    width, height = (2 * data.draw(st.integers(1, 40)) for _ in range(2))
    seed, padding = data.draw(st.integers(0, 99)), data.draw(st.integers(0, 9))
    frame = noise(layout, width, height, seed, padding)
    places = st.floats(-200, 200, allow_nan=False)
    centre = np.array([[data.draw(places), data.draw(places)]])
    side = np.array([data.draw(st.floats(1, 300))])
    turn = np.array([data.draw(st.floats(-7, 7))])
    net = network(11, 7, channels=data.draw(st.sampled_from(["rgb", "bgr"])))
    matrices = geometry.square_crops(centre, side, turn, (11, 7))
    border = data.draw(st.integers(0, 255))
    ours = kernel.sampled([frame], [0], matrices, net, border=border)
    agree(ours, expected([frame], [0], matrices, net, border), net)


HALVES: List[float] = [
    0.0,
    -1e-9,
    1.0,
    65504.0,
    65519.99,
    65520.0,
    1e9,
    6e-8,
    2.9e-8,
    3e-8,
    6.1e-5,
    6.09e-5,
    -1.0009765625,
    1.00048828125,
    1.0014648,
    1 / 3,
    -123.456,
]


def test_halves_are_rounded_as_ieee_says() -> None:
    """One grey pixel times a scale gives any number: each becomes the half NumPy makes of it."""
    rng = np.random.default_rng(11)
    wide = rng.standard_normal(3000) * 10.0 ** rng.integers(-9, 6, 3000)
    values = np.concatenate((HALVES, wide)).astype(np.float32)
    frame = Frame(np.ones((1, 1), np.uint8), 0, 0, "a", layout="gray")
    sources = crops.rows_of_frames([frame], [frame.image.ctypes.data])
    table = np.zeros(1, layouts.CROP)
    crops.fill_letterboxes(table, sources, [frame], (1, 1))
    net = Network(file="x", width=1, height=1)
    target = crops.target_of(net, np.dtype(np.float16), 0)
    out = np.zeros(3, np.float16)
    target.data, target.crops, target.count = out.ctypes.data, table.ctypes.data, 1
    for value in values:
        target.scale[0] = value
        kernel.launch("crop", target)
        with np.errstate(over="ignore"):
            wanted = np.float16(value).view(np.uint16)
        assert out[:1].view(np.uint16) == wanted


def test_what_cannot_be_read_is_refused() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    flipped = Frame(image[:, ::-1], 0, 0, "door")
    with pytest.raises(InternalError, match="door"):
        crops.rows_of_frames([flipped], [0])
    upside = Frame(image[::-1], 0, 0, "door")
    with pytest.raises(InternalError, match="door"):
        crops.rows_of_frames([upside], [0])
    with pytest.raises(InternalError, match="float64"):
        crops.target_of(network(), np.dtype(np.float64), 0)
    with pytest.raises(InternalError, match="65535"):
        crops.check_count(65536)


VIEWS = [View(turn, flip, a) for turn in TURNS for flip in FLIPS for a in (1.0, 1.6, 0.7)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_turned_and_stretched_frames_are_what_opencv_gives(layout: str, view: View) -> None:
    frame = dataclasses.replace(noise(layout, 160, 120, 3), view=view)
    net = network(33, 24)
    ours, theirs = kernel.letterboxed([frame], net), np.zeros((1, 3, 24, 33), np.float32)
    preprocess.letterbox([frame], net, theirs)
    np.testing.assert_array_equal(ours, theirs)
    boxes = boxes_around(*frame.size)
    matrices = geometry.crop_affine(boxes, (33, 24), rotations_rad=np.linspace(-4, 4, len(boxes)))
    which = np.zeros(len(boxes), int)
    ours = kernel.sampled([frame], which, matrices, net)
    theirs = np.zeros_like(ours)
    preprocess.sample([frame], which, matrices, net, theirs)
    if SAMPLES_ALIKE:  # but for a rounding here and there
        assert np.abs(ours - theirs).max() <= 1
        assert np.mean(ours != theirs) < 2e-4
    else:
        assert np.abs(ours - theirs).mean() < 4
