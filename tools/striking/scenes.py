"""Scenes to train and judge with: fights, blows, and motion that is neither, of one split."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.motion import Posture
from tools.benches import _pairs
from tools.benches._mocap import played, turned
from tools.benches._pairs import NO_FIGHT, Scene, Truth
from tools.render.motion import blows, daily, pairs
from tools.striking.random_motion import random_motion

LONG_S = 10.0
FIGHTS = tuple(kind for kind in pairs.PAIRS if kind in pairs._SORTS or kind == "fight_wrestling")
PEACE = tuple(kind for kind in pairs.PAIRS if not kind.startswith("fight"))
SHOVE = "shove"
_ALONE = (  # of the split tune
    "gait:walk",
    "gait:squat",
    "gait:reach",
    "gait:crouch",
    "gait:sit",
    "gait:jog",
    "walk",
    "dance_a",
    "gait:wave",
    "gait:jump",
    "01_01",
    "cartwheel",
    "getup_facedown",
)
_LIMBS = {"jab": "hand", "hook": "hand", "front_kick": "foot", "low_kick": "foot"}


def scenes(sets: Path, split: str, rate_hz: float, seed: int) -> List[Scene]:
    """Scenes of LONG_S or less; other seeds give other people, sides and times."""
    seed += 1000 * (1 + (split == _pairs.REPORT))
    found = _pairs.fights(split, rate_hz, 10, seed) + _pairs.strikers(split, rate_hz, 14, seed)
    found += _pairs.captured(sets, split, rate_hz)
    found += _pairs.others(sets, split, rate_hz, LONG_S, 1, seed)
    for number, kind in enumerate(FIGHTS + PEACE):
        for i in range(4 if kind in FIGHTS else 2):
            rng = np.random.default_rng([seed, number, i])
            found.append(_pair(kind, rate_hz, rng))
    return found + _alone(sets, split, rate_hz, seed)


def _alone(sets: Path, split: str, rate_hz: float, seed: int) -> List[Scene]:
    t_s = np.arange(int(LONG_S * rate_hz)) / rate_hz
    rng = np.random.default_rng([seed, 9])
    bodies = {f"random {i}": random_motion(t_s, rng, rng.uniform(0.5, 1.3)) for i in range(30)}
    for kind, gait in daily.DAILY.items():
        own = np.tile(rng.random(3), (len(t_s), 1))
        bodies[kind] = _points(gait.at(t_s - 1.0 if gait.once else t_s, own))
    for kind in _ALONE if split == _pairs.TUNE else ():
        bodies[kind] = played(sets, kind, t_s * rng.uniform(0.75, 1.3) + rng.uniform(0, 5))[0]
    return [
        Scene(kind, rate_hz, turned(points, rng.uniform(0, 2 * np.pi))[:, None], [], NO_FIGHT)
        for kind, points in bodies.items()
    ]


def _pair(kind: str, rate_hz: float, rng: np.random.Generator) -> Scene:
    """Two people of a rendered scene."""
    turn = rng.uniform(0, 2 * np.pi)
    script = pairs.draw_script(kind, LONG_S, rng)
    t_s = np.arange(int(LONG_S * rate_hz)) / rate_hz
    people, truth = [], []
    for who in (0, 1):
        posture = pairs.Part(script, who).at(t_s, np.tile(rng.random(3), (len(t_s), 1)))
        points = _points(posture)
        points[..., 0] -= pairs.APART[kind] * STATURE_M / 2
        people.append(turned(points, turn + np.pi * who))
        truth += [_truth(blow) for blow in script.blows if blow.who == who]
    span = (script.start_s, script.end_s) if script.is_fight else NO_FIGHT
    return Scene(kind, rate_hz, np.stack(people, 1), truth, span)


def _truth(blow: blows.Blow) -> Truth:
    side = "left" if blow.left else "right"
    limb = f"{side}_{_LIMBS[blow.sort]}" if blow.sort in _LIMBS else SHOVE
    return Truth(blow.who, limb, blow.start_s, blow.start_s + blows.HIT_S[blow.sort])


def _points(posture: Posture) -> np.ndarray:
    """COCO's keypoints [T,17,3] m, the lowest point on the floor."""
    count = len(posture.lift)
    body = build(posture.frames, np.full(count, STATURE_M), posture.curl)
    shift = np.zeros((count, 3))
    shift[:, :2], shift[:, 2] = posture.travel * STATURE_M, posture.lift - body.lowest
    points: np.ndarray = body.moved(shift).keypoints[:, :17]
    return points
