"""Exercises and everyday movements as joint angles over time.

They are `Play` functions in the manner of `edge.capture._synthetic.gaits`: times [N] s and random
numbers [N,3] give angles. `own[:, 0]` shifts the phase, `own[:, 1]` the depth.
"""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

from edge.capture._synthetic.body import SEGMENTS
from edge.capture._synthetic.gaits import stand
from edge.capture._synthetic.motion import Move, Play, X, Y, Z, ease

_REP = ((0, 0), (0.45, 1), (0.55, 1), (1, 0))


def _share(t: np.ndarray, own: np.ndarray, period_s: float) -> np.ndarray:
    """0..1..0 in each period, the deepest point by the person."""
    return ease((t / period_s + own[:, 0]) % 1.0, _REP) * (0.75 + 0.25 * own[:, 1])


def _one_side(t: np.ndarray, own: np.ndarray, period_s: float) -> Tuple[np.ndarray, np.ndarray]:
    """Shares of the left and the right side, which take turns."""
    phase = (t / period_s + own[:, 0]) % 2.0
    share = ease(phase % 1.0, _REP) * (0.75 + 0.25 * own[:, 1])
    return np.where(phase < 1, share, 0), np.where(phase < 1, 0, share)


def lunge(t: np.ndarray, own: np.ndarray) -> Move:
    """Lunges to the front, left and right in turn."""
    move = stand(t, own)
    shares = _one_side(t, own, 3.0)
    for side, other, share in (("left", "right", shares[0]), ("right", "left", shares[1])):
        move.turn(f"{side}_thigh", Y, -75 * share)
        move.turn(f"{side}_shank", Y, 80 * share)
        move.turn(f"{side}_foot", Y, -5 * share)
        move.turn(f"{other}_thigh", Y, 18 * share)
        move.turn(f"{other}_shank", Y, 78 * share)
        move.turn(f"{other}_foot", Y, -55 * share)
    move.both("upper_arm", X, 18 * (shares[0] + shares[1]))
    move.both("forearm", Y, -60 * (shares[0] + shares[1]))
    return move


def jumping_jack(t: np.ndarray, own: np.ndarray) -> Move:
    """Jumping jacks: arms over the head and legs apart."""
    move = stand(t, own)
    phase = (t / 1.2 + own[:, 0]) % 1.0
    share = ease(phase, ((0, 0), (0.5, 1), (1, 0)))
    move.both("upper_arm", X, (140 + 20 * own[:, 1]) * share)
    move.both("thigh", X, 24 * share)
    move.both("shank", Y, 14 * np.sin(2 * np.pi * phase) ** 2)
    move.both("thigh", Y, -10 * np.sin(2 * np.pi * phase) ** 2)
    air = np.sin(2 * np.pi * (phase % 0.5))
    move.lift += 0.06 * np.maximum(air, 0)
    move.curl[:] = 0.05
    return move


def knee_raise(t: np.ndarray, own: np.ndarray) -> Move:
    """Raising the knees in turn."""
    move = stand(t, own)
    shares = _one_side(t, own, 1.6)
    for side, arm, share in (("left", "right", shares[0]), ("right", "left", shares[1])):
        move.turn(f"{side}_thigh", Y, -95 * share)
        move.turn(f"{side}_shank", Y, 95 * share)
        move.turn(f"{arm}_upper_arm", Y, -45 * share)
        move.turn(f"{arm}_forearm", Y, -60 * share)
    return move


def side_bend(t: np.ndarray, own: np.ndarray) -> Move:
    """Bending the trunk to the sides in turn, one arm over the head."""
    move = stand(t, own)
    left, right = _one_side(t, own, 3.2)
    move.turn("chest", X, 28 * (right - left))
    move.turn("head", X, 10 * (right - left))
    move.turn("left_upper_arm", X, 150 * right)
    move.turn("right_upper_arm", X, -150 * left)
    return move


def biceps_curl(t: np.ndarray, own: np.ndarray) -> Move:
    """Bending both elbows, the hands closed around a weight."""
    move = stand(t, own)
    share = _share(t, own, 2.6)
    move.both("forearm", Y, -125 * share)
    move.both("upper_arm", Y, -8 * share)
    move.both("forearm", Z, -60 * np.ones(len(t)))
    move.curl[:] = 0.95
    return move


def press(t: np.ndarray, own: np.ndarray) -> Move:
    """Pressing both hands from the shoulders over the head."""
    move = stand(t, own)
    share = _share(t, own, 3.0)
    move.both("upper_arm", X, 55 + 95 * share)
    move.both("upper_arm", Y, -20 + 10 * share)
    move.both("forearm", X, 95 - 75 * share)
    move.curl[:] = 0.95
    return move


def deadlift(t: np.ndarray, own: np.ndarray) -> Move:
    """Bending from the hips with straight arms, and up again."""
    move = stand(t, own)
    share = _share(t, own, 3.4)
    move.turn("pelvis", Y, 55 * share)
    move.turn("chest", Y, 18 * share)
    move.turn("head", Y, -30 * share)
    move.both("thigh", Y, -90 * share)
    move.both("shank", Y, 45 * share)
    move.both("upper_arm", Y, -72 * share)
    move.flatten_feet()
    move.curl[:] = 0.9
    return move


