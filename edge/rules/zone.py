"""The rule `zone`: people who enter, stay in and leave a polygon of the picture.

Event data: `zone`, its name; `action` enter | dwell | leave; `people`, the number of people inside
after the event; `dwell_s`, how long the person has been inside; `in_view`, false if the person
disappeared inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from edge.rules import Rule
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._polygon import depths, polygon
from edge.rules._posture import ANKLES, HIPS, body_of, middle
from edge.settings.schema import key
from edge.structures import JsonValue, Outline, PoseEvent, Poses, RuleSummary

_SAID = {"enter": "came into", "dwell": "stays in", "leave": "left"}
_UNSEEN_S = 2.0  # a person who is unseen for this long has left


@dataclass(frozen=True)
class Options:
    """Settings of a zone rule."""

    polygon: List[List[float]] = key(help="corners [x, y] in order, px of the frame")
    name: str = key("zone", "name of the zone in events")
    width: int = key(0, "px of the frame; if given, corners are shares 0..1 of it", 0, 65536)
    height: int = key(0, "px of the frame", 0, 65536)
    anchor: str = key(
        "feet",
        "point of a person that must be inside",
        choices=("feet", "hip", "box_bottom", "centre"),
    )
    margin: float = key(
        0.03, "distance from the border that counts as crossed, in person heights", 0, 1
    )
    enter_s: float = key(0.2, "report a person who is inside for this long", 0, 60)
    leave_s: float = key(0.5, "report a person who is outside for this long", 0, 60)
    dwell_s: float = key(0.0, "report once a person who stays this long; 0 = off", 0, 86400)


def build(options: Options) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the corners are no polygon.
    """
    corners = polygon(options.polygon, options.width, options.height)
    return Zone(options, corners)


class Zone:
    """Reports people who cross the border; moving to and fro on the border is no crossing.

    Args:
        options: of the rule.
        corners: [V] complex px of the polygon.
    """

    def __init__(self, options: Options, corners: np.ndarray) -> None:
        self._options = options
        self._corners = corners
        self._count = 0
        # `inside`: as last reported. `turned_ns`: since when the person is on the other side, -1 =
        # is not.
        self._people = PersonMemory(
            _UNSEEN_S, inside=False, turned_ns=-1, since_ns=0, dwelt=False, score=0.0
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        self._look(seen, rows, t_ns)
        people["score"][rows] = seen.person_scores
        away_s = people.note_seen(rows, t_ns)
        turned_ns, inside = people["turned_ns"], people["inside"]
        other_s = np.where(turned_ns >= 0, people.seen_ns - turned_ns, -1) * 1e-9
        gone = away_s > _UNSEEN_S
        enter = (turned_ns >= 0) & ~inside & (other_s >= self._options.enter_s) & (away_s == 0)
        leave = (turned_ns >= 0) & inside & (other_s >= self._options.leave_s) | gone & inside
        events = [self._event("leave", int(i), camera, t_ns) for i in np.flatnonzero(leave)]
        people["since_ns"][enter] = turned_ns[enter]
        people["dwelt"][enter] = False
        people["inside"][enter | leave] ^= True
        people["turned_ns"][enter | leave] = -1
        events += [self._event("enter", int(i), camera, t_ns) for i in np.flatnonzero(enter)]
        stay_s = (people.seen_ns - people["since_ns"]) * 1e-9
        long = people["inside"] & ~people["dwelt"] & (stay_s >= (self._options.dwell_s or np.inf))
        people["dwelt"][long] = True
        events += [self._event("dwell", int(i), camera, t_ns) for i in np.flatnonzero(long)]
        people.forget(gone)
        return events

    def nearness(self, poses: Poses) -> np.ndarray:
        """[N] f32: 1 for people in the zone, 0 for those a height or more away; keeps no state."""
        points, tall = _anchors(poses, self._options.anchor)
        away = depths(points, self._corners) / np.maximum(tall, 1)
        return np.clip(1 + away, 0, 1).astype(np.float32)

    def summary(self) -> RuleSummary:
        """The number of people in the zone."""
        name = self._options.name
        outlines = [Outline(self._corners, f"{name}: {self._count}")]
        people: Dict[str, JsonValue] = {"people": self._count}
        return RuleSummary(name, "zone", people, {name: self._count}, outlines=outlines)

    def _look(self, seen: Poses, rows: np.ndarray, t_ns: int) -> None:
        """Note since when people are on the other side of the border, further than the margin."""
        points, tall = _anchors(seen, self._options.anchor)
        depth = depths(points, self._corners)
        inside, turned_ns = self._people["inside"][rows], self._people["turned_ns"][rows]
        margin = np.where(inside, -1, 1) * self._options.margin * tall
        other = (depth > margin) != inside
        turned_ns = np.where(turned_ns < 0, t_ns, turned_ns)
        self._people["turned_ns"][rows] = np.where(other, turned_ns, -1)

    def _event(self, action: str, row: int, camera: str, t_ns: int) -> PoseEvent:
        people = self._people
        self._count += {"enter": 1, "leave": -1}.get(action, 0)
        stay_ns = people.seen_ns[row] - people["since_ns"][row]
        data: Dict[str, JsonValue] = {
            "zone": self._options.name,
            "action": action,
            "people": self._count,
            "dwell_s": round(max(float(stay_ns), 0.0) * 1e-9, 2),
            "in_view": bool(people.seen_ns[row] == t_ns),
        }
        score = float(people["score"][row])
        why = f"{_SAID[action]} {self._options.name}, {self._count} inside"
        return PoseEvent("zone", camera, int(people.ids[row]), t_ns, score, data, why=why)


def _anchors(seen: Poses, anchor: str) -> Tuple[np.ndarray, np.ndarray]:
    """Anchor points [N] complex px, from the box if hidden, and heights [N] px."""
    body, visible, tall = body_of(seen)
    x = (seen.boxes[:, 0] + seen.boxes[:, 2]) / 2
    y = seen.boxes[:, 3] if anchor in ("feet", "box_bottom") else seen.boxes[:, 1::2].mean(1)
    points = x + 1j * y
    if anchor in ("feet", "hip"):
        found, known = middle(body, visible, ANKLES if anchor == "feet" else HIPS)
        points = np.where(known, found, points)
    return points, tall
