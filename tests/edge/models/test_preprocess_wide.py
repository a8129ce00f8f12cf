"""Crops from pixels of four bytes and of three bytes are bit-identical."""

from __future__ import annotations

import threading
from typing import List, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import geometry
from edge.models._preprocess import crops as p
from edge.models._preprocess import wide as preprocess_wide
from edge.recipe import Network
from edge.structures import Frame

NOISE = np.random.default_rng(7).integers(0, 256, (180, 240, 3), np.uint8)


class Poisoned(preprocess_wide._Pictures):
    """Pixels that were not converted have another colour."""

    def like(self, picture: np.ndarray) -> np.ndarray:
        wide = super().like(picture)
        wide.reshape(-1)[:] = np.tile(np.array([255, 0, 255, 0], np.uint8), wide.size // 4)
        return wide


def cut(
    monkeypatch: pytest.MonkeyPatch, faster: bool, matrix: np.ndarray, frame: Frame, net: Network
) -> np.ndarray:
    monkeypatch.setattr(preprocess_wide, "FASTER", faster)
    monkeypatch.setattr(preprocess_wide, "_pictures", Poisoned())
    out = np.full((1, *net.sample_shape), 77, net.dtype)
    p.sample([frame], np.zeros(1, np.int64), matrix[None], net, out, border=9)
    return out


def net(layout: str = "nchw", channels: str = "rgb") -> Network:
    return Network(file="x", width=48, height=64, layout=layout, channels=channels)


@settings(max_examples=150, deadline=None)
@given(
    centre=st.tuples(st.floats(-80, 320), st.floats(-80, 260)),
    side=st.floats(0.5, 900),
    turn=st.floats(-7, 7),
)
def test_the_same_bits_wherever_the_crop_lies(
    centre: Tuple[float, float], side: float, turn: float
) -> None:
    matrix = geometry.square_crops(
        np.array([centre], np.float32), np.array([side]), np.array([turn]), (48, 64)
    )[0]
    frame = Frame(NOISE, 0, 0, "cam")
    with pytest.MonkeyPatch.context() as patch:
        plain, wide = (cut(patch, faster, matrix, frame, net()) for faster in (False, True))
    np.testing.assert_array_equal(plain, wide)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("kind", ["bgr", "rgb", "gray", "nv12", "yuyv"])
def test_every_layout_in_and_out(
    monkeypatch: pytest.MonkeyPatch, kind: str, layout: str, channels: str
) -> None:
    image = {
        "gray": NOISE[..., 0].copy(),
        "nv12": np.ascontiguousarray(NOISE.reshape(-1)[: 270 * 240].reshape(270, 240)),
        "yuyv": np.ascontiguousarray(NOISE[..., :2]),
    }.get(kind, NOISE)
    matrix = geometry.crop_affine(np.array([[60, 20, 150, 170]], np.float32), (48, 64))[0]
    found = []
    for faster in (False, True):
        frame = Frame(image, 0, 0, "cam", layout=kind)  # anew: its picture is converted once
        found.append(cut(monkeypatch, faster, matrix, frame, net(layout, channels)))
    np.testing.assert_array_equal(*found)
    assert len(np.unique(found[0])) > 100


@pytest.mark.parametrize(
    "matrix",
    [
        [[0, 0, 5], [0, 0, 5]],
        [[1, 2, 0], [2, 4, 0]],
        [[np.nan, 0, 0], [0, 1, 0]],
        [[1, 0, np.inf], [0, 1, 0]],
        [[1e-200, 0, 0], [0, 1e-200, 0]],
        [[1, 0, 5000], [0, 1, 0]],
    ],
)
def test_what_is_no_crop_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, matrix: List[List[float]]
) -> None:
    monkeypatch.setattr(preprocess_wide, "FASTER", True)
    assert preprocess_wide.widened(NOISE, np.array(matrix, np.float64), (48, 64)) is NOISE


@pytest.mark.parametrize("scale", [1e30, 1e6, 1e-3, 1e-6])
def test_crops_of_odd_sizes_are_the_same(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    matrix, frame = np.array([[scale, 0, 0], [0, scale, 0]]), Frame(NOISE, 0, 0, "cam")
    plain, wide = (cut(monkeypatch, faster, matrix, frame, net()) for faster in (False, True))
    np.testing.assert_array_equal(plain, wide)


def test_only_what_is_read_is_converted() -> None:
    matrix = geometry.square_crops(
        np.array([[100, 90]], np.float32), np.array([20.0]), np.array([0.5]), (48, 48)
    )[0]
    rows, columns = preprocess_wide._region(matrix, (48, 48), NOISE.shape) or (slice(0), slice(0))
    reach = 10 * (np.cos(0.5) + np.sin(0.5))
    assert 2 * reach <= rows.stop - rows.start <= 2 * reach + 6
    assert columns.start == pytest.approx(100 - reach - 2, abs=1)


def test_cameras_that_change_size_again_and_again_cost_no_memory() -> None:
    kept = preprocess_wide._Pictures()
    for width in range(10, 40):
        kept.like(np.zeros((8, width, 3), np.uint8))
    assert len(kept._of_size) <= preprocess_wide._SIZES


def test_every_thread_has_its_own() -> None:
    kept = preprocess_wide._Pictures()
    others: List[np.ndarray] = []
    thread = threading.Thread(target=lambda: others.append(kept.like(NOISE)))
    thread.start()
    thread.join()
    assert kept.like(NOISE) is kept.like(NOISE)
    assert kept.like(NOISE) is not others[0]
