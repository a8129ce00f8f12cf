"""People and outlines as integers in the form of the contract: 0.1 px, mm, and scores of 0..100."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np

from edge.scene_structures import SceneFrame
from edge.structures import Outline, Poses

FARTHEST = 2**31 - 1  # in 0.1 px or mm: the limit of sint32


def people(poses: Poses) -> List[Dict[str, Any]]:
    """Convert the people of a frame to the form of contract/frame.json.

    Returns:
        For each person id, score 0..100, box [x1,y1,x2,y2] and keypoints, a [K*3] integer vector
        x y score ...; coordinates in 0.1 px; a keypoint of score 0 is at 0 0. int16 if every
        coordinate fits, else int32. With joints in metres also world, a [K*4] integer vector
        x y z score ... in mm.
    """
    n, k = poses.scores.shape
    points = np.empty((n, k, 3), np.int32)
    points[..., 2] = percent(poses.scores)
    points[..., 2] *= np.isfinite(poses.keypoints).all(2)
    points[..., :2] = tenths(poses.keypoints)
    points[..., :2] *= points[..., 2:] > 0
    rows = points.reshape(n, k * 3)
    if rows.size and np.abs(rows).max() < 2**15:
        rows = rows.astype("<i2")
    columns = (poses.ids.tolist(), percent(poses.person_scores).tolist(), tenths(poses.boxes))
    told = [
        {"id": i, "score": score, "box": box.tolist(), "keypoints": row}
        for i, score, box, row in zip(*columns, rows)
    ]
    if poses.world is not None:
        for person, row in zip(told, _in_metres(poses.world[..., :3], poses.world[..., 3])):
            person["world"] = row
    return told


def people_in_room(found: SceneFrame) -> List[Dict[str, Any]]:
    """Convert the people of a scene to the form of contract/scene.json.

    Returns:
        For each person id, score 0..100 (mean of its keypoints), error (median of the reprojection
        in 0.1 px), seen_as (id by camera), and keypoints, a [K*4] integer vector x y z score ... in
        mm; a keypoint of score 0 is at 0 0 0. int16 if every coordinate fits, else int32.
    """
    rows = _in_metres(found.joints.points, found.joints.scores)
    percents = rows[:, 3::4]
    there = np.maximum((percents > 0).sum(1), 1)
    columns = (
        found.ids.tolist(),
        np.rint(percents.sum(1) / there).astype(np.int64).tolist(),
        tenths(_medians(found.errors_px)).tolist(),
        found.seen_as.tolist(),
    )
    return [
        {
            "id": i,
            "score": score,
            "error": error,
            "seen_as": {name: who for name, who in zip(found.cameras, row) if who >= 0},
            "keypoints": points,
        }
        for i, score, error, row, points in zip(*columns, rows)
    ]


def _in_metres(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows [N,K*4] of x y z score ... in mm and hundredths; int16 if every coordinate fits."""
    n, k = scores.shape
    whole = np.empty((n, k, 4), np.int32)
    whole[..., 3] = percent(scores)
    whole[..., 3] *= np.isfinite(points).all(2)
    whole[..., :3] = millimetres(points)
    whole[..., :3] *= whole[..., 3:] > 0
    rows = whole.reshape(n, k * 4)
    return rows.astype("<i2") if rows.size and np.abs(rows).max() < 2**15 else rows


def outlines(shown: Sequence[Outline]) -> List[Dict[str, Any]]:
    """Convert what a rule watches to the form of contract/state.json: corners in 0.1 px."""
    return [
        {
            "label": outline.label,
            "closed": outline.closed,
            "points": tenths(np.stack([outline.points.real, outline.points.imag], 1)).tolist(),
        }
        for outline in shown
    ]


def _medians(errors_px: np.ndarray) -> np.ndarray:
    """Median error [N] of each person over cameras and keypoints [C,N,K]; NaN if there is none."""
    c, n, k = errors_px.shape
    flat = np.sort(np.moveaxis(errors_px, 1, 0).reshape(n, c * k), 1)  # NaN last
    count = np.isfinite(flat).sum(1)
    return flat[np.arange(len(flat)), np.maximum(count - 1, 0) // 2]


def millimetres(metres: np.ndarray) -> np.ndarray:
    """Convert m to int32 mm; a value that is not finite becomes 0."""
    return _whole(metres, 1000, -FARTHEST, FARTHEST)


def percent(scores: np.ndarray) -> np.ndarray:
    """Convert scores 0..1 to int32 0..100; a score that is not finite becomes 0."""
    return _whole(scores, 100, 0, 100)


def tenths(pixels: np.ndarray) -> np.ndarray:
    """Convert px to int32 in 0.1 px; a value that is not finite becomes 0."""
    return _whole(pixels, 10, -FARTHEST, FARTHEST)


def _whole(values: np.ndarray, times: float, least: int, most: int) -> np.ndarray:
    rounded = np.rint(values.astype(np.float64) * times)
    held = np.minimum(np.maximum(rounded, least), most)
    return np.where(np.isfinite(rounded), held, 0).astype(np.int32)
