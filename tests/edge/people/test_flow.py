"""Points followed over crops whose motion is known."""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np
import pytest

from edge.people import flow

SIDE = 96


def textured(seed: int, blur: float = 3.0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload,no-any-return]


def shifted(image: np.ndarray, by: Tuple[float, float]) -> np.ndarray:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float64)
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT))


def grid(n: int) -> np.ndarray:
    at = np.mgrid[30:70:10, 30:70:10].reshape(2, -1).T.astype(np.float32)
    return np.tile(at, (n, 1, 1))


@pytest.mark.parametrize("method", list(flow.METHODS))
def test_each_crop_has_its_own_motion(method: str) -> None:
    moves = [(0.0, 0.0), (4.3, -2.6), (-7.0, 5.5)]
    before = np.stack([textured(i) for i in range(3)])
    after = np.stack([shifted(b, m) for b, m in zip(before, moves)])
    points = grid(3)
    ends, good = flow.carried(before, after, points, method)
    assert good.mean() > 0.9
    off = np.abs(ends - points - np.array(moves, np.float32)[:, None]).max(-1)
    assert off[good].max() < 0.5
    assert np.median(off) < 0.15


@pytest.mark.parametrize("method", list(flow.METHODS))
def test_what_is_hidden_or_leaves_is_not_accepted(method: str) -> None:
    before = textured(1)[None]
    other = textured(2)[None]
    _, good = flow.carried(before, other, grid(1), method)
    assert good.mean() < 0.3, "another picture"
    far = shifted(before[0], (14, 0))[None]
    points = np.array([[[95.5, 48], [-3, 48], [48, 200], [np.nan, 4]]], np.float32)
    ends, good = flow.carried(before, far, points, method)
    assert not good.any()
    assert ends.shape == points.shape


def test_a_picture_without_texture_has_no_flow() -> None:
    flat = np.full((1, SIDE, SIDE), 99, np.uint8)
    _, good = flow.carried(flat, flat, grid(1), "lucas-kanade")
    assert not good.any()


@pytest.mark.parametrize("method", list(flow.METHODS))
def test_nobody_and_no_points(method: str) -> None:
    none = np.zeros((0, SIDE, SIDE), np.uint8)
    ends, good = flow.carried(none, none, np.zeros((0, 17, 2), np.float32), method)
    assert (ends.shape, good.shape) == ((0, 17, 2), (0, 17))
    one = textured(1)[None]
    ends, good = flow.carried(one, one, np.zeros((1, 0, 2), np.float32), method)
    assert (ends.shape, good.shape) == ((1, 0, 2), (1, 0))


def test_points_are_borrowed() -> None:
    one, points = textured(1)[None], grid(1)
    flow.carried(one, one, points, "lucas-kanade")
    np.testing.assert_array_equal(points, grid(1))
