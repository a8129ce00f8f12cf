"""Repetitions of a movement in an angle over time, for all people at once.

A repetition leaves the valley, reaches a peak and comes back by half of its rise. The rise and the
way back must be `prominence_deg` at least, so noise makes no repetition. A bounce on the way back
that is small beside the person's usual repetition makes none, either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

import numpy as np

_FIRST_DEG, _BINS = -180, 540  # bins of 1 degree, angles -180..360
_BACK = 0.5  # share of the rise after which a repetition is over
_USUAL, _USUAL_GAIN = 0.4, 0.3  # least share of the usual rise; how fast the usual one follows
_REST_S = 0.5  # of the rest before a repetition this long goes into its range
_DRIFT_S = 10.0  # the valley follows a slow drift of the resting angle in this time


def fields(count: int) -> Dict[str, Any]:
    """What is kept of a new person for `count` angles."""
    return {
        "low": np.full(count, np.nan),
        "top": np.full(count, np.nan),
        "risen": np.zeros(count, bool),
        "usual": np.zeros(count),
        "begin_ns": np.zeros(count, np.int64),
        "time_s": np.zeros((count, _BINS), np.float32),  # spent at each degree
    }


@dataclass(frozen=True)
class Repetition:
    """One repetition. For a movement towards low angles, peak is the lowest."""

    peak_deg: float
    valley_deg: float
    low_deg: float  # 5th percentile of the angle
    high_deg: float  # 95th percentile
    duration_s: float
    hold_s: float  # spent within the band at the peak


def step(
    state: Dict[str, np.ndarray],
    angle: np.ndarray,
    known: np.ndarray,
    dt_s: np.ndarray,
    t_ns: int,
    prominence_deg: float,
) -> np.ndarray:
    """Take a frame in; [N,A] bool: a repetition is over, `read` gives it, then call `restart`.

    Args:
        state: arrays [N,A] of `fields`, changed in place.
        angle: [N,A] filtered; the movement goes up.
        known: [N,A] bool; other angles change nothing.
        dt_s: [N,A] s since each angle was known; 0 = it starts again.
        t_ns: time of the frame.
        prominence_deg: the least rise of a repetition.
    """
    least = np.maximum(prominence_deg, _USUAL * state["usual"])
    fresh = known & np.isnan(state["low"])
    state["low"] = np.where(fresh, angle, state["low"])
    state["begin_ns"] = np.where(fresh, t_ns, state["begin_ns"])
    resting = known & ~state["risen"]
    drift = np.clip(dt_s / _DRIFT_S, 0, 1) * np.maximum(angle - state["low"], 0)
    state["low"] = np.where(resting, np.minimum(state["low"] + drift, angle), state["low"])
    at_rest = resting & (angle < state["low"] + least / 2)
    state["begin_ns"] = np.where(at_rest, t_ns, state["begin_ns"])
    _add_time(state["time_s"], angle, np.where(known, dt_s, 0.0), at_rest)
    rises = resting & (angle >= state["low"] + least)
    state["risen"] = state["risen"] | rises
    moving = known & state["risen"]
    top = np.where(rises, angle, np.fmax(state["top"], angle))
    state["top"] = np.where(moving, top, state["top"])
    back = np.maximum(least, _BACK * (state["top"] - state["low"]))
    return np.asarray(moving & (angle <= state["top"] - back))


def restart(state: Dict[str, np.ndarray], angle: np.ndarray, over: np.ndarray, t_ns: int) -> None:
    """Begin the next repetition where one is over."""
    rise = state["top"] - state["low"]
    usual = np.where(
        state["usual"] > 0, state["usual"] + _USUAL_GAIN * (rise - state["usual"]), rise
    )
    state["usual"] = np.where(over, usual, state["usual"])
    state["low"] = np.where(over, angle, state["low"])
    state["begin_ns"] = np.where(over, t_ns, state["begin_ns"])
    _clear(state, over)


def void(state: Dict[str, np.ndarray], which: np.ndarray) -> None:
    """Forget the repetition that had begun where the angle was not seen for too long."""
    if which.any():
        state["low"] = np.where(which, np.nan, state["low"])
        _clear(state, which)


def read(
    state: Dict[str, np.ndarray], row: int, side: int, t_ns: int, band_deg: float, sign: int
) -> Repetition:
    """The repetition that is over.

    Args:
        state: arrays of `fields`.
        row: of the person.
        side: index of the angle.
        t_ns: time of the frame.
        band_deg: the hold is the time spent within this of the peak.
        sign: -1 if the angle was turned over, so that the movement goes up.
    """
    time_s, top, low = state["time_s"][row, side], state["top"][row, side], state["low"][row, side]
    share = np.cumsum(time_s, dtype=np.float64)
    ends = np.interp([0.05, 0.95], share / max(share[-1], 1e-9), np.arange(_BINS) + 1.0)
    ends = sorted(sign * np.clip(ends + _FIRST_DEG - 0.5, low, top))
    near = np.arange(_BINS) + _FIRST_DEG + 0.5 >= top - band_deg
    duration_s = (t_ns - int(state["begin_ns"][row, side])) * 1e-9
    return Repetition(
        float(sign * top),
        float(sign * low),
        float(ends[0]),
        float(ends[1]),
        max(duration_s, 0.0),
        float(time_s[near].sum()),
    )


def _clear(state: Dict[str, np.ndarray], which: np.ndarray) -> None:
    state["top"] = np.where(which, np.nan, state["top"])
    state["risen"] = state["risen"] & ~which
    state["time_s"][which] = 0


def _add_time(time_s: np.ndarray, angle: np.ndarray, dt_s: np.ndarray, at_rest: np.ndarray) -> None:
    """Add the time of a frame at its degree; of a rest only the last `_REST_S` is remembered."""
    if at_rest.any():
        time_s[at_rest] *= np.exp(-dt_s[at_rest] / _REST_S, dtype=np.float32)[:, None]
    bins = np.clip(np.floor(np.nan_to_num(angle)) - _FIRST_DEG, 0, _BINS - 1).astype(np.int64)
    people, sides = np.indices(bins.shape)
    time_s[people, sides, bins] += dt_s
