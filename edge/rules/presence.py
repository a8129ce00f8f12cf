"""Who comes into view, stays, and goes.

Event data: `action` enter | dwell | leave; `people`, how many are in view after it; `dwell_s`, how
long this one has been; `entered_as`, the number they had then (a tracker may have given another).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from edge.rules import Rule
from edge.rules._memory import Memory, named
from edge.settings.schema import key
from edge.structures import PoseEvent, Poses, Value


@dataclass(frozen=True)
class Options:
    """Settings of a presence rule."""

    enter_s: float = key(0.5, "seen for so long before it is told", 0, 60)
    leave_s: float = key(2.0, "unseen for so long before it is told", 0.1, 600)
    dwell_s: float = key(0.0, "tell once who stays so long; 0 = never", 0, 86400)


def build(options: Options) -> Rule:
    """The rule of one camera."""
    return Presence(options)


class Presence:
    """Tells once of everyone who enters, and of the same people that they left."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._count = 0
        self._people = Memory(
            options.leave_s, first_ns=0, told=False, dwelt=False, entered_as=-1, score=0.0
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, named(poses)
        rows = people.meet(seen, t_ns)
        new = rows[people["entered_as"][rows] < 0]
        people["first_ns"][new], people["entered_as"][new] = t_ns, people.ids[new]
        people["score"][rows] = seen.person_scores
        away_s = people.left(rows, t_ns)
        stay_s = (people.seen_ns - people["first_ns"]) * 1e-9
        gone = away_s > self._options.leave_s
        leave = gone & people["told"]
        enter = (away_s == 0) & ~people["told"] & (stay_s >= self._options.enter_s)
        people["told"][enter] = True
        dwell = people["told"] & ~people["dwelt"] & (stay_s >= (self._options.dwell_s or np.inf))
        people["dwelt"][dwell] = True
        events = [
            self._event(action, int(row), float(stay_s[row]), camera, t_ns)
            for action, which in (("leave", leave), ("enter", enter), ("dwell", dwell))
            for row in np.flatnonzero(which)
        ]
        people.forget(gone)
        return events

    def _event(self, action: str, row: int, stay_s: float, camera: str, t_ns: int) -> PoseEvent:
        self._count += {"enter": 1, "leave": -1}.get(action, 0)
        people = self._people
        data: Dict[str, Value] = {
            "action": action,
            "people": self._count,
            "dwell_s": round(max(stay_s, 0.0), 2),
            "entered_as": int(people["entered_as"][row]),
        }
        score = float(people["score"][row])
        return PoseEvent("presence", camera, int(people.ids[row]), t_ns, score, data)
