"""Privacy masks: what lies inside leaves no trace in any frame that the program sees."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any, List, Tuple

import cv2
import numpy as np
import pytest

from edge.capture import Cameras
from edge.capture._mask import GREY, Mask
from edge.commands.snapshot import to_bgr
from edge.errors import ConfigError, InternalError
from edge.models._preprocess import crops, luma
from edge.recipe import Network
from edge.settings import config
from edge.settings.config import Camera, Config
from edge.structures import LAYOUTS, Frame
from edge.view import View, stored_of_upright
from tests.fakes import kernel_cpu

SQUARE = [[10.0, 6.0], [29.0, 6.0], [29.0, 20.0], [10.0, 20.0]]
VIEWS = [None, *(View(turn, flip) for turn, flip in product((90, 180, 270), ("", "h", "v")))]
NET = Network(file="x", width=24, height=24)


def shape_of(layout: str, width: int, height: int) -> Tuple[int, ...]:
    if layout == "nv12":
        return (height * 3 // 2, width)
    return (height, width) + {"bgr": (3,), "rgb": (3,), "yuyv": (2,), "gray": ()}[layout]


def noise(layout: str, size: Tuple[int, int] = (48, 36), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape_of(layout, *size), np.uint8)


def inside(view: Any, size: Tuple[int, int], square: List[List[float]]) -> np.ndarray:
    """Where the upright px of a rectangle lie in the stored picture, [H,W] bool."""
    (x1, y1), (x2, y2) = square[0], square[2]
    x, y = np.meshgrid(np.arange(x1, x2 + 1), np.arange(y1, y2 + 1))
    matrix = stored_of_upright(view or View(), size)
    at = np.rint(np.stack([x.ravel(), y.ravel()], 1) @ matrix[:, :2].T + matrix[:, 2]).astype(int)
    hidden = np.zeros(size[::-1], bool)
    hidden[at[:, 1], at[:, 0]] = True
    return hidden


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_pixels_of_a_mask_are_grey_and_the_others_as_they_were(layout: str, view: Any) -> None:
    image, mask = noise(layout), Mask([SQUARE])
    before = image.copy()
    assert mask.paint(image, layout, view)
    hidden = inside(view, (48, 36), SQUARE)
    plane = image[:36] if layout == "nv12" else image
    grey = [GREY, 128] if layout == "yuyv" else GREY
    assert (plane[hidden] == grey).all()
    if layout == "nv12":
        pairs = image[36:].reshape(18, 24, 2)
        touched = hidden.reshape(18, 2, 24, 2).any((1, 3))
        assert (pairs[touched] == 128).all()
        np.testing.assert_array_equal(pairs[~touched], before[36:].reshape(18, 24, 2)[~touched])
    if layout == "yuyv":
        hidden = hidden.reshape(36, 24, 2).any(2).repeat(2, 1)
    old = before[:36] if layout == "nv12" else before
    np.testing.assert_array_equal(plane[~hidden], old[~hidden])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_sampler_can_tell_what_lies_under_a_mask(layout: str) -> None:
    """Crops, letterboxes and flow of OpenCV, the GPU's kernel, and the pictures for people."""
    seen = []
    for seed in (1, 2):
        image = noise(layout)
        whole = np.ones((36, 48), bool)
        whole[6:21, 10:30] = False
        other, plane = noise(layout, seed=seed), image[:36] if layout == "nv12" else image
        plane[~whole] = (other[:36] if layout == "nv12" else other)[~whole]
        if layout == "nv12":
            image[36:].reshape(18, 24, 2)[3:11, 5:15] = other[36:].reshape(18, 24, 2)[3:11, 5:15]
        Mask([SQUARE]).paint(image, layout, None)
        frame = Frame(image, 0, 0, "door", layout=layout)
        matrices = np.array([[[0.9, 0.2, -2], [-0.2, 0.9, 3]], [[0.5, 0, 0], [0, 0.5, 0]]])
        seen.append([*sampled(frame, matrices), to_bgr(frame)])
    for one, other in zip(*seen):
        np.testing.assert_array_equal(one, other)


def sampled(frame: Frame, matrices: np.ndarray) -> List[np.ndarray]:
    """What networks and flow get of a frame, from OpenCV and from the kernel."""
    which, out = np.zeros(2, int), np.zeros((2, 3, 24, 24), np.float32)
    crops.sample([frame], which, matrices, NET, out)
    fitted = np.zeros((1, 3, 24, 24), np.float32)
    crops.letterbox([frame], NET, fitted)
    flow = luma.crops(frame, np.array([[8, 4, 24]], np.float32), 24)
    return [out, fitted, flow, *by_kernel(frame, matrices)]


def by_kernel(frame: Frame, matrices: np.ndarray) -> List[np.ndarray]:
    cut = kernel_cpu.sampled([frame], [0, 0], matrices, NET)
    return [cut, kernel_cpu.letterboxed([frame], NET)]


