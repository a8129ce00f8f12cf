"""What the rule `action` counts and tells: events, and the summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge.rules._action.judge import Verdict
from edge.rules._action.options import Options
from edge.rules._action.template import Template
from edge.rules._person_memory import PersonMemory
from edge.rules._sessions import Plan, Session
from edge.structures import JsonValue, PoseEvent, RuleSummary

Said = Tuple[Dict[str, JsonValue], str]  # data of an event, and why


@dataclass(frozen=True)
class Repetition:
    """One repetition that is over."""

    from_ns: int
    to_ns: int
    mirrored: bool  # done with the other side than the template
    verdict: Verdict

    @property
    def took_s(self) -> float:
        """Its duration."""
        return (self.to_ns - self.from_ns) * 1e-9


def tallies() -> Dict[str, Any]:
    """What is counted of a new person."""
    return {
        "count": 0,
        "counted": 0,  # of these, the reported ones: they count for the plan
        "last": 0.0,
        "highest": 0.0,
        "lowest": 0.0,
        "tempo": 0.0,
        "done": 0,  # sets
    }


class Teller:
    """Counts repetitions, and makes the events and the summary.

    Args:
        options: with the plan in force.
        template: of the exercise.
    """

    def __init__(self, options: Options, template: Template) -> None:
        self._options, self._template = options, template
        self._told: Optional[RuleSummary] = None  # the last summary, while nothing changes
        self._told_of: object = None

    def repetition(
        self,
        people: PersonMemory,
        row: int,
        found: Repetition,
        session: Session,
        camera: str,
        t_ns: int,
    ) -> List[PoseEvent]:
        """The events of a repetition of a person; none if its score is too low."""
        self._told = None
        self._count(people, row, found)
        if round(found.verdict.score, 1) < self._options.min_score:
            return []
        people["counted"][row] += 1
        data, why = self._of_repetition(people, row, found, t_ns)
        both = [(data, why), *self._set(people, row)]
        score, person = float(people["score"][row]), int(people.ids[row])
        about = {"session": session.name, "exercise": self._template.name}
        return [
            PoseEvent("action", camera, person, t_ns, score, {**about, **said}, why=reason)
            for said, reason in both
        ]

    def _of_repetition(self, people: PersonMemory, row: int, found: Repetition, t_ns: int) -> Said:
        faults = found.verdict.faults
        data: Dict[str, JsonValue] = {
            "action": "repetition",
            "repetition": int(people["count"][row]),
            "score": round(found.verdict.score, 1),
            "duration_s": round(found.took_s, 2),
            "tempo": round(float(people["tempo"][row]), 2),
            "mirrored": found.mirrored,
            "faults": [{"limb": f.limb, "phase": f.phase, "deg": round(f.degrees)} for f in faults],
            "ended_s": round((t_ns - found.to_ns) * 1e-9, 2),
        }
        return data, "; ".join(str(fault) for fault in faults) or "as in the template"

    def _set(self, people: PersonMemory, row: int) -> List[Said]:
        o = self._options
        done = int(people["counted"][row]) // o.reps if o.reps else 0
        if done <= people["done"][row]:
            return []
        people["done"][row] = done
        data: Dict[str, JsonValue] = {
            "action": "set",
            "set": done,
            "sets": o.sets,
            "plan_done": done >= o.sets,
        }
        return [(data, f"set {done} of {o.sets} is done")]

    def _count(self, people: PersonMemory, row: int, found: Repetition) -> None:
        score, first = found.verdict.score, people["count"][row] == 0
        people["count"][row] += 1
        people["last"][row] = score
        people["tempo"][row] = self._template.length_s / max(found.took_s, 1e-3)
        for name, choose in (("highest", max), ("lowest", min)):
            people[name][row] = score if first else choose(people[name][row], score)

    def forget(self, people: PersonMemory, gone: np.ndarray) -> None:
        """Drop the rows of a mask."""
        if gone.any():
            self._told = None
        people.forget(gone)

    def summary(self, people: PersonMemory, session: Session, blind: bool) -> RuleSummary:
        """Counts and scores of each person; the same record while nothing changes."""
        now = (people.ids.tobytes(), session.name, session.paused, blind)
        if self._told is None or self._told_of != now:
            self._told, self._told_of = self._summary(people, session, blind), now
        return self._told

    def _summary(self, people: PersonMemory, session: Session, blind: bool) -> RuleSummary:
        o, name = self._options, self._template.name
        rows = np.flatnonzero(people["count"]).tolist()
        data: Dict[str, JsonValue] = {
            "exercise": name,
            **session.told(),
            "plan": str(Plan(o.sets, o.reps)) if o.reps else "",
            "repetitions": int(people["count"].sum()),
            "people": [self._of_person(people, row) for row in rows],
        }
        labels = {
            int(people.ids[row]): f"{name} {people['count'][row]}  {people['last'][row]:.0f}"
            for row in rows
        }
        unsure = "too few limbs are in view to follow the exercise"
        return RuleSummary(name, "action", data, unsure=unsure if blind else "", labels=labels)

    def _of_person(self, people: PersonMemory, row: int) -> JsonValue:
        return {
            "person": int(people.ids[row]),
            "repetitions": int(people["count"][row]),
            "sets": int(people["done"][row]),
            "last": round(float(people["last"][row])),
            "best": round(float(people["highest"][row])),
            "worst": round(float(people["lowest"][row])),
            "tempo": round(float(people["tempo"][row]), 2),
        }
