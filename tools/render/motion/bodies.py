"""Keypoints in space of somebody of average height who moves by formula."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.gaits import MOTIONS
from edge.capture._synthetic.motion import Gait
from tools.render.motion.exercises import EXERCISES


def bodies(name: str, t_s: np.ndarray, own: np.ndarray) -> np.ndarray:
    """COCO's keypoints [T,17,3] m with the floor at z = 0.

    Args:
        name: of a gait or an exercise.
        t_s: times [T].
        own: random numbers of the person [3].

    Raises:
        KeyError: there is no such motion.
    """
    motion: Any = MOTIONS[name] if name in MOTIONS else Gait(EXERCISES[name][0])
    posture = motion.at(t_s, np.tile(own, (len(t_s), 1)))
    body = build(posture.frames, np.full(len(t_s), STATURE_M), posture.curl)
    shift = np.zeros((len(t_s), 3))
    shift[:, 2] = posture.lift - body.lowest
    return body.moved(shift).keypoints[:, :17]
