"""Blows of people: when a hand or foot has struck, how fast it was, and how far it went.

A small network reads the last half second of the limbs and says how likely a blow has just ended.
It was trained on punches, kicks and other motion by formula and motion capture, with the noise of
our pose networks (tools/striking). What it finds must also be fast enough.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from edge.rules._person_memory import PersonMemory
from edge.rules._strikes import windows
from edge.rules._strikes.windows import STEP_NS
from edge.settings import weights as files

LIMBS = ("left_hand", "right_hand", "left_foot", "right_foot")
SHOVE = len(LIMBS)  # a shove with both hands
WEIGHTS = "_strikes/weights.npz"
_TIPS = [4, 5, 10, 11]  # of LIMBS in windows.POINTS
# A blow is this long after the person's last one at the soonest, and after that of the same limb.
_PAUSE_S = 0.15
_SAME_LIMB_S = np.array([0.35, 0.35, 0.6, 0.6, 0.5])
_CERTAIN = 0.9
_SPAN = 5  # steps of a window in which a blow is as fast as it gets


class Blows(NamedTuple):
    """[B] blows that were found in a frame."""

    rows: np.ndarray  # i64 of the memory
    limbs: np.ndarray  # i64, index in LIMBS, or SHOVE
    sure: np.ndarray  # f32 0..1
    speed: np.ndarray  # f32 highest speed against the trunk, H/s
    path: np.ndarray  # c64 from the slowest place to the farthest, H, y up
    tip: np.ndarray  # c64 farthest place against the trunk, H


def fields() -> Dict[str, object]:
    """What the memory of a person needs, windows.fields besides."""
    return {
        "struck_ns": np.full(SHOVE + 1, -(10**18)),
        "likely": np.zeros(SHOVE + 1, np.float32),
    }


def none() -> Blows:
    """No blows."""
    some = np.zeros(0, np.int64)
    real, flat = np.zeros(0, np.float32), np.zeros(0, np.complex64)
    return Blows(some, some, real, real, flat, flat)


def find(
    people: PersonMemory,
    rows: np.ndarray,
    least_sure: float,
    least_speed_h_s: float,
    t_ns: int,
    shoves: bool = False,
) -> Blows:
    """The blows of people at a tick, at most one of each person.

    Args:
        people: the memory, with the fields of this file and of windows.
        rows: [N] of the people to judge.
        least_sure: 0..1, of a blow.
        least_speed_h_s: of a blow.
        t_ns: time of the frame.
        shoves: also find shoves with both hands.
    """
    past = people["past"][rows]
    speed = _speeds(past)
    since_s = (t_ns - people["struck_ns"][rows]) * 1e-9
    rested = (since_s.min(1) >= _PAUSE_S) & windows.upright(past)
    moves = rested & (speed.max(1) >= least_speed_h_s)
    people["likely"][rows[rested & ~moves]] = 0
    if not moves.any():
        return none()
    rows, past, speed, since_s = rows[moves], past[moves], speed[moves], since_s[moves]
    may = (speed >= least_speed_h_s) & (since_s >= _SAME_LIMB_S)
    sure = np.where(may, likely(past), 0)
    if not shoves:
        sure = np.where(sure > sure[:, SHOVE:], sure, 0)[:, :SHOVE]
    before = people["likely"][rows][:, : sure.shape[1]]
    # A blow is told when it is most likely: at once if it is certain, else when it gets less so.
    least = max(least_sure, 1e-6)
    told = (sure >= max(_CERTAIN, least)) | ((before >= least) & (sure <= before))
    people["likely"][rows[:, None], np.arange(sure.shape[1])] = np.where(told, 0, sure)
    sure = np.where(told, np.maximum(sure, before), 0)
    who = np.flatnonzero(told.any(1))
    if not len(who):
        return none()
    limb = sure[who].argmax(1)
    people["struck_ns"][rows[who], limb] = t_ns
    hand = np.where(limb == SHOVE, speed[who, :2].argmax(1), limb)
    tips = past[who[:, None], np.arange(windows.TICKS), np.array(_TIPS)[hand][:, None]]
    path, tip = _ways(tips)
    return Blows(rows[who], limb, sure[who, limb], speed[who, limb], path, tip)


def _speeds(past: np.ndarray) -> np.ndarray:
    """Highest speed [N,5] H/s of each of LIMBS, and of the faster hand."""
    steps = np.abs(np.diff(past[:, -_SPAN - 1 :, _TIPS], axis=1)).max(1)
    speed = steps * np.float32(1e9 / STEP_NS)
    return np.concatenate((speed, speed[:, :2].max(1, keepdims=True)), 1)


def _ways(tips: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Where limbs [B,TICKS] came from and got to: the two ends of the fastest movement."""
    each = np.arange(len(tips))
    far = np.abs(tips[:, -_SPAN:, None] - tips[:, None, -_SPAN - 1 :])
    late, early = np.arange(_SPAN)[:, None] + 1, np.arange(_SPAN + 1)
    far = np.where(late > early, far, 0).reshape(len(tips), _SPAN * (_SPAN + 1))
    best = far.argmax(1)
    end, begin = best // (_SPAN + 1), best % (_SPAN + 1)
    first = windows.TICKS - _SPAN
    goal, start = tips[each, first + end], tips[each, first - 1 + begin]
    return goal - start, goal


@lru_cache(maxsize=1)
def weights() -> List[np.ndarray]:
    """Matrix and bias of each layer, f32."""
    arrays = files.load(WEIGHTS)
    return [arrays[name] for name in sorted(arrays)]


def likely(past: np.ndarray) -> np.ndarray:
    """How likely each limb has just struck.

    Args:
        past: [N,TICKS,TRUNK+1] c64 of windows.fields.

    Returns:
        [N,5] f32 0..1, of LIMBS, and that it was a shove.
    """
    value = windows.features(past).reshape(2 * len(past), -1)
    layers = weights()
    for i in range(0, len(layers), 2):
        value = value @ layers[i] + layers[i + 1]
        if i + 2 < len(layers):
            value = np.maximum(value, 0)
    # Of each side: a punch, a kick, a shove. The right side is first.
    sides = (1 / (1 + np.exp(-np.clip(value, -30, 30)))).reshape(-1, 2, 3)
    limbs = sides[:, ::-1, :2].transpose(0, 2, 1).reshape(-1, 4)
    return np.concatenate((limbs, sides[..., 2].max(1)[:, None]), 1)
