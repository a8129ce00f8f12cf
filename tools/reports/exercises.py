"""The exercises of a recording: one for each session, person and rule."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge.errors import ConfigError
from edge.rules._action.template import Template, of_table
from edge.settings import templates
from tools.reports.recorded import Recorded, Told


@dataclass
class Exercise:
    """What one person did under one rule in one session."""

    run: str
    session: str
    camera: str
    person: int
    kind: str  # action or rom
    name: str  # of the exercise or of the rule
    table: Mapping[str, Any]  # the rule's own; empty = not known
    planned: str = ""  # such as `3 x 10`, from the rule's summary
    repetitions: List[Told] = field(default_factory=list)
    others: List[Told] = field(default_factory=list)  # alarms, compensations, sets ...

    def of(self, action: str) -> List[Told]:
        """The other events of that action."""
        return [told for told in self.others if told.data["action"] == action]

    def good(self, told: Told) -> bool:
        """Whether a repetition has no fault."""
        return bool(told.data["good"]) if self.kind == "rom" else not told.data["faults"]

    def angles(self) -> List[str]:
        """Names of the angles of a rom exercise, in order."""
        return sorted({str(t.data["angle"]) for t in self.repetitions if "angle" in t.data})

    def template(self) -> Optional[Template]:
        """Of an action exercise; None if it is not known."""
        named = self.table.get("template", self.name)
        try:
            return of_table(templates.read(str(named)))
        except ConfigError:
            return None

    def plan(self) -> Tuple[int, int]:
        """Sets, and repetitions of each; 0 = no plan is known."""
        told = re.match(r"(\d+) x (\d+)", self.planned)
        if told:
            return int(told.group(1)), int(told.group(2))
        return int(self.table.get("sets", 1)), int(self.table.get("reps", 0))

    def figures(self) -> Dict[str, Any]:
        """All figures in values of JSON."""
        sets, reps = self.plan()
        return {
            "session": self.session,
            "camera": self.camera,
            "person": self.person,
            "kind": self.kind,
            "name": self.name,
            "repetitions": len(self.repetitions),
            "good": sum(self.good(told) for told in self.repetitions),
            "plan": {"sets": sets, "reps": reps, "done": len(self.of("set"))} if reps else None,
            "alarms": len(self.of("outside")),
            "compensations": _counted(str(t.data["fault"]) for t in self.of("compensation")),
            "faults": _counted(fault for told in self.repetitions for fault in faults(told)),
            **(self._scores() if self.kind == "action" else {"angles": self._ranges()}),
        }

    def _scores(self) -> Dict[str, Any]:
        scores = [float(told.data["score"]) for told in self.repetitions]
        tempos = [float(told.data["tempo"]) for told in self.repetitions]
        if not scores:
            return {}
        return {
            "score": round(float(np.mean(scores)), 1),
            "best": max(scores),
            "worst": min(scores),
            "tempo": round(float(np.mean(tempos)), 2),
        }

    def _ranges(self) -> Dict[str, Any]:
        return {name: _range(self.side(name)) for name in self.angles()}

    def side(self, angle: str) -> List[Told]:
        """The repetitions of one angle."""
        return [told for told in self.repetitions if told.data["angle"] == angle]

    def uneven_deg(self) -> Optional[float]:
        """Difference of both sides' mean ranges; None = only one side was watched."""
        ranges = [_range(self.side(name))["range_deg"] for name in self.angles()]
        return round(abs(ranges[0] - ranges[1]), 1) if len(ranges) == 2 else None

    def worst(self) -> Optional[Told]:
        """The repetition that was done worst."""
        return min(self.repetitions, key=_quality) if self.repetitions else None

    def best(self) -> Optional[Told]:
        """The repetition that was done best."""
        return max(self.repetitions, key=_quality) if self.repetitions else None


def _quality(told: Told) -> Tuple[float, float]:
    """Larger = done better."""
    if told.kind == "action":
        return float(told.data["score"]), 0.0
    return float(told.data["good"]), float(told.data["range_deg"])


def faults(told: Told) -> List[str]:
    """The faults of a repetition in words."""
    if told.kind == "rom":
        return [str(fault) for fault in told.data["faults"]]
    return [fault for fault in told.why.split("; ") if fault and fault != "as in the template"]


def span_ns(told: Told) -> Tuple[int, int]:
    """When a repetition began and ended."""
    end_ns = told.t_ns - round(float(told.data.get("ended_s", 0)) * 1e9)
    return end_ns - round(float(told.data["duration_s"]) * 1e9), end_ns


def exercises(found: Recorded, session: Optional[str], person: Optional[int]) -> List[Exercise]:
    """The exercises in their order.

    A count that begins again begins another exercise: a session may run twice under one name.

    Args:
        found: what was recorded.
        session: only that session; None = all, "" = what ran without one.
        person: only that person; None = all.
    """
    made: List[Exercise] = []
    open_ones: Dict[Tuple[Any, ...], Exercise] = {}
    for told in found.events:
        if person is not None and told.person != person:
            continue
        name = str(told.data["name" if told.kind == "rom" else "exercise"])
        said = str(told.data.get("session", ""))
        if session is not None and said != session:
            continue
        key = (told.run, said, told.camera, told.person, told.kind, name)
        one = open_ones.get(key)
        if one is None or _begins_again(one, told):
            table = _table(found.tables, told.kind, name)
            plan = found.plans.get((told.run, told.camera, said, name), "")
            one = open_ones[key] = Exercise(*key, table, plan)
            made.append(one)
        (one.repetitions if told.data["action"] == "repetition" else one.others).append(told)
    return [one for one in made if one.repetitions or one.of("outside")]


def _begins_again(one: Exercise, told: Told) -> bool:
    if told.data["action"] != "repetition":
        return False
    number = "number" if told.kind == "rom" else "repetition"
    alike = [r for r in one.repetitions if r.data.get("angle") == told.data.get("angle")]
    return bool(alike) and told.data[number] <= alike[-1].data[number]


def _table(tables: Sequence[Mapping[str, Any]], kind: str, name: str) -> Mapping[str, Any]:
    for table in tables:
        if table.get("kind") != kind:
            continue
        if kind == "rom" and table.get("name", "rom") == name:
            return table
        if kind == "action" and _stem(table.get("template")) == name:
            return table
    return {}


def _stem(template: Any) -> str:
    """The name of a template that a table names, by file or with its content."""
    if isinstance(template, Mapping):
        return str(template.get("name", ""))
    return re.sub(r"\.toml$", "", str(template).rpartition("/")[2])


def _counted(names: Any) -> Dict[str, int]:
    counts: Dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def _range(told: Sequence[Told]) -> Dict[str, Any]:
    def mean(name: str) -> float:
        return round(float(np.mean([float(t.data[name]) for t in told])), 1)

    ranges = [float(t.data["range_deg"]) for t in told]
    return {
        "repetitions": len(told),
        "good": sum(bool(t.data["good"]) for t in told),
        "range_deg": mean("range_deg"),
        "best_deg": max(ranges),
        "worst_deg": min(ranges),
        "peak_deg": mean("peak_deg"),
        "duration_s": mean("duration_s"),
        "hold_s": mean("hold_s"),
    }
