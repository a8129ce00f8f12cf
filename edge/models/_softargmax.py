"""Decodes heat maps [B,K,h,w] by the expectation instead of the maximum, in px of the map."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.models._boxes import sigmoid
from edge.models._heatmap import flattened, patches

_REACH = 3  # px around the point; the share of the mass within is the score
_MAX_LOG_SUM = 80.0  # keeps exp finite in float32; the bias vanishes at much smaller values


def integral(
    logits: np.ndarray, beta: float = 1.0, debias: bool = False
) -> Tuple[np.ndarray, np.ndarray]:
    """Expectation of softmax(beta * logits) over the map (Sun et al. 2018).

    Args:
        logits: [B,K,h,w].
        beta: sharpness of the distribution.
        debias: remove the bias towards the centre of the map (Gu et al. 2021):
            x = C / (C - 1) x - 1 / (2 (C - 1)) in map widths, C = sum exp(beta * logits).

    Returns:
        [B,K,2] f32 px of the map; [B,K] f32 scores: the share of the mass within 3 px of the point.
    """
    height, width = logits.shape[-2:]
    mass = logits * np.float32(beta)
    top = mass.max((-2, -1), keepdims=True)
    mass -= top
    np.exp(mass, out=mass)
    points, total = _moments(mass)
    if debias:
        log_sum = np.log(total) + top[..., 0]
        points = _debiased(points, log_sum, np.array([width, height], np.float32))
    near = np.rint(np.clip(points, 0, [width - 1, height - 1])).astype(np.int64)
    return points, patches(mass, near, _REACH).sum((-2, -1)) / total[..., 0]


def _moments(mass: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Means [B,K,2] of x and y, and sums [B,K,1], of maps [B,K,h,w], in one matrix product."""
    height, width = mass.shape[-2:]
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    sums = flattened(mass) @ np.stack((x, y, np.ones_like(x)), -1).astype("f4")
    total = np.maximum(sums[..., 2:], 1e-12)
    return sums[..., :2] / total, total


def _debiased(points: np.ndarray, log_sum: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Points without the bias. A sum of at most 1 does not tell the bias: such points stay."""
    more = np.exp(np.minimum(log_sum, _MAX_LOG_SUM)) - 1
    safe = np.where(more > 1e-3, more, np.inf)
    return np.asarray(points + (points - size / 2) / safe, np.float32)


def sikr(logits: np.ndarray, reach: int) -> Tuple[np.ndarray, np.ndarray]:
    """Symmetric integral keypoint regression (AlphaPose paper, 2022).

    p = sigmoid(logits), score = max p, q = p / sum p, x = sum q * i. The sums are over a window
    around the maximum, so that distant noise has no effect.

    Args:
        logits: [B,K,h,w].
        reach: px from the maximum to the border of the window; 0 = the whole map.

    Returns:
        [B,K,2] f32 px of the map, and [B,K] f32 scores.
    """
    if reach == 0:
        p = sigmoid(logits)
        return _moments(p)[0], p.max((-2, -1))
    flat = flattened(logits)
    at = flat.argmax(-1)
    peaks = np.stack((at % logits.shape[-1], at // logits.shape[-1]), -1)
    scores = sigmoid(np.take_along_axis(flat, at[..., None], -1)[..., 0])
    near = sigmoid(patches(logits, peaks, reach, outside=-np.inf))
    return (peaks + _moments(near)[0] - reach).astype(np.float32), scores
