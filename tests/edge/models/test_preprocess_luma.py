"""Crops of brightness: every layout, where they lie, and what is outside."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.models._preprocess import luma
from edge.structures import Frame

WIDTH, HEIGHT = 320, 240


def slope(factor: int = 1) -> np.ndarray:
    """Grey [H,W] that rises with x and y, so that a value tells a place."""
    y, x = np.mgrid[: HEIGHT * factor, : WIDTH * factor]
    return (40 + (x + y) / (4.0 * factor)).round().astype(np.uint8)


def frame(layout: str, grey: np.ndarray) -> Frame:
    height, width = grey.shape
    if layout == "nv12":
        image = np.concatenate((grey, np.full((height // 2, width), 128, np.uint8)))
    elif layout == "yuyv":
        image = np.dstack((grey, np.full_like(grey, 128)))
    elif layout == "gray":
        image = grey
    else:
        image = np.dstack([grey] * 3)
    return Frame(np.ascontiguousarray(image), 0, 0, "a", layout=layout)


@pytest.mark.parametrize("layout", ["bgr", "rgb", "nv12", "yuyv", "gray"])
@pytest.mark.parametrize("factor", [1, 4])
def test_a_crop_shows_its_window_whatever_the_layout_and_size(layout: str, factor: int) -> None:
    grey = slope(factor)
    window = np.array([[60.0 * factor, 20.0 * factor, 128.0 * factor]], np.float32)
    crop = luma.crops(frame(layout, grey), window, 64)[0].astype(int)
    at = (np.arange(64) + 0.5) * 128 / 64 - 0.5
    wanted = 40 + (60 + 20 + at[None] + at[:, None]) / 4
    assert np.abs(crop - wanted)[2:-2, 2:-2].max() <= 1.5


def test_colours_are_read_in_their_order() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 2] = 200
    window = np.array([[0, 0, 64]], np.float32)
    red = luma.crops(Frame(image, 0, 0, "a"), window, 64)[0, 30, 30]
    blue = luma.crops(Frame(image, 0, 0, "a", layout="rgb"), window, 64)[0, 30, 30]
    assert red == cv2.cvtColor(image[:1, :1], cv2.COLOR_BGR2GRAY)[0, 0]
    assert blue == cv2.cvtColor(image[:1, :1], cv2.COLOR_RGB2GRAY)[0, 0]


def test_outside_the_picture_is_black_and_far_outside_all() -> None:
    windows = np.array([[-32, 10, 64], [1000, 1000, 50], [-500, 0, 60]], np.float32)
    crops = luma.crops(frame("gray", slope()), windows, 64)
    assert not crops[0, :, :31].any()
    assert crops[0, :, 34:].all()
    assert not crops[1:].any()


def test_nobody_needs_no_crop() -> None:
    assert luma.crops(frame("bgr", slope()), np.zeros((0, 3), np.float32), 64).shape == (0, 64, 64)
