"""The rule `loiter`: people who stay within a small place for a long time.

The place is a circle around the mean of where the person was during the stay; a person who is
outside it for `leave_s` has begun a new stay. With the ground of the camera the radius is in
metres, else in heights of the person in the picture.

Event data: `name` of the rule; `action` start | end; `stayed_s`; `radius_m` or `radius_h`, the
farthest from the middle of the place, the other is null; `in_view`, false if the person was no
longer seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from edge.errors import ConfigError
from edge.rules import Rule
from edge.rules import _feet as feet
from edge.rules._blindness import Blindness
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._polygon import depths, polygon
from edge.rules._timing import since_s
from edge.scene.ground import Ground
from edge.settings.schema import key
from edge.structures import JsonValue, Outline, PoseEvent, Poses, RuleSummary

ON_GROUND = True
_NOWHERE = complex(np.nan, np.nan)
_OUTER = 1.2  # who was reported is outside from so many radii on
_YOUNG = 0.25  # a stay that was not reported is over after this share of its age, if it is less
_BACK = 0.3  # time inside makes up for this share of time outside, so that pacing is no stay
_LEAST_RADIUS_H = 0.2


@dataclass(frozen=True)
class Options:
    """Settings of a loiter rule."""

    name: str = key("loiter", "name of the rule in events")
    after_s: float = key(60.0, "report a person who stays for this long", 1, 86400)
    radius_m: float = key(
        0.0, "size of the place on the floor, m; needs the ground; 0 = radius_h", 0, 1000
    )
    radius_h: float = key(
        1.0, "size of the place in the picture, in person heights", _LEAST_RADIUS_H, 100
    )
    leave_s: float = key(
        2.0, "a person who is outside the place for this long, in all, has left it", 0, 600
    )
    unseen_s: float = key(10.0, "a person who is unseen for this long has left", 0.1, 600)
    refractory_s: float = key(0.0, "pause before the same person is reported again", 0, 86400)
    polygon: List[List[float]] = key(
        [], "only people who stand in it; corners [x, y], px of the frame; empty = everywhere"
    )


def build(options: Options, ground: Optional[Ground]) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the corners are no polygon, or metres are asked for without a ground.
    """
    if options.radius_m and ground is None:
        raise ConfigError(
            "radius_m: the ground of the camera is not known; use radius_h, or make a [[grounds]] "
            "table with edge-tools ground"
        )
    corners = polygon(options.polygon) if options.polygon else None
    return Loiter(options, corners, ground if options.radius_m else None)


