"""Sessions: a trainer or therapist starts, pauses and ends an exercise; rules count from there."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence

import numpy as np

from edge.structures import JsonValue, Poses

ACTIONS = ("start", "stop", "reset", "pause", "resume")


@dataclass(frozen=True)
class Plan:
    """What a person is to do in a session."""

    sets: int
    reps: int  # good repetitions of each set
    hold_s: float = 0.0  # each is held for this long, by a rule that knows holding

    def __str__(self) -> str:
        """Such as `3 x 10 x 5 s`."""
        return f"{self.sets} x {self.reps}" + (f" x {self.hold_s:g} s" if self.hold_s else "")


@dataclass(frozen=True)
class Mark:
    """One change of a session.

    `start` counts from 0. `stop` ends the session: then the rule runs as configured. `reset` counts
    from 0 in the same session. While paused nothing is counted; `resume` goes on.
    """

    action: str  # one of ACTIONS
    session: str = ""  # its name, of start
    person: int = -1  # id of the only person who is judged; -1 = everybody in view
    # Complex px: only the person who is at this place is judged. None = not by place
    place: Optional[complex] = None
    plan: Optional[Plan] = None  # in place of the rule's own; None = that of the rule
    # Table of the template that a rule looks for in place of its own; None = its own
    template: Optional[Mapping[str, Any]] = None

    def table(self) -> Dict[str, Any]:
        """All of it in values of JSON; `of_table` gives the same mark again."""
        return {
            "action": self.action,
            "session": self.session,
            "person": self.person,
            "place": None if self.place is None else [self.place.real, self.place.imag],
            "plan": None if self.plan is None else [*astuple(self.plan)],
            "template": None if self.template is None else dict(self.template),
        }

    @staticmethod
    def of_table(table: Mapping[str, Any]) -> Mark:
        """The mark of a table; raises KeyError, TypeError or ValueError if it is none."""
        place, plan = table["place"], table["plan"]
        return Mark(
            str(table["action"]),
            str(table["session"]),
            int(table["person"]),
            None if place is None else complex(*place),
            None if plan is None else Plan(*plan),
            table["template"],
        )


class Counting(Protocol):
    """A rule that counts for a session, such as rom. Rules without these methods have none."""

    def names(self) -> Sequence[str]:
        """The name of the rule, and of the templates that it looks for."""

    def looks_for(self) -> str:
        """Name of the template in its configuration; empty = the rule has no templates."""

    def mark(self, mark: Mark) -> None:
        """Note a mark; it holds from the next frame on. Called between two frames.

        `stop` gives the events of the end with the next frame. A start while a session runs stops
        that one first.
        """


class Session:
    """The session that a rule counts for, and whom it judges."""

    def __init__(self) -> None:
        self._started = Mark("stop")
        self._waiting: List[Mark] = []
        self.paused = False

    @property
    def name(self) -> str:
        """Empty = none runs."""
        return self._started.session

    @property
    def plan(self) -> Optional[Plan]:
        """The plan that it brought; None = that of the rule."""
        return self._started.plan

    @property
    def template(self) -> Optional[Mapping[str, Any]]:
        """The template that it brought; None = that of the rule."""
        return self._started.template

    def put(self, mark: Mark) -> None:
        """Keep a mark until the next frame."""
        self._waiting.append(mark)

    def take(self) -> List[Mark]:
        """The marks since the last frame, in their order."""
        marks, self._waiting = self._waiting, []
        return marks

    def obey(self, mark: Mark) -> None:
        """Begin, end, pause or go on."""
        if mark.action in ("start", "stop"):
            self._started = mark
        if mark.action != "reset":
            self.paused = mark.action == "pause"

    def chooses(self, people: Poses, judged: np.ndarray) -> np.ndarray:
        """Who is to be judged from this frame on [N] bool.

        Args:
            people: of the frame.
            judged: [N] bool, who is judged already.
        """
        chosen = self._started
        if chosen.place is not None:
            return _who_is_at(people, chosen.place) & ~judged.any()
        if chosen.person < 0:
            return np.ones(len(people), bool)
        return np.asarray(people.ids == chosen.person)

    def told(self) -> Dict[str, JsonValue]:
        """What the summary of a rule says of its session."""
        return {"session": self.name, **({"paused": True} if self.paused else {})}


def counting(rules: Sequence[object]) -> List[Counting]:
    """Those rules that count."""
    return [r for r in rules if _counts(r)]  # type: ignore[misc]


def _counts(rule: object) -> bool:
    return callable(getattr(rule, "mark", None)) and bool(rule.names())  # type: ignore[attr-defined]


def _who_is_at(people: Poses, place: complex) -> np.ndarray:
    """The person [N] bool whose box holds the place; of several the nearest centre's."""
    left, top, right, bottom = people.boxes.T
    within = (left <= place.real) & (place.real <= right)
    within &= (top <= place.imag) & (place.imag <= bottom)
    far = np.hypot((left + right) / 2 - place.real, (top + bottom) / 2 - place.imag)
    chosen = np.zeros(len(people), bool)
    if within.any():
        chosen[np.where(within, far, np.inf).argmin()] = True
    return chosen
