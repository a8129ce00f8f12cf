"""What the rule `fall` remembers of each person."""

from __future__ import annotations

import numpy as np

from edge.rules._fall import evidence
from edge.rules._person_memory import PersonMemory

UP, LYING, FALLEN = 0, 1, 2  # the posture that was last reported


def remembered(lost_s: float) -> PersonMemory:
    """An empty memory.

    Times, -1 = none: `fast_ns` of the last fast drop, `fell_ns` when the fall was seen, `down_ns`
    and `lie_ns` of the first and the last frame of lying, `lying_ns`, `still_ns` and `up_ns` of the
    first frame of being so without a break.

    Args:
        lost_s: the row of an absent person is kept for this long.
    """
    return PersonMemory(
        lost_s,
        reported=UP,
        fell=False,
        new=True,
        score=0.0,
        body=np.zeros(17, np.complex64),
        seen=np.zeros(17, bool),
        shape=np.zeros(4, np.complex64),
        whole=0j,
        known=False,
        tall=0.0,
        upright=0.0,
        stood_s=0.0,
        tilt=0.0,
        velocity=0j,
        sinking=0.0,
        high=0.0,
        peak_speed=0.0,
        peak_drop=0.0,
        peak_speed_ns=-1,
        peak_drop_ns=-1,
        fell_ns=-1,
        moving=0j,
        fast_ns=-1,
        down_ns=-1,
        lie_ns=-1,
        lying_ns=-1,
        still_ns=-1,
        up_ns=-1,
        **evidence.FIELDS,
    )
