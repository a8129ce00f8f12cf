"""The rule `crowd`: how densely people stand in a polygon, and how they move.

The density is people per square metre of the floor. The area is that of the polygon on the ground
of the camera, or is given as `area_m2`. A person who disappears in the polygon is counted for
`hold_s` more. Others who are hidden are not: a dense crowd is denser than the figure says.

Event data: `crowd`, name of the polygon; `action` over | end; `people`, the mean of the last
`mean_s`; `per_m2`; `peak_per_m2`, the most since it was over; `held_s`, how long it was;
`flow_m_s`, or `flow_h_s` without a ground: speed of the mean motion, the other is null;
`flow_deg`, its direction in the picture: 0 to the right, 90 up; null = nobody moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from edge.errors import ConfigError
from edge.rules import Rule
from edge.rules import _feet as feet
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._polygon import depths, polygon
from edge.scene.ground import Ground
from edge.settings.schema import key
from edge.structures import JsonValue, Outline, PoseEvent, Poses, RuleSummary

ON_GROUND = True
_BLINK_S = 0.5  # a person who is unseen for this long outside the polygon is gone
_FLOW_MEAN_S = 1.0
_STILL_M_S, _STILL_H_S = 0.15, 0.1  # a slower mean motion has no direction
_MISSED = 0.5  # people whose feet are hidden count, and lower the score by this share of them


@dataclass(frozen=True)
class Options:
    """Settings of a crowd rule."""

    polygon: List[List[float]] = key(
        help="corners [x, y] in order of the floor that is watched, px of the frame"
    )
    name: str = key("crowd", "name of the polygon in events")
    area_m2: float = key(
        0.0, "area of the polygon on the floor, m2; 0 = by the ground of the camera", 0, 1e6
    )
    over_per_m2: float = key(2.0, "report more people per m2 than this", 0.01, 20)
    under_per_m2: float = key(0.0, "the end is below this; 0 = four fifths of over_per_m2", 0, 20)
    least_people: int = key(3, "fewer people are no crowd", 1, 1000)
    mean_s: float = key(1.0, "people are counted as a mean over this time", 0, 60)
    hold_s: float = key(
        6.0,
        "a person who disappears in the polygon is counted for this long: hidden, not gone",
        0,
        60,
    )
    dwell_s: float = key(2.0, "report a density that lasts this long; its end as well", 0, 600)
    refractory_s: float = key(10.0, "pause before the next report", 0, 86400)


def build(options: Options, ground: Optional[Ground]) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the corners are no polygon, the area is not known, or the bounds are reversed.
    """
    corners = polygon(options.polygon)
    if options.under_per_m2 > options.over_per_m2:
        raise ConfigError("under_per_m2: must not be above over_per_m2")
    return Crowd(options, corners, options.area_m2 or _area_m2(corners, ground), ground)


def _area_m2(corners: np.ndarray, ground: Optional[Ground]) -> float:
    if ground is None:
        raise ConfigError(
            "area_m2: is missing, and the ground of the camera is not known; give the area, or "
            "make a [[grounds]] table with edge-tools ground"
        )
    on_floor = ground.metres(corners)
    if not np.isfinite(on_floor).all():
        raise ConfigError("polygon: a corner is above the horizon of the ground; move it down")
    return float(abs((on_floor * np.roll(on_floor, -1).conj()).imag.sum()) / 2)