class Loiter:
    """Reports each long stay of each person once, and its end.

    Args:
        options: of the rule.
        corners: [V] complex px of the polygon; None = everywhere.
        ground: of the camera if the radius is in metres.
    """

    def __init__(
        self, options: Options, corners: Optional[np.ndarray], ground: Optional[Ground]
    ) -> None:
        self._options, self._corners, self._ground = options, corners, ground
        self._radius = options.radius_m if ground is not None else options.radius_h
        self._blindness = Blindness()
        # A stay: its middle, when it began, and the farthest from the middle. `out_s`: how long the
        # person was outside lately.
        self._people = PersonMemory(
            options.unseen_s,
            middle=_NOWHERE,
            since_ns=0,
            far=0.0,
            out_s=0.0,
            told=False,
            ended_ns=-(10**18),
            score=0.0,
            **feet.fields(),
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
        stances = feet.follow(people, rows, seen, t_ns, self._ground)
        known = np.isfinite(stances.place.real)
        self._blindness.note(known, t_ns)
        people["score"][rows] = seen.person_scores
        left = np.zeros(len(people), bool)
        left[rows[known]] = self._stay(rows[known], stances, known, dt_s[known], t_ns)
        away_s = people.note_seen(rows, t_ns)
        gone = away_s > self._options.unseen_s
        over = np.flatnonzero(people["told"] & (left | gone))
        events = [self._event("end", int(i), camera, t_ns) for i in over]
        people["told"][over], people["ended_ns"][over] = False, t_ns
        self._begin(np.flatnonzero(left), t_ns)
        stayed = since_s(people["since_ns"], t_ns) >= self._options.after_s
        rested = since_s(people["ended_ns"], t_ns) >= self._options.refractory_s
        there = (away_s == 0) & np.isfinite(people["middle"].real) & (people["out_s"] <= 0)
        begins = np.flatnonzero(there & ~people["told"] & stayed & rested)
        people["told"][begins] = True
        events += [self._event("start", int(i), camera, t_ns) for i in begins]
        people.forget(gone)
        return events

    def summary(self) -> RuleSummary:
        """The number of people who loiter."""
        name, told = self._options.name, self._people["told"]
        now = int(told.sum())
        outlines = [] if self._corners is None else [Outline(self._corners, f"{name}: {now}")]
        return RuleSummary(
            name,
            "loiter",
            {"people": now},
            unsure=self._blindness.unsure("nobody in view stands on the floor that is known"),
            labels={int(i): "loiters" for i in self._people.ids[told]},
            outlines=outlines,
        )

    def _stay(
        self,
        rows: np.ndarray,
        stances: feet.Stances,
        known: np.ndarray,
        dt_s: np.ndarray,
        t_ns: int,
    ) -> np.ndarray:
        """Move the middles of stays; who [N] has left the place and begins a new stay."""
        people, options = self._people, self._options
        place, unit = stances.place[known], stances.unit[known]
        new = np.isnan(people["middle"][rows].real)
        people["middle"][rows[new]], people["since_ns"][rows[new]] = place[new], t_ns
        # The mean of the whole stay, then of about the last `after_s`.
        age_s = np.minimum(since_s(people["since_ns"][rows], t_ns), options.after_s / 2)
        gain = np.minimum(dt_s / np.maximum(age_s + dt_s, 1e-3), 1)
        people["middle"][rows] += gain * (place - people["middle"][rows])
        far = np.abs(place - people["middle"][rows]) / unit
        people["far"][rows] = np.maximum(people["far"][rows], far)
        told = people["told"][rows]
        outside = far > np.where(told, _OUTER, 1) * self._radius
        if self._corners is not None:
            outside |= depths(stances.feet[known], self._corners) <= 0
        out_s = people["out_s"][rows] + np.where(outside, dt_s, -_BACK * dt_s)
        people["out_s"][rows] = np.maximum(out_s, 0)
        young_s = _YOUNG * since_s(people["since_ns"][rows], t_ns)
        leave_s = np.where(told, options.leave_s, np.minimum(options.leave_s, young_s))
        left: np.ndarray = outside & (out_s >= leave_s)
        return left

    def _begin(self, rows: np.ndarray, t_ns: int) -> None:
        """New stays where these people are now."""
        people = self._people
        people["middle"][rows], people["since_ns"][rows] = people["place"][rows], t_ns
        people["far"][rows], people["out_s"][rows] = 0, 0

    def _event(self, action: str, row: int, camera: str, t_ns: int) -> PoseEvent:
        people, options = self._people, self._options
        stayed_s = round(max(float(t_ns - people["since_ns"][row]), 0.0) * 1e-9, 1)
        far = round(float(people["far"][row]), 2)
        metric = self._ground is not None
        data: Dict[str, JsonValue] = {
            "name": options.name,
            "action": action,
            "stayed_s": stayed_s,
            "radius_m": far if metric else None,
            "radius_h": None if metric else far,
            "in_view": bool(people.seen_ns[row] == t_ns),
        }
        where = f"within {self._radius:g} {'m' if metric else 'heights'}"
        why = f"stayed {where} for {stayed_s} s"
        if action == "start":
            why = f"stays {where} for {stayed_s} s >= {options.after_s:g} s"
        score = float(people["score"][row]) * min(1.0, 1.5 - 0.5 * far / self._radius)
        level = "warning" if action == "start" else "info"
        who = int(people.ids[row])
        return PoseEvent("loiter", camera, who, t_ns, max(score, 0.0), data, level, why)
