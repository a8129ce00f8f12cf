"""The templates that are shipped, made from joint-angle scripts of our own."""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

from edge.rules._action.features import reaches_in_space
from edge.rules._action.template import Phase, Template
from tools.render.motion import bodies as exercising
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
    return exercising.bodies(name, t_s, np.array([0.0, depth, 0.5]))


def make(name: str) -> Template:
    """The template of a shipped exercise."""
    period_s, phases = SHIPPED[name]
    t_s = np.arange(0, period_s, 1 / RATE_HZ)
    examples = [reaches_in_space(bodies(name, t_s, depth)) for depth in _DEPTHS]
    return from_examples(name, examples, SOURCE, LICENCE, phases)
