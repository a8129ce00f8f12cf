"""Movements that a camera of a ward, a shop or a yard sees, most of which are no incident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from edge.capture._synthetic.body import SEGMENTS, chained, turns
from edge.capture._synthetic.gaits import stand, walk
from edge.capture._synthetic.motion import Gait, Move, Play, Posture, X, Y, Z, ease
from tools.render.motion.blows import KICKS, LONG_S, PUNCHES, Blow, draw_blows
from tools.render.motion.exercises import lie_down, push_up
from tools.render.motion.pairs import guard

Draw = np.random.Generator
CRAWL_SPEED = 0.22  # statures a second
RISE_S = 3.2  # of somebody who gets up from the floor
RAISE_S = 0.6  # until both hands are up
HELD_UP_S = 6.0
CLIMB_MPS, CLIMB_M = 0.35, 1.8
_LIE_S = 5.2  # until `lie_down` has ended


def _bent(move: Move, share: np.ndarray, thigh: float, shank: float, lean: np.ndarray) -> None:
    """Hips and knees bent as on a chair, the trunk forwards by `lean`."""
    move.both("thigh", Y, -thigh * share)
    move.both("shank", Y, (thigh + shank) * share)
    move.turn("chest", Y, lean)


def tie_shoes(t: np.ndarray, own: np.ndarray) -> Move:
    """Going down on one knee, both hands at a shoe, and up again, every eight seconds."""
    move = stand(t, own)
    phase = (t / 8 + own[:, 0]) % 1.0
    share = ease(phase, ((0, 0), (0.16, 1), (0.68, 1), (0.88, 0), (1, 0)))
    busy = share * np.sin(2 * np.pi * 1.6 * t)
    move.turn("pelvis", Y, 30 * share)
    move.turn("chest", Y, 48 * share)
    move.turn("head", Y, 12 * share)
    move.turn("left_thigh", Y, -122 * share)
    move.turn("left_shank", Y, 98 * share)
    move.turn("right_thigh", Y, -38 * share)
    move.turn("right_shank", Y, 100 * share)
    move.turn("right_foot", Y, -50 * share)
    move.both("upper_arm", Y, -62 * share)
    move.both("forearm", Y, -18 * share - 8 * busy)
    return move


def sit_down_fast(t: np.ndarray, own: np.ndarray) -> Move:
    """Dropping onto a chair within half a second, and staying there."""
    move = stand(t, own)
    long_s = 0.45 + 0.25 * float(own[0, 1])
    share = ease(t, ((0, 0), (long_s, 1)))
    lean = ease(t, ((0, 0), (0.5 * long_s, 34), (long_s + 0.3, 2)))
    _bent(move, share, 86, 2, lean)
    move.both("upper_arm", Y, -30 * share)
    move.both("forearm", Y, -40 * share)
    move.flatten_feet()
    return move


def crawl_on(t: np.ndarray, own: np.ndarray) -> Move:
    """Crawling on hands and knees."""
    n = len(t)
    move = Move(np.zeros((n, len(SEGMENTS), 3)), np.zeros(n), np.full((n, 2), 0.1))
    swing = np.sin(2 * np.pi * (0.8 * t + own[:, 0]))
    ones = np.ones(n)
    move.turn("pelvis", Y, 80 * ones)
    move.turn("head", Y, -45 * ones)
    for side, sign in (("left", 1), ("right", -1)):
        move.turn(f"{side}_thigh", Y, -80 - 18 * sign * swing)
        move.turn(f"{side}_shank", Y, 88 + 12 * sign * swing)
        move.turn(f"{side}_foot", Y, 40 * ones)
        move.turn(f"{side}_upper_arm", Y, -80 + 16 * sign * swing)
        move.turn(f"{side}_hand", Y, -70 * ones)
    return move


def get_up(t: np.ndarray, own: np.ndarray) -> Move:
    """Lying on the back until t = 0, then getting up: lying down, backwards."""
    return lie_down(_LIE_S * (1 - np.clip(t / RISE_S, 0, 1)), own)


def hands_up(t: np.ndarray, own: np.ndarray) -> Move:
    """Standing; from t = 0 both hands are held up for six seconds."""
    move = stand(t, own)
    end_s = RAISE_S + HELD_UP_S
    share = ease(t, ((0, 0), (RAISE_S, 1), (end_s, 1), (end_s + RAISE_S, 0)))
    bent = own[:, 1]  # 0 straight arms, 1 hands beside the head
    move.both("upper_arm", X, (150 - 62 * bent) * share)
    move.both("forearm", X, 78 * bent * share)
    move.curl[:] *= (1 - 0.9 * share)[:, None]
    return move


def climb(t: np.ndarray, own: np.ndarray) -> Move:
    """Standing; from t = 0 climbing straight up, hands and feet in turn, and holding on there."""
    move = stand(t, own)
    up_s = CLIMB_M / CLIMB_MPS
    holds = ease(t, ((0, 0), (0.8, 1)))
    pull = np.sin(2 * np.pi * 0.7 * np.clip(t, 0, up_s))
    for side, sign in (("left", 1), ("right", -1)):
        high = 0.5 + 0.5 * sign * pull
        move.turn(f"{side}_upper_arm", Y, (-125 - 30 * high) * holds)
        move.turn(f"{side}_forearm", Y, (-60 + 45 * high) * holds)
        move.turn(f"{side}_thigh", Y, (-25 - 55 * (1 - high)) * holds)
        move.turn(f"{side}_shank", Y, (30 + 65 * (1 - high)) * holds)
        move.turn(f"{side}_foot", Y, -10 * holds)
    move.lift += CLIMB_MPS * np.clip(t, 0, up_s)
    move.curl[:] = 0.8
    return move


def loiter(t: np.ndarray, own: np.ndarray) -> Move:
    """Waiting at a place: shifting the weight, looking around, a hand at the face now and then."""
    move = stand(t, own)
    shift = np.sin(2 * np.pi * (0.08 * t + own[:, 0]))
    move.turn("pelvis", Z, 25 * shift)
    move.turn("head", Z, 35 * np.sin(2 * np.pi * (0.13 * t + own[:, 1])))
    phone = ease((t / 11 + own[:, 2]) % 1.0, ((0, 0), (0.1, 1), (0.5, 1), (0.6, 0), (1, 0)))
    move.turn("right_upper_arm", Y, -30 * phone)
    move.turn("right_forearm", Y, -95 * phone)
    return move


def look_under(t: np.ndarray, own: np.ndarray) -> Move:
    """Kneeling down on all fours to look under something, and getting up, every ten seconds."""
    move = stand(t, own)
    crawl = crawl_on(np.zeros_like(t), own)
    share = ease((t / 10 + own[:, 0]) % 1.0, ((0, 0), (0.18, 1), (0.6, 1), (0.85, 0), (1, 0)))
    move.angles += share[:, None, None] * (crawl.angles - move.angles)
    bump = np.sin(np.pi * share)
    move.both("thigh", Y, -45 * bump)
    move.both("shank", Y, 35 * bump)
    return move


def kneel(t: np.ndarray, own: np.ndarray) -> Move:
    """Standing; from t = 0 kneeling down upright within .9 s, and staying there."""
    move = stand(t, own)
    share = ease(t, ((0, 0), (0.9, 1)))
    bump = np.sin(np.pi * share)
    move.both("thigh", Y, -45 * bump)
    move.both("shank", Y, 90 * share + 20 * bump)
    move.both("foot", Y, 50 * share)
    move.turn("chest", Y, 20 * bump)
    return move


def burpee(t: np.ndarray, own: np.ndarray) -> Move:
    """From standing over a crouch onto hands and toes and up again, every 2.8 seconds."""
    move, down = stand(t, own), push_up(np.zeros_like(t), np.zeros_like(own))
    phase = (t / 2.8 + own[:, 0]) % 1.0
    plank = ease(phase, ((0, 0), (0.18, 0), (0.35, 1), (0.55, 1), (0.72, 0), (1, 0)))
    low = ease(phase, ((0, 0), (0.18, 1), (0.35, 0), (0.55, 0), (0.72, 1), (0.9, 0), (1, 0)))
    move.angles += plank[:, None, None] * (down.angles - move.angles)
    move.both("thigh", Y, -112 * low)
    move.both("shank", Y, 122 * low)
    move.turn("pelvis", Y, 40 * low)
    move.both("upper_arm", Y, -70 * low)
    return move


def stumble(t: np.ndarray, own: np.ndarray) -> Move:
    """Walking in place of a clip; at t = 0 a stumble that is caught with the other foot."""
    move = walk(np.minimum(t, 0) + 0.25 * np.clip(t, 0, 4), own)
    jolt = ease(t, ((0, 0), (0.25, 1), (1.1, 0)))
    move.turn("pelvis", Y, 32 * jolt)
    move.both("upper_arm", Y, -55 * jolt)
    move.turn("left_thigh", Y, -50 * jolt)
    move.turn("left_shank", Y, 40 * jolt)
    return move


# name -> play, whether its feet stay in place, whether it happens once, statures a second
_PLAYS: Dict[str, Tuple[Play, bool, bool, float]] = {
    "tie_shoes": (tie_shoes, False, False, 0.0),
    "sit_down_fast": (sit_down_fast, True, True, 0.0),
    "crawl_on": (crawl_on, False, False, CRAWL_SPEED),
    "get_up": (get_up, False, True, 0.0),
    "hands_up": (hands_up, True, True, 0.0),
    "climb": (climb, False, True, 0.0),
    "loiter": (loiter, True, False, 0.0),
    "look_under": (look_under, False, False, 0.0),
    "kneel": (kneel, False, True, 0.0),
    "burpee": (burpee, False, False, 0.0),
    "stumble": (stumble, False, True, 0.0),
}
DAILY: Dict[str, Gait] = {
    name: Gait(play, speed, planted, once) for name, (play, planted, once, speed) in _PLAYS.items()
}
ALONE = "shadow_boxing"
_ALONE_S = 120.0


@dataclass(frozen=True, eq=False)
class ShadowBoxing:
    """Somebody who punches and kicks the air; the contract is `Motion`."""

    blows: Tuple[Blow, ...]
    speed: float = 0.0
    planted: bool = False
    once: bool = False
    span_s: float = 0.0

    def at(self, t_s: np.ndarray, own: np.ndarray) -> Posture:
        """Postures at [N] seconds."""
        move = stand(t_s, own)
        guard(move, np.ones(len(t_s)), np.sin(2 * np.pi * (0.6 * t_s + own[:, 0])))
        for blow in self.blows:
            if np.any(np.abs(t_s - blow.start_s) < 2):
                blow.throw(move, t_s)
        travel = np.zeros((len(t_s), 2))
        return Posture(chained(turns(move.angles)), move.lift, travel, move.curl)

    def events(self) -> List[Tuple[str, float, float]]:
        """Each blow, which hits nobody."""
        return [("strike", b.start_s, b.start_s + LONG_S[b.sort]) for b in self.blows]


def draw_shadow_boxing(rng: Draw) -> ShadowBoxing:
    """Bursts of punches and kicks for two minutes."""
    return ShadowBoxing(draw_blows((*PUNCHES, *KICKS), 1.0, _ALONE_S, rng, alone=True))


def events_of(
    name: str, start_s: float, pace: float, end_s: float
) -> List[Tuple[str, float, float]]:
    """What a movement of this page is, and when: kind, start and end s; empty: all the time."""
    if name == "hands_up":
        up_s = start_s + RAISE_S / pace
        return [(name, up_s, min(up_s + HELD_UP_S / pace, end_s))]
    if name == "get_up":
        return [("lying", 0.0, start_s), (name, start_s, start_s + RISE_S / pace)]
    if name == "climb":
        return [(name, start_s, end_s)]
    return []
