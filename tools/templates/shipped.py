"""The templates that are shipped, made from joint-angle scripts of our own."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.gaits import MOTIONS
from edge.capture._synthetic.motion import Gait
from edge.rules._action.features import reaches_in_space
from edge.rules._action.template import Phase, Template
from tools.render.motion.exercises import EXERCISES
from tools.templates.make import RATE_HZ, from_examples

SOURCE = "joint-angle script of edge-pose; not a coach's"
LICENCE = "Apache-2.0"
_DEPTHS = (0.0, 0.3, 0.6, 1.0)  # of the person, as in `own[:, 1]`
_DOWN_UP = (Phase("start", 0.2), Phase("bottom", 0.8), Phase("end", 1.0))
_OPEN_SHUT = (Phase("start", 0.25), Phase("open", 0.75), Phase("end", 1.0))
_SHOT = (Phase("dip", 0.42), Phase("lift", 0.58), Phase("release", 0.76), Phase("end", 1.0))
# Name -> seconds of one repetition, and its phases.
SHIPPED: Dict[str, Tuple[float, Tuple[Phase, ...]]] = {
    "squat": (3.0, _DOWN_UP),
    "lunge": (3.0, _DOWN_UP),
    "jumping_jack": (1.2, _OPEN_SHUT),
    "push_up": (2.8, _DOWN_UP),
    "basketball_shot": (2.4, _SHOT),
}


def bodies(name: str, t_s: np.ndarray, depth: float) -> np.ndarray:
    """COCO's keypoints [T,17,3] m of somebody who does an exercise."""
    motion: Any = MOTIONS[name] if name in MOTIONS else Gait(EXERCISES[name][0])
    own = np.tile([0.0, depth, 0.5], (len(t_s), 1))
    posture = motion.at(t_s, own)
    body = build(posture.frames, np.full(len(t_s), STATURE_M), posture.curl)
    shift = np.zeros((len(t_s), 3))
    shift[:, 2] = posture.lift - body.lowest
    return body.moved(shift).keypoints[:, :17]


def make(name: str) -> Template:
    """The template of a shipped exercise."""
    period_s, phases = SHIPPED[name]
    t_s = np.arange(0, period_s, 1 / RATE_HZ)
    examples = [reaches_in_space(bodies(name, t_s, depth)) for depth in _DEPTHS]
    return from_examples(name, examples, SOURCE, LICENCE, phases)
