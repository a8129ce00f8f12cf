"""Sessions: a trainer or therapist starts and stops an exercise, and rules count from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Protocol, Sequence

ACTIONS = ("start", "stop", "reset")


@dataclass(frozen=True)
class Mark:
    """The start, the end, or a new beginning of a session."""

    action: str  # start | stop | reset: count again from 0 in the same session
    session: str  # its name; empty with stop and reset: whichever runs
    person: int = -1  # id of the only person who is judged; -1 = everybody in view


class Counting(Protocol):
    """A rule that counts for a session, such as rom. Rules without these methods have none."""

    def names(self) -> Sequence[str]:
        """The name of the rule, and of the templates that it looks for."""

    def mark(self, mark: Mark) -> None:
        """Note a mark; it holds from the next frame on. Called between two frames.

        `start` counts from 0. `stop` gives the events of the end with the next frame; then the rule
        runs as configured. A start while a session runs stops that one first.
        """


def counting(rules: Sequence[object]) -> List[Counting]:
    """Those rules that count."""
    return [r for r in rules if _counts(r)]  # type: ignore[misc]


def _counts(rule: object) -> bool:
    return callable(getattr(rule, "mark", None)) and bool(rule.names())  # type: ignore[attr-defined]
