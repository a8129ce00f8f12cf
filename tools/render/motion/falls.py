"""Falls with the timing of free bodies: a trip, a slip, a faint, to the side, off a chair.

Until t = 0 the person walks or stands. Then the body topples about its feet as a rod does
(theta'' = 3 g / 2 L sin theta), or its support gives way and it drops at most of g. It then lies
still. The path of the mid-hip belongs to the motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Tuple

import numpy as np

from edge.capture._synthetic.body import LEG, STATURE_M, chained, turns
from edge.capture._synthetic.gaits import GRAVITY, WALK_SPEED, stand, walk
from edge.capture._synthetic.motion import Move, Posture, X, Y, Z, ease

KINDS = ("trip", "slip", "faint", "fall_sideways")
OFF_CHAIR = "fall_off_chair"
RISING = {"trip_and_rise": "trip", "fall_sideways_and_rise": "fall_sideways"}
MORE = (OFF_CHAIR, *RISING)
_FIRST_DEG = 6.0
# Push beyond gravity, and the length of the rod in m.
_PULL = {"trip": 0.9, "slip": 1.3, "faint": 1.0, "fall_sideways": 1.0, OFF_CHAIR: 1.0}
_ROD_M = {"faint": 1.25, OFF_CHAIR: 1.1}
_ROD_ELSE_M = 1.7
_RESTS_S, _RISES_S = 3.0, 2.6  # of somebody who gets up after the fall


@lru_cache(maxsize=None)
def toppling(length_m: float, pull: float) -> Tuple[np.ndarray, np.ndarray]:
    """Times s and tilts rad of a rod that topples from 6 degrees to 90, in steps of 1 ms."""
    tilt, speed = np.radians(_FIRST_DEG), 0.15 * pull
    path = [tilt]
    while tilt < np.pi / 2:
        speed += 1.5 * GRAVITY * pull / length_m * np.sin(tilt) * 1e-3
        tilt += speed * 1e-3
        path.append(tilt)
    path[-1] = np.pi / 2
    return np.arange(len(path)) * 1e-3, np.array(path)


@dataclass(frozen=True)
class Fall:
    """One kind of fall; the contract is `edge.capture._synthetic.motion.Motion`."""

    kind: str
    walking: bool
    speed: float = 0.0
    planted: bool = False
    once: bool = True
    span_s: float = 0.0
    rises: bool = False  # gets up again

    @property
    def impact_s(self) -> float:
        """Time from the start of the fall until the trunk is on the floor."""
        return float(self._toppling()[0][-1])

    @property
    def rise_s(self) -> float:
        """Time from the start of the fall until the person begins to get up; inf = never."""
        return self.impact_s + _RESTS_S if self.rises else float("inf")

    def _toppling(self) -> Tuple[np.ndarray, np.ndarray]:
        return toppling(_ROD_M.get(self.kind, _ROD_ELSE_M), _PULL[self.kind])

    def at(self, t_s: np.ndarray, own: np.ndarray) -> Posture:
        """Postures at [N] seconds; the fall starts at 0."""
        before = np.minimum(t_s, 0.0)
        move = walk(before, own) if self.walking else stand(before, own)
        share = ease(t_s, ((-0.05, 0), (0.25, 1)))  # how much of the walk is lost
        move.angles *= (1 - share)[:, None, None]
        times, path = self._toppling()
        tilt = np.degrees(np.where(t_s < 0, 0, np.interp(t_s, times, path) - path[0]))
        tilt = np.minimum(tilt * 90 / (90 - _FIRST_DEG), 90)
        travel = np.zeros((len(t_s), 2))
        if self.walking:
            travel[:, 0] = WALK_SPEED * before + 0.12 * share
        _WAYS[self.kind](move, t_s, tilt, own, travel)
        if self.rises:
            self._rise(move, t_s, own)
        return Posture(chained(turns(move.angles)), move.lift, travel, move.curl)

    def _rise(self, move: Move, t_s: np.ndarray, own: np.ndarray) -> None:
        """Over a crouch back to standing."""
        share = ease(t_s, ((self.rise_s, 0), (self.rise_s + _RISES_S, 1)))
        up = stand(t_s, own)
        move.angles += share[:, None, None] * (up.angles - move.angles)
        crouch = np.sin(np.pi * share)
        move.both("thigh", Y, -70 * crouch)
        move.both("shank", Y, 95 * crouch)


def draw(kind: str, walking: bool) -> Fall:
    """A fall by its name in recipes."""
    return Fall(RISING.get(kind, kind), walking and kind != OFF_CHAIR, rises=kind in RISING)


def _trip(move: Move, t: np.ndarray, tilt: np.ndarray, own: np.ndarray, travel: np.ndarray) -> None:
    """To the front, the arms held out."""
    give = np.sin(np.radians(2 * tilt))
    travel[:, 0] += LEG * np.sin(np.radians(tilt))
    move.turn("pelvis", Y, tilt)
    move.turn("pelvis", Z, (own[:, 1] - 0.5) * 40 * tilt / 90)
    reach, down = ease(t, ((0.1, 0), (0.4, 1))), (tilt / 90) ** 1.5
    # On the floor the arms lie beside the head; below the body they would carry it.
    move.both("upper_arm", Y, -100 * reach - 68 * down)
    move.both("upper_arm", X, 12 * down)
    move.both("forearm", Y, -50 * give)
    move.turn("left_thigh", Y, -45 * give)
    move.turn("left_shank", Y, 70 * give)
    move.turn("right_thigh", Y, -20 * give)
    move.turn("right_shank", Y, 40 * give)
    move.both("foot", Y, 50 * down)
    move.turn("head", Y, -20 * down)
    move.turn("head", Z, (own[:, 2] - 0.5) * 80 * tilt / 90)


def _slip(move: Move, t: np.ndarray, tilt: np.ndarray, own: np.ndarray, travel: np.ndarray) -> None:
    """To the back: the feet slide away to the front, the arms fly up."""
    give = np.sin(np.radians(2 * tilt))
    travel[:, 0] -= 0.35 * LEG * np.sin(np.radians(tilt))
    move.turn("pelvis", Y, -tilt)
    move.both("thigh", Y, -55 * give - 18 * tilt / 90)
    move.turn("left_shank", Y, 60 * give + 24 * tilt / 90)
    move.turn("right_shank", Y, 20 * give + 30 * tilt / 90)
    move.both("upper_arm", Y, -70 * give - 4 * tilt / 90)
    move.both("upper_arm", X, 60 * give + 30 * tilt / 90)
    move.turn("chest", Y, 30 * give)
    move.turn("head", Y, 35 * give + 10 * tilt / 90)


def _faint(
    move: Move, t: np.ndarray, tilt: np.ndarray, own: np.ndarray, travel: np.ndarray
) -> None:
    """The knees give way, then the body falls over limply to the front or to a side."""
    give = np.sin(np.radians(2 * tilt))
    drop_s = np.sqrt(2 * 0.28 * STATURE_M / (0.8 * GRAVITY))
    buckle = np.clip(t / drop_s, 0, 1) ** 2 * (1 - 0.55 * ease(t, ((0.5, 0), (1.1, 1))))
    way = np.where(own[:, 1] < 0.5, 1.0, -1.0)
    side = own[:, 2] < 0.5
    lean = np.where(t > 0.12, tilt, 0)
    move.turn("pelvis", Y, np.where(side, 0.08, 1.0) * lean)
    move.turn("pelvis", X, np.where(side, way * lean * 0.95, 0))
    travel[:, 0] += np.where(side, 0, 0.7 * LEG * np.sin(np.radians(lean)))
    travel[:, 1] -= np.where(side, way * 0.7 * LEG * np.sin(np.radians(lean)), 0)
    move.both("thigh", Y, -75 * buckle)
    move.both("shank", Y, 125 * buckle)
    move.turn("left_thigh", X, 12 * own[:, 1] * tilt / 90)
    move.turn("left_shank", Y, 30 * own[:, 1] * tilt / 90)
    move.turn("chest", Y, 20 * buckle)
    move.turn("head", Y, 25 * buckle - 12 * tilt / 90)
    down = (tilt / 90) ** 3  # to the front the arms end beside the body, not below it
    move.both("upper_arm", Y, np.where(side, -60 * tilt / 90, 12 * down - 25 * give))
    move.both("upper_arm", X, np.where(side, -4, 14) * tilt / 90)
    move.both("forearm", Y, np.where(side, -35, 0) * tilt / 90 - 20 * give)
    move.both("foot", Y, 30 * tilt / 90)


def _fall_sideways(
    move: Move, t: np.ndarray, tilt: np.ndarray, own: np.ndarray, travel: np.ndarray
) -> None:
    """To a side, on one arm."""
    give = np.sin(np.radians(2 * tilt))
    way = np.where(own[:, 1] < 0.5, 1.0, -1.0)
    travel[:, 1] -= way * LEG * np.sin(np.radians(tilt))
    move.turn("pelvis", X, way * tilt)
    move.turn("pelvis", Z, way * 25 * tilt / 90)
    move.both("thigh", Y, -45 * give - 22 * tilt / 90)
    move.both("shank", Y, 55 * give + 35 * tilt / 90)
    move.both("upper_arm", Y, -55 * tilt / 90)
    move.both("upper_arm", X, -6 * tilt / 90 + 40 * give)
    move.both("forearm", Y, -40 * tilt / 90)
    move.turn("head", X, way * -15 * tilt / 90)


def _fall_off_chair(
    move: Move, t: np.ndarray, tilt: np.ndarray, own: np.ndarray, travel: np.ndarray
) -> None:
    """From sitting over a side or to the front, the legs bent as on the chair."""
    side, way = own[:, 1] < 0.6, np.where(own[:, 2] < 0.5, 1.0, -1.0)
    lost = tilt / 90
    move.both("thigh", Y, -86 + 45 * lost)
    move.both("shank", Y, 88 - 30 * lost)
    move.both("upper_arm", Y, -32 - np.where(side, 25, 60) * lost)
    move.both("forearm", Y, -45 + 25 * lost)
    move.turn("pelvis", X, np.where(side, way * tilt, 0))
    move.turn("pelvis", Y, np.where(side, 0, tilt))
    move.turn("head", X, np.where(side, way * -15 * lost, 0))
    travel[:, 1] -= np.where(side, way * 0.3 * np.sin(np.radians(tilt)), 0)
    travel[:, 0] += np.where(side, 0, 0.3 * np.sin(np.radians(tilt)))


_WAYS = {
    "trip": _trip,
    "slip": _slip,
    "faint": _faint,
    "fall_sideways": _fall_sideways,
    OFF_CHAIR: _fall_off_chair,
}
