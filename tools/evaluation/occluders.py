"""Pictures in which a share of each person's head, torso, arms, legs or whole body is covered.

An occluder is a rectangle of coloured noise. It covers a share of the box around a body part, from
a side that is drawn by lot once for each part of each person. So the occluder of a larger share
holds that of a smaller one, and a curve over shares is of the same places.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import cv2
import numpy as np

from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import People

# Body part -> the keypoints of each of its boxes. `person` is the whole person's box.
PARTS: Dict[str, Sequence[Sequence[str]]] = {
    "head": [("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head", "neck")],
    "torso": [("left_shoulder", "right_shoulder", "left_hip", "right_hip")],
    "arms": [
        ("left_shoulder", "left_elbow", "left_wrist"),
        ("right_shoulder", "right_elbow", "right_wrist"),
    ],
    "legs": [("left_hip", "left_knee", "left_ankle"), ("right_hip", "right_knee", "right_ankle")],
    "person": [],
}
_MARGIN = 0.05  # of the longer side of the person's box, from keypoints to the side of a part's box
_CELL_PX = 12  # of the noise
_FINE = 12.0  # grey levels of the noise in each px


def cover(
    image: np.ndarray, people: People, points: PointSet, part: str, share: float, seed: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Cover a share of a body part of everybody in a picture.

    Args:
        image: [H,W,3] u8, borrowed.
        people: in it.
        points: their keypoints.
        part: one of PARTS.
        share: of the part's box, 0..1.
        seed: of the lots.

    Returns:
        A new picture, and [G,K] bool: whether a keypoint lies under an occluder.
    """
    out, hidden = image.copy(), np.zeros(people.labelled.shape, bool)
    rng = np.random.default_rng(seed)
    for box in _boxes(people, points, part):
        side, texture_seed = int(rng.integers(4)), int(rng.integers(1 << 30))
        if share > 0:
            rectangle = _share_of(box, side, share)
            _paint(out, rectangle, texture_seed)
            inside = people.keypoints >= rectangle[:2]
            hidden |= (inside & (people.keypoints < rectangle[2:])).all(-1)
    return out, hidden & people.labelled


def _boxes(people: People, points: PointSet, part: str) -> List[np.ndarray]:
    """The boxes x1 y1 x2 y2 of a body part of everybody; parts without a label are left out."""
    if not PARTS[part]:
        return [box for box, crowd in zip(people.boxes, people.crowd) if not crowd]
    found = []
    for names in PARTS[part]:
        which = [i for i in (points.index(name) for name in names) if i >= 0]
        for person in np.flatnonzero(~people.crowd):
            some = people.keypoints[person, which][people.labelled[person, which]]
            if len(some):
                box = people.boxes[person]
                margin = _MARGIN * float((box[2:] - box[:2]).max())
                found.append(np.concatenate((some.min(0) - margin, some.max(0) + margin)))
    return found


def _share_of(box: np.ndarray, side: int, share: float) -> np.ndarray:
    """The share of a box at its left, upper, right or lower side, in whole px."""
    x1, y1, x2, y2 = box
    width, height = share * (x2 - x1), share * (y2 - y1)
    cut = [
        (x1, y1, x1 + width, y2),
        (x1, y1, x2, y1 + height),
        (x2 - width, y1, x2, y2),
        (x1, y2 - height, x2, y2),
    ][side]
    return np.rint(np.array(cut, np.float64))


def _paint(image: np.ndarray, rectangle: np.ndarray, seed: int) -> None:
    """Fill a rectangle with coloured noise, in place; what lies outside the picture is left out."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = rectangle.astype(int)
    inner = np.clip([x1, y1, x2, y2], 0, [width, height, width, height])
    if inner[2] <= inner[0] or inner[3] <= inner[1]:
        return
    rng = np.random.default_rng(seed)
    cells = (max(2, (y2 - y1) // _CELL_PX), max(2, (x2 - x1) // _CELL_PX))
    coarse = rng.uniform(40, 210, 3) + rng.normal(0, 25, (*cells, 3))
    size = (int(x2 - x1), int(y2 - y1))
    noise: np.ndarray = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    noise = noise + rng.normal(0, _FINE, noise.shape)
    part = noise[inner[1] - y1 : inner[3] - y1, inner[0] - x1 : inner[2] - x1]
    image[inner[1] : inner[3], inner[0] : inner[2]] = np.clip(part, 0, 255).astype(np.uint8)
