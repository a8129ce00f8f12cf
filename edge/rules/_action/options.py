"""The settings of the rule `action`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

from edge.settings.schema import key


@dataclass(frozen=True)
class Options:
    """Settings of an action rule."""

    template: Dict[str, Any] = key(
        help="name of a shipped template, or path of one made by `edge-tools template`"
    )
    min_score: float = key(0.0, "repetitions with a lower score are not reported", 0, 100)
    mirror: bool = key(True, "the other side counts, too")
    reps: int = key(0, "reported repetitions of a set; 0 = no plan", 0, 1000)
    sets: int = key(1, "sets of the plan", 1, 100)
