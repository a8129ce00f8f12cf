"""How doubtful poses are: between a picture and its mirror image, between frames, between views.

Each doubt is a distance in heights of the person, so that near and far people count alike.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge import geometry, skeletons
from edge.structures import VISIBLE, Poses
from tools.evaluation.figures import rig
from tools.evaluation.rig_run import body_of
from tools.training.judging.looks import looked

_SAME_IOU = 0.3  # of boxes of one person in neighbouring frames
_FEWEST = 5  # keypoints that must be in both


def flipped(look: Any, image: np.ndarray, poses: Poses, number: int) -> np.ndarray:
    """[N] median distance to the poses of the mirror image; NaN if nothing can be compared.

    Args:
        look: of the pose model.
        image: [H,W,3] u8 BGR.
        poses: of it.
        number: of the picture, see looks.looked.
    """
    if not len(poses):
        return np.zeros(0)
    wide = image.shape[1]
    boxes = poses.boxes.copy()
    boxes[:, [0, 2]] = wide - poses.boxes[:, [2, 0]]
    mirrored = np.ascontiguousarray(image[:, ::-1])
    count = poses.keypoints.shape[1]
    other = looked(look, mirrored, boxes, count, poses.skeleton, number)
    flip = skeletons.get(poses.skeleton).flip
    points = other.keypoints[:, flip].copy()
    points[..., 0] = wide - 1 - points[..., 0]
    back = other.boxes.copy()
    back[:, [0, 2]] = wide - other.boxes[:, [2, 0]]
    return _apart(poses, points, other.scores[:, flip], back)


def jumped(before: Poses, poses: Poses, after: Poses) -> np.ndarray:
    """[N] median distance from the middle between the frames before and after; NaN as above."""
    rows = [_partners(poses, other) for other in (before, after)]
    out = np.full(len(poses), np.nan)
    for row in range(len(poses)):
        first, second = rows[0][row], rows[1][row]
        if first < 0 or second < 0:
            continue
        middle = (before.keypoints[first] + after.keypoints[second]) / 2
        seen = np.minimum(before.scores[first], after.scores[second])
        out[row] = _median(poses, row, middle, seen)
    return out


def views(cameras: Sequence[rig.View], moment: Sequence[Poses]) -> List[np.ndarray]:
    """Of each camera [N]: distance to where the other cameras see the person; NaN as above.

    Args:
        cameras: calibrated.
        moment: the poses of all cameras at one time, in the same order.
    """
    bodies = [body_of(poses) for poses in moment]
    apart = rig.disagreement(cameras, [body.points for body in bodies])
    return [px / np.maximum(body.heights_px, 1.0) for px, body in zip(apart, bodies)]


def _apart(poses: Poses, points: np.ndarray, scores: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Distances to poses that have these boxes; one that is lost is as far as a whole height."""
    overlap = geometry.iou(poses.boxes, boxes.astype(np.float32)) if len(boxes) else None
    out = np.ones(len(poses))
    for row in range(len(poses)):
        if overlap is not None and overlap[row].max() > 0.9:
            other = int(overlap[row].argmax())
            out[row] = _median(poses, row, points[other], scores[other])
    return out


def _partners(poses: Poses, other: Poses) -> List[int]:
    """The person of another frame with the same id, else the one whose box overlaps most; or -1."""
    found: List[int] = []
    overlap = geometry.iou(poses.boxes, other.boxes)
    for row, who in enumerate(poses.ids.tolist()):
        same = np.flatnonzero(other.ids == who) if who >= 0 else np.zeros(0, np.int64)
        if len(same):
            found.append(int(same[0]))
        elif who < 0 and len(other) and overlap[row].max() >= _SAME_IOU:
            found.append(int(overlap[row].argmax()))
        else:
            found.append(-1)
    return found


def _median(poses: Poses, row: int, points: np.ndarray, scores: np.ndarray) -> float:
    which = skeletons.body17(poses.skeleton)
    which = which[which >= 0]
    both = which[(poses.scores[row, which] > VISIBLE) & (scores[which] > VISIBLE)]
    if len(both) < _FEWEST:
        return float("nan")
    gap = np.linalg.norm(poses.keypoints[row, both] - points[both], axis=1)
    box = poses.boxes[row]
    return float(np.median(gap) / max(float((box[2:] - box[:2]).max()), 1.0))


def chosen(rows: Sequence[Dict[str, Any]], count: int, apart: int) -> List[Tuple[int, float, str]]:
    """The frames that are worth most, spread over cameras and time.

    Args:
        rows: of each frame `camera`, `frame` and doubts by name, heights or None.
        count: frames wanted.
        apart: least distance of two frames of a camera.

    Returns:
        Place in `rows`, worth and the largest doubt's name, the most doubtful first.
    """
    kinds = sorted({k for row in rows for k in row["doubts"]})
    worth = np.zeros(len(rows))
    reason = [""] * len(rows)
    for kind in kinds:
        values = np.array([_number(row["doubts"].get(kind)) for row in rows])
        # Ranks, because the kinds have different sizes: a jump of .05 is worse than a flip of .05.
        rank = values.argsort(kind="stable").argsort(kind="stable") / max(len(values) - 1, 1)
        rank = np.where(values > 0, rank, 0)
        reason = [kind if r > w else old for r, w, old in zip(rank, worth, reason)]
        worth = np.maximum(worth, rank) + 0.25 * np.minimum(worth, rank)
    taken: List[Tuple[int, float, str]] = []
    for place in np.argsort(-worth, kind="stable").tolist():
        row = rows[place]
        if len(taken) == count or worth[place] <= 0:
            break
        near = (rows[p] for p, _, _ in taken if rows[p]["camera"] == row["camera"])
        if all(abs(other["frame"] - row["frame"]) >= apart for other in near):
            taken.append((place, round(float(worth[place]), 4), reason[place]))
    return taken


def _number(value: Any) -> float:
    return 0.0 if value is None or not np.isfinite(value) else float(value)
