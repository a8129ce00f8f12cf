"""The last half second of each person's limbs, sampled evenly whatever the frame rate.

At every tick, a person's arms and legs are noted against the middle of the trunk, in standing
heights (H), y up; between two frames the place is interpolated. Ticks are at multiples of STEP_NS
of the monotonic clock, the same for all people.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

import numpy as np

from edge.rules._person_memory import PersonMemory
from edge.rules._posture import body_of
from edge.structures import Poses

STEP_NS = 83_333_333  # 12 ticks a second
TICKS = 8
# Shoulders, elbows, wrists, hips, knees, ankles of COCO, left before right; then the trunk itself.
POINTS = np.arange(5, 17)
TRUNK = len(POINTS)
MIRROR = np.array([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10])  # indices into POINTS
_ENDS = [5, 6, 11, 12]
_GAP_NS = 350_000_000  # somebody who was unseen for longer begins afresh
_UPRIGHT = 0.5  # least cosine between an upright torso and the picture's vertical
_RISE_S, _HOLD_S = 0.3, 10.0  # the standing height rises and falls with these times


class Bodies(NamedTuple):
    """[N] people of a frame."""

    points: np.ndarray  # [N,17] c64 px
    visible: np.ndarray  # [N,17] bool
    tall: np.ndarray  # [N] px standing heights
    trunk: np.ndarray  # [N] c64 px, middle of shoulders and hips
    known: np.ndarray  # [N] bool, whether the trunk is visible


def fields() -> Dict[str, object]:
    """What the memory of a person needs."""
    return {
        "tall": 0.0,
        "now": np.zeros(TRUNK + 1, np.complex64),
        "now_ns": -1,
        "past": np.zeros((TICKS, TRUNK + 1), np.complex64),
    }


def bodies(people: PersonMemory, rows: np.ndarray, seen: Poses, t_ns: int) -> Bodies:
    """Measure people, and keep their standing heights in the memory."""
    points, visible, tall = body_of(seen)
    dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
    old = people["tall"][rows]
    gain = np.minimum(dt_s / np.where(tall > old, _RISE_S, _HOLD_S), 1)
    gain[old == 0] = 1
    tall = old + gain * (tall - old)
    people["tall"][rows] = tall
    weight = visible[:, _ENDS]
    count = weight.sum(1)
    trunk = (points[:, _ENDS] * weight).sum(1) / np.maximum(count, 1)
    return Bodies(points, visible, tall, trunk, count >= 2)


def follow(people: PersonMemory, rows: np.ndarray, found: Bodies, t_ns: int) -> int:
    """Note the people of a frame; the number of ticks since the frame before.

    Args:
        people: the memory, with `fields`.
        rows: [N] of these people.
        found: these people.
        t_ns: time of the frame.
    """
    rows, which = rows[found.known], np.flatnonzero(found.known)
    scale = 1 / found.tall[which, None]
    before, before_ns = people["now"][rows], people["now_ns"][rows]
    trunk = np.conj(found.trunk[which, None]) * scale
    now = np.concatenate((np.conj(found.points[which][:, POINTS]) * scale - trunk, trunk), 1)
    # A hidden limb stays where it was; of somebody new it hangs at the middle of the trunk.
    hidden = ~found.visible[which][:, POINTS]
    fresh = (before_ns < 0) | (t_ns - before_ns > _GAP_NS)
    now[:, :TRUNK] = np.where(
        hidden, np.where(fresh[:, None], 0, before[:, :TRUNK]), now[:, :TRUNK]
    )
    people["now"][rows], people["now_ns"][rows] = now, t_ns
    people["past"][rows[fresh]] = now[fresh, None]
    ticks = _ticks(before_ns[~fresh], t_ns)
    for tick_ns in ticks:
        due = ~fresh & (before_ns < tick_ns)
        share = (tick_ns - before_ns[due]) / np.maximum(t_ns - before_ns[due], 1)
        value = before[due] + share[:, None].astype(np.float32) * (now[due] - before[due])
        past = people["past"][rows[due]]
        people["past"][rows[due]] = np.concatenate((past[:, 1:], value[:, None]), 1)
    return len(ticks)


def _ticks(before_ns: np.ndarray, t_ns: int) -> np.ndarray:
    """Times of the ticks after the oldest of these times, up to now."""
    if not len(before_ns):
        return np.zeros(0, np.int64)
    first, last = int(before_ns.min()) // STEP_NS + 1, t_ns // STEP_NS
    out: np.ndarray = np.arange(first, last + 1) * STEP_NS
    return out


def features(past: np.ndarray) -> np.ndarray:
    """What a judge of blows reads of windows.

    Args:
        past: [N,TICKS,TRUNK+1] c64 of `fields`.

    Returns:
        [N,2,F] f32, of each person as seen and mirrored: the judged side is the right one.
    """
    limbs, trunk = past[..., :TRUNK], np.diff(past[..., TRUNK], axis=1)
    mirrored = -np.conj(limbs[..., MIRROR])
    both = np.stack((limbs, mirrored), 1).reshape(len(past), 2, -1)
    steps = np.stack((trunk, -np.conj(trunk)), 1)
    flat = np.concatenate((both, steps), 2)
    return (
        flat.view(np.float32)
        if flat.dtype == np.complex64
        else flat.astype(np.complex64).view(np.float32)
    )


def upright(past: np.ndarray) -> np.ndarray:
    """Whose torso is upright at the last tick [N] bool; who crawls or lies is not."""
    last = past[:, -1]
    torso = last[:, :2].mean(1) - last[:, 6:8].mean(1)
    out: np.ndarray = torso.imag > _UPRIGHT * np.abs(torso)
    return out
