"""What of a posture is compared with a template.

How far each limb reaches downwards, over its length: the cosine of its angle from the vertical. It
does not change when a person turns round, steps aside or is larger, and a level camera sees it from
every side. The angle itself would follow badly: near the vertical a small error of the reach is a
large one of the angle.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.rules._posture import straight_body_of
from edge.structures import Poses

# Name, COCO keypoints at both ends, share of the standing height (Drillis and Contini 1966). The
# trunk is from the middle of the hips to the middle of the shoulders.
_LIMBS: Tuple[Tuple[str, int, int, float], ...] = (
    ("left_upper_arm", 5, 7, 0.186),
    ("right_upper_arm", 6, 8, 0.186),
    ("left_forearm", 7, 9, 0.146),
    ("right_forearm", 8, 10, 0.146),
    ("left_thigh", 11, 13, 0.245),
    ("right_thigh", 12, 14, 0.245),
    ("left_shank", 13, 15, 0.246),
    ("right_shank", 14, 16, 0.246),
)
_TRUNK = 0.288
NAMES: Tuple[str, ...] = (*(name for name, _, _, _ in _LIMBS), "trunk")
MIRROR = np.array([1, 0, 3, 2, 5, 4, 7, 6, 8])
_START = np.array([limb[1] for limb in _LIMBS])
_END = np.array([limb[2] for limb in _LIMBS])
_SHARE = np.array([limb[3] for limb in _LIMBS])


def reaches(poses: Poses) -> np.ndarray:
    """Reaches [N,9] f64 of people's limbs, in the order of `NAMES`.

    1 = hanging, 0 = level, -1 = upright; of the trunk 1 = upright. NaN = a keypoint is not seen.
    """
    body, seen, tall = straight_body_of(poses)
    down = body.imag.astype(np.float64)
    reach = (down[:, _END] - down[:, _START]) / (_SHARE * tall[:, None])
    known = np.asarray(seen[:, _START] & seen[:, _END])
    rise = (down[:, [11, 12]].mean(1) - down[:, [5, 6]].mean(1)) / (_TRUNK * tall)
    trunk_known = np.asarray(seen[:, [5, 6, 11, 12]].all(1, keepdims=True))
    reach = np.concatenate((reach, rise[:, None]), 1)
    known = np.concatenate((known, trunk_known), 1)
    return np.where(known, np.clip(reach, -1.1, 1.1), np.nan)


def degrees_of(reach: np.ndarray) -> np.ndarray:
    """Angles from the vertical of reaches: 0 = hanging, 180 = upright; of the trunk 0 = upright."""
    return np.asarray(np.degrees(np.arccos(np.clip(reach, -1, 1))))


def reaches_in_space(body: np.ndarray) -> np.ndarray:
    """Reaches [T,9] of bodies [T,17,3] m with z upwards; as `reaches`."""
    limbs = body[:, _END] - body[:, _START]
    trunk = body[:, [5, 6]].mean(1) - body[:, [11, 12]].mean(1)
    lengths = np.maximum(np.linalg.norm(limbs, axis=2), 1e-9)
    down = -limbs[..., 2] / lengths
    up = trunk[:, 2] / np.maximum(np.linalg.norm(trunk, axis=1), 1e-9)
    return np.concatenate((down, up[:, None]), 1)
