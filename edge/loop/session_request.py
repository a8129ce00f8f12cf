"""What somebody asks of a session: the arguments of the command `session`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from edge.rules import ACTIONS
from edge.settings.schema import key, name_problem


def _optional_name(value: str) -> Optional[str]:
    return name_problem(value) if value else None


@dataclass(frozen=True)
class Request:
    """Arguments of `session`; plan, template, person and place go with start."""

    action: str = key(help="what to do with the session", choices=ACTIONS)
    name: str = key("session", "name of the session, with start", check=name_problem)
    camera: str = key("", "name of the camera; empty = all", check=_optional_name)
    person: int = key(-1, "number of the only person who is judged; -1 = everybody", -1, 2**31)
    x_px: int = key(-1, "judge only the person who is at this place; -1 = no place", -1, 65535)
    y_px: int = key(-1, "the same, downwards", -1, 65535)
    rule: str = key("", "name of a rule, or of its template; empty = all that count")
    plan: str = key("", "sets x repetitions, and seconds to hold: 3x10 or 3x10x5; empty = its own")
    template: str = key("", "exercise that a rule action looks for; empty = its own")
