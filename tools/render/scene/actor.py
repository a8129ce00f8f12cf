"""People in a scene: a body, what it does, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from tools.render.body.person import Person, Posed
from tools.render.motion.acts import Act
from tools.render.motion.falls import OFF_CHAIR
from tools.render.paint.picture import Solid, solid_of
from tools.render.scene.props import chair, held

Draw = np.random.Generator
ANKLES, HIPS = [15, 16], [11, 12]
LEFT_HAND, RIGHT_HAND = slice(91, 112), slice(112, 133)
_SEAT_BELOW_HIP = 0.055  # statures


@dataclass(frozen=True)
class Path:
    """Where somebody goes: a point, a ring, or a lane that begins again when it ends."""

    place: Tuple[float, float]  # m; the middle of a ring, the middle of a lane
    heading: float  # rad, of a point and a lane
    radius_m: float = 0.0  # of a ring; negative = clockwise; 0 = none
    phase: float = 0.0  # rad on the ring, m along the lane
    length_m: float = 0.0  # of a lane; 0 = none

    def at(self, way_m: float) -> Tuple[np.ndarray, float]:
        """Place [2] m and heading rad after a way."""
        middle = np.array(self.place)
        if self.radius_m:
            angle = self.phase + way_m / self.radius_m
            out = middle + abs(self.radius_m) * np.array([np.cos(angle), np.sin(angle)])
            return out, angle + np.sign(self.radius_m) * np.pi / 2
        if self.length_m:
            way_m = (way_m + self.phase) % self.length_m - self.length_m / 2
        step = np.array([np.cos(self.heading), np.sin(self.heading)]) * way_m
        return middle + step, self.heading


class Actor:
    """One person of a scene.

    Args:
        person: the body.
        act: the motion.
        path: the way.
        rng: source of the looks of props.
        holds: whether there is something in a hand.
    """

    def __init__(self, person: Person, act: Act, path: Path, rng: Draw, holds: bool) -> None:
        self.person, self.act, self.path = person, act, path
        self._low = np.nonzero(person.surface.shown > 0)[0]
        self._holds: Optional[slice] = None
        self._prop_seed = int(rng.integers(1 << 31))
        if holds:
            self._holds = LEFT_HAND if rng.random() < 0.4 else RIGHT_HAND
        self._seat: Optional[List[Solid]] = None

    def at(self, t_s: float) -> Posed:
        """The person in the world at a time."""
        pose, lift_m, travel = self.act.at(t_s)
        posed = self.person.posed(pose)
        stature = self.person.stature
        shift = -posed.keypoints[ANKLES, :2].mean(0) if self.act.planted else travel * stature
        way_m = self.act.speed * stature * t_s
        place, heading = self.path.at(way_m)
        cos, sin = np.cos(heading), np.sin(heading)
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
        low = float(posed.vertices[self._low, 2].min())
        move = np.append(turn[:2, :2] @ shift + place, lift_m * stature / STATURE_M - low)
        move = move.astype(np.float32)
        return Posed(
            posed.vertices @ turn.T + move,
            posed.normals @ turn.T,
            posed.keypoints @ turn.T + move,
        )

    def solids(self, posed: Posed) -> List[Solid]:
        """What is drawn of the person: the body first, then what it holds."""
        out = [solid_of(self.person, posed)]
        if self._holds is not None:
            rng = np.random.default_rng(self._prop_seed)
            out.append(held(rng, posed.keypoints[self._holds].astype(np.float64)))
        return out

    def seat(self) -> List[Solid]:
        """The chair of somebody who sits down: where the hips are when they are lowest."""
        if not self.act.seated:
            return []
        if self._seat is None:
            times = np.linspace(0, 8.5 / self.act.pace, 24)
            if self.act.name == OFF_CHAIR:
                times = np.zeros(1)
            hips = np.array([self.at(float(t)).keypoints[HIPS].mean(0) for t in times])
            top = hips[int(np.argmin(hips[:, 2]))].astype(np.float64)
            top[2] = max(top[2] - _SEAT_BELOW_HIP * self.person.stature, 0.2)
            heading = np.array([np.cos(self.path.heading), np.sin(self.path.heading)])
            rng = np.random.default_rng(self._prop_seed + 1)
            self._seat = chair(rng, top - np.append(heading * 0.04, 0), heading)
        return self._seat
