"""Movements of the trunk, the pelvis and the shoulders that stand in for the joint's own."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from edge.people import angles
from edge.people.limbs import Limbs
from edge.rules._posture import limbs_of
from edge.structures import Poses

NAMES = ("trunk lean", "hip hike", "shoulder shrug")
UNITS = ("deg", "deg", "H")
_MEAN_S = 0.25  # of the values
# Shoulders that sink lengthen the neck quickly to its new resting length; a raised shoulder
# shortens it only slowly, else a long shrug would become the rest.
_LONGER_S, _SHORTER_S = 2.0, 60.0
_OFF_DEG = 40.0  # a plane that is seen from further off is not judged


def fields() -> Dict[str, Any]:
    """What is kept of a new person."""
    return {"comp": np.full(len(NAMES), np.nan), "neck": np.full(2, np.nan)}


def follow(
    state: Dict[str, np.ndarray],
    people: Poses,
    trunk: Tuple[np.ndarray, np.ndarray],
    tall: np.ndarray,
    dt_s: np.ndarray,
) -> np.ndarray:
    """Take a frame in; values [N,3] of `NAMES` in `UNITS`, NaN = not seen.

    Args:
        state: arrays of `fields`, changed in place.
        people: N people.
        trunk: lean and side bend [N,2] deg, and how far off their planes they are seen.
        tall: [N] px standing heights.
        dt_s: [N] s since the frame before.
    """
    limbs, (degrees, off_plane_deg) = limbs_of(people), trunk
    seen = np.where(off_plane_deg <= _OFF_DEG, np.abs(degrees), np.nan)
    frontal = off_plane_deg[:, 1] <= _OFF_DEG
    now = np.stack(
        (
            np.fmax(seen[:, 0], seen[:, 1]),
            _hike_deg(limbs, frontal),
            _shrug_h(state, limbs, tall, dt_s),
        ),
        1,
    )
    before = np.where(np.isnan(state["comp"]), now, state["comp"])
    gain = (1 - np.exp(-np.maximum(dt_s, 0) / _MEAN_S))[:, None]
    state["comp"] = np.where(np.isnan(now), np.nan, before + gain * (now - before))
    return state["comp"]


def _hike_deg(limbs: Limbs, frontal: np.ndarray) -> np.ndarray:
    """Slope of the line through both hips; only a view from the front or the back shows it."""
    across = limbs.points["left_hip"] - limbs.points["right_hip"]
    both = limbs.weakest(["left_hip", "right_hip"]) > 0
    slope = np.degrees(np.arctan2(np.abs(across[:, 1]), np.abs(across[:, 0])))
    return np.where(both & frontal, slope, np.nan)


def _shrug_h(
    state: Dict[str, np.ndarray], limbs: Limbs, tall: np.ndarray, dt_s: np.ndarray
) -> np.ndarray:
    """How much a shoulder has come nearer to the ear than at rest, the more raised side."""
    sides = []
    for side in angles.SIDES:
        both = limbs.weakest([f"{side}_ear", f"{side}_shoulder"]) > 0
        neck = (limbs.points[f"{side}_shoulder"] - limbs.points[f"{side}_ear"])[:, 1] / tall
        sides.append(np.where(both, neck, np.nan))
    now = np.stack(sides, 1)
    rest = np.where(np.isnan(state["neck"]), now, state["neck"])
    slow_s = np.where(now > rest, _LONGER_S, _SHORTER_S)
    follows = rest + (1 - np.exp(-np.maximum(dt_s, 0)[:, None] / slow_s)) * (now - rest)
    state["neck"] = np.where(np.isnan(now), state["neck"], follows)
    raised = rest - now
    return np.asarray(np.fmax(raised[:, 0], raised[:, 1]))
