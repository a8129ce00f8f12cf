"""Spells: a state of a person begins after it held for a time, and ends after it did not."""

from __future__ import annotations

from typing import Dict, NamedTuple

import numpy as np

from edge.rules._person_memory import PersonMemory
from edge.rules._timing import since_s

_LONG_AGO = -(10**18)


class Turns(NamedTuple):
    """Rows of a PersonMemory whose spell begins or ends now."""

    started: np.ndarray
    ended: np.ndarray


def fields() -> Dict[str, object]:
    """Fields of a PersonMemory that `note` and `turn` use.

    `on`: as last reported. `true_ns`, `false_ns`: since when it holds, and does not; -1 = none.
    """
    return {"on": False, "true_ns": -1, "false_ns": -1, "begun_ns": 0, "ended_ns": _LONG_AGO}


def note(
    people: PersonMemory,
    rows: np.ndarray,
    known: np.ndarray,
    holds: np.ndarray,
    fails: np.ndarray,
    t_ns: int,
) -> None:
    """Note for whom [N] the state holds now, and for whom it does not; unknown changes nothing.

    Between two bounds of a hysteresis, where neither is so, a spell goes on but none begins.
    """
    on = people["on"][rows]
    _since(people["true_ns"], rows, known & holds, known & (fails | ~on & ~holds), t_ns)
    _since(people["false_ns"], rows, known & fails, known & ~fails, t_ns)


def _since(
    field: np.ndarray, rows: np.ndarray, begins: np.ndarray, ends: np.ndarray, t_ns: int
) -> None:
    field[rows[begins & (field[rows] < 0)]] = t_ns
    field[rows[ends]] = -1


def turn(
    people: PersonMemory,
    here: np.ndarray,
    gone: np.ndarray,
    t_ns: int,
    for_s: float,
    until_s: float,
    refractory_s: float,
) -> Turns:
    """Begin and end spells.

    Args:
        people: has the fields of `fields`.
        here: [M] bool, in view.
        gone: [M] bool, out of view for so long that a spell ends.
        t_ns: time of the frame.
        for_s: how long the state must hold.
        until_s: how long it must not hold to end.
        refractory_s: pause after an end.
    """
    held = (people["true_ns"] >= 0) & (since_s(people["true_ns"], t_ns) >= for_s)
    rested = since_s(people["ended_ns"], t_ns) >= refractory_s
    started = np.flatnonzero(~people["on"] & held & rested & here)
    people["on"][started], people["begun_ns"][started] = True, people["true_ns"][started]
    failed = (people["false_ns"] >= 0) & (since_s(people["false_ns"], t_ns) >= until_s)
    ended = np.flatnonzero(people["on"] & (failed | gone))
    people["on"][ended], people["ended_ns"][ended] = False, t_ns
    return Turns(started, ended)


def held_s(people: PersonMemory, row: int, t_ns: int) -> float:
    """How long the spell of a row has lasted."""
    return round(max(float(t_ns - people["begun_ns"][row]), 0.0) * 1e-9, 2)
