"""People who strike, and people who move fast without striking, as joint angles over time.

Punches and kicks are formulas of our own: a limb goes out within `out_s` and comes back within
`back_s`, while the trunk turns with it. The angles are those of `edge.capture._synthetic.motion`.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build, chained, turns
from edge.capture._synthetic.gaits import stand, walk
from edge.capture._synthetic.motion import Move, X, Y, Z, ease

PUNCHES = ("straight", "hook", "uppercut", "swing")
KICKS = ("front_kick", "low_kick", "round_kick")
_STRAIGHT_S = 0.17
_OUT_S = {"hook": 0.29, "uppercut": 0.25, "swing": 0.4, "low_kick": 0.2, "round_kick": 0.2}
HANDS, FEET = ("left_hand", "right_hand"), ("left_foot", "right_foot")


class Blow(NamedTuple):
    """One punch or kick."""

    kind: str
    side: int  # 0 left, 1 right
    start_s: float
    out_s: float
    back_s: float

    @property
    def limb(self) -> str:
        """Which limb strikes."""
        return (HANDS if self.kind in PUNCHES else FEET)[self.side]

    @property
    def end_s(self) -> float:
        """When the limb is out."""
        return self.start_s + self.out_s


Turns = Callable[[Move, str, float, np.ndarray, np.ndarray], None]


def _straight(move: Move, side: str, sign: float, out: np.ndarray, early: np.ndarray) -> None:
    move.turn(f"{side}_upper_arm", Y, -52 * out)
    move.turn(f"{side}_forearm", Y, 112 * out)
    move.turn("chest", Z, -26 * sign * out)
    move.turn("pelvis", Z, -10 * sign * out)
    move.turn("chest", Y, 8 * out)


def _hook(move: Move, side: str, sign: float, out: np.ndarray, early: np.ndarray) -> None:
    move.turn(f"{side}_upper_arm", X, 72 * sign * early)
    move.turn(f"{side}_forearm", Y, 35 * early)
    move.turn("chest", Z, 25 * sign * early - 80 * sign * out)
    move.turn("pelvis", Z, -20 * sign * out)


def _uppercut(move: Move, side: str, sign: float, out: np.ndarray, early: np.ndarray) -> None:
    move.turn(f"{side}_upper_arm", Y, 40 * (early - out) - 50 * out)
    move.turn(f"{side}_forearm", Y, 40 * (early - out) + 25 * out)
    move.turn("chest", Z, -28 * sign * out)


def _swing(move: Move, side: str, sign: float, out: np.ndarray, early: np.ndarray) -> None:
    """A wide swing or slap with an arm that is nearly straight."""
    move.turn(f"{side}_upper_arm", X, 75 * sign * early)
    move.turn(f"{side}_forearm", Y, 95 * early)
    move.turn("chest", Z, 30 * sign * early - 95 * sign * out)
    move.turn(f"{side}_upper_arm", Y, -15 * out)


def _front_kick(move: Move, side: str, sign: float, out: np.ndarray, early: np.ndarray) -> None:
    move.turn(f"{side}_thigh", Y, -78 * early - 10 * out)
    move.turn(f"{side}_shank", Y, 85 * early - 80 * out)
    move.turn("pelvis", Y, -14 * out)


def _low_kick(move: Move, side: str, sign: float, out: np.ndarray, early: np.ndarray) -> None:
    move.turn(f"{side}_thigh", Y, -42 * out)
    move.turn(f"{side}_shank", Y, 70 * early - 66 * out)
    move.turn(f"{side}_thigh", X, 15 * sign * out)


def _round_kick(move: Move, side: str, sign: float, out: np.ndarray, early: np.ndarray) -> None:
    move.turn(f"{side}_thigh", X, 62 * sign * early)
    move.turn(f"{side}_thigh", Y, -35 * early)
    move.turn(f"{side}_shank", Y, 90 * early - 80 * out)
    move.turn("pelvis", Z, -60 * sign * out)
    move.turn("chest", X, -18 * sign * out)


_TURNS: Dict[str, Turns] = {
    "straight": _straight,
    "hook": _hook,
    "uppercut": _uppercut,
    "swing": _swing,
    "front_kick": _front_kick,
    "low_kick": _low_kick,
    "round_kick": _round_kick,
}


def blows(
    rng: np.random.Generator, start_s: float, end_s: float, pause_s: Tuple[float, float]
) -> List[Blow]:
    """Random blows within a time; two of three are punches."""
    found: List[Blow] = []
    t_s = start_s + rng.uniform(0, pause_s[0])
    while True:
        kicks = rng.random() < 1 / 3
        slow = rng.uniform(1.25, 1.9) if kicks else rng.uniform(0.85, 1.35)
        kind = str(rng.choice(KICKS if kicks else PUNCHES))
        out_s = _OUT_S.get(kind, _STRAIGHT_S) * slow
        blow = Blow(kind, int(rng.integers(2)), t_s, out_s, rng.uniform(0.22, 0.4))
        if blow.end_s + blow.back_s > end_s:
            return found
        found.append(blow)
        t_s = blow.end_s + blow.back_s + rng.uniform(*pause_s)


def _moving(t_s: np.ndarray, own: np.ndarray, guard: np.ndarray) -> Move:
    """Standing with raised fists at a share of `guard` [T], shifting the weight."""
    move = stand(t_s, np.broadcast_to(own, (len(t_s), 3)))
    move.both("upper_arm", Y, -32 * guard)
    move.both("forearm", Y, -106 * guard)
    move.both("upper_arm", X, 6 * guard)
    bounce = np.sin(2 * np.pi * (1.1 + own[1]) * t_s + 7 * own[0]) * guard
    move.turn("left_thigh", Y, -16 * guard + 5 * bounce)
    move.turn("right_thigh", Y, 8 * guard + 5 * bounce)
    move.both("shank", Y, 16 * guard + 6 * bounce)
    move.turn("chest", Z, 12 * np.sin(0.8 * t_s + 9 * own[2]) * guard)
    move.curl[:] = 0.9
    return move


def fighter(
    t_s: np.ndarray,
    own: np.ndarray,
    struck: List[Blow],
    hits_s: List[float],
    guard: np.ndarray,
) -> Move:
    """Somebody who strikes.

    Args:
        t_s: [T].
        own: [3] random numbers of the person.
        struck: the blows.
        hits_s: when the person is hit: the trunk is thrown back.
        guard: [T] how far the fists are raised, 0..1.
    """
    move = _moving(t_s, own, guard)
    for blow in struck:
        into_s = t_s - blow.start_s
        early = ease(into_s, _course(0.4 * blow.out_s, blow))
        out = ease(into_s, _course(blow.out_s, blow, 0.25 * blow.out_s))
        side, sign = (("left", 1.0), ("right", -1.0))[blow.side]
        lacking = (1 - guard) * (blow.kind in PUNCHES)
        move.turn(f"{side}_upper_arm", Y, -32 * lacking * early)
        move.turn(f"{side}_forearm", Y, -106 * lacking * early)
        _TURNS[blow.kind](move, side, sign, out, early)
    for hit_s in hits_s:
        back = ease(t_s - hit_s, ((0, 0), (0.14, 1), (0.6, 0)))
        move.turn("pelvis", Y, -9 * back)
        move.turn("chest", Y, -10 * back)
        move.turn("head", Y, -16 * back)
    return move


def _course(out_s: float, blow: Blow, wait_s: float = 0.0) -> Tuple[Tuple[float, float], ...]:
    end = blow.out_s + blow.back_s
    return (wait_s, 0), (out_s, 1), (max(blow.out_s + 0.03, out_s + 0.01), 1), (end, 0)


def points_of(move: Move) -> np.ndarray:
    """COCO's keypoints [T,17,3] m of a move, the hips over the origin, the feet on z = 0."""
    body = build(chained(turns(move.angles)), np.full(len(move.lift), STATURE_M), move.curl)
    shift = np.zeros((len(move.lift), 3))
    shift[:, 2] = move.lift - body.lowest
    points = body.moved(shift).keypoints[:, :17]
    points[..., :2] -= points[:, 11:13, :2].mean(1, keepdims=True)
    out: np.ndarray = points
    return out


