"""Truth of a picture: keypoints, visibility by depth, and boxes.

A keypoint lies inside the body, so the surface in front of it hides it only if it is nearer than
the body is thick there. Surfaces of others hide it if they are in front of it at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List

import numpy as np

from tools.render.paint.picture import NOBODY, Drawn
from tools.render.paint.raster import SAMPLES, to_samples
from tools.render.scene.stage import Shot

OUTSIDE, HIDDEN, SEEN = 0, 1, 2  # as COCO counts
LEAST_PX = 16  # people with fewer pixels in the picture have no label

# How deep each keypoint lies below the skin and the clothes, in statures.
_DEPTH = np.array(
    [0.022, 0.022, 0.022, 0.034, 0.034]
    + [0.085] * 2
    + [0.055] * 2
    + [0.036] * 2
    + [0.125] * 2
    + [0.075] * 2
    + [0.046] * 2
    + [0.030, 0.030, 0.040] * 2
    + [0.020] * 17
    + [0.014] * 51
    + [0.020] * 42
)
_OTHERS_M = 0.03


@dataclass(frozen=True, eq=False)
class Label:
    """Truth of one person in one picture."""

    index: int  # of the person in the scene
    keypoints: np.ndarray  # [133,2] f64 px
    visible: np.ndarray  # [133] i64 OUTSIDE, HIDDEN or SEEN
    box: np.ndarray  # [4] f64 x1 y1 x2 y2 px, of what is seen
    area_px: float  # of what is seen
    whole: float  # share of the person's silhouette that nothing hides and no edge cuts
    space: np.ndarray  # [133,3] f32 m


def labels_of(shot: Shot) -> List[Label]:
    """Labels of all people who are seen, in the order of the scene."""
    found = []
    for index, (posed, owner) in enumerate(zip(shot.people, shot.owners)):
        if owner < 0:
            continue
        pixels, _ = shot.camera.project(posed.vertices)
        seen = _silhouette(shot.drawn, owner, to_samples(pixels))
        if seen is None or seen[1] < LEAST_PX:
            continue
        box, area_px = seen
        points, depth = shot.camera.project(posed.keypoints.astype(np.float64))
        stature = float(np.ptp(posed.vertices[:, 2]))
        visible = visibility(shot.drawn, owner, points, depth, max(stature, 1.5))
        found.append(
            Label(index, points, visible, box, area_px, _whole(shot, pixels, box), posed.keypoints)
        )
    return found


def _silhouette(drawn: Drawn, owner: int, samples: np.ndarray):  # type: ignore[no-untyped-def]
    height, width = drawn.owner.shape
    low = np.clip(np.floor(samples.min(0)) - 2, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(samples.max(0)) + 3, 0, [width, height]).astype(int)
    mask = drawn.owner[low[1] : high[1], low[0] : high[0]] == owner
    columns, rows = np.nonzero(mask.any(0))[0], np.nonzero(mask.any(1))[0]
    if not len(columns):
        return None
    first = np.array([low[0] + columns[0], low[1] + rows[0]])
    last = np.array([low[0] + columns[-1] + 1, low[1] + rows[-1] + 1])
    box = np.concatenate([first, last]) / SAMPLES - 0.5
    return box, float(mask.sum()) / SAMPLES**2


def _whole(shot: Shot, pixels: np.ndarray, box: np.ndarray) -> float:
    """Share of the box of the whole body that the box of what is seen has."""
    low, high = pixels.min(0), pixels.max(0)
    full = float(np.prod(np.maximum(high - low, 1e-6)))
    return float(min(1.0, np.prod(box[2:] - box[:2]) / full))


def visibility(
    drawn: Drawn, owner: int, points: np.ndarray, depth: np.ndarray, stature: float
) -> np.ndarray:
    """Whether each keypoint is seen.

    Args:
        drawn: the z-buffer.
        owner: solid of the person.
        points: [133,2] px.
        depth: [133] m; 0 = behind the camera.
        stature: m.

    Returns:
        [133] i64.
    """
    height, width = drawn.owner.shape
    at = np.rint(to_samples(points)).astype(int)
    inside = (at >= 0).all(1) & (at[:, 0] < width) & (at[:, 1] < height) & (depth > 0)
    seen = np.zeros(len(points), bool)
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            x, y = np.clip(at[:, 0] + dx, 0, width - 1), np.clip(at[:, 1] + dy, 0, height - 1)
            who, near = drawn.owner[y, x], drawn.depth[y, x]
            own = (who == owner) & (near > depth - _DEPTH * stature)
            free = (who == NOBODY) | ((who != owner) & (near > depth - _OTHERS_M))
            seen |= own | (free if dx == dy == 0 else False)
    return np.where(inside, np.where(seen, SEEN, HIDDEN), OUTSIDE)
