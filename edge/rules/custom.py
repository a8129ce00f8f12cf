"""The rule `custom`: an event while a condition of the user's own holds for a person.

    when = 'angle("left_elbow") < 40 deg and speed("left_wrist") > 1.5 H/s for 0.3 s'

H is the standing height of the person. docs/rules.md lists the words. A condition that cannot be
judged, because a keypoint is hidden or an angle is seen from a bad side, is neither true nor false:
nothing begins or ends then.

Event data: `name` of the rule; `action` start | end; `held_s`, how long the condition held;
`values`, what it measured at that moment, with the measures as names (null = not known).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from edge.errors import ConfigError
from edge.rules import Rule
from edge.rules._blindness import Blindness
from edge.rules._custom import units
from edge.rules._custom.expression import Expression, parse
from edge.rules._custom.measures import FUNCTIONS, Scene, Speeds
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._polygon import polygon
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

_UNSEEN_S = 2.0  # of a person who is unseen for this long the condition has ended


@dataclass(frozen=True)
class Options:
    """Settings of a custom rule."""

    when: str = key(help="the condition, and `for` how long it must hold")
    name: str = key("custom", "name of the rule in events")
    until_s: float = key(0.3, "the event ends after the condition is false for this long", 0, 3600)
    refractory_s: float = key(0.0, "pause before the same person can start it again", 0, 3600)
    max_error_deg: float = key(20.0, "an angle with a larger likely error is not judged", 1, 180)
    zones: Dict[str, List[List[float]]] = key(
        {}, 'polygons by name for `inside("NAME")`, corners [x, y] in px'
    )


def build(options: Options) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the condition is wrong, or a zone is no polygon.
    """
    zones = {
        name: polygon(corners, name=f"zones.{name}") for name, corners in options.zones.items()
    }
    if not options.name:
        raise ConfigError("name: is empty; give the rule a name")
    return Custom(options, parse(options.when, list(zones)), zones)


class Custom:
    """Reports for each person when the condition begins and ends.

    Args:
        options: of the rule.
        expression: the condition.
        zones: polygons by name.
    """

    def __init__(
        self, options: Options, expression: Expression, zones: Dict[str, np.ndarray]
    ) -> None:
        self._options, self._expression, self._zones = options, expression, zones
        moving = [m for m in expression.measures if m.function in ("speed", "angle_speed")]
        self._speeds = Speeds(moving) if moving else None
        # Times, -1 = none: since when the condition holds, and since when it does not.
        self._people = PersonMemory(
            _UNSEEN_S,
            on=False,
            true_ns=-1,
            false_ns=-1,
            ended_ns=-(10**18),
            started_ns=0,
            score=0.0,
            **(self._speeds.fields() if self._speeds else {}),
        )
        self._blindness = Blindness()

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        scene = Scene(seen, self._options.max_error_deg, self._zones)
        if self._speeds is not None:
            dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
            last, mean = people["last"][rows], people["mean"][rows]
            people["last"][rows], people["mean"][rows] = self._speeds.follow(
                scene, last, mean, dt_s
            )
        holds, known = self._expression.holds(scene)
        self._blindness.note(known, t_ns)
        people["score"][rows] = seen.person_scores
        _since(people["true_ns"], rows, holds & known, known, t_ns)
        _since(people["false_ns"], rows, ~holds & known, known, t_ns)
        away_s = people.note_seen(rows, t_ns)
        where = np.full(len(people), -1)
        where[rows] = np.arange(len(rows))
        events = self._started(scene, where, camera, t_ns)
        events += self._ended(scene, where, away_s > _UNSEEN_S, camera, t_ns)
        people.forget(away_s > _UNSEEN_S)
        return events

    def summary(self) -> RuleSummary:
        """The number of people for whom it holds."""
        on = self._people["on"]
        name, now = self._options.name, int(on.sum())
        unsure = "no one in view can be judged: keypoints are hidden or seen from a bad side"
        return RuleSummary(
            name,
            "custom",
            {"people": now},
            unsure=self._blindness.unsure(unsure),
            labels={int(i): name for i in self._people.ids[on]},
        )

    def _started(self, scene: Scene, where: np.ndarray, camera: str, t_ns: int) -> List[PoseEvent]:
        people, options = self._people, self._options
        long = (t_ns - people["true_ns"]) * 1e-9 >= self._expression.for_s
        rested = (t_ns - people["ended_ns"]) * 1e-9 >= options.refractory_s
        start = ~people["on"] & (people["true_ns"] >= 0) & long & rested & (where >= 0)
        people["on"][start] = True
        people["started_ns"][start] = people["true_ns"][start]
        return [
            self._event("start", int(i), scene, where, camera, t_ns) for i in np.flatnonzero(start)
        ]

    def _ended(
        self, scene: Scene, where: np.ndarray, gone: np.ndarray, camera: str, t_ns: int
    ) -> List[PoseEvent]:
        people = self._people
        long = (t_ns - people["false_ns"]) * 1e-9 >= self._options.until_s
        end = people["on"] & ((people["false_ns"] >= 0) & long | gone)
        people["on"][end] = False
        people["ended_ns"][end] = t_ns
        return [self._event("end", int(i), scene, where, camera, t_ns) for i in np.flatnonzero(end)]

    def _event(
        self, action: str, row: int, scene: Scene, where: np.ndarray, camera: str, t_ns: int
    ) -> PoseEvent:
        people = self._people
        held_s = round(max(float(t_ns - people["started_ns"][row]), 0.0) * 1e-9, 2)
        values = self._values(scene, int(where[row]))
        data: Dict[str, JsonValue] = {
            "name": self._options.name,
            "action": action,
            "held_s": held_s,
            "values": values,
        }
        if where[row] >= 0 and scene.in_space(int(where[row])):
            data["measured_in"] = "space"
        why = ", ".join(f"{what} = {_shown(what, value)}" for what, value in values.items())
        why = f"{why}; held for {held_s} s" if why else f"held for {held_s} s"
        score = float(people["score"][row])
        return PoseEvent("custom", camera, int(people.ids[row]), t_ns, score, data, why=why)

    def _values(self, scene: Scene, person: int) -> Dict[str, JsonValue]:
        """What the expression measured of a person; of one out of view nothing."""
        if person < 0:
            return {}
        found = {str(m): float(scene.values(m)[person]) for m in self._expression.measures}
        return {what: round(v, 2) if np.isfinite(v) else None for what, v in found.items()}


def _since(
    field: np.ndarray, rows: np.ndarray, now: np.ndarray, known: np.ndarray, t_ns: int
) -> None:
    """Keep since when something is so; what is not known changes nothing."""
    begins = rows[now & (field[rows] < 0)]
    field[begins] = t_ns
    field[rows[known & ~now]] = -1


def _shown(measure: str, value: JsonValue) -> str:
    unit = FUNCTIONS[measure.partition("(")[0]][1]
    if value is None:
        return "not known"
    return f"{value}" if unit == units.PLAIN else f"{value} {units.show(unit)}"
