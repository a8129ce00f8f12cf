"""The rule `run`: people who run.

The speed is that over the floor, so the rule needs the ground of the camera. By the speed in the
picture, people who run towards the camera or away are missed (39 % of all runs in the bench).

Event data: `name` of the rule; `action` start | end; `held_s`; `speed_m_s`, the fastest of the
spell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from edge.errors import ConfigError
from edge.rules import Rule
from edge.rules import _feet as feet
from edge.rules import _spells as spells
from edge.rules._blindness import Blindness
from edge.rules._person_memory import PersonMemory, with_ids
from edge.scene.ground import Ground
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

ON_GROUND = True
_UNSEEN_S = 1.5  # of a person who is unseen for this long the run has ended


@dataclass(frozen=True)
class Options:
    """Settings of a run rule."""

    name: str = key("run", "name of the rule in events")
    speed_m_s: float = key(2.2, "who is faster runs, m/s over the floor", 0.2, 15)
    hysteresis: float = key(0.65, "a run ends below this share of the speed", 0.1, 1)
    for_s: float = key(1.0, "report a person who runs for this long", 0, 60)
    until_s: float = key(1.5, "a run ends after slower motion for this long", 0, 60)
    refractory_s: float = key(3.0, "pause before the same person is reported again", 0, 3600)


def build(options: Options, ground: Optional[Ground]) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the rule has no name, or the ground is not known.
    """
    if not options.name:
        raise ConfigError("name: is empty; give the rule a name")
    if ground is None:
        raise ConfigError(
            "kind: the ground of the camera is not known; make a [[grounds]] table with "
            "edge-tools ground"
        )
    return Run(options, ground)


class Run:
    """Reports the start and the end of each run of each person.

    Args:
        options: of the rule.
        ground: of the camera.
    """

    def __init__(self, options: Options, ground: Ground) -> None:
        self._options, self._ground = options, ground
        self._blindness = Blindness()
        self._people = PersonMemory(
            _UNSEEN_S, fastest=0.0, score=0.0, **spells.fields(), **feet.fields()
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen, options = self._people, with_ids(poses), self._options
        rows = people.rows_of(seen, t_ns)
        stances = feet.follow(people, rows, seen, t_ns, self._ground)
        speed = np.abs(stances.velocity)
        known = np.isfinite(speed) & stances.seen
        self._blindness.note(known, t_ns)
        fast, slow = speed > options.speed_m_s, speed < options.hysteresis * options.speed_m_s
        spells.note(people, rows, known, fast, slow, t_ns)
        fastest = np.where(people["true_ns"][rows] < 0, 0, people["fastest"][rows])
        people["fastest"][rows] = np.where(known, np.maximum(fastest, speed), fastest)
        people["score"][rows] = seen.person_scores
        away_s = people.note_seen(rows, t_ns)
        gone = away_s > _UNSEEN_S
        turns = spells.turn(
            people, away_s == 0, gone, t_ns, options.for_s, options.until_s, options.refractory_s
        )
        events = [self._event("end", int(i), camera, t_ns) for i in turns.ended]
        events += [self._event("start", int(i), camera, t_ns) for i in turns.started]
        people.forget(gone)
        return events

    def summary(self) -> RuleSummary:
        """The number of people who run."""
        on = self._people["on"]
        return RuleSummary(
            self._options.name,
            "run",
            {"people": int(on.sum())},
            unsure=self._blindness.unsure("hips or feet of everybody in view are hidden"),
            labels={int(i): "runs" for i in self._people.ids[on]},
        )

    def _event(self, action: str, row: int, camera: str, t_ns: int) -> PoseEvent:
        people, bound = self._people, self._options.speed_m_s
        fastest, held_s = round(float(people["fastest"][row]), 2), spells.held_s(people, row, t_ns)
        data: Dict[str, JsonValue] = {
            "name": self._options.name,
            "action": action,
            "held_s": held_s,
            "speed_m_s": fastest,
        }
        why = f"{fastest} m/s > {bound:g} m/s for {held_s} s"
        if action == "end":
            why = f"ran for {held_s} s, up to {fastest} m/s"
        # Half of the score is for being over the bound; all of it from a third more on.
        sure = min(0.5 + 1.5 * (fastest / bound - 1), 1.0)
        level = "warning" if action == "start" else "info"
        score = float(people["score"][row]) * max(sure, 0.0)
        return PoseEvent("run", camera, int(people.ids[row]), t_ns, score, data, level, why)
