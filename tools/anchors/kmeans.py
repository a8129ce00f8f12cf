"""k-means of box sizes, with one minus IoU as the distance (Redmon and Farhadi, 2017).

The boxes are thought to have one common corner, so only their widths and heights count. A large
box is then no more important than a small one, as it would be with a distance in px.
"""

from __future__ import annotations

import numpy as np

_ROUNDS = 300  # at most, of one start
_STARTS = 8


def iou(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """IoU [N,A] of boxes with one common corner, of sizes [N,2] and [A,2]."""
    shared = np.minimum(sizes[:, None], anchors[None]).prod(-1)
    union = sizes.prod(-1)[:, None] + anchors.prod(-1)[None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def fit(sizes: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The anchors with the largest mean IoU of several random starts.

    Args:
        sizes: [N,2] widths and heights, at least `count` different ones.
        count: number of anchors.
        seed: of the random starts.

    Returns:
        [count,2] f64, the smallest area first.
    """
    rng = np.random.default_rng(seed)
    tried = [_one(sizes, _start(sizes, count, rng)) for _ in range(_STARTS)]
    best = max(tried, key=lambda anchors: float(iou(sizes, anchors).max(1).mean()))
    return np.asarray(best[np.argsort(best.prod(1), kind="stable")])


def _start(sizes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """First anchors, far apart: k-means++ (Arthur and Vassilvitskii, 2007)."""
    chosen = [sizes[rng.integers(len(sizes))]]
    while len(chosen) < count:
        apart = (1 - iou(sizes, np.array(chosen)).max(1)) ** 2
        total = apart.sum()
        chance = apart / total if total > 0 else np.full(len(sizes), 1 / len(sizes))
        chosen.append(sizes[rng.choice(len(sizes), p=chance)])
    return np.array(chosen, np.float64)


def _one(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The anchors on which one start settles; an anchor that no box prefers stays."""
    before = np.full(len(sizes), -1)
    for _ in range(_ROUNDS):
        nearest = iou(sizes, anchors).argmax(1)
        if (nearest == before).all():
            break
        before = nearest
        mine = nearest[:, None] == np.arange(len(anchors))
        members = mine.sum(0)
        means = mine.T.astype(np.float64) @ sizes / np.maximum(members, 1)[:, None]
        anchors = np.where(members[:, None] > 0, means, anchors)
    return anchors
