"""Streaming histograms of |x| of a tensor, and four methods to read its range off them.

A range `amax` gives INT8 steps of amax / 127 (symmetric, zero point 0).
"""

from __future__ import annotations

from typing import Callable, Dict

import numpy as np

BINS = 4096
LEVELS = 128  # magnitudes of a symmetric 8-bit number: 0 to 127


class Histogram:
    """Counts of |x| in BINS equal bins from 0 to `top`; memory is constant.

    A value above `top` doubles `top`: bins are joined in pairs, and no count is lost.

    Attributes:
        counts: [BINS] i64.
        top: upper edge of the last bin.
        largest: largest |x| counted.
        seen: number of values counted.
        not_finite: number of values that are NaN or infinite; they are not counted.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.top = 0.0
        self.largest = 0.0
        self.seen = 0
        self.not_finite = 0

    def add(self, values: np.ndarray) -> None:
        """Count the values of a tensor of any shape."""
        sizes = np.abs(values, dtype=np.float32).ravel()
        largest = float(sizes.max(initial=0.0))
        if not np.isfinite(largest):
            finite = np.isfinite(sizes)
            self.not_finite += int(sizes.size - finite.sum())
            sizes = sizes[finite]
            largest = float(sizes.max(initial=0.0))
        self.seen += sizes.size
        self.largest = max(self.largest, largest)
        if largest > 0 and self.top == 0:
            self.top = largest
        while largest > self.top:
            self._double()
        if self.top > 0:
            # Divide first: BINS / top overflows float32 for a denormal top.
            places = np.minimum((sizes / np.float32(self.top) * BINS).astype(np.int32), BINS - 1)
            self.counts += np.bincount(places, minlength=BINS)

    def _double(self) -> None:
        joined = self.counts.reshape(-1, 2).sum(1)
        self.counts = np.concatenate([joined, np.zeros(BINS // 2, np.int64)])
        self.top *= 2

    @property
    def centres(self) -> np.ndarray:
        """Middle of each bin, [BINS]."""
        return (np.arange(BINS) + 0.5) * (self.top / BINS)


def minmax(histogram: Histogram) -> float:
    """The largest value: nothing is clipped."""
    return histogram.largest


def percentile(histogram: Histogram, share: float = 0.9999) -> float:
    """Upper edge of the bin in which `share` of all values is reached, or the largest value."""
    total = np.cumsum(histogram.counts)
    if total[-1] == 0:
        return 0.0
    place = int(np.searchsorted(total, share * total[-1]))
    return min((place + 1) * histogram.top / BINS, histogram.largest)


def mse(histogram: Histogram) -> float:
    """The range with the least squared error of rounding and clipping together."""
    values, weights = histogram.centres, histogram.counts.astype(np.float64)
    if not weights.any():
        return 0.0
    best, least = histogram.largest, np.inf
    for amax in np.geomspace(0.02, 1.0, 160) * histogram.largest:
        step = amax / (LEVELS - 1)
        error = np.minimum(np.rint(values / step), LEVELS - 1) * step - values
        total = float(weights @ (error * error))
        if total < least:
            best, least = float(amax), total
    return best


def entropy(histogram: Histogram) -> float:
    """The range that loses least information.

    For each candidate range, P is the clipped histogram and Q is P after rounding to 128 levels.
    The range with the least Kullback-Leibler divergence KL(P || Q) is taken. At full range a level
    has 32 of the 4096 bins. Source: Migacz, "8-bit inference with TensorRT", GTC 2017.
    """
    counts = histogram.counts.astype(np.float64)
    counts[0] = 0  # zeros have no rounding error in any range, and would outweigh all else
    used = int(np.ceil(histogram.largest / histogram.top * BINS)) if histogram.top else 0
    if used <= LEVELS or not counts.any():
        return histogram.largest
    ends = np.arange(LEVELS, used + 1, 8)
    best = int(ends[np.argmin(_divergences(counts, ends))])
    return min(best * histogram.top / BINS, histogram.largest)


def _divergences(counts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """KL(P || Q) of a range to each of `ends`; the clipped counts are in the last bin of P only.

    All bins of a level that hold a count have the same q. So the sum of p log q is one of levels,
    and every sum over bins is a difference of running sums.

    Args:
        counts: [BINS] f64.
        ends: [N] i64, bins in the range, LEVELS or more.

    Returns:
        [N] f64.
    """
    edges = -(-np.arange(LEVELS + 1) * ends[:, None] // LEVELS)  # first bin of each level, [N,129]
    upto, filled = _running(counts), _running(counts > 0)
    totals, places = np.diff(upto[edges]), np.diff(filled[edges])
    kept, total, last = upto[ends], upto[-1], counts[ends - 1]
    clipped = total - kept
    spread = totals / np.maximum(places, 1) / np.maximum(kept, 1e-300)[:, None]
    log_q = np.log(np.maximum(spread, 1e-12))
    p_log_q = (totals * log_q).sum(1) + clipped * np.where(last > 0, log_q[:, -1], np.log(1e-12))
    p_log_p = _running(_x_log_x(counts))[ends] - _x_log_x(last) + _x_log_x(last + clipped)
    return np.asarray((p_log_p - p_log_q) / total - np.log(total))


def _running(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values)])


def _x_log_x(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.where(x > 0, x, 1.0))


METHODS: Dict[str, Callable[[Histogram], float]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}


def of_weights(weight: np.ndarray, axis: int) -> np.ndarray:
    """Range of each output channel, [channels] float32; never 0, because a step must not be 0."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others)
    return np.maximum(largest, 1e-8).astype(np.float32)
