"""The colours of people's clothes, to know them again.

Pure: no clock. A person's colours are three histograms of a few dozen pixels of the torso:
brightness, and the two colour differences of BT.601. They hold no picture, and nobody can be drawn
from them. Nothing loops over people.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.structures import VISIBLE, Frame, Poses
from edge.view import stored_of_upright

BINS = 8
SIZE = 3 * BINS
_ACROSS, _DOWN = 6, 8  # samples of a torso
_SHOULDERS, _HIPS = [5, 6], [11, 12]  # COCO keypoints
# The same part of a box, for somebody whose torso is not visible.
_BOX_LEFT, _BOX_RIGHT, _BOX_TOP, _BOX_BOTTOM = 0.35, 0.65, 0.2, 0.5
_LEAST_INSIDE = 0.5  # share of samples that must lie in the picture
# Colour differences of clothes lie near the middle of their range: bins are narrower there.
_COLOUR_GAIN = 2.0


def colours_of(frame: Frame, poses: Poses, body17: np.ndarray) -> np.ndarray:
    """Histograms of the torsos of people.

    Args:
        frame: borrowed; any layout.
        poses: people in it.
        body17: [17] indices of COCO's keypoints in their skeleton.

    Returns:
        [N,SIZE] f32; each of the three histograms adds up to 1. All 0 if too little of the torso
        lies in the picture.
    """
    if not len(poses):
        return np.zeros((0, SIZE), np.float32)
    points = _samples(poses, body17)
    if frame.view is not None:
        matrix = stored_of_upright(frame.view, frame.stored_size)
        points = points @ matrix[:, :2].T + matrix[:, 2]
    limit = np.array(frame.stored_size)
    inside = np.asarray(((points >= 0) & (points <= limit - 1)).all(-1))
    at = np.clip(np.rint(np.where(inside[..., None], points, 0)), 0, limit - 1).astype(np.int64)
    luma, blue, red = _read(frame, at[..., 0], at[..., 1])
    weights = inside.astype(np.float32)
    enough = np.asarray(weights.mean(1) >= _LEAST_INSIDE)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1)
    shifted = [(v - 128) * _COLOUR_GAIN + 128 for v in (blue, red)]
    parts = [_histograms(values, weights) for values in (luma, *shifted)]
    return np.concatenate(parts, 1) * enough[:, None]


def unlikeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hellinger's distance 0..1 of colours [...,SIZE] and [...,SIZE]; NaN if one is unknown."""
    shared = np.sqrt(a * b).sum(-1) / 3
    known = (a.sum(-1) > 0) & (b.sum(-1) > 0)
    return np.where(known, np.sqrt(np.maximum(1 - shared, 0)), np.nan)


def _samples(poses: Poses, body17: np.ndarray) -> np.ndarray:
    """Points [N,S,2] px of each torso: a grid between the shoulders and the hips, or in the box."""
    points = poses.keypoints[:, body17].astype(np.float64)
    torso = poses.scores[:, body17][:, _SHOULDERS + _HIPS]
    seen = np.asarray((torso > VISIBLE).all(1))[:, None, None]
    low, size = poses.boxes[:, :2], poses.boxes[:, 2:] - poses.boxes[:, :2]
    x = np.array([_BOX_LEFT, _BOX_RIGHT])[None, :] * size[:, :1] + low[:, :1]
    top, bottom = (f * size[:, 1:] + low[:, 1:] for f in (_BOX_TOP, _BOX_BOTTOM))
    upper = np.where(seen, points[:, _SHOULDERS], np.stack((x, top.repeat(2, 1)), -1))
    lower = np.where(seen, points[:, _HIPS], np.stack((x, bottom.repeat(2, 1)), -1))
    across = ((np.arange(_ACROSS) + 0.5) / _ACROSS)[None, :, None]
    down = ((np.arange(_DOWN) + 0.5) / _DOWN)[None, :, None, None]
    high = upper[:, :1] + across * (upper[:, 1:] - upper[:, :1])
    base = lower[:, :1] + across * (lower[:, 1:] - lower[:, :1])
    grid = high[:, None] + down * (base - high)[:, None]
    grid = np.where(np.isfinite(grid), grid, -1.0)
    return np.asarray(grid.reshape(len(points), -1, 2))


def _read(frame: Frame, x: np.ndarray, y: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Brightness and the two colour differences, 0..255, at px x, y [N,S] of the stored picture."""
    image = frame.image
    if frame.layout in ("bgr", "rgb"):
        order = (0, 1, 2) if frame.layout == "bgr" else (2, 1, 0)
        b, g, r = (image[y, x, c].astype(np.float32) for c in order)
        luma = 0.299 * r + 0.587 * g + 0.114 * b
        return luma, 128 + 0.564 * (b - luma), 128 + 0.713 * (r - luma)
    if frame.layout == "nv12":
        below, even = frame.stored_size[1] + y // 2, x // 2 * 2
        found = (image[y, x], image[below, even], image[below, even + 1])
    elif frame.layout == "yuyv":
        even = x // 2 * 2
        found = (image[y, x, 0], image[y, even, 1], image[y, even + 1, 1])
    else:
        plane = image[..., 0] if image.ndim == 3 else image
        grey = np.full(x.shape, 128, np.uint8)
        found = (plane[y, x], grey, grey)
    luma, blue, red = (v.astype(np.float32) for v in found)
    return luma, blue, red


def _histograms(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Histograms [N,BINS] f32 of values [N,S] 0..255; each value is shared by two bins."""
    place = np.clip(values / 256 * BINS - 0.5, 0, BINS - 1.001)
    low = place.astype(np.int64)
    upper = (place - low) * weights
    n = len(values)
    cells = low + np.arange(n)[:, None] * BINS
    total = np.bincount(cells.ravel(), (weights - upper).ravel(), n * BINS)
    total += np.bincount(cells.ravel() + 1, upper.ravel(), n * BINS + 1)[: n * BINS]
    return np.asarray(total.reshape(n, BINS), np.float32)
