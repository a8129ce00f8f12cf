"""The rule `presence`: people who enter the view, stay in it, and leave it.

Event data: `action` enter | dwell | leave; `people`, the number of people in view after the event;
`dwell_s`, how long the person has been in view; `entered_as`, the id with which the person entered
(the tracker may have given another id since).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from edge.rules import Rule
from edge.rules._person_memory import PersonMemory, with_ids
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

_SAID = {"enter": "came into view", "dwell": "stays in view", "leave": "left the view"}


@dataclass(frozen=True)
class Options:
    """Settings of a presence rule."""

    enter_s: float = key(0.5, "report a person who is seen for this long", 0, 60)
    leave_s: float = key(2.0, "report a person who is unseen for this long", 0.1, 600)
    dwell_s: float = key(0.0, "report once a person who stays this long; 0 = off", 0, 86400)


def build(options: Options) -> Rule:
    """The rule of one camera."""
    return Presence(options)


class Presence:
    """Reports each person who enters once, and that the same person left."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._count = 0
        self._people = PersonMemory(
            options.leave_s, first_ns=0, reported=False, dwelt=False, entered_as=-1, score=0.0
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        new = rows[people["entered_as"][rows] < 0]
        people["first_ns"][new], people["entered_as"][new] = t_ns, people.ids[new]
        people["score"][rows] = seen.person_scores
        away_s = people.note_seen(rows, t_ns)
        stay_s = (people.seen_ns - people["first_ns"]) * 1e-9
        gone = away_s > self._options.leave_s
        leave = gone & people["reported"]
        enter = (away_s == 0) & ~people["reported"] & (stay_s >= self._options.enter_s)
        people["reported"][enter] = True
        dwell = (
            people["reported"] & ~people["dwelt"] & (stay_s >= (self._options.dwell_s or np.inf))
        )
        people["dwelt"][dwell] = True
        events = [
            self._event(action, int(row), float(stay_s[row]), camera, t_ns)
            for action, which in (("leave", leave), ("enter", enter), ("dwell", dwell))
            for row in np.flatnonzero(which)
        ]
        people.forget(gone)
        return events

    def summary(self) -> RuleSummary:
        """The number of people who entered and have not left."""
        return RuleSummary("presence", "presence", {"people": self._count})

    def _event(self, action: str, row: int, stay_s: float, camera: str, t_ns: int) -> PoseEvent:
        self._count += {"enter": 1, "leave": -1}.get(action, 0)
        people = self._people
        data: Dict[str, JsonValue] = {
            "action": action,
            "people": self._count,
            "dwell_s": round(max(stay_s, 0.0), 2),
            "entered_as": int(people["entered_as"][row]),
        }
        score = float(people["score"][row])
        why = f"{_SAID[action]}, {self._count} in view"
        return PoseEvent("presence", camera, int(people.ids[row]), t_ns, score, data, why=why)
