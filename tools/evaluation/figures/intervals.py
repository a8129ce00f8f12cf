"""Is one set of predictions better than another? Paired bootstrap over pictures.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), the percentile interval. Frames of
one video resemble each other: they are drawn in blocks.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from tools.evaluation.figures import accuracy, precision
from tools.evaluation.figures.pairing import Pairs
from tools.evaluation.found.record import Found
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Truth

ROUNDS, PRECISION_ROUNDS = 2000, 200
LEVEL = 90  # percent
BLOCK_FRAMES = 30
_SEED = 20261130


def compare(
    truth: Truth, ours: Tuple[Found, Pairs], theirs: Tuple[Found, Pairs]
) -> Dict[str, Dict[str, Any]]:
    """Our figures less theirs, with intervals.

    Returns:
        Name of the figure -> `ours`, `theirs`, `difference`, `low`, `high`; None where it is not
        defined for both.
    """
    blocks = _blocks(truth)
    found: Dict[str, Dict[str, Any]] = {}
    for name, which in accuracy.parts_of(truth.points).items():
        sums = [_oks_sums(pairs, truth.points, which, blocks) for _, pairs in (ours, theirs)]
        found[f"mean OKS, {name}"] = _ratios(sums[0], sums[1])
    sums = [_found_sums(pairs, blocks) for _, pairs in (ours, theirs)]
    found["share of people found"] = _ratios(sums[0], sums[1])
    found["AP, body"] = _average_precision(truth, blocks, ours[0], theirs[0])
    return {name: row for name, row in found.items() if row}


def _blocks(truth: Truth) -> List[np.ndarray]:
    """Places of pictures that are drawn together."""
    place = {p.key: i for i, p in enumerate(truth.pictures)}
    found: List[np.ndarray] = []
    for pictures in truth.sequences().values():
        places = np.array([place.pop(p.key) for p in pictures])
        found += np.array_split(places, max(1, round(len(places) / BLOCK_FRAMES)))
    return found + [np.array([i]) for i in place.values()]


def _of_blocks(values: np.ndarray, pictures: np.ndarray, blocks: List[np.ndarray]) -> np.ndarray:
    """Sums [B] over blocks of values [G] that belong to pictures [G]."""
    size = 1 + max((int(b.max()) for b in blocks), default=-1)
    of = np.zeros(size, np.int64)
    for number, block in enumerate(blocks):
        of[block] = number
    return np.bincount(of[pictures], values, minlength=len(blocks))


def _oks_sums(
    pairs: Pairs, points: PointSet, which: np.ndarray, blocks: List[np.ndarray]
) -> Tuple[np.ndarray, np.ndarray]:
    each = pairs.oks(points.sigmas, which)
    there = np.isfinite(each)
    total = _of_blocks(np.where(there, each, 0.0), pairs.pictures, blocks)
    return total, _of_blocks(there.astype(np.float64), pairs.pictures, blocks)


def _found_sums(pairs: Pairs, blocks: List[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    hit = (pairs.found_rows >= 0).astype(np.float64)
    return (
        _of_blocks(hit, pairs.pictures, blocks),
        _of_blocks(np.ones(len(hit)), pairs.pictures, blocks),
    )


def _ratios(
    ours: Tuple[np.ndarray, np.ndarray], theirs: Tuple[np.ndarray, np.ndarray]
) -> Dict[str, Any]:
    if not ours[1].sum() or not theirs[1].sum():
        return {}
    drawn = np.random.default_rng(_SEED).integers(0, len(ours[0]), (ROUNDS, len(ours[0])))

    def ratio(sums: Tuple[np.ndarray, np.ndarray], rows: np.ndarray) -> np.ndarray:
        count = sums[1][rows].sum(-1)
        return np.asarray(sums[0][rows].sum(-1) / np.where(count > 0, count, np.nan))

    spread = ratio(ours, drawn) - ratio(theirs, drawn)
    every = np.arange(len(ours[0]))
    return _row(float(ratio(ours, every)), float(ratio(theirs, every)), spread)


def _average_precision(
    truth: Truth, blocks: List[np.ndarray], ours: Found, theirs: Found
) -> Dict[str, Any]:
    if any("body" not in precision.counted_parts(truth.points, f) for f in (ours, theirs)):
        return {}
    of: List[Callable[[np.ndarray], float]] = [
        precision.Resampled(truth, f, "body") for f in (ours, theirs)
    ]
    every = np.arange(len(truth.pictures))
    values = [one(every) for one in of]
    if min(values) < 0:
        return {}
    rng = np.random.default_rng(_SEED)
    spread = np.full(PRECISION_ROUNDS, np.nan)
    for i in range(PRECISION_ROUNDS):
        rows = np.concatenate([blocks[b] for b in rng.integers(0, len(blocks), len(blocks))])
        drawn = [one(rows) for one in of]
        if min(drawn) >= 0:
            spread[i] = drawn[0] - drawn[1]
    return _row(values[0], values[1], spread)


def _row(ours: float, theirs: float, spread: np.ndarray) -> Dict[str, Any]:
    some = spread[np.isfinite(spread)]
    edge = (100 - LEVEL) / 2
    low, high = np.percentile(some, (edge, 100 - edge)) if len(some) else (np.nan, np.nan)
    return {
        "ours": ours,
        "theirs": theirs,
        "difference": ours - theirs,
        "low": float(low),
        "high": float(high),
    }
