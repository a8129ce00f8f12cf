"""Where people stand and how fast they go: on the floor in metres, or in the picture in heights.

On the floor of a level camera a few px are a metre. So the place is below the hips, which hardly
sway in a step, and as low as the lower ankle, which stands, while the other one swings and hips go
down in a crouch. If the ankles are hidden, they are as far below the hips as they were.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from edge.rules._person_memory import PersonMemory
from edge.rules._posture import ANKLES, HIPS, body_of, middle
from edge.rules._timing import approach
from edge.scene.ground import Ground
from edge.structures import Poses

_LEG_MEAN_S = 0.15
_TALL_MEAN_S = 2.0
_SPEED_MEAN_S = 0.5
_ANKLE_H = 0.039  # height of an ankle (Drillis and Contini 1966)
_LEG_H = 0.53  # height of the hips
_FASTEST_H_S, _FASTEST_M_S = 9.0, 14.0  # a longer step is another person, or a wrong pose
_SLACK_H, _SLACK_M = 0.3, 0.5  # of one step, for the error of a pose
MAX_GAP_S = 1.0  # after a longer gap the speed begins again


class Stances(NamedTuple):
    """[N] people of a frame."""

    feet: np.ndarray  # c128 px, where they stand
    place: np.ndarray  # c128 m on the floor, or feet in px without a ground; NaN = not known
    unit: np.ndarray  # f64 length of the unit of speeds in that of places: 1, or px of a height
    tall: np.ndarray  # f64 px
    seen: np.ndarray  # bool, hips and an ankle are visible; else the box tells
    velocity: np.ndarray  # c128 m/s or H/s, y downwards in the picture; NaN = not known
    moved: np.ndarray  # c128 H/s of this frame in the picture; 0 = not known


def fields() -> Dict[str, object]:
    """Fields of a PersonMemory that `follow` uses."""
    return {
        "leg": 0j,
        "tall": 0.0,
        "feet": complex(np.nan, np.nan),
        "place": complex(np.nan, np.nan),
        "velocity": complex(np.nan, np.nan),
    }


def follow(
    people: PersonMemory, rows: np.ndarray, seen: Poses, t_ns: int, ground: Optional[Ground]
) -> Stances:
    """Update the fields of people in view; before `note_seen`.

    Args:
        people: has the fields of `fields`.
        rows: [N] of the memory.
        seen: [N] people; borrowed.
        t_ns: time of the frame.
        ground: None = places are px, speeds heights a second.
    """
    dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
    body, visible, height = body_of(seen)
    tall = _steady_height(people, rows, height.astype(np.float64), dt_s)
    feet, known = _feet(people, rows, seen, body, visible, tall, dt_s)
    place = feet if ground is None else ground.metres(feet)
    unit = tall if ground is None else np.ones(len(rows))
    velocity = _velocity(people, rows, place, unit, dt_s, ground is not None)
    moved = (feet - people["feet"][rows]) / tall / np.maximum(dt_s, 1e-3)
    good = (dt_s > 0) & (dt_s <= MAX_GAP_S) & (np.abs(moved) <= _FASTEST_H_S)
    people["place"][rows], people["feet"][rows] = place, feet
    return Stances(feet, place, unit, tall, known, velocity, np.where(good, moved, 0))


def _steady_height(
    people: PersonMemory, rows: np.ndarray, now: np.ndarray, dt_s: np.ndarray
) -> np.ndarray:
    field = people["tall"]
    new = rows[field[rows] == 0]
    field[new] = now[field[rows] == 0]
    approach(field, rows, now, dt_s, _TALL_MEAN_S)
    return np.asarray(field[rows])


def _feet(
    people: PersonMemory,
    rows: np.ndarray,
    seen: Poses,
    body: np.ndarray,
    visible: np.ndarray,
    tall: np.ndarray,
    dt_s: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """Where people stand [N] px, and whether it was seen [N]."""
    hips, has_hips = middle(body, visible, HIPS)
    ankles, has_ankles = middle(body, visible, ANKLES)
    low = body[:, list(ANKLES)].imag
    both = visible[:, list(ANKLES)].all(1)
    ankles = np.where(both, ankles.real + 1j * low.max(1), ankles)
    legs, whole = people["leg"], has_hips & has_ankles
    now = np.where(whole, 1j * (ankles - hips).imag, 1j * (_LEG_H - _ANKLE_H) * tall)
    first = (legs[rows] == 0) | (dt_s > MAX_GAP_S)
    legs[rows[first]] = now[first]
    approach(legs, rows[whole], now[whole], dt_s[whole], _LEG_MEAN_S)
    box = (seen.boxes[:, 0] + seen.boxes[:, 2]) / 2 + 1j * seen.boxes[:, 3]
    at = np.where(has_hips, hips + legs[rows], np.where(has_ankles, ankles, box))
    drop = np.where(has_hips | has_ankles, 1j * _ANKLE_H * tall, 0)
    return at + drop, whole


def _velocity(
    people: PersonMemory,
    rows: np.ndarray,
    place: np.ndarray,
    unit: np.ndarray,
    dt_s: np.ndarray,
    metric: bool,
) -> np.ndarray:
    """The mean velocity of the last `_SPEED_MEAN_S`; a step that is too long is left out."""
    step = (place - people["place"][rows]) / unit
    fastest, slack = (_FASTEST_M_S, _SLACK_M) if metric else (_FASTEST_H_S, _SLACK_H)
    good = (dt_s > 0) & (dt_s <= MAX_GAP_S) & (np.abs(step) <= fastest * dt_s + slack)
    field = people["velocity"]
    field[rows[dt_s > MAX_GAP_S]] = complex(np.nan, np.nan)
    now = step / np.maximum(dt_s, 1e-3)
    new = good & np.isnan(field[rows])
    field[rows[new]] = now[new]
    approach(field, rows[good], now[good], dt_s[good], _SPEED_MEAN_S)
    return np.asarray(field[rows])