class Crowd:
    """Watches the density of one polygon.

    Args:
        options: of the rule.
        corners: [V] complex px of the polygon.
        area_m2: of the polygon on the floor.
        ground: of the camera, for speeds; None = not known.
    """

    def __init__(
        self, options: Options, corners: np.ndarray, area_m2: float, ground: Optional[Ground]
    ) -> None:
        self._options, self._corners, self._ground = options, corners, ground
        self._area_m2 = max(area_m2, 1e-6)
        self._under = options.under_per_m2 or 0.8 * options.over_per_m2
        self._people = PersonMemory(options.hold_s + _BLINK_S, inside=False, **feet.fields())
        self._count, self._inside, self._doubt = 0.0, 0, 0.0
        self._flow = 0j  # m/s of the floor, or H/s of the picture
        self._towards = 0j  # H/s of the picture
        self._over, self._peak = False, 0.0
        self._last_ns = self._turned_ns = self._since_ns = -1  # -1 = none
        self._ended_ns = -(10**18)

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        stances = feet.follow(people, rows, seen, t_ns, self._ground)
        people["inside"][rows] = depths(stances.feet, self._corners) > 0
        away_s = people.note_seen(rows, t_ns)
        self._measure(stances, rows, t_ns)
        people.forget(away_s > np.where(people["inside"], self._options.hold_s, 0) + _BLINK_S)
        density = self._count / self._area_m2
        crowded = self._count >= self._options.least_people - 0.5
        other = (
            density < self._under or not crowded
            if self._over
            else (density > self._options.over_per_m2 and crowded)
        )
        self._turned_ns = (t_ns if self._turned_ns < 0 else self._turned_ns) if other else -1
        self._peak = max(self._peak, density) if self._over else density
        rested = self._over or t_ns - self._ended_ns >= self._options.refractory_s * 1e9
        lasts = t_ns - self._turned_ns >= self._options.dwell_s * 1e9
        if not (other and lasts and rested):
            return []
        return [self._turn(camera, t_ns)]

    def nearness(self, poses: Poses) -> np.ndarray:
        """[N] f32: 1 for people in the polygon, 0 for those a height or more away."""
        boxes = poses.boxes
        points = (boxes[:, 0] + boxes[:, 2]) / 2 + 1j * boxes[:, 3]
        tall = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
        return np.clip(1 + depths(points, self._corners) / tall, 0, 1).astype(np.float32)

    def summary(self) -> RuleSummary:
        """People and density."""
        name, density = self._options.name, self._count / self._area_m2
        figures = self._figures()
        label = f"{name}: {self._inside}, {density:.2f}/m2"
        hidden = "most people, or their feet, are hidden; there may be more"
        return RuleSummary(
            name,
            "crowd",
            {**figures, "over": self._over},
            {name: self._inside},
            unsure=hidden if self._doubt > _MISSED else "",
            outlines=[Outline(self._corners, label)],
        )

    def _measure(self, stances: feet.Stances, rows: np.ndarray, t_ns: int) -> None:
        """Update the mean number of people inside and the mean motion of those in view."""
        there = self._people["inside"]
        seen = there[rows]
        self._inside = int(there.sum())
        dt_s = max(t_ns - self._last_ns, 0) * 1e-9 if self._last_ns >= 0 else np.inf
        gain, slow = _gain(dt_s, self._options.mean_s), _gain(dt_s, _FLOW_MEAN_S)
        self._count += gain * (self._inside - self._count)
        doubt = 1 - float(stances.seen[seen].sum()) / self._inside if self._inside else 0.0
        self._doubt += gain * (doubt - self._doubt)
        moving = stances.velocity[seen & np.isfinite(stances.velocity.real)]
        flow = complex(moving.mean()) if len(moving) else 0j
        towards = complex(stances.moved[seen].mean()) if seen.any() else 0j
        self._flow += slow * (flow - self._flow)
        self._towards += slow * (towards - self._towards)
        self._last_ns = t_ns

    def _turn(self, camera: str, t_ns: int) -> PoseEvent:
        """The density is over, or no longer."""
        options = self._options
        if not self._over:
            self._since_ns = self._turned_ns
        self._over, self._turned_ns = not self._over, -1
        self._ended_ns = self._ended_ns if self._over else t_ns
        figures, held_s = self._figures(), round((t_ns - self._since_ns) * 1e-9, 1)
        data: Dict[str, JsonValue] = {
            "crowd": options.name,
            "action": "over" if self._over else "end",
            **figures,
            "peak_per_m2": round(self._peak, 2),
            "held_s": held_s,
        }
        density = self._count / self._area_m2
        bound = f"> {options.over_per_m2:g}" if self._over else f"< {self._under:g}"
        people = f"{self._count:.1f} people on {self._area_m2:.1f} m2"
        why = f"{density:.2f} people per m2 {bound} in {options.name} for {options.dwell_s:g} s"
        level = "warning" if self._over else "info"
        score = 1 - _MISSED * self._doubt
        return PoseEvent("crowd", camera, -1, t_ns, score, data, level, f"{why}: {people}")

    def _figures(self) -> Dict[str, JsonValue]:
        speed, metric = abs(self._flow), self._ground is not None
        moves = speed > (_STILL_M_S if metric else _STILL_H_S)
        towards = round(float(np.degrees(np.angle(self._towards.conjugate()))) % 360)
        return {
            "people": round(self._count, 1),
            "per_m2": round(self._count / self._area_m2, 2),
            "flow_m_s": round(speed, 2) if metric else None,
            "flow_h_s": None if metric else round(speed, 2),
            "flow_deg": towards % 360 if moves else None,
        }


def _gain(dt_s: float, mean_s: float) -> float:
    return 1.0 if mean_s <= 0 else float(-np.expm1(-dt_s / mean_s))