def walking(t_s: np.ndarray, own: np.ndarray, pace: float = 1.0) -> Move:
    """Somebody who walks."""
    return walk(t_s * pace, np.broadcast_to(own, (len(t_s), 3)))


def _standing(t_s: np.ndarray, own: np.ndarray) -> Move:
    return stand(t_s, np.broadcast_to(own, (len(t_s), 3)))


def handshake(t_s: np.ndarray, own: np.ndarray) -> Move:
    """Shaking hands every four seconds."""
    move = _standing(t_s, own)
    held = ease(t_s % 4.0, ((0.5, 0), (0.9 + 0.3 * own[0], 1), (2.5, 1), (3.1, 0)))
    shake = np.sin(2 * np.pi * (2 + own[1]) * t_s) * held
    move.turn("right_upper_arm", Y, -38 * held - 7 * shake)
    move.turn("right_forearm", Y, -40 * held - 12 * shake)
    return move


def hug(t_s: np.ndarray, own: np.ndarray) -> Move:
    """Arms around the other person, and pats on the back."""
    move = _standing(t_s, own)
    held = ease(t_s % 5.0, ((0.6, 0), (1.1 + 0.3 * own[0], 1), (3.4, 1), (4.2, 0)))
    pat = np.maximum(np.sin(2 * np.pi * 2.2 * t_s), 0) * held
    move.both("upper_arm", Y, -68 * held)
    move.both("forearm", Z, -55 * held)
    move.turn("right_forearm", Y, -22 * held - 16 * pat)
    move.turn("left_forearm", Y, -22 * held)
    move.turn("chest", Y, 8 * held)
    return move


