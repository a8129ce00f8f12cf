"""People who move at random, as dancers do: what a judge of blows must not take for one."""

from __future__ import annotations

from typing import Callable

import numpy as np

from edge.capture._synthetic.gaits import stand
from edge.capture._synthetic.motion import Move, X, Y, Z
from tools.benches._blows import points_of

# Limb, axis, mean and spread deg of its posture, amplitude deg, least and largest angle.
_ARMS = (
    ("upper_arm", Y, -25, 35, 45, -170, 60),
    ("upper_arm", X, 15, 20, 35, -20, 160),
    ("forearm", Y, -50, 30, 45, -140, 0),
    ("forearm", Z, 0, 20, 25, -90, 90),
)
_LEGS = (
    ("thigh", Y, -12, 12, 28, -110, 30),
    ("shank", Y, 20, 15, 30, 0, 130),
    ("thigh", X, 3, 5, 10, -10, 60),
)
_TRUNK = (
    ("chest", Z, 20),
    ("chest", Y, 10),
    ("chest", X, 8),
    ("pelvis", Z, 15),
    ("pelvis", Y, 10),
    ("head", Z, 15),
)
_SLOWEST_HZ, _FASTEST_HZ = 0.2, 2.8
Swing = Callable[[float], np.ndarray]


def random_motion(t_s: np.ndarray, rng: np.random.Generator, lively: float) -> np.ndarray:
    """Keypoints [T,17,3] m of somebody whose joints swing at random.

    Args:
        t_s: [T].
        rng: of all choices.
        lively: scales all amplitudes.
    """
    move = stand(t_s, np.broadcast_to(rng.random(3), (len(t_s), 3)))
    swing = _swings(t_s, rng, lively)
    alike = rng.random() < 0.3
    for limbs, share in ((_ARMS, rng.choice([0.3, 1, 1])), (_LEGS, rng.choice([0, 0.5, 1]))):
        for name, axis, mean, spread, most, low, high in limbs:
            angles = [
                np.clip(rng.normal(mean, spread) + swing(most * share), low, high) for _ in (0, 1)
            ]
            _turn(move, name, axis, angles[0], angles[0] if alike else angles[1])
    for name, axis, most in _TRUNK:
        move.turn(name, axis, swing(most * rng.choice([0, 1, 1])))
    if rng.random() < 0.3:
        move.lift += np.maximum(swing(0.12), 0)
    points = points_of(move)
    if rng.random() < 0.5:
        points[..., :2] += np.stack([swing(0.3), swing(0.3)], 1)[:, None]
    return points


def _turn(move: Move, name: str, axis: int, left: np.ndarray, right: np.ndarray) -> None:
    move.turn(f"left_{name}", axis, left)
    move.turn(f"right_{name}", axis, right if axis == Y else -right)


def _swings(t_s: np.ndarray, rng: np.random.Generator, lively: float) -> Swing:
    """Gives curves of an amplitude, most of them to one beat."""
    strength = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.05, 0.25) * t_s + rng.uniform(0, 6))
    beat_hz = np.exp(rng.uniform(np.log(0.3), np.log(2.2)))

    def swing(most: float) -> np.ndarray:
        curve = np.zeros(len(t_s))
        for _ in range(int(rng.integers(1, 4))):
            free_hz = np.exp(rng.uniform(np.log(_SLOWEST_HZ), np.log(2.5)))
            hz = beat_hz * rng.choice([0.5, 1, 1, 2]) if rng.random() < 0.6 else free_hz
            hz = min(float(hz), _FASTEST_HZ)
            angle = 2 * np.pi * hz * t_s + rng.uniform(0, 6)
            curve += rng.uniform(0.2, 0.8) * np.sin(angle) / max(1.0, hz / 1.6)
        out: np.ndarray = most * curve * strength * lively
        return out

    return swing
