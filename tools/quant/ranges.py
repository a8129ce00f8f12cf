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
    best, least = used, np.inf
    for end in range(LEVELS, used + 1, 8):
        divergence = _divergence(counts[:end], counts[end:].sum())
        if divergence < least:
            best, least = end, divergence
    return min(best * histogram.top / BINS, histogram.largest)


def _divergence(kept: np.ndarray, clipped: float) -> float:
    """KL(P || Q); the clipped counts are in the last bin of P but not in Q."""
    level = np.arange(kept.size) * LEVELS // kept.size
    filled = kept > 0
    totals = np.bincount(level, kept, LEVELS)
    places = np.bincount(level, filled, LEVELS)
    spread = np.where(filled, totals[level] / np.maximum(places[level], 1), 0.0)
    p = kept.copy()
    p[-1] += clipped
    p /= p.sum()
    q = np.maximum(spread / max(spread.sum(), 1e-300), 1e-12)
    here = p > 0
    return float((p[here] * np.log(p[here] / q[here])).sum())


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
