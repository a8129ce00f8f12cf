"""Angles over time: filtered, and refused where the camera cannot judge them.

All state is arrays [N,A]: N people, A angles of each.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import numpy as np

from edge.people.angles import Angles

GAP_S = 1.0  # after a longer gap an angle starts again
# One-Euro (Casiez, Roussel and Vogel 2012): the cut-off at rest, its growth with the speed, and the
# cut-off of the speed.
_CUTOFF_HZ, _CUTOFF_PER_DEG_S, _SPEED_HZ = 3.0, 0.1, 3.0
_VIEW_S = 0.7  # a person turns slowly: the angle off the plane is a mean over this time
# A straight limb does not show the plane that it bends in: the worst view is remembered for this
# long, and the worst of an angle whose plane the trunk shows for a moment only.
_OWN_PLANE_S, _TRUNK_PLANE_S = 6.0, 0.1
# Limbs differ in length, so the angle that a limb shows itself is estimated low by this factor
# (chosen on the exercises TUNE of tools/benches/rom.py).
_OWN_PLANE_GAIN = 1.1
_AGAIN_DEG = 2.0  # a refused view is accepted again at this much less


def fields(count: int) -> Dict[str, Any]:
    """What is kept of a new person for `count` angles."""
    unknown = np.full(count, np.nan)
    return {
        "angle": unknown,
        "slope": np.zeros(count),
        "off_deg": unknown,
        "off_mean_deg": unknown,
        "error_deg": unknown,
        "refused": np.zeros(count, bool),
        "in_space": np.zeros(count, bool),
        "known": np.zeros(count, bool),
        "angle_ns": np.full(count, -1, np.int64),
        "known_ns": np.full(count, -1, np.int64),
    }


def follow(
    state: Dict[str, np.ndarray],
    found: Angles,
    t_ns: int,
    own_plane: np.ndarray,
    max_off_deg: float,
    max_error_deg: float,
    space: Optional[Angles] = None,
) -> np.ndarray:
    """Take the angles of a frame in.

    Args:
        state: arrays [N,A] of `fields`, changed in place. `known` says which angles hold now.
        found: angles of the frame.
        t_ns: time of the frame.
        own_plane: [A] bool: only the limb itself shows the plane of the movement.
        max_off_deg: a view that is further off the plane of the movement is refused.
        max_error_deg: an angle with a larger likely error is refused.
        space: the same angles in three dimensions; they are used where the picture is refused. An
            angle that goes over from one to the other starts again.

    Returns:
        [N,A] s since each angle was known; 0 = it was not, or starts again.
    """
    measured = np.isfinite(found.degrees)
    dt_s = np.where(state["angle_ns"] < 0, np.inf, (t_ns - state["angle_ns"]) * 1e-9)
    fresh = dt_s > GAP_S
    keep_s = np.where(own_plane, _OWN_PLANE_S, _TRUNK_PLANE_S)
    gain = np.where(own_plane, _OWN_PLANE_GAIN, 1.0)
    off_deg = np.minimum(gain * found.off_plane_deg, 90)
    _view(state, (off_deg, found.error_deg), measured, np.where(fresh, np.inf, dt_s), keep_s)
    slack = np.where(state["refused"] & ~fresh, _AGAIN_DEG, 0.0)
    bad = (state["off_deg"] > max_off_deg - slack) | (state["error_deg"] > max_error_deg)
    degrees = found.degrees.astype(np.float64)
    if space is not None:
        deep = bad & np.isfinite(space.degrees) & (space.error_deg <= max_error_deg)
        degrees, bad = np.where(deep, space.degrees, degrees), bad & ~deep
        fresh |= measured & (deep != state["in_space"])
        state["in_space"] = np.where(measured, deep, state["in_space"])
    state["refused"] = np.where(measured, bad, state["refused"])
    _smooth(state, degrees, measured, fresh, dt_s)
    state["angle_ns"] = np.where(measured, t_ns, state["angle_ns"])
    state["known"] = measured & ~state["refused"]
    return np.where(fresh | ~measured, 0.0, np.maximum(dt_s, 0.0))


def _smooth(
    state: Dict[str, np.ndarray],
    now: np.ndarray,
    measured: np.ndarray,
    fresh: np.ndarray,
    dt_s: np.ndarray,
) -> None:
    """One-Euro filter of the angles."""
    speed = (now - state["angle"]) / np.maximum(dt_s, 1e-3)
    slope = state["slope"] + _gain(_SPEED_HZ, dt_s) * (speed - state["slope"])
    slope = np.where(fresh, 0.0, slope)
    cutoff_hz = _CUTOFF_HZ + _CUTOFF_PER_DEG_S * np.abs(slope)
    angle = state["angle"] + _gain(cutoff_hz, dt_s) * (now - state["angle"])
    state["angle"] = np.where(measured, np.where(fresh, now, angle), state["angle"])
    state["slope"] = np.where(measured, slope, state["slope"])


def _view(
    state: Dict[str, np.ndarray],
    found: Tuple[np.ndarray, np.ndarray],
    measured: np.ndarray,
    dt_s: np.ndarray,
    keep_s: np.ndarray,
) -> None:
    """The angle off the plane and the likely error; the first falls slowly, in `keep_s`."""
    gain = 1 - np.exp(-np.maximum(dt_s, 0) / _VIEW_S)
    for name, now in zip(("off_mean_deg", "error_deg"), found):
        step = gain * (now - np.where(np.isinf(dt_s), 0, state[name]))
        mean = np.where(np.isinf(dt_s), now, state[name] + step)
        state[name] = np.where(measured, mean, state[name])
    fall = 1 - np.exp(-np.maximum(dt_s, 0) / keep_s)
    worst, mean = state["off_deg"], state["off_mean_deg"]
    falling = np.where(np.isinf(dt_s), mean, worst + fall * (mean - worst))
    state["off_deg"] = np.where(measured, np.fmax(falling, mean), worst)


def _gain(cutoff_hz: Any, dt_s: np.ndarray) -> np.ndarray:
    """The share of a first-order low-pass that a step of `dt_s` takes."""
    turn = 2 * np.pi * np.asarray(cutoff_hz) * np.clip(dt_s, 1e-6, GAP_S)
    return np.asarray(turn / (1 + turn))
