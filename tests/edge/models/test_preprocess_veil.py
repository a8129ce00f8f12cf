"""Hidden pixels of a crop look like pixels outside the frame; the others are unchanged."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.models._preprocess import crops as preprocess
from edge.models._preprocess import veil
from edge.models._preprocess.veil import Silhouettes
from edge.recipe import Network
from edge.structures import VEIL_CELL_PX, Frame, Veils

# Keypoints of COCO of somebody who stands in a crop of 128 x 256 px.
STANDING = np.array(
    [
        (64, 30),
        (68, 26),
        (60, 26),
        (72, 30),
        (56, 30),
        (84, 60),
        (44, 60),
        (92, 100),
        (36, 100),
        (96, 136),
        (32, 136),
        (76, 140),
        (52, 140),
        (78, 190),
        (50, 190),
        (78, 240),
        (50, 240),
    ],
    np.float32,
)
ALL = np.ones(17, bool)
HIDDEN, SEEN = 255, 0


def network(width: int, height: int, layout: str = "nchw") -> Network:
    return Network("x.onnx", width, height, layout=layout, mean=[9.0] * 3, std=[3.0] * 3)


def drawn(*people: Tuple[np.ndarray, np.ndarray, float, int]) -> np.ndarray:
    """One veil of 128 x 256 px, drawn one after the other: places, known, width, value."""
    cells = veil.blank(1, (128, 256))
    for places, known, width, value in people:
        width_px, hidden = np.array([width], np.float32), np.array([value == HIDDEN])
        one = Silhouettes(places[None], known[None], width_px, hidden)
        veil.draw(cells, np.zeros(1, int), one)
    return cells[0]


def at(cells: np.ndarray, place: Tuple[float, float]) -> int:
    return int(cells[int(place[1]) // VEIL_CELL_PX, int(place[0]) // VEIL_CELL_PX])


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    seed=st.integers(0, 99),
    border=st.integers(0, 255),
    image=st.sampled_from(["bgr", "gray", "nv12"]),
    layout=st.sampled_from(["nchw", "nhwc"]),
)
def test_hidden_cells_have_the_borders_value_and_others_are_untouched(
    width: int, height: int, seed: int, border: int, image: str, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    shape = {"bgr": (40, 60, 3), "gray": (40, 60), "nv12": (60, 60)}[image]
    frame = Frame(rng.integers(0, 256, shape, np.uint8), 0, 0, "a", layout=image)
    net, count = network(width, height, layout), 3
    matrices = np.tile(np.array([[1.1, 0.2, 3], [-0.2, 1.1, 2]], np.float32), (count, 1, 1))
    cells = rng.integers(0, 2, veil.blank(2, (width, height)).shape, np.uint8) * 7
    veils = Veils(np.array([1, -1, 0], np.int32), cells)
    which = np.zeros(count, np.int64)
    plain, hidden = (np.zeros((count, *net.sample_shape), np.float32) for _ in range(2))
    preprocess.sample([frame], which, matrices, net, plain, border)
    preprocess.sample([frame], which, matrices, net, hidden, border, veils)
    pixels = np.kron(cells, np.ones((1, VEIL_CELL_PX, VEIL_CELL_PX)))[:, :height, :width] > 0
    pixels = np.stack((pixels[1], np.zeros_like(pixels[0]), pixels[0]))
    pixels = pixels[..., None] if layout == "nhwc" else pixels[:, None]
    grey = np.float32((border - 9) / 3)
    np.testing.assert_array_equal(hidden, np.where(pixels, grey, plain))


def test_people_are_covered_from_head_to_ankles() -> None:
    cells = drawn((STANDING, ALL, 12.0, HIDDEN))
    for place in STANDING:
        assert at(cells, tuple(place)) == HIDDEN
    for a, b in ((7, 9), (13, 15), (5, 12), (6, 11)):  # forearm, shank, across the trunk
        assert at(cells, tuple((STANDING[a] + STANDING[b]) / 2)) == HIDDEN
    for beside in ((10, 30), (64, 220), (20, 240), (120, 100), (64, 252)):
        assert at(cells, beside) == SEEN
    assert 0.15 < (cells == HIDDEN).mean() < 0.45


def test_limbs_are_as_wide_as_told_or_two_cells_wider() -> None:
    arm = np.zeros(17, bool)
    arm[[7, 9]] = True
    level = STANDING.copy()
    level[7], level[9] = (20, 100), (100, 100)
    for width in range(4, 60, 4):
        column = drawn((level, arm, float(width), HIDDEN))[:, 60 // VEIL_CELL_PX]
        assert 0 <= (column == HIDDEN).sum() * VEIL_CELL_PX - width <= 2 * VEIL_CELL_PX


def test_what_is_not_known_hides_nothing() -> None:
    assert not drawn((STANDING, ~ALL, 12.0, HIDDEN)).any()
    legs = ALL.copy()
    legs[:11] = False
    cells = drawn((STANDING, legs, 12.0, HIDDEN))
    assert at(cells, (64, 30)) == SEEN
    assert at(cells, (64, 100)) == SEEN, "a trunk without shoulders"
    assert at(cells, (78, 215)) == HIDDEN


@pytest.mark.parametrize("nowhere", [np.inf, -np.inf, 3e38])
def test_where_the_unknown_are_said_to_be_makes_no_difference(nowhere: float) -> None:
    some = ALL.copy()
    some[[2, 9, 16]] = False
    moved = STANDING.copy()
    moved[[2, 9, 16]] = nowhere
    plain, odd = (drawn((places, some, 12.0, HIDDEN)) for places in (STANDING, moved))
    np.testing.assert_array_equal(odd, plain)


def test_who_is_drawn_last_is_on_top() -> None:
    aside = STANDING + (30, 0)
    cells = drawn((aside.astype(np.float32), ALL, 12.0, HIDDEN), (STANDING, ALL, 8.0, SEEN))
    assert at(cells, tuple(STANDING[5])) == SEEN
    assert at(cells, tuple(aside[9])) == HIDDEN


def test_somebody_tiny_covers_a_cell_and_somebody_huge_everything() -> None:
    assert 1 <= (drawn((STANDING * 0.001, ALL, 0.01, HIDDEN)) == HIDDEN).sum() <= 4
    middle = STANDING[[5, 6, 11, 12]].mean(0)
    huge = (STANDING - middle) * 20 + (64, 128)
    assert (drawn((huge.astype(np.float32), ALL, 12.0 * 20, HIDDEN)) == HIDDEN).all()


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("shift", [-1e8, 1e8])
def test_somebody_far_away_covers_nothing(factor: float, shift: float) -> None:
    places = (STANDING * factor + shift).astype(np.float32)
    assert not drawn((places, ALL, 12.0 * factor, HIDDEN)).any()


def test_a_veil_of_another_kind_is_refused() -> None:
    cells = veil.blank(1, (8, 8))
    with pytest.raises(ValueError, match=r"Veils\.of_crop"):
        Veils(np.zeros(1, np.int64), cells)
    with pytest.raises(ValueError, match=r"Veils\.cells"):
        Veils(np.zeros(1, np.int32), cells.astype(np.float32))
