"""The decoding kernels, compiled by g++, against the decoding of the models in NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.models import _simcc
from edge.models._boxes import sigmoid
from edge.runtime.kernels import decode
from tests.fakes import kernel_cpu as kernel


def peaks(x: np.ndarray, y: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    rows = int(np.prod(x.shape[:-1]))
    task = decode.peaks_of(
        (x.ctypes.data, y.ctypes.data), (x.shape[-1], y.shape[-1]), rows, x.dtype
    )
    at, best = np.full((rows, 2), -9, np.int32), np.full((rows, 2), -9, np.float32)
    task.at, task.best = at.ctypes.data, best.ctypes.data
    kernel.launch("simcc_peaks", task)
    return at.reshape(*x.shape[:-1], 2), best.reshape(*x.shape[:-1], 2)


@pytest.mark.parametrize("batch", [0, 1, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_peaks_are_those_of_numpy(batch: int, dtype: Any) -> None:
    rng = np.random.default_rng(batch)
    x = rng.standard_normal((batch, 17, 97)).astype(dtype)
    y = rng.standard_normal((batch, 17, 131)).astype(dtype)
    at, best = peaks(x, y)
    for i, axis in enumerate((x, y)):
        np.testing.assert_array_equal(at[..., i], axis.argmax(-1))
        np.testing.assert_array_equal(best[..., i], axis.max(-1))


def test_peaks_decode_as_the_model_does(recorded: Any) -> None:
    """On logits of a real network: the same bins and scores as `_simcc.maxima`."""
    z = recorded("simcc_s0")
    for kind in [k[:-8] for k in z if k.endswith("_simcc_x")]:
        x, y = (np.ascontiguousarray(z[f"{kind}_simcc_{a}"], np.float32) for a in "xy")
        bins, scores = _simcc.maxima(x, y, "min")
        at, best = peaks(x, y)
        seen = best.min(-1) > 0
        np.testing.assert_array_equal(np.where(seen[..., None], at, -1), bins)
        np.testing.assert_array_equal(best.min(-1), scores)


@pytest.mark.parametrize("reach", [16, 19, 40])
def test_refined_from_what_is_near_the_peaks(reach: int) -> None:
    """Bit for bit what the whole logits give, at the ends of an axis as well."""
    rng = np.random.default_rng(reach)
    axes = [rng.random((4, 9, wide)).astype(np.float32) ** 4 for wide in (96, 128)]
    axes[0][0, 0, 0], axes[1][0, 1, -1], axes[1][1, 1, 1] = 2, 2, 2
    task = decode.peaks_of(
        (axes[0].ctypes.data, axes[1].ctypes.data), (96, 128), 36, axes[0].dtype, reach
    )
    at, best = np.zeros((4, 9, 2), np.int32), np.zeros((4, 9, 2), np.float32)
    near = np.full((4, 9, 2, 2 * reach + 1), np.nan, np.float32)
    task.at, task.best, task.near = (a.ctypes.data for a in (at, best, near))
    kernel.launch("simcc_peaks", task)
    for i, axis in enumerate(axes):
        bins = at[..., i].astype(np.float32)
        whole = _simcc.refine_dark(axis, bins, 29)
        fine = _simcc.refine_near(near[:, :, i], bins, axis.shape[-1], 29)
        np.testing.assert_array_equal(fine, whole)
        assert (fine != bins).any()


ODD = [0.0, -0.0, 1.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 6e-8, 65504.0]


@given(st.lists(st.sampled_from(ODD), min_size=1, max_size=12))
def test_the_first_of_equal_ones_and_what_is_no_number(values: Any) -> None:
    row = np.array([values], np.float16)
    for axis in (row, row.astype(np.float32)):
        at, best = peaks(axis, axis)
        assert at[0, 0] == axis.argmax(-1)[0]
        np.testing.assert_array_equal(best[0, 1], axis[0, axis.argmax(-1)[0]])


class Chosen(NamedTuple):
    found: np.ndarray  # [F,2] passed, bad
    rows: np.ndarray  # [F,most]
    scores: np.ndarray
    boxes: np.ndarray


def choose(output: np.ndarray, rows: decode.Rows, floor: float, most: int) -> Chosen:
    frames = len(output)
    task = decode.choice_of(rows, {"x": output.ctypes.data}, frames, output.dtype, floor)
    chosen = Chosen(
        np.full((frames, 2), -9, np.int32),
        np.full((frames, most), -9, np.int32),
        np.full((frames, most), np.nan, np.float32),
        np.full((frames, most, rows.parts), np.nan, np.float32),
    )
    task.most = most
    task.found, task.rows_at, task.scores, task.boxes = (a.ctypes.data for a in chosen)
    kernel.launch("choose", task)
    return chosen


def wanted(scores: np.ndarray, floor: float, most: int) -> np.ndarray:
    """Rows that pass; more than `most`: the best, of equal ones the first; in rising order."""
    good = np.flatnonzero((scores >= floor) & np.isfinite(scores) & (scores >= 0))
    best = good[np.argsort(-scores[good], kind="stable")][:most]
    return np.sort(best)


@pytest.mark.parametrize("frames", [0, 1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("most", [1, 40, 4000])
def test_rows_of_a_yolox_table(frames: int, dtype: Any, most: int) -> None:
    rng = np.random.default_rng(frames)
    table = rng.random((frames, 900, 85)).astype(dtype)
    rows = decode.Rows.of_table("x", 900, 85, score=4, factor=5)
    chosen = choose(table, rows, 0.6, most)
    wide = table.astype(np.float32)
    scores = wide[..., 4] * wide[..., 5]
    for f in range(frames):
        want = wanted(scores[f], 0.6, most)
        assert chosen.found[f].tolist() == [(scores[f] >= 0.6).sum(), 0]
        np.testing.assert_array_equal(chosen.rows[f, : len(want)], want)
        np.testing.assert_array_equal(chosen.scores[f, : len(want)], scores[f, want])
        np.testing.assert_array_equal(chosen.boxes[f, : len(want)], wide[f, want, :4])
        assert (chosen.rows[f, len(want) :] == -9).all()


def test_rows_of_a_yolov4_head() -> None:
    rng = np.random.default_rng(3)
    head = rng.normal(-1, 2, (2, 3 * 85, 13, 11)).astype(np.float32)
    rows = decode.Rows.of_head("x", 3, 85, 13 * 11, score=4, factor=5 + 7)
    chosen = choose(head, rows, 0.5, 200)
    cells = head.reshape(2, 3, 85, 13 * 11)
    scores = (sigmoid(cells[:, :, 4]) * sigmoid(cells[:, :, 12])).reshape(2, -1)
    boxes = cells[:, :, :4].transpose(0, 1, 3, 2).reshape(2, -1, 4)
    for f in range(2):
        want = np.flatnonzero(scores[f] >= 0.5)
        count = chosen.found[f, 0]
        assert 10 < count == len(want) < 200
        np.testing.assert_array_equal(chosen.rows[f, :count], want)
        np.testing.assert_allclose(chosen.scores[f, :count], scores[f, want], rtol=1e-6)
        np.testing.assert_array_equal(chosen.boxes[f, :count], boxes[f, want])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("factor", [None, "obj"])
def test_rows_of_maps(dtype: Any, factor: Optional[str]) -> None:
    """Scores, boxes and what they are multiplied with lie in outputs of their own."""
    rng = np.random.default_rng(4)
    raw = {
        name: rng.normal(-1, 2, (3, channels, 6, 7)).astype(dtype)
        for name, channels in (("cls", 5), ("bbox", 4), ("obj", 1))
    }
    raw["cls"][1, 2, 3, 4] = np.nan
    rows = decode.Rows.of_maps(("cls", 5, 2), "bbox", 42, factor)
    assert rows.outputs == sorted({"cls", "bbox", factor or "cls"})
    chosen = kernel.chosen(raw, rows, 0.3)
    wide = {name: array.astype(np.float32).reshape(3, -1, 42) for name, array in raw.items()}
    scores = sigmoid(wide["cls"][:, 2]) * (sigmoid(wide["obj"][:, 0]) if factor else 1)
    frame, row = np.nonzero(scores >= 0.3)
    np.testing.assert_array_equal(chosen.frame, frame)
    np.testing.assert_array_equal(chosen.row, row)
    np.testing.assert_allclose(chosen.scores, scores[frame, row], rtol=1e-6)
    np.testing.assert_array_equal(chosen.boxes, wide["bbox"][frame, :, row])
    assert chosen.bad == 1
    assert len(row) > 5


VALUES = st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.5, 0.75, 1.0, 1e-40, -0.5, np.nan, np.inf])


@given(
    values=st.lists(VALUES, max_size=30),
    most=st.integers(1, 8),
    floor=st.sampled_from([0.0, 0.3, 0.5, 2.0]),
)
def test_ties_zeros_and_what_is_no_number(values: Any, most: int, floor: float) -> None:
    table = np.array(values, np.float32).reshape(1, -1, 1)
    number = decode.Place("x", 0, len(values))
    rows = decode.Rows(len(values), max(len(values), 1), number, number, parts=1)
    chosen = choose(table, rows, floor, most)
    want = wanted(table[0, :, 0], floor, most)
    np.testing.assert_array_equal(chosen.rows[0, : len(want)], want)
    assert (chosen.rows[0, len(want) :] == -9).all()
    assert chosen.found[0, 1] == (~np.isfinite(table)).sum()
    np.testing.assert_array_equal(chosen.boxes[0, : len(want), 0], table[0, want, 0])


@pytest.mark.parametrize("factor", [None, 0.5])
def test_many_equal_scores_keep_the_first(factor: Optional[float]) -> None:
    table = np.full((1, 1000, 2), 0.5, np.float32)
    rows = decode.Rows.of_table("x", 1000, 2, score=0, factor=-1 if factor is None else 1)
    rows = dataclasses.replace(rows, parts=2)
    chosen = choose(table, rows, 0.1, 30)
    assert chosen.rows[0].tolist() == list(range(30))
    assert chosen.found[0].tolist() == [1000, 0]
