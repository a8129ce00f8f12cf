"""The rule `line`: people who cross a line of the picture, and in which direction.

`in` is to the right of somebody who looks along the line from its first point to its last; the
picture of `--annotate` has an arrow there. A crossing counts when the person is clear of the line:
somebody who goes back, stands on it, or appears on it has not crossed. A person whom the tracker
loses at the line and finds behind it crossed, too.

Event data: `line`, its name; `action` in | out; `in` and `out`, crossings so far; `speed_h_s`, in
heights a second of the picture; `speed_m_s` on the floor; null = not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from edge.rules import Rule
from edge.rules import _feet as feet
from edge.rules._blindness import Blindness
from edge.rules._lines import arrow, crossings, distances, line
from edge.rules._person_memory import PersonMemory, with_ids
from edge.scene.ground import Ground
from edge.settings.schema import key
from edge.structures import JsonValue, Outline, PoseEvent, Poses, RuleSummary

ON_GROUND = True
_UNSEEN_S = 2.0  # a person who is unseen for this long comes again from nowhere
_JUMP_H, _JUMP_H_S = 1.0, 4.0  # a longer way between two frames is another person
_GUESSED = 0.7  # share of the score if the feet are guessed from the box
_ARROW_SHARE = 0.15  # of the line


@dataclass(frozen=True)
class Options:
    """Settings of a line rule."""

    line: List[List[float]] = key(help="points [x, y] in order, two or more, px of the frame")
    name: str = key("line", "name of the line in events")
    width: int = key(0, "px of the frame; if given, points are shares 0..1 of it", 0, 65536)
    height: int = key(0, "px of the frame", 0, 65536)
    count: str = key("both", "directions that are counted", choices=("both", "in", "out"))
    margin: float = key(
        0.1, "distance from the line from which on a person is clear of it, in person heights", 0, 2
    )
    clear_s: float = key(0.1, "count a person who is clear of the line for this long", 0, 10)
    refractory_s: float = key(0.5, "pause before the same person counts again", 0, 3600)


def build(options: Options, ground: Optional[Ground]) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the points are no line.
    """
    return Line(options, line(options.line, options.width, options.height), ground)


class Line:
    """Counts crossings.

    Args:
        options: of the rule.
        corners: [V] complex px of the line.
        ground: of the camera, for speeds; None = not known.
    """

    def __init__(self, options: Options, corners: np.ndarray, ground: Optional[Ground]) -> None:
        self._options, self._corners, self._ground = options, corners, ground
        self._counts = {"in": 0, "out": 0}
        self._blindness = Blindness()
        reach_px = float(np.abs(np.diff(corners)).sum())
        self._arrow = arrow(corners, _ARROW_SHARE * reach_px)
        # `net`: crossings since the person was last clear of the line, to the right minus to the
        # left. `known`: the person was clear of it. `clear_ns`: since when so, -1 = is not.
        self._people = PersonMemory(
            _UNSEEN_S,
            at=complex(np.nan, np.nan),
            net=0,
            known=False,
            clear_ns=-1,
            counted_ns=-(10**18),
            score=0.0,
            **feet.fields(),
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
        stances = feet.follow(people, rows, seen, t_ns, self._ground)
        self._blindness.note(stances.seen, t_ns)
        people["score"][rows] = seen.person_scores * np.where(stances.seen, 1, _GUESSED)
        self._look(rows, stances, dt_s, t_ns)
        away_s = people.note_seen(rows, t_ns)
        events = self._count(rows, stances, camera, t_ns)
        people.forget(away_s > _UNSEEN_S)
        return events

    def nearness(self, poses: Poses) -> np.ndarray:
        """[N] f32: 1 for people on the line, 0 for those a height or more away; keeps no state."""
        boxes = poses.boxes
        points = (boxes[:, 0] + boxes[:, 2]) / 2 + 1j * boxes[:, 3]
        tall = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
        return np.clip(1 - distances(points, self._corners) / tall, 0, 1).astype(np.float32)

    def summary(self) -> RuleSummary:
        """The crossings so far."""
        name, counts = self._options.name, dict(self._counts)
        shown = ", ".join(f"{n} {way}" for way, n in counts.items() if self._is_counted(way))
        figures: Dict[str, JsonValue] = {**counts}
        return RuleSummary(
            name,
            "line",
            figures,
            unsure=self._blindness.unsure("the feet of everybody in view are hidden"),
            outlines=[
                Outline(self._corners, f"{name}: {shown}", closed=False),
                Outline(self._arrow, "in", closed=False),
            ],
        )

    def _is_counted(self, way: str) -> bool:
        return self._options.count in ("both", way)

    def _look(self, rows: np.ndarray, stances: feet.Stances, dt_s: np.ndarray, t_ns: int) -> None:
        """Note crossings, and since when people are clear of the line."""
        people, now = self._people, stances.feet
        before, tall = people["at"][rows], stances.tall
        near = np.abs(now - before) <= (_JUMP_H + _JUMP_H_S * dt_s) * tall
        turns = crossings(before, now, self._corners) * near
        clear = distances(now, self._corners) > self._options.margin * tall
        # Somebody who appears on the line has not crossed it.
        known = people["known"][rows] = (people["known"][rows] & near) | clear
        people["net"][rows] = np.where(near & known, people["net"][rows] + turns, 0)
        people["at"][rows] = now
        since = np.where(turns != 0, -1, people["clear_ns"][rows])
        since = np.where(since < 0, t_ns, since)
        people["clear_ns"][rows] = np.where(clear, since, -1)

    def _count(
        self, rows: np.ndarray, stances: feet.Stances, camera: str, t_ns: int
    ) -> List[PoseEvent]:
        """Events of people who are clear of the line now, after they crossed it."""
        people, options = self._people, self._options
        since, net = people["clear_ns"][rows], people["net"][rows]
        clear = (since >= 0) & ((t_ns - since) * 1e-9 >= options.clear_s)
        rested = (t_ns - people["counted_ns"][rows]) * 1e-9 >= options.refractory_s
        crossed = clear & (net != 0) & rested
        people["net"][rows[clear]] = 0
        people["counted_ns"][rows[crossed]] = t_ns
        events = []
        for i in np.flatnonzero(crossed):
            way = "in" if net[i] > 0 else "out"
            if self._is_counted(way):
                events.append(self._event(way, int(rows[i]), stances, int(i), camera, t_ns))
        return events

    def _event(
        self, way: str, row: int, stances: feet.Stances, person: int, camera: str, t_ns: int
    ) -> PoseEvent:
        self._counts[way] += 1
        speed = float(np.abs(stances.velocity[person]))
        known = round(speed, 2) if np.isfinite(speed) else None
        on_floor = self._ground is not None
        data: Dict[str, JsonValue] = {
            "line": self._options.name,
            "action": way,
            **self._counts,
            "speed_h_s": None if on_floor else known,
            "speed_m_s": known if on_floor else None,
        }
        pace = "" if known is None else f" at {known} {'m/s' if on_floor else 'H/s'}"
        totals = f"{self._counts['in']} in, {self._counts['out']} out"
        why = f"crossed {self._options.name}, {way}{pace}; {totals}"
        who, score = int(self._people.ids[row]), float(self._people["score"][row])
        return PoseEvent("line", camera, who, t_ns, score, data, why=why)
