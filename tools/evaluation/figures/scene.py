"""Figures of the people of a scene: reprojection, bones, and who is who."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

import numpy as np

from edge import skeletons
from edge.scene_structures import SceneFrame

BONES = ((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16))
_FEWEST = 10  # instants of a person from which a deviation is taken
Box = Sequence[float]
# Real person -> camera -> number of the frame -> box x1 y1 x2 y2 px.
Labels = Mapping[str, Mapping[str, Mapping[int, Box]]]


@dataclass(frozen=True, eq=False)
class Told:
    """One instant of a scene, and the boxes of the cameras' people at it."""

    frame: int
    scene: SceneFrame
    boxes: Mapping[str, Mapping[int, Box]]  # camera -> id -> box


def figures(told: Sequence[Told], labels: Labels) -> Dict[str, Any]:
    """Figures of a clip.

    Args:
        told: its instants in order.
        labels: boxes of real people at some frames; between them they are interpolated.
    """
    many, all_views = _reprojection(told, 3), _reprojection(told, 2)
    right, counted = _identities(told, labels)
    return {
        "instants": len(told),
        "median_px": _median(many[0]),
        "median_all_px": _median(all_views[0]),
        "three_share": float((many[1] >= 3).mean()) if len(many[1]) else float("nan"),
        "bones_percent": _bones(told),
        "identity_share": right / counted if counted else float("nan"),
        "people": len({int(i) for one in told for i in one.scene.ids}),
    }


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _reprojection(told: Sequence[Told], fewest: int) -> Tuple[np.ndarray, np.ndarray]:
    """Errors px of body joints, and the number of views of each; of people in enough cameras."""
    errors, views = [np.zeros(0)], [np.zeros(0, np.int64)]
    for one in told:
        scene = one.scene
        body = skeletons.body17(scene.skeleton)
        off = scene.errors_px[..., body]
        chosen = (scene.seen_as >= 0).sum(1) >= fewest
        there = scene.joints.scores[:, body] > 0
        errors.append(off[:, chosen][np.isfinite(off[:, chosen])])
        views.append(np.isfinite(off).sum(0)[chosen][there[chosen]])
    return np.concatenate(errors), np.concatenate(views)


def _bones(told: Sequence[Told]) -> Dict[int, float]:
    """Of each person: mean over limbs of the lengths' standard deviation, % of their mean."""
    lengths: Dict[int, List[np.ndarray]] = {}
    a, b = np.array(BONES).T
    for one in told:
        joints, body = one.scene.joints, skeletons.body17(one.scene.skeleton)
        points, there = joints.points[:, body], joints.scores[:, body] > 0
        long_m = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
        long_m = np.where(there[:, a] & there[:, b], long_m, np.nan)
        for who, row in zip(one.scene.ids.tolist(), long_m):
            lengths.setdefault(who, []).append(row)
    return {who: _spread(np.array(rows)) for who, rows in lengths.items() if len(rows) >= _FEWEST}


def _spread(rows: np.ndarray) -> float:
    enough = np.isfinite(rows).sum(0) >= _FEWEST
    if not enough.any():
        return float("nan")
    some = rows[:, enough]
    return float(100 * (np.nanstd(some, 0) / np.nanmean(some, 0)).mean())


def _identities(told: Sequence[Told], labels: Labels) -> Tuple[int, int]:
    """Instants at which each person told is one real person in all cameras, and has one id."""
    known: Dict[str, int] = {}
    right = counted = 0
    for one in told:
        rows = [_real(one, row, labels) for row in one.scene.seen_as]
        if not rows:
            continue
        counted += 1
        single = all(len(row) == 1 for row in rows)
        pairs = [(next(iter(row)), who) for row, who in zip(rows, one.scene.ids.tolist()) if row]
        same = all(known.setdefault(real, who) == who for real, who in pairs)
        right += single and same and len({real for real, _ in pairs}) == len(pairs)
    return right, counted


def _real(one: Told, row: np.ndarray, labels: Labels) -> Set[str]:
    """The real people whom the cameras' poses of one person of the scene show."""
    found: Set[str] = set()
    for camera, who in zip(one.scene.cameras, row.tolist()):
        if who >= 0:
            box = one.boxes[camera][who]
            found.add(max(labels, key=lambda n: _overlap(box, labels[n].get(camera), one.frame)))
    return found


def _overlap(box: Box, labelled: Any, frame: int) -> float:
    """IoU with a label, interpolated between labelled frames."""
    if not labelled:
        return -1.0
    frames = sorted(labelled)
    theirs = [np.interp(frame, frames, [labelled[f][side] for f in frames]) for side in range(4)]
    wide = min(box[2], theirs[2]) - max(box[0], theirs[0])
    high = min(box[3], theirs[3]) - max(box[1], theirs[1])
    both = max(wide, 0.0) * max(high, 0.0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, theirs)]
    return float(both / max(sum(areas) - both, 1e-9))
