"""Decodes SimCC: a point is given by the maxima of two 1-D distributions (Li et al. 2022)."""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np

_SMALL = {
    3: (0.25, 0.5, 0.25),
    5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
    9: (
        0.015625,
        0.05078125,
        0.1171875,
        0.19921875,
        0.234375,
        0.19921875,
        0.1171875,
        0.05078125,
        0.015625,
    ),
    7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125),
}
_AROUND = np.arange(-2, 3)
_LOG_FLOOR, _LOG_CEILING = 1e-3, 50.0  # of the blurred response (Zhang et al. 2020, DARK)


def decode(
    simcc_x: np.ndarray, simcc_y: np.ndarray, split: float, score: str = "min"
) -> Tuple[np.ndarray, np.ndarray]:
    """Points of a batch of crops: the argmax over the bins of each axis.

    Args:
        simcc_x: [B,K,Wx] logits, Wx = input width * split; fastest if C-contiguous.
        simcc_y: [B,K,Wy] logits.
        split: bins per px.
        score: of a point, from its two maxima: `min` (mmpose) or `mean` (rtmlib).

    Returns:
        [B,K,2] f32 px of the input, and [B,K] f32 scores, not clipped: logits may be above 1. As in
        the reference, a point whose score is not above 0 is at bin -1.
    """
    locations, scores = maxima(simcc_x, simcc_y, score)
    return locations / np.float32(split), scores


def maxima(simcc_x: np.ndarray, simcc_y: np.ndarray, score: str) -> Tuple[np.ndarray, np.ndarray]:
    """Bins [B,K,2] f32 of the maxima, -1 if the score is not above 0, and scores [B,K]."""
    x, best_x = _peak(simcc_x)
    y, best_y = _peak(simcc_y)
    return joined(np.stack((x, y), -1), best_x, best_y, score)


def joined(
    bins: np.ndarray, best_x: np.ndarray, best_y: np.ndarray, score: str
) -> Tuple[np.ndarray, np.ndarray]:
    """Like `maxima`, from the bins [B,K,2] and maxima [B,K] of both axes."""
    scores = np.minimum(best_x, best_y) if score == "min" else (best_x + best_y) / 2
    locations = bins.astype(np.float32)
    locations[~(scores > 0)] = -1
    return locations, scores.astype(np.float32, copy=False)


def _peak(logits: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    at = logits.argmax(-1)
    return at, np.take_along_axis(logits, at[..., None], -1)[..., 0]


def refine_dark(logits: np.ndarray, bins: np.ndarray, kernel: int) -> np.ndarray:
    """Refine positions between bins, on the log f of the blurred response (DARK in one dimension).

    The position is x - 0.5 (f1 - f-1) / (0.25 (f2 - 2 f0 + f-2)). Only the neighbourhood of each
    maximum is blurred.

    Args:
        logits: [B,K,W].
        bins: [B,K] f32 positions of the maxima.
        kernel: width of the Gaussian, bins, odd.

    Returns:
        [B,K] f32 bins.
    """
    width, reach = logits.shape[-1], reach_of(kernel)
    window = bins.astype(np.int64)[..., None] + np.arange(-reach, reach + 1)
    near = np.take_along_axis(logits, np.clip(window, 0, width - 1), -1)
    near = np.where((window >= 0) & (window < width), near, np.float32(0))
    return refine_near(near, bins, width, kernel)


def reach_of(kernel: int) -> int:
    """Number of bins on each side of a maximum that refining needs."""
    return kernel // 2 + 2


def refine_near(near: np.ndarray, bins: np.ndarray, width: int, kernel: int) -> np.ndarray:
    """Like `refine_dark`, from the neighbourhoods of the maxima alone.

    Args:
        near: [B,K,2r+1] logits around each maximum, 0 outside; r is at least `reach_of(kernel)`.
        bins: [B,K] f32 positions of the maxima.
        width: number of bins of the axis.
        kernel: width of the Gaussian, bins, odd.
    """
    reach, more = kernel // 2, near.shape[-1] // 2 - reach_of(kernel)
    near = near[..., more : near.shape[-1] - more]
    at = bins.astype(np.int64)[..., None]
    blurred = near @ band(kernel, 5).T
    # Beyond the ends of the axis, the first and the last bin are repeated.
    blurred = np.take_along_axis(blurred, np.clip(at + _AROUND, 0, width - 1) - at + 2, -1)
    blurred *= near[..., reach + 2, None] / np.maximum(blurred.max(-1, keepdims=True), 1e-12)
    log = np.log(np.clip(blurred, _LOG_FLOOR, _LOG_CEILING))
    slope = 0.5 * (log[..., 3] - log[..., 1])
    bend = 1e-9 + 0.25 * (log[..., 4] - 2 * log[..., 2] + log[..., 0])
    return np.asarray(bins - slope / bend, np.float32)


def gaussian(size: int) -> np.ndarray:
    """Gaussian weights [size] f32 with sum 1, as OpenCV derives them from the size alone.

    Source: documentation of cv2.getGaussianKernel. OpenCV uses tables for small sizes.
    """
    if size in _SMALL:
        return np.array(_SMALL[size], np.float32)
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    bell = np.exp(-np.square(np.arange(size) - (size - 1) / 2) / (2 * sigma**2))
    return np.asarray(bell / bell.sum(), np.float32)


def band(kernel: int, size: int) -> np.ndarray:
    """Matrix [size, size + kernel - 1] f32 that blurs a window of `size` in its surroundings."""
    rows = np.zeros((size, size + kernel - 1), np.float32)
    for i in range(size):
        rows[i, i : i + kernel] = gaussian(kernel)
    return rows


def dark_kernel(sigmas: Sequence[float]) -> Tuple[int, int]:
    """Blur widths of x and y for label sigmas in bins: (20 sigma - 7) / 3, made odd (mmpose)."""
    whole = [int((s * 20 - 7) // 3) for s in sigmas]
    x, y = (k - (k % 2 == 0) for k in whole)
    return x, y
