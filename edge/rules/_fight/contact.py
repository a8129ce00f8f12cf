"""Who is near whom, and how much they shake each other."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

from edge.rules._person_memory import PersonMemory
from edge.rules._strikes.windows import STEP_NS, TRUNK, upright

_ALIKE = 1.5  # a person who is seen that many times as tall is nearer or farther away
_LEVEL_H = 0.55  # the feet of two people who touch differ by less, by a camera of 45 degrees too
_TWIN_H = 0.06  # two skeletons that are nearer to each other all over are one person
_FEET, _HANDS = [8, 9, 10, 11], [2, 3, 4, 5]  # knees and ankles, elbows and wrists
_WALKS_H_S, _WAVES_H_S = 0.36, 0.62  # mean speeds of people who run, jump or exercise


class Near(NamedTuple):
    """[P] pairs of people who are near each other; rows are those of the memory of people."""

    one: np.ndarray  # i64 rows
    other: np.ndarray  # i64 rows
    gap: np.ndarray  # f32 H between the trunks in the picture


def near(people: PersonMemory, here: np.ndarray, reach_h: float) -> Near:
    """The pairs within reach, at least one of whom is in view.

    Args:
        people: the memory; an absent person stands where they were last seen.
        here: [M] bool, which rows are in view.
        reach_h: between the trunks.
    """
    place, tall, feet = people["place"], people["tall"], people["feet"]
    mean = (tall[:, None] + tall[None]) / 2
    gap = np.abs(place[:, None] - place[None]) / np.maximum(mean, 1)
    fits = (gap <= reach_h) & (here[:, None] | here[None])
    fits &= (tall[:, None] < _ALIKE * tall[None]) & (tall[None] < _ALIKE * tall[:, None])
    fits &= np.abs(feet[:, None] - feet[None]) < _LEVEL_H * mean
    one, other = np.nonzero(np.triu(fits, 1))
    return _without_twins(people, Near(one, other, gap[one, other].astype(np.float32)))


def _without_twins(people: PersonMemory, pairs: Near) -> Near:
    """Leave out pairs that are one person, found twice."""
    limbs = people["now"][:, :TRUNK]
    apart = np.abs(limbs[pairs.one] - limbs[pairs.other]).mean(1) + pairs.gap
    keep = apart > _TWIN_H
    return Near(pairs.one[keep], pairs.other[keep], pairs.gap[keep])


def shaking(past: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """How unsteadily trunks [N] move, H/s, and who walks, exercises or lies [N] bool.

    Args:
        past: [N,TICKS,TRUNK+1] c64 of windows.fields.
    """
    steps = np.diff(past, axis=1) * np.float32(1e9 / STEP_NS)
    trunk = steps[..., TRUNK]
    off = trunk - trunk.mean(1, keepdims=True)
    uneven = np.sqrt((off.real**2 + off.imag**2).mean(1))
    limbs = np.abs(steps[..., :TRUNK])
    busy = limbs[..., _FEET].mean((1, 2)) > _WALKS_H_S
    busy |= ~upright(past)
    return uneven, busy | (limbs[..., _HANDS].mean((1, 2)) > _WAVES_H_S)