def arm_circle(t: np.ndarray, own: np.ndarray) -> Move:
    """Circles of both straight arms."""
    move = stand(t, own)
    angle = 360 * (t / 2.4 + own[:, 0])
    move.both("upper_arm", X, 80 + 45 * np.cos(np.radians(angle)))
    move.both("upper_arm", Y, 35 * np.sin(np.radians(angle)))
    move.both("forearm", Y, 10 * np.ones(len(t)))
    return move


def push_up(t: np.ndarray, own: np.ndarray) -> Move:
    """Push-ups on hands and toes."""
    n = len(t)
    share = _share(t, own, 2.8)
    move = Move(np.zeros((n, len(SEGMENTS), 3)), np.zeros(n), np.zeros((n, 2)))
    move.turn("pelvis", Y, 72 + 12 * share)
    move.turn("head", Y, -32 * np.ones(n))
    move.both("upper_arm", Y, -80 + 60 * share)
    move.both("upper_arm", X, 12 + 22 * share)
    move.both("forearm", Y, -4 - 88 * share)
    move.both("hand", Y, -60 + 30 * share)
    move.both("foot", Y, 20 * np.ones(n))
    return move


def basketball_shot(t: np.ndarray, own: np.ndarray) -> Move:
    """A shot with the right hand: the knees bend, the ball rises, the elbow stretches."""
    move = stand(t, own)
    phase = (t / 2.4 + own[:, 0]) % 1.0
    deep = ease(phase, ((0, 0), (0.35, 1), (0.55, 0), (1, 0))) * (0.75 + 0.25 * own[:, 1])
    raised = ease(phase, ((0, 0), (0.15, 0.15), (0.55, 1), (0.72, 1), (1, 0)))
    shot = ease(phase, ((0, 0), (0.5, 0), (0.62, 1), (0.74, 1), (1, 0)))
    held = ease(phase, ((0, 0), (0.12, 1), (0.56, 1), (0.8, 0), (1, 0)))
    move.both("thigh", Y, -42 * deep)
    move.both("shank", Y, 68 * deep)
    move.turn("chest", Y, 12 * deep)
    move.turn("right_upper_arm", Y, -95 * raised - 55 * shot)
    move.turn("right_forearm", Y, -95 * held + 5 * shot)
    move.turn("right_hand", Y, 45 * shot)
    move.turn("left_upper_arm", Y, -88 * raised)
    move.turn("left_forearm", Y, -80 * held)
    move.flatten_feet()
    move.lift += 0.08 * np.maximum(np.sin(np.pi * np.clip((phase - 0.52) / 0.2, 0, 1)), 0)
    return move


def pick_up(t: np.ndarray, own: np.ndarray) -> Move:
    """Bending down to the floor for something, and up again."""
    move = stand(t, own)
    share = ease((t / 6 + own[:, 0]) % 1.0, ((0, 0), (0.25, 1), (0.4, 1), (0.65, 0), (1, 0)))
    move.turn("pelvis", Y, 62 * share)
    move.turn("chest", Y, 30 * share)
    move.both("thigh", Y, -105 * share)
    move.both("shank", Y, 62 * share)
    move.turn("right_upper_arm", Y, -95 * share)
    move.turn("left_upper_arm", Y, -35 * share)
    move.flatten_feet()
    return move


def sit_down_on_floor(t: np.ndarray, own: np.ndarray) -> Move:
    """Sitting down on the floor with bent legs, and staying there."""
    move = stand(t, own)
    down = ease(t, ((0, 0), (1.2, 0.8), (2.2, 1)))
    move.turn("pelvis", Y, -10 * down + 40 * np.sin(np.pi * down))
    move.both("thigh", Y, -112 * down - 30 * np.sin(np.pi * down))
    move.both("shank", Y, 128 * down)
    move.both("thigh", X, 12 * down)
    move.both("upper_arm", Y, 22 * down - 70 * np.sin(np.pi * down))
    move.flatten_feet()
    return move


def lie_down(t: np.ndarray, own: np.ndarray) -> Move:
    """Sitting down on the floor and lying down slowly on the back."""
    move = sit_down_on_floor(t, own)
    back = ease(t, ((2.2, 0), (5.2, 1)))
    for limb, angle in (("thigh", 100), ("shank", -100), ("upper_arm", -18)):
        move.both(limb, Y, angle * back)
    move.turn("pelvis", Y, -80 * back)
    move.both("foot", Y, 25 * back)
    return move


# name -> play, and the seconds of one repetition (0: it is not counted)
EXERCISES: Dict[str, Tuple[Play, float]] = {
    "lunge": (lunge, 3.0),
    "jumping_jack": (jumping_jack, 1.2),
    "knee_raise": (knee_raise, 1.6),
    "side_bend": (side_bend, 3.2),
    "biceps_curl": (biceps_curl, 2.6),
    "press": (press, 3.0),
    "deadlift": (deadlift, 3.4),
    "arm_circle": (arm_circle, 2.4),
    "push_up": (push_up, 2.8),
    "basketball_shot": (basketball_shot, 2.4),
}
EVERYDAY: Dict[str, Play] = {
    "pick_up": pick_up,
    "sit_down_on_floor": sit_down_on_floor,
    "lie_down": lie_down,
}
