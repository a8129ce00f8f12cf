"""Motions by formula: joint angles over time.

The walking curves follow the extreme angles of hip, knee and ankle in normal gait, from Winter,
Biomechanics and Motor Control of Human Movement; the others are our own. Every motion is a `Play`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, Tuple

import numpy as np

from edge.capture._synthetic.body import LEG, SEGMENTS
from edge.capture._synthetic.motion import Extremes, Gait, Motion, Move, X, Y, Z, ease

GRAVITY = 9.81  # m/s^2


def _rest(t: np.ndarray, own: np.ndarray) -> Move:
    """Small motions of a standing person: breathing, swaying, looking around."""
    n = len(t)
    move = Move(np.zeros((n, len(SEGMENTS), 3)), np.zeros(n), np.full((n, 2), 0.35))
    slow = 2 * np.pi * (0.11 * t + own[:, 0])
    move.turn("chest", Y, 1.0 + np.sin(2 * np.pi * (0.25 * t + own[:, 1])))
    move.turn("head", Z, 12 * np.sin(slow))
    move.turn("head", Y, 4 * np.sin(1.7 * slow))
    move.turn("pelvis", X, 0.8 * np.sin(2.3 * slow))
    move.both("upper_arm", X, 7 + np.zeros(n))
    move.both("forearm", Y, -12 + np.zeros(n))
    return move


def stand(t: np.ndarray, own: np.ndarray) -> Move:
    """Standing."""
    move = _rest(t, own)
    move.flatten_feet()
    return move


def _legs(move: Move, phase: np.ndarray, hip: Extremes, knee: Extremes, ankle: Extremes) -> None:
    for side, shift in (("left", 0.0), ("right", 0.5)):
        p = (phase + shift) % 1.0
        move.turn(f"{side}_thigh", Y, -ease(p, hip))
        move.turn(f"{side}_shank", Y, ease(p, knee))
        move.turn(f"{side}_foot", Y, -ease(p, ankle))


def _arms(move: Move, phase: np.ndarray, swing: float, elbow: float) -> None:
    """Each arm swings opposite to the leg of its side."""
    for side, shift in (("left", 0.0), ("right", 0.5)):
        forward = -np.cos(2 * np.pi * (phase + shift))
        move.turn(f"{side}_upper_arm", Y, -swing * forward)
        move.turn(f"{side}_forearm", Y, -elbow - 0.5 * swing * (forward + 1))


_WALK_HIP = ((0, 28), (0.52, -12), (0.86, 32), (1, 28))
_WALK_KNEE = ((0, 4), (0.14, 18), (0.40, 5), (0.73, 62), (0.97, 3), (1, 4))
_WALK_ANKLE = ((0, 0), (0.08, -6), (0.45, 10), (0.62, -18), (0.80, 2), (1, 0))
WALK_HZ = 0.95  # strides
# A stride is two steps, each as long as straight legs reach: sin 28 + sin 12 degrees.
WALK_SPEED = WALK_HZ * 2 * LEG * (0.469 + 0.208)


def walk(t: np.ndarray, own: np.ndarray) -> Move:
    """Walking at a comfortable pace."""
    phase = (WALK_HZ * t + own[:, 0]) % 1.0
    move = _rest(t, own)
    _legs(move, phase, _WALK_HIP, _WALK_KNEE, _WALK_ANKLE)
    _arms(move, phase, 20, 6)
    turn = np.cos(2 * np.pi * phase)
    move.turn("pelvis", Z, -5 * turn)
    move.turn("chest", Z, 11 * turn)
    move.turn("head", Z, -6 * turn)
    move.turn("chest", Y, 2 + np.zeros(len(t)))
    return move


_RUN_HIP = ((0, 35), (0.38, -12), (0.78, 55), (1, 35))
_RUN_KNEE = ((0, 18), (0.14, 42), (0.34, 18), (0.66, 105), (0.95, 12), (1, 18))
_RUN_ANKLE = ((0, 4), (0.16, 18), (0.40, -22), (0.65, 0), (1, 4))
RUN_HZ = 1.35
RUN_SPEED = 1.65  # statures/s, some 2.9 m/s


def run(t: np.ndarray, own: np.ndarray) -> Move:
    """Running, with a flight phase after each push."""
    phase = (RUN_HZ * t + own[:, 0]) % 1.0
    move = _rest(t, own)
    _legs(move, phase, _RUN_HIP, _RUN_KNEE, _RUN_ANKLE)
    _arms(move, phase, 38, 62)
    turn = np.cos(2 * np.pi * phase)
    move.turn("pelvis", Z, -7 * turn)
    move.turn("chest", Z, 15 * turn)
    move.turn("chest", Y, 8 + np.zeros(len(t)))
    # The flight is from 0.38 to 0.5 of the stride of either leg.
    flight = ((phase % 0.5) - 0.38) / 0.12
    move.lift += np.where(flight > 0, 0.16 * flight * (1 - flight), 0)
    move.curl[:] = 0.8
    return move


def wave(t: np.ndarray, own: np.ndarray) -> Move:
    """Standing and waving the right hand above the head."""
    move = stand(t, own)
    swing = np.sin(2 * np.pi * (1.3 * t + own[:, 0]))
    move.turn("right_upper_arm", X, -118 + 6 * swing)
    move.turn("right_forearm", X, -25 + 32 * swing)
    move.turn("right_hand", X, 12 * swing)
    move.curl[:, 1] = 0.05
    return move


def reach(t: np.ndarray, own: np.ndarray) -> Move:
    """An exercise: raising both arms sideways and lowering them."""
    move = stand(t, own)
    share = ease((t / 4 + own[:, 0]) % 1.0, ((0, 0), (0.45, 1), (0.55, 1), (1, 0)))
    move.both("upper_arm", X, 160 * share)
    move.both("forearm", Y, 10 * share)
    move.curl[:] = 0.1
    return move


def _bend(move: Move, share: np.ndarray, thigh: float, shank: float, lean: float) -> None:
    """Bend hips, knees and trunk; `thigh` and `shank` are angles from the vertical."""
    move.both("thigh", Y, -share * (thigh + 0.6 * lean))
    move.both("shank", Y, share * (thigh + shank))
    move.turn("pelvis", Y, 0.6 * share * lean)
    move.turn("chest", Y, 0.4 * share * lean)
    move.turn("head", Y, -0.6 * share * lean)
    move.both("thigh", X, 8 * share)
    move.flatten_feet()


def squat(t: np.ndarray, own: np.ndarray) -> Move:
    """Knee bends with the arms held out in front."""
    move = _rest(t, own)
    share = ease((t / 3 + own[:, 0]) % 1.0, ((0, 0), (0.45, 1), (0.55, 1), (1, 0)))
    _bend(move, share, 88, 28, 42)
    move.both("upper_arm", Y, -80 * share)
    return move


def crouch(t: np.ndarray, own: np.ndarray) -> Move:
    """Crouching down, staying down, getting up."""
    move = _rest(t, own)
    share = ease((t / 6 + own[:, 0]) % 1.0, ((0, 0), (0.2, 1), (0.75, 1), (1, 0)))
    _bend(move, share, 108, 34, 62)
    move.both("upper_arm", Y, -55 * share)
    move.both("forearm", Y, -40 * share)
    return move


def sit(t: np.ndarray, own: np.ndarray) -> Move:
    """Sitting down on an invisible chair, and getting up."""
    move = _rest(t, own)
    phase = (t / 8 + own[:, 0]) % 1.0
    share = ease(phase, ((0, 0), (0.18, 1), (0.8, 1), (1, 0)))
    # The trunk leans forward on the way down and up, and is upright on the chair.
    lean = ease(phase, ((0, 0), (0.10, 40), (0.22, 4), (0.76, 4), (0.9, 40), (1, 0)))
    _bend(move, share, 86, 2, 0)
    move.turn("chest", Y, lean)
    move.both("upper_arm", Y, -32 * share)
    move.both("forearm", Y, -45 * share)
    return move


def jump(t: np.ndarray, own: np.ndarray) -> Move:
    """Repeated jumps: crouch, push, ballistic flight, landing."""
    move = _rest(t, own)
    speed = 2.2 + 0.6 * own[:, 1]  # m/s at take-off
    flight_s = 2 * speed / GRAVITY
    at = (t + 2 * own[:, 0]) % 2.0 - 0.8  # seconds since take-off
    air = (at > 0) & (at < flight_s)
    move.lift += np.where(air, speed * at - GRAVITY * at * at / 2, 0)
    down = ease(at, ((-0.8, 0), (-0.2, 1), (0.02, 0)))
    landing = ease(at - flight_s, ((-0.1, 0), (0.15, 0.7), (0.5, 0)))
    _bend(move, np.maximum(down, landing), 62, 30, 40)
    up = ease(at, ((-0.45, 0), (0.16, 1), (0.8, 0)))
    move.both("upper_arm", Y, 20 * down - 110 * up)
    toes = ease(at, ((-0.05, 0), (0.03, 1), (0.35, 0)))
    move.both("foot", Y, 38 * toes)
    return move


@lru_cache(maxsize=None)
def _toppling() -> Tuple[np.ndarray, np.ndarray]:
    """Times (s) and tilts (rad) of a rigid rod of 1.7 m that topples from 4 degrees.

    theta'' = 3 g / (2 L) sin(theta), integrated in steps of 1 ms.
    """
    tilt, speed, path = np.radians(4.0), 0.0, [np.radians(4.0)]
    while tilt < np.pi / 2:
        speed += 1.5 * GRAVITY / 1.7 * np.sin(tilt) * 1e-3
        tilt += speed * 1e-3
        path.append(tilt)
    path[-1] = np.pi / 2
    return np.arange(len(path)) * 1e-3, np.array(path)


def fall(t: np.ndarray, own: np.ndarray) -> Move:
    """Standing until t = 0, then falling and lying still.

    One third of the people each falls to the front, to the back and to a side. The tilt is that of
    a rod that topples about its foot; meanwhile the legs bend and the arms reach out.
    """
    move = _rest(t, own)
    times, path = _toppling()
    lean = ease(t, ((-0.3, 0), (0.0, path[0])))
    tilt = np.degrees(np.where(t < 0, lean, np.interp(t, times, path)))
    give = np.sin(np.radians(2 * np.minimum(tilt, 90)))
    way = np.floor(own[:, 2] * 3)
    for k, (axis, sign) in enumerate(((Y, 1.0), (Y, -1.0), (X, np.where(own[:, 1] < 0.5, 1, -1)))):
        move.turn("pelvis", axis, np.where(way == k, sign * tilt, 0))
    move.both("thigh", Y, -38 * give)
    move.both("shank", Y, 62 * give)
    down = np.minimum(tilt, 90) / 90
    # On a side, the arms stay in front; otherwise the body would lie on the lower arm.
    move.both("upper_arm", Y, np.where(way == 2, -70 * down, np.where(way == 1, 35, -75) * give))
    move.both("upper_arm", X, np.where(way == 2, -7, 25) * down)
    move.turn("head", Y, np.where(way == 0, -14, np.where(way == 1, 14, 0)) * tilt / 90)
    level = np.minimum(tilt, 90) < 8
    flat = Move(move.angles.copy(), move.lift, move.curl)
    flat.flatten_feet()
    move.angles = np.where(level[:, None, None], flat.angles, move.angles)
    return move


def lie(t: np.ndarray, own: np.ndarray) -> Move:
    """Lying on the back, on the front or on a side."""
    move = _rest(t, own)
    way = np.floor(own[:, 2] * 3)
    move.turn("pelvis", Y, np.select([way == 0, way == 1], [-90.0, 90.0], 0.0))
    move.turn("pelvis", X, np.where(way == 2, 90.0, 0.0))
    move.both("thigh", Y, np.where(way == 2, -35.0, -4.0))
    move.both("shank", Y, np.where(way == 2, 50.0, 8.0))
    move.both("upper_arm", Y, np.where(way == 2, -65.0, 0.0))
    spread = 14 + 4 * np.sin(0.4 * t + 6 * own[:, 0])
    move.both("upper_arm", X, np.where(way == 2, -7.0, spread))
    return move


MOTIONS: Dict[str, Motion] = {
    "walk": Gait(walk, WALK_SPEED, planted=False),
    "run": Gait(run, RUN_SPEED, planted=False),
    "jog": Gait(run, planted=False),
    "stand": Gait(stand),
    "wave": Gait(wave),
    "reach": Gait(reach),
    "squat": Gait(squat),
    "crouch": Gait(crouch),
    "sit": Gait(sit),
    "jump": Gait(jump),
    "fall": Gait(fall, once=True),
    "lie": Gait(lie),
}
