"""Decodes the outputs of the cascade's networks to points in px of the frame and scores 0..1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

import numpy as np

from edge import geometry
from edge.models._blazepose import points
from edge.models._boxes import sigmoid
from edge.models._preprocess.lenses import LocalViews

# RefineLandmarksFromHeatmapCalculator of google-ai-edge/mediapipe: the mean of a 7 x 7 window of
# the heatmap around the regressed point, if the window's peak is a probability of at least 0.5. On
# the media sets, jitter is 27 % less and 3 % more points are within 5 % of H.
_WINDOW = np.arange(-3, 4, dtype=np.int32)
_PEAK = 0.5
# Crops without a person score below 0.02 almost always; people in an imperfect crop score down to
# 0.1. The root spreads low scores over the scale.
_ROOT = 0.5


@dataclass
class Bodies:
    """People found by the body network."""

    points: np.ndarray  # [N,33,2] f32 px of the frame
    scores: np.ndarray  # [N,33] f32 0..1, probability of being visible and inside the crop
    person_scores: np.ndarray  # [N] f32 0..1; 0 if an output is not finite
    # [N,33,3] f32 m from the middle of the hips, in the camera's axes. None = it was not asked for
    world: Optional[np.ndarray] = None

    def take(self, which: np.ndarray) -> Bodies:
        """The rows of a mask, or of indices in their order."""
        world = None if self.world is None else self.world[which]
        return Bodies(self.points[which], self.scores[which], self.person_scores[which], world)


def bodies(
    outputs: Dict[str, np.ndarray],
    matrices: np.ndarray,
    side: int,
    world: Optional[np.ndarray] = None,
) -> Bodies:
    """Decode the outputs of the body network.

    Args:
        outputs: landmarks [N,195], 39 x (x, y, z, visibility, presence); score [N,1]; optionally
            heatmap [N,39,h,w] of logits.
        matrices: [N,2,3] from px of the frame to px of the input.
        side: width and height of the input, px.
        world: [N,33,3] m, of `metres`; None = not wanted.
    """
    raw = outputs["landmarks"].reshape(-1, points.RAW_POINTS, 5)[:, :33]
    score = outputs["score"].reshape(-1)
    good = np.isfinite(raw).all((1, 2)) & np.isfinite(score)
    raw = np.where(good[:, None, None], raw, np.float32(0))
    places = refined(raw[..., :2], outputs.get("heatmap"), side)
    seen = sigmoid(raw[..., 3]) * sigmoid(raw[..., 4])
    sure = _clipped(np.where(good, score, 0)).astype(np.float32) ** np.float32(_ROOT)
    return Bodies(geometry.apply(geometry.invert(matrices), places), seen, sure, world)


def metres(
    outputs: Dict[str, np.ndarray], matrices: np.ndarray, views: Optional[LocalViews] = None
) -> np.ndarray:
    """Points [N,33,3] m in the axes of the camera: crops are turned so that people stand upright.

    WorldLandmarkProjectionCalculator of google-ai-edge/mediapipe.

    Args:
        outputs: world [N,117], 39 x (x, y, z) m in the crop's axes.
        matrices: [N,2,3], rotation and scale from px of the frame, or of a straight view, to px of
            the input.
        views: the straight views; None = crops of the frame.
    """
    points_m = outputs["world"].reshape(-1, points.RAW_POINTS, 3)[:, :33].astype(np.float32)
    points_m[~np.isfinite(points_m).all((1, 2))] = 0
    turn = matrices[:, :, :2] / np.sqrt(np.abs(np.linalg.det(matrices[:, :, :2])))[:, None, None]
    points_m[..., :2] = points_m[..., :2] @ turn.astype(np.float32)
    return points_m if views is None else views.in_camera(points_m)


def refined(places: np.ndarray, heatmap: Optional[np.ndarray], side: int) -> np.ndarray:
    """Refine regressed points [N,K,2], px of the input, by their heatmaps [N,>=K,h,w], if any."""
    if heatmap is None or not len(places):
        return places
    step = np.float32(side / heatmap.shape[-1])
    chance, columns, rows = _windows(heatmap, np.floor(places / step))
    across, along = chance.sum(-2), chance.sum(-1)
    total = across.sum(-1)
    clear = (chance.max((-2, -1)) >= _PEAK) & np.isfinite(total)
    total = np.where(clear, total, np.float32(1))
    x, y = (across * columns).sum(-1) / total, (along * rows).sum(-1) / total
    return np.where(clear[..., None], np.stack((x, y), -1) * step, places).astype(np.float32)


def _windows(heatmap: np.ndarray, cells: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities [N,K,7,7] around cells [N,K,2], 0 outside the map; columns and rows [N,K,7]."""
    n, k = cells.shape[:2]
    height, width = heatmap.shape[2:]
    cells = np.minimum(np.maximum(cells, -9), max(height, width) + 9).astype(np.int32)
    columns, rows = cells[..., :1] + _WINDOW, cells[..., 1:] + _WINDOW
    right = np.minimum(np.maximum(columns, 0), width - 1)
    low = np.minimum(np.maximum(rows, 0), height - 1)
    maps = np.arange(n)[:, None] * heatmap.shape[1] + np.arange(k)
    places = (maps[..., None] * height + low)[..., :, None] * width + right[..., None, :]
    chance = np.minimum(-heatmap.reshape(-1).take(places), np.float32(60))
    np.exp(chance, out=chance)
    chance += 1
    np.reciprocal(chance, out=chance)
    within = columns == right
    if not (within.all() and (rows == low).all()):  # rare: at the edge of the crop
        whole = np.all((cells >= 0) & (cells < (width, height)), -1, keepdims=True)
        chance *= (rows == low)[..., :, None]
        chance *= (within & whole)[..., None, :]
    return chance, columns, rows