def test_shares_follow_the_size_of_the_picture_and_px_do_not() -> None:
    shares, px = Mask([[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]), Mask([SQUARE])
    for width in (48, 96):
        image = noise("bgr", (width, 36))
        shares.paint(image, "bgr", None)
        assert (image[:, : width // 2] == GREY).all()
        assert (image[:, width // 2 + 1 :] != GREY).any()
        image = noise("bgr", (width, 36))
        px.paint(image, "bgr", None)
        assert (image[6:21, 10:30] == GREY).all()
        assert (image[:, 31:] != GREY).any()


def test_polygons_that_overlap_hide_both() -> None:
    image = np.zeros((36, 48, 3), np.uint8)
    Mask([SQUARE, SQUARE]).paint(image, "bgr", None)
    assert (image[6:21, 10:30] == GREY).all()


@pytest.mark.parametrize("size", [(47, 35), (1, 1), (2, 3)])
@pytest.mark.parametrize("layout", ["nv12", "yuyv", "gray"])
def test_odd_sizes_are_hidden_whole(layout: str, size: Tuple[int, int]) -> None:
    shape = shape_of(layout, *size)
    image = np.zeros((size[1] + -(-size[1] // 2), size[0]) if layout == "nv12" else shape, np.uint8)
    Mask([[[0, 0], [1, 0], [1, 1], [0, 1]]]).paint(image, layout, None)
    rows = image.shape[0] * 2 // 3 if layout == "nv12" else size[1]
    luma_plane = image[:rows] if layout != "yuyv" else image[..., 0]
    assert (luma_plane == GREY).all()
    if layout == "nv12" and size[0] > 1:
        assert (image[rows:, : size[0] // 2 * 2] == 128).all()


def test_padded_rows_are_painted_in_place() -> None:
    whole = np.zeros((36, 60, 3), np.uint8)
    Mask([SQUARE]).paint(whole[:, :48], "bgr", None)
    assert (whole[6:21, 10:30] == GREY).all()
    assert not whole[:, 48:].any()


def test_a_picture_that_cannot_be_written_is_not_shown() -> None:
    image = noise("bgr")
    image.flags.writeable = False
    with pytest.raises(InternalError, match="read-only"):
        Mask([SQUARE]).paint(image, "bgr", None)


@pytest.mark.parametrize("rotate", [0, 90])
def test_frames_of_a_camera_are_masked_before_anybody_gets_them(
    tmp_path: Path, rotate: int
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((36, 48, 3), 200, np.uint8))
    square = tuple(tuple(c) for c in SQUARE)
    camera = Camera(f"file://{tmp_path}/a.png", "door", rotate, mask=(square,))
    cameras = Cameras([camera], config.Capture())
    cameras.start()
    frames = cameras.take(60.0)
    try:
        upright = to_bgr(frames[0])
        assert (upright[6:21, 10:30] == GREY).all()
        assert (upright[:5] == 200).all()
        assert (upright[22:] == 200).all()
    finally:
        cameras.release(frames)
        cameras.close()


def test_a_mask_beside_the_picture_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((36, 48, 3), 200, np.uint8))
    far = ((100.0, 100.0), (200.0, 100.0), (200.0, 200.0))
    cameras = Cameras([Camera(f"file://{tmp_path}/a.png", "door", mask=(far,))], config.Capture())
    cameras.start()
    cameras.release(cameras.take(60.0))
    cameras.close()
    assert "door: mask: lies outside the picture and hides nothing" in caplog.text


@pytest.mark.parametrize(
    ("corners", "why"),
    [
        ([[1, 2], [3, 4]], "at least 3 corners"),
        ([[1, 2, 3], [3, 4, 5], [5, 6, 7]], "at least 3 corners"),
        ([[0, 0], [10, 10], [20, 20]], "on one line"),
        ([[0, 0], [0, 0], [20, 20]], "on one line"),
        ([[0, 0], [10, 10], [10, 0], [0, 10]], "its sides cross"),
        ([[0, 0], [10, "x"], [10, 0]], "expected a number"),
        ([[0, 0], [1e9, 10], [10, 0]], "above the largest"),
        ("all", "expected a list"),
    ],
)
def test_what_is_no_polygon_is_refused(corners: Any, why: str) -> None:
    table = {"cameras": [{"source": "synthetic://", "mask": [corners]}]}
    with pytest.raises(ConfigError, match=rf"cameras\[0\]\.mask\[0\].*{re.escape(why)}"):
        config.complete(config.build(Config, table))


def test_a_mask_is_read_and_shown_again(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(
        '[[cameras]]\nsource = "synthetic://"\nmask = [[[0, 0], [9, 0.5], [0, 9]]]\n',
        encoding="utf-8",
    )
    loaded = config.load(path)
    assert loaded.cameras[0].mask == (((0.0, 0.0), (9.0, 0.5), (0.0, 9.0)),)
    path.write_text(config.show(loaded), encoding="utf-8")
    assert config.load(path).cameras == loaded.cameras
