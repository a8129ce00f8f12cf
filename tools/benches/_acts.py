"""What people do before a fall rule, in space: falls, lying down, and motion that is neither.

A fall begins out of motion capture or a gait: the motion stops within a quarter of a second, then
the body topples about its feet as a rod (theta'' = 3 g / (2 L) sin(theta)) while the legs give way,
and lies still. Lying down is the same turn in four seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Tuple

import numpy as np

from edge.capture._synthetic.gaits import GRAVITY
from tools.benches._mocap import played, turned

BEFORE_S, AFTER_S = 3.0, 7.0  # of motion before a fall, of lying after it
TUNE_STARTS, REPORT_STARTS = ("walk", "kick", "01_01"), ("dance_b", "punch", "run")
TUNE_CALM = ("walk", "gait:squat", "gait:reach", "jump", "kick", "dance_a", "spin")
REPORT_CALM = (
    "gait:walk",
    "run",
    "gait:crouch",
    "gait:sit",
    "gait:jump",
    "punch",
    "dance_b",
    "spinkick",
)
SIDES = 8
_STOP_S, _LIE_DOWN_S = 0.25, 4.0
_LANE_M, _TURN_S = 2.0, 0.6
_LYING_M, _FLAT_M = 0.12, 0.03  # heights of the hips of somebody who lies, and of limbs


class Act(NamedTuple):
    """One person from the start to the end."""

    name: str
    points: np.ndarray  # [T,17,3] m
    ground_s: float  # when the body has come down; inf = never


def falls(sets: Path, starts: Tuple[str, ...], rate_hz: float, count: int, seed: int) -> List[Act]:
    """Falls in all of SIDES directions, `count` of each."""
    rng = np.random.default_rng([seed, 1])
    return [
        _down(sets, starts[i % len(starts)], side, rate_hz, rng)
        for side in range(SIDES)
        for i in range(count)
    ]


def lying_down(
    sets: Path,
    starts: Tuple[str, ...],
    rate_hz: float,
    count: int,
    seed: int,
    long_s: float = _LIE_DOWN_S,
) -> List[Act]:
    """People who lie down slowly, within so many seconds, in all directions."""
    rng = np.random.default_rng([seed, 2])
    return [
        _down(sets, starts[i % len(starts)], side, rate_hz, rng, long_s)
        for side in range(SIDES)
        for i in range(count)
    ]


def calm(sets: Path, names: Tuple[str, ...], rate_hz: float, long_s: float) -> List[Act]:
    """Motion in which nobody falls, seen from all of SIDES directions.

    Walkers and runners go to and fro, since a person who comes nearer moves down in the picture.
    """
    t_s = np.arange(int(long_s * rate_hz)) / rate_hz
    found: List[Act] = []
    for name in names:
        points, speed_mps = played(sets, name, t_s)
        for side in range(SIDES):
            heading = 2 * np.pi * side / SIDES
            moved = _to_and_fro(points, speed_mps, heading, t_s)
            found.append(Act(name, moved, np.inf))
    return found


def _to_and_fro(
    points: np.ndarray, speed_mps: float, heading: float, t_s: np.ndarray
) -> np.ndarray:
    if not speed_mps:
        return turned(points, heading)
    lap_s = 2 * _LANE_M / speed_mps + _TURN_S
    lap, into_s = np.divmod(t_s, lap_s)
    along = np.minimum(into_s * speed_mps, 2 * _LANE_M) - _LANE_M
    back = np.clip((into_s - (lap_s - _TURN_S)) / _TURN_S, 0, 1)
    sign = np.where(lap % 2 == 0, 1.0, -1.0)
    facing = heading + np.pi * (lap + back)
    cos, sin = np.cos(facing)[:, None], np.sin(facing)[:, None]
    out = points.copy()
    out[..., 0] = cos * points[..., 0] - sin * points[..., 1]
    out[..., 1] = sin * points[..., 0] + cos * points[..., 1]
    place = (sign * along)[:, None] * np.array([np.cos(heading), np.sin(heading)])
    out[..., :2] += place[:, None]
    return out


def _down(
    sets: Path,
    name: str,
    side: int,
    rate_hz: float,
    rng: np.random.Generator,
    slow_s: float = 0.0,  # seconds of lying down; 0 = a fall
) -> Act:
    t_s = np.arange(int((BEFORE_S + AFTER_S) * rate_hz)) / rate_hz
    into_s = t_s - BEFORE_S
    # The clip slows down to a halt: its own time is the integral of a speed that falls to 0.
    stop = np.clip(into_s / _STOP_S, 0, 1)
    own_s = np.where(into_s < 0, t_s, BEFORE_S + _STOP_S * (stop - stop**2 / 2))
    points, _ = played(sets, name, own_s + rng.uniform(0, 5))
    points = turned(points, rng.uniform(0, 2 * np.pi))
    points[..., :2] -= points[:, 15:17, :2].mean(1, keepdims=True)
    tilt, ground_s = _tilt(into_s, rng.uniform(1.1, 1.75), slow_s)
    give = 0.3 if slow_s else rng.uniform(0.0, 0.35)
    points[..., 2] *= 1 - give * np.sin(np.minimum(2 * tilt, np.pi))[:, None]
    return Act(name, _toppled(points, tilt, 2 * np.pi * side / SIDES), BEFORE_S + ground_s)


def _tilt(into_s: np.ndarray, rod_m: float, slow_s: float) -> Tuple[np.ndarray, float]:
    """Angles [T] from upright, rad, and the seconds until the ground."""
    if slow_s:
        share = np.clip(into_s / slow_s, 0, 1)
        return np.pi / 2 * (1 - np.cos(np.pi * share)) / 2, slow_s
    tilt, speed, path, step_s = np.radians(4.0), 0.0, [np.radians(4.0)], 2e-3
    while tilt < np.pi / 2:
        speed += 1.5 * GRAVITY / rod_m * np.sin(tilt) * step_s
        tilt += speed * step_s
        path.append(min(tilt, np.pi / 2))
    times = np.arange(len(path)) * step_s
    lean = path[0] * np.clip(1 + into_s / _STOP_S, 0, 1)
    return np.where(into_s < 0, lean, np.interp(into_s, times, path)), float(times[-1])


def _toppled(points: np.ndarray, tilt: np.ndarray, heading: float) -> np.ndarray:
    """Points [T,17,3] turned about the floor below the feet, towards a heading."""
    ahead = turned(points, -heading)
    cos, sin = np.cos(tilt)[:, None], np.sin(tilt)[:, None]
    x, z = ahead[..., 0].copy(), ahead[..., 2].copy()
    ahead[..., 0], ahead[..., 2] = cos * x + sin * z, cos * z - sin * x
    # A lying body does not rest on an outstretched arm: hips come down, limbs lie flat.
    near = np.clip((np.degrees(tilt) - 60) / 30, 0, 1)
    ahead[..., 2] -= (near * (ahead[:, 11:13, 2].mean(1) - _LYING_M))[:, None]
    ahead[..., 2] = np.maximum(ahead[..., 2], _FLAT_M)
    return turned(ahead, heading)