def hands(
    outputs: Dict[str, np.ndarray], matrices: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the outputs of the hand network.

    Args:
        outputs: landmarks [N,63], 21 x (x, y, z); presence [N,1]; handedness [N,1].
        matrices: [N,2,3] from px of the frame to px of the input.

    Returns:
        Points [N,21,2] px of the frame; presence [N] 0..1, 0 if an output is not finite;
        probability [N] of a right hand.
    """
    raw, presence = outputs["landmarks"], outputs["presence"].reshape(-1)
    places, presence = _placed(raw, presence, matrices)
    right = outputs["handedness"].reshape(-1)
    right = np.where(np.isnan(right), np.float32(0.5), right)
    return places, _clipped(presence), _clipped(right)


def faces(outputs: Dict[str, np.ndarray], matrices: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Decode the outputs of the face network.

    Args:
        outputs: landmarks [N,1404], 468 x (x, y, z); score [N,1], a logit.
        matrices: [N,2,3] from px of the frame to px of the input.

    Returns:
        The 68 face points [N,68,2] px of the frame; presence [N] 0..1, 0 if an output is not
        finite.
    """
    raw = outputs["landmarks"].reshape(-1, points.MESH_POINTS, 3)[:, points.MESH_68]
    return _placed(raw, sigmoid(outputs["score"].reshape(-1)), matrices)


def _clipped(values: np.ndarray) -> np.ndarray:
    """Values clipped to 0..1; np.clip takes twice as long for small arrays."""
    return np.minimum(np.maximum(values, 0), 1)


def _placed(
    raw: np.ndarray, presence: np.ndarray, matrices: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    raw = raw.reshape(len(raw), -1, 3)[..., :2]
    good = np.isfinite(raw).all((1, 2)) & np.isfinite(presence)
    raw = np.where(good[:, None, None], raw, np.float32(0))
    places = geometry.apply(geometry.invert(matrices), raw)
    return places, np.where(good, presence, 0).astype(np.float32)