def gestures(t_s: np.ndarray, own: np.ndarray) -> Move:
    """Talking with lively hands."""
    move = _standing(t_s, own)
    for side, shift in (("left", 0.0), ("right", 0.37)):
        phase = t_s * (0.5 + 0.3 * own[1]) + own[0] + shift
        lively = 0.5 + 0.5 * np.sin(1.3 * t_s + 6 * own[2])
        wave = np.sin(2 * np.pi * phase) + 0.5 * np.sin(2 * np.pi * 2.1 * phase)
        move.turn(f"{side}_upper_arm", Y, (-22 - 18 * wave) * lively)
        move.turn(f"{side}_forearm", Y, (-62 - 28 * np.sin(2 * np.pi * 1.4 * phase)) * lively)
        move.turn(f"{side}_forearm", Z, 30 * np.sin(2 * np.pi * 1.7 * phase) * lively)
    return move


def high_five(t_s: np.ndarray, own: np.ndarray) -> Move:
    """A clap of the raised right hand every five seconds."""
    move = _standing(t_s, own)
    up = ease(t_s % 5.0, ((1.0, 0), (1.5, 0.8), (1.72, 1), (2.4, 0)))
    move.turn("right_upper_arm", Y, -125 * up)
    move.turn("right_forearm", Y, -40 * np.sin(np.pi * up) - 10 * up)
    return move


def clapping(t_s: np.ndarray, own: np.ndarray) -> Move:
    """Applause."""
    move = _standing(t_s, own)
    clap = np.sin(2 * np.pi * (2.2 + own[1]) * t_s)
    move.both("upper_arm", Y, -35 + 0 * t_s)
    move.both("forearm", Y, -65 + 0 * t_s)
    move.both("forearm", Z, -26 + 24 * clap)
    return move


def throwing(t_s: np.ndarray, own: np.ndarray) -> Move:
    """A ball thrown underhand every three seconds."""
    move = _standing(t_s, own)
    back = ease(t_s % 3.0, ((0.4, 0), (0.9, 1), (1.2, 0)))
    out = ease(t_s % 3.0, ((0.9, 0), (1.25, 1), (2.2, 0)))
    move.turn("right_upper_arm", Y, 35 * back - 70 * out)
    move.turn("right_forearm", Y, -12 * back)
    move.turn("chest", Y, 12 * back)
    return move


FRIENDLY: Dict[str, Callable[[np.ndarray, np.ndarray], Move]] = {
    "handshake": handshake,
    "hug": hug,
    "gestures": gestures,
    "high_five": high_five,
    "clapping": clapping,
    "throwing": throwing,
}
