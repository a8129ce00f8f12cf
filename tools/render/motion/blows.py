"""Blows of somebody who fights: punches, kicks and shoves as joint angles over time.

A straight punch of a trained person has its largest hand speed, 6 to 9 m/s, after some .15 s; a
kick takes a quarter of a second. Captured clips are read for their blows by the same measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.motion import Move, X, Y, Z, ease

Draw = np.random.Generator
PUNCHES, KICKS, SHOVE = ("jab", "hook"), ("front_kick", "low_kick"), "shove"
HIT_S = {"jab": 0.15, "hook": 0.2, "front_kick": 0.32, "low_kick": 0.28, "shove": 0.22}
LONG_S = {"jab": 0.45, "hook": 0.55, "front_kick": 0.8, "low_kick": 0.75, "shove": 0.8}
_PAUSE_S, _BURST = (0.1, 0.9), (1, 4)  # between bursts, and blows of a burst
_RATE_HZ, _SAME_S = 60.0, 0.35
_FAST_HAND, _FAST_FOOT = 2.5, 3.2  # statures a second against the hips


@dataclass(frozen=True)
class Blow:
    """One blow; `force` scales its way, 1 = the whole reach."""

    start_s: float
    sort: str
    who: int
    left: bool
    force: float

    def throw(self, move: Move, t: np.ndarray) -> None:
        """Add the blow to a move that is in guard."""
        hit, long = HIT_S[self.sort], LONG_S[self.sort]
        into = t - self.start_s
        share = ease(into, ((0, 0), (hit, 1), (hit + 0.06, 1), (long, 0))) * self.force
        chamber = ease(into, ((0, 0), (hit * 0.6, 1), (hit, 0.1), (long, 0)))
        _THROWS[self.sort](move, share, chamber, "left" if self.left else "right")


def _sign(side: str) -> float:
    return 1.0 if side == "left" else -1.0


def _jab(move: Move, share: np.ndarray, chamber: np.ndarray, side: str) -> None:
    move.turn(f"{side}_upper_arm", Y, -50 * share)
    move.turn(f"{side}_forearm", Y, 92 * share)
    move.turn("chest", Z, -_sign(side) * 24 * share)
    move.turn("pelvis", Z, -_sign(side) * 10 * share)
    move.turn("pelvis", Y, 7 * share)


def _hook(move: Move, share: np.ndarray, chamber: np.ndarray, side: str) -> None:
    move.turn(f"{side}_upper_arm", X, _sign(side) * (60 * chamber + 20 * share))
    move.turn(f"{side}_upper_arm", Y, -42 * share)
    move.turn(f"{side}_forearm", Y, 30 * share)
    move.turn("chest", Z, -_sign(side) * (42 * share - 20 * chamber))
    move.turn("pelvis", Z, -_sign(side) * 16 * share)


def _front_kick(move: Move, share: np.ndarray, chamber: np.ndarray, side: str) -> None:
    move.turn(f"{side}_thigh", Y, -78 * np.maximum(share, chamber))
    move.turn(f"{side}_shank", Y, 95 * chamber - 12 * share)
    move.turn("pelvis", Y, -12 * share)
    move.turn(f"{side}_foot", Y, -15 * share)


def _low_kick(move: Move, share: np.ndarray, chamber: np.ndarray, side: str) -> None:
    move.turn(f"{side}_thigh", X, _sign(side) * (24 * chamber - 18 * share))
    move.turn(f"{side}_thigh", Y, -48 * share + 16 * chamber)
    move.turn(f"{side}_shank", Y, 70 * chamber - 14 * share)
    move.turn("pelvis", Z, -_sign(side) * 28 * share)


def _shove(move: Move, share: np.ndarray, chamber: np.ndarray, side: str) -> None:
    move.both("upper_arm", Y, -42 * share)
    move.both("forearm", Y, 86 * share)
    move.turn("pelvis", Y, 14 * share)
    move.turn(f"{side}_thigh", Y, -16 * share)
    move.curl *= 1 - 0.9 * np.clip(share, 0, 1)[:, None]


_THROWS = {
    "jab": _jab,
    "hook": _hook,
    "front_kick": _front_kick,
    "low_kick": _low_kick,
    "shove": _shove,
}


def struck(t: np.ndarray, hit_s: float) -> np.ndarray:
    """How far a body has given way, 0..1, after a hit."""
    return ease(t, ((hit_s, 0), (hit_s + 0.12, 1), (hit_s + 0.7, 0)))


def draw_blows(
    sorts: Sequence[str], start_s: float, end_s: float, rng: Draw, alone: bool = False
) -> Tuple[Blow, ...]:
    """Bursts of blows, of both in turns, of one more than of the other."""
    found: List[Blow] = []
    favours = rng.uniform(0.2, 0.8)
    time = start_s
    while True:
        who = 0 if alone else int(rng.random() < favours)
        for _ in range(int(rng.integers(_BURST[0], _BURST[1] + 1))):
            sort = str(rng.choice(list(sorts)))
            if time + LONG_S[sort] > end_s:
                return tuple(found)
            left, force = bool(rng.random() < 0.5), float(rng.uniform(0.85, 1.05))
            found.append(Blow(time, sort, who, left, force))
            time += LONG_S[sort] * float(rng.uniform(0.8, 1.1))
        time += float(rng.uniform(*_PAUSE_S))


def captured_blows(clip: Any, seconds: float) -> List[Tuple[float, float]]:
    """Start and end s of fast hands and feet of a clip that is played forwards and backwards."""
    time = np.arange(int(seconds * _RATE_HZ)) / _RATE_HZ
    span_s = float(clip.span_s)
    own = span_s - np.abs(time % (2 * span_s) - span_s) if span_s else time
    posture = clip.at(own, np.zeros((len(own), 3)))
    body = build(posture.frames, np.full(len(own), STATURE_M), posture.curl)
    points = body.keypoints[:, :17] / STATURE_M
    limbs = points[:, [9, 10, 15, 16]] - points[:, 11:13].mean(1, keepdims=True)
    speed = np.linalg.norm(np.diff(limbs, axis=0), axis=2) * _RATE_HZ
    fast = (speed[:, :2].max(1) > _FAST_HAND) | (speed[:, 2:].max(1) > _FAST_FOOT)
    at = np.flatnonzero(fast) / _RATE_HZ
    groups = np.split(at, np.flatnonzero(np.diff(at) > _SAME_S) + 1) if len(at) else []
    return [(float(g[0]), float(g[-1]) + 1 / _RATE_HZ) for g in groups]
