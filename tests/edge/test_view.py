"""Views: turned, mirrored and stretched pictures, read where they lie."""

from __future__ import annotations

import dataclasses
from typing import Any, Tuple

import cv2
import numpy as np
import pytest

from edge import geometry
from edge.commands.snapshot import to_bgr
from edge.models._preprocess import crops as preprocess
from edge.people.stillness import Stillness
from edge.recipe import Network
from edge.structures import Frame
from edge.view import FLIPS, TURNS, View, pixel_aspect, stored_of_upright, upright_of_stored

ROTATE = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
FLIP = {"h": 1, "v": 0}
HUNG = [View(turn, flip) for turn in TURNS for flip in FLIPS]


def by_opencv(image: np.ndarray, view: View) -> np.ndarray:
    """The definition: stretched, turned clockwise, then mirrored."""
    if view.aspect != 1:
        image = cv2.resize(image, view.stretched((image.shape[1], image.shape[0])))
    if view.turn:
        image = cv2.rotate(image, ROTATE[view.turn])
    return cv2.flip(image, FLIP[view.flip]) if view.flip else image


def waves(width: int = 160, height: int = 96) -> np.ndarray:
    """A smooth picture that is different in every corner."""
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / (17 + 3 * c)) + np.cos(y / 23 - c) + x / 90 for c in range(3)]
    return np.rint(np.clip(np.stack(planes, -1) * 50 + 90, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("view", HUNG, ids=str)
def test_turns_and_mirrors_are_opencvs_without_a_copy(view: View) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    upright = view.upright(image)
    assert np.shares_memory(upright, image)
    np.testing.assert_array_equal(upright, by_opencv(image, view))
    assert view.size((7, 5)) == upright.shape[1::-1]
    back = stored_of_upright(view, (7, 5))
    for y, x in np.ndindex(upright.shape[:2]):
        column, row = back[:, :2] @ (x, y) + back[:, 2]
        np.testing.assert_array_equal(upright[y, x], image[round(row), round(column)])


@pytest.mark.parametrize(
    ("aspect", "turn", "size"),
    [(2.0, 0, (200, 50)), (0.5, 0, (100, 100)), (2.0, 90, (50, 200)), (4 / 3, 0, (133, 50))],
)
def test_pixels_become_square_by_growing(aspect: float, turn: int, size: Tuple[int, int]) -> None:
    view = View(turn, "", aspect)
    assert view.size((100, 50)) == size
    # The edges of both pictures lie on each other.
    edges = np.array([[-0.5, -0.5], [size[0] - 0.5, size[1] - 0.5]])
    matrix = stored_of_upright(view, (100, 50))
    there = np.sort(edges @ matrix[:, :2].T + matrix[:, 2], 0)
    np.testing.assert_allclose(there, [[-0.5, -0.5], [99.5, 49.5]])
    both = np.vstack((matrix, [0, 0, 1])) @ np.vstack(
        (upright_of_stored(view, (100, 50)), [0, 0, 1])
    )
    np.testing.assert_allclose(both, np.eye(3), atol=1e-9)


@pytest.mark.parametrize(
    ("numerator", "denominator", "aspect"),
    [(4, 3, 4 / 3), (1, 1, 1), (0, 1, 1), (1, 0, 1), (-1, -1, 1), (1001, 1000, 1), (50, 1, 1)],
)
def test_pixel_aspects_that_mean_nothing_are_square(
    numerator: float, denominator: float, aspect: float
) -> None:
    assert pixel_aspect(numerator, denominator) == aspect


def frames_of(view: View, layout: str = "bgr") -> Tuple[Frame, Frame]:
    """The stored picture with its view, and the same picture made upright."""
    image = waves()
    if layout == "nv12":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
        high, wide = 96, 160
        chroma = image[high:].reshape(2, -1).T.reshape(high // 2, wide)
        image = np.ascontiguousarray(np.vstack((image[:high], chroma)))
    stored = Frame(image, 0, 0, "a", layout=layout, view=view)
    plain = dataclasses.replace(stored, view=None)
    return stored, Frame(np.ascontiguousarray(by_opencv(to_bgr(plain), view)), 0, 0, "a")


STRETCHED = [View(aspect=1.6), View(90, "", 1.6), View(180, "h", 0.7), View(270, "v", 2.0)]


@pytest.mark.parametrize("layout", ["bgr", "nv12"])
@pytest.mark.parametrize("view", [*HUNG[1:], *STRETCHED], ids=str)
def test_networks_see_the_upright_picture(view: View, layout: str) -> None:
    stored, upright = frames_of(view, layout)
    assert stored.size == upright.size
    net = Network(file="x.onnx", width=48, height=64)
    seen, wanted = (np.zeros((1, 3, 64, 48), np.float32) for _ in range(2))
    a, b = (preprocess.letterbox([f], net, out) for f, out in ((stored, seen), (upright, wanted)))
    np.testing.assert_array_equal(a, b)
    # A stretched picture was sampled once, the upright one twice.
    limit = 1.01 if view.aspect == 1 else 12
    assert np.abs(seen - wanted).max() <= limit
    assert np.abs(seen - wanted).mean() < 1
    box = np.array([[30, 20, 80, 90], [-20, 10, 60, 200]], np.float32)
    matrices = geometry.crop_affine(box, (48, 64), rotations_rad=np.array([0.4, -2.0]))
    seen, wanted = (np.zeros((2, 3, 64, 48), np.float32) for _ in range(2))
    for frame, out in ((stored, seen), (upright, wanted)):
        preprocess.sample([frame], np.zeros(2, int), matrices, net, out)
    # At its very edge, a stretched picture ends within another pixel.
    assert np.mean(np.abs(seen - wanted) > limit) < (0.01 if view.aspect == 1 else 0.06)
    assert np.abs(seen - wanted).mean() < (0.3 if view.aspect == 1 else 3)


@pytest.mark.parametrize("view", [*HUNG[1:], *STRETCHED], ids=str)
def test_a_snapshot_is_upright(view: View) -> None:
    stored, upright = frames_of(view)
    np.testing.assert_array_equal(to_bgr(stored), upright.image)


@pytest.mark.parametrize("view", [None, *HUNG[1:], *STRETCHED], ids=str)
def test_motion_behind_known_people_of_a_turned_picture_does_not_count(view: Any) -> None:
    """A box in px of the upright picture hides the same place of the stored one."""
    noise = np.random.default_rng(1).integers(90, 110, (96, 160, 3)).astype(np.uint8)
    before, after = noise.copy(), noise.copy()
    after[10:40, 100:140] = 255
    first, later = (Frame(i, 0, 0, "a", view=view) for i in (before, after))
    mark = np.zeros((96, 160), np.uint8)
    mark[10:40, 100:140] = 255
    rows, columns = np.nonzero(by_opencv(mark, view or View()) > 127)
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    nobody = np.zeros((0, 4), np.float32)
    still = Stillness()
    still.remember(first, nobody)
    assert still.share(later, nobody) == 0
    assert still.share(later, box) > 0
