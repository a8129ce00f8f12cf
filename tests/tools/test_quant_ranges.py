"""Streaming histograms and the four ways to read a range."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tools.quant import ranges
from tools.quant.ranges import BINS, METHODS, Histogram

ARRAYS = st.lists(
    hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(-1e6, 1e6, width=32)),
    min_size=1,
    max_size=6,
)


def counted(*arrays: np.ndarray) -> Histogram:
    histogram = Histogram()
    for array in arrays:
        histogram.add(array)
    return histogram


@settings(max_examples=80, deadline=None)
@given(ARRAYS)
def test_no_value_is_lost_however_often_the_top_doubles(arrays: list) -> None:
    histogram = counted(*arrays)
    everything = np.abs(np.concatenate(arrays))
    assert histogram.seen == everything.size
    assert histogram.largest == everything.max(initial=0)
    # While all values are zero there is no scale to put them in bins by.
    first = next((i for i, a in enumerate(arrays) if a.any()), len(arrays))
    zeros = sum(a.size for a in arrays[:first])
    assert histogram.counts.sum() + zeros == everything.size
    assert histogram.top >= histogram.largest


@settings(max_examples=60, deadline=None)
@given(ARRAYS, st.randoms())
def test_the_order_of_batches_changes_the_bins_by_two_at_most(arrays: list, random: object) -> None:
    other = list(arrays)
    random.shuffle(other)  # type: ignore[attr-defined]
    a, b = counted(*arrays), counted(*other)
    assert a.largest == b.largest
    assert ranges.minmax(a) == ranges.minmax(b)
    assert a.counts.sum() <= a.seen
    # Tops are the first value times powers of two: whatever the order, they end close above the
    # largest, so that a bin is never wider than twice its least width.
    for histogram in (a, b):
        assert histogram.largest <= histogram.top <= max(2 * histogram.largest, 1e-30)


def test_doubling_joins_neighbours() -> None:
    histogram = counted(np.linspace(0, 1, 10001, dtype=np.float32))
    before = histogram.counts.copy()
    histogram.add(np.float32([1.5]))
    assert histogram.top == 2
    np.testing.assert_array_equal(histogram.counts[: BINS // 2], before.reshape(-1, 2).sum(1))
    assert histogram.counts[BINS // 2 :].sum() == 1


def test_memory_does_not_grow_with_what_is_counted() -> None:
    batch = np.random.default_rng(0).normal(size=10000).astype(np.float32)
    histogram = counted(batch)
    tracemalloc.start()
    for _ in range(5):
        histogram.add(batch)
    few = tracemalloc.get_traced_memory()
    for _ in range(60):
        histogram.add(batch)
    many = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert many[0] - few[0] < 4096, "kept"
    assert many[1] - few[1] < 40000, "peak"
    assert histogram.counts.nbytes == BINS * 8


def test_values_that_are_not_finite_are_counted_apart() -> None:
    histogram = counted(np.float32([1, np.nan, -2, np.inf]))
    assert (histogram.seen, histogram.not_finite, histogram.largest) == (2, 2, 2.0)


def test_nothing_and_zeros_give_a_range_of_zero() -> None:
    zeros = [np.zeros(n, np.float32) for n in (9, 0)]
    for histogram in (counted(), *map(counted, zeros)):
        assert [METHODS[m](histogram) for m in METHODS] == [0, 0, 0, 0]


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e20])
def test_ranges_are_positive_finite_within_the_largest_and_scale(method: str, scale: float) -> None:
    values = np.random.default_rng(1).normal(size=20000).astype(np.float32)
    amax = METHODS[method](counted((values * np.float32(scale)).astype(np.float32)))
    one = METHODS[method](counted(values))
    assert 0 < one <= np.abs(values).max()
    assert amax == pytest.approx(one * scale, rel=0.01)


def gaussian_with_outliers() -> np.ndarray:
    values = np.random.default_rng(2).normal(size=200000).astype(np.float32)
    values[:5] = 60
    return values


def test_entropy_percentile_and_mse_clip_outliers_and_minmax_does_not() -> None:
    histogram = counted(gaussian_with_outliers())
    found = {name: method(histogram) for name, method in METHODS.items()}
    assert found["minmax"] == 60
    assert 2.5 < found["entropy"] < 12
    assert 3.5 < found["percentile"] < 5
    # Clipping five values by 50 costs 12500; rounding all 200000 with a step of 0.47 costs 3700.
    assert 12 < found["mse"] <= 60


def test_mse_is_the_least_error_of_all_ranges() -> None:
    values = np.random.default_rng(3).laplace(size=50000).astype(np.float32)
    best = ranges.mse(counted(values))

    def error(amax: float) -> float:
        step = amax / 127
        return float(np.square(np.clip(np.rint(values / step), -127, 127) * step - values).mean())

    tried = [error(amax) for amax in np.linspace(0.1, 1, 60) * np.abs(values).max()]
    assert error(best) <= min(tried) * 1.02


def test_percentile_is_numpys() -> None:
    values = np.random.default_rng(4).normal(size=100000).astype(np.float32)
    want = np.quantile(np.abs(values), 0.999)
    assert ranges.percentile(counted(values), 0.999) == pytest.approx(want, abs=2e-3)


def test_a_percentile_is_the_upper_edge_of_its_bin() -> None:
    """Nothing that the share counts is clipped; and the range is never above the largest value."""
    histogram = Histogram()
    histogram.top, histogram.largest = float(BINS), BINS - 0.25
    histogram.counts[:] = 1  # bin i holds one value of i to i + 1
    assert ranges.percentile(histogram, 0.5) == BINS / 2
    assert ranges.percentile(histogram, 1 / BINS) == 1.0
    assert ranges.percentile(histogram, 1.0) == BINS - 0.25


def test_zeros_do_not_change_the_range_of_entropy() -> None:
    values = gaussian_with_outliers()[:20000]
    sparse = counted(values, np.zeros(500000, np.float32))  # as behind a ReLU
    assert ranges.entropy(sparse) == ranges.entropy(counted(values)) > 3.5


@pytest.mark.parametrize("tail", [0, 40])
def test_entropy_is_the_least_divergence_of_all_ranges(tail: float) -> None:
    """By its definition, bin for bin."""
    values = np.random.default_rng(5).laplace(size=3000).astype(np.float32)
    histogram = counted(np.append(values, np.float32(tail)))
    counts = histogram.counts.astype(np.float64)
    counts[0] = 0

    def divergence(end: int) -> float:
        kept, level = counts[:end], np.arange(end) * 128 // end
        q = np.full(end, 1e-12)
        for one in range(128):
            here = (level == one) & (kept > 0)
            q[here] = kept[level == one].sum() / max(here.sum(), 1) / kept.sum()
        p = kept.copy()
        p[-1] += counts[end:].sum()
        p /= p.sum()
        return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())

    ends = np.arange(128, int(np.ceil(histogram.largest / histogram.top * BINS)) + 1, 8)
    found = ranges._divergences(counts, ends)
    tried = np.array([divergence(end) for end in ends[::20].tolist()])
    assert np.abs(found[::20] - tried).max() < 1e-9
    best = ends[found.argmin()] * histogram.top / BINS
    assert ranges.entropy(histogram) == pytest.approx(min(best, histogram.largest))


def test_weights_have_a_range_per_channel_and_never_zero() -> None:
    weight = np.zeros((3, 2, 1, 1), np.float32)
    weight[0, 1], weight[1, 0] = -4, 0.5
    np.testing.assert_allclose(ranges.of_weights(weight, 0), [4, 0.5, 1e-8])
    np.testing.assert_allclose(ranges.of_weights(weight, 1), [0.5, 4])
