"""Scenes that teach the rule `fall`: people who fall, lie down slowly, or do neither.

Each scene is one camera at a pitch, a distance and a frame rate. All its people are seen at once,
each as a track of its own, with the noise of the benches and through the smoother. In some, legs or
torso are hidden. Only clips of TUNE are played; scripts belong to both splits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.gaits import MOTIONS
from edge.capture._synthetic.motion import Gait
from edge.people.smoother import Smoother
from edge.settings.config import Smooth
from edge.structures import Poses
from tools.benches import _acts
from tools.benches._acts import Act
from tools.benches._mocap import BODY, bodies, clips, looking, pixels, played, poses_of, turned
from tools.benches._noise import measured
from tools.render.motion import falls
from tools.render.motion.daily import DAILY
from tools.render.motion.exercises import EVERYDAY, EXERCISES

Draw = np.random.Generator
RATES_HZ = (10, 15, 30)
LONG_S, BEFORE_S, HEIGHT_PX = 12.0, 3.0, 330.0
LYING = "lying"  # name of acts that end in lying, without a fall
_CLIPS = ("cartwheel", "dance_a", "spin", "jump", "kick", "01_01", "walk")
_GETS_UP, _WALKS = "getup_facedown", ("walk", "gait:walk", "gait:run")
_LIE_DOWN_S = (2.2, 3.0, 4.0, 5.0)
# Scripts, and the fastest pace at which they are played (the slowest is SLOWEST).
_SLOWEST, _PACE = 0.75, 1.5
_SCRIPTS = {
    "tie_shoes": 2.5,
    "sit_down_fast": _PACE,
    "sit": 2.0,
    "crawl_on": _PACE,
    "get_up": 1.6,
    "look_under": 3.2,
    "stumble": _PACE,
    "pick_up": 2.6,
    "push_up": _PACE,
    "crouch": 2.4,
    "squat": 2.2,
    "deadlift": 3.2,
    "lunge": _PACE,
    "jumping_jack": _PACE,
    "sit_down_on_floor": 1.9,
    "lie_down": 1.9,
    "stand": _PACE,
    "hands_up": _PACE,
    "jump": _PACE,
    "reach": _PACE,
    "knee_raise": _PACE,
    "kneel": 1.6,
    "burpee": 1.6,
}
_OFTEN = (
    *("lie_down", "lie_down", "look_under", "sit_down_on_floor", "tie_shoes", "crouch"),
    *("kneel", "kneel", "burpee", "burpee", "deadlift", "sit_down_fast"),
)
_PITCH_DEG, _NEAR_M, _FAR_M = 62.0, (2.6, 7.0), 18.0
_HIDDEN, _MISSED = 0.06, 0.05  # share of people with hidden legs or torso, and of missing points
_PARTS = ([13, 14, 15, 16], [15, 16], [5, 6, 11, 12])


class Scene(NamedTuple):
    """What one camera saw."""

    rate_hz: int
    acts: List[Act]
    frames: List[Tuple[int, Poses]]  # time ns and people; the id is the number of the act


def scenes(sets: Path, count: int, seed: int) -> Iterator[Scene]:
    """So many scenes; the same seed gives the same ones."""
    rng = np.random.default_rng([seed, 3])
    for number in range(count):
        rate_hz = RATES_HZ[number % len(RATES_HZ)]
        acts = _acts_of(sets, rate_hz, rng)
        frames = _seen(acts, rate_hz, number % 2 == 1, number % 5 != 4, rng)
        yield Scene(rate_hz, acts, frames)


def _acts_of(sets: Path, rate_hz: int, rng: Draw) -> List[Act]:
    seed = int(rng.integers(1 << 30))
    found = _acts.falls(sets, _acts.TUNE_STARTS, rate_hz, 3, seed)
    found += [
        _scripted_fall(k, rate_hz, rng) for k in (*falls.KINDS, *falls.MORE) for _ in range(4)
    ]
    for long_s in _LIE_DOWN_S:
        lies = _acts.lying_down(sets, _acts.TUNE_STARTS, rate_hz, 1, seed, long_s)
        found += [act._replace(name=LYING) for act in lies]
    found = [_lasting(act, rate_hz, rng) for act in found]
    times = np.arange(int(LONG_S * rate_hz)) / rate_hz
    for name in _CLIPS:
        points, _ = played(sets, name, times + rng.uniform(0, 3))
        found += [Act(name, turned(points, rng.uniform(0, 2 * np.pi)), np.inf) for _ in range(3)]
    clip = clips(sets, (_GETS_UP,))[_GETS_UP]
    for _ in range(4):
        own_s = np.clip(times - rng.uniform(0, 4), 0, clip.length_s - 1e-3)
        points = turned(bodies(clip, own_s), rng.uniform(0, 2 * np.pi))
        found.append(Act(_GETS_UP, points, np.inf))
    names = [name for name in (*_SCRIPTS, *_OFTEN) for _ in range(2)]
    found += [_script(name, times, rng) for name in names]
    return found + _acts.calm(sets, _WALKS, rate_hz, LONG_S)


def _lasting(act: Act, rate_hz: int, rng: Draw) -> Act:
    """The act turned, cut or held to LONG_S."""
    count = int(LONG_S * rate_hz)
    points = act.points[:count]
    held = np.repeat(points[-1:], count - len(points), 0)
    whole = np.concatenate((points, held))
    return act._replace(points=turned(whole, rng.uniform(0, 2 * np.pi)))


def _scripted_fall(kind: str, rate_hz: int, rng: Draw) -> Act:
    fall = falls.draw(kind, bool(rng.random() < 0.6))
    pace = float(np.exp(rng.normal(0, 0.12)))
    times = (np.arange(int(LONG_S * rate_hz)) / rate_hz - BEFORE_S) * pace
    points = _bodies(fall, times, rng.random(3))
    return Act(kind, points, BEFORE_S + fall.impact_s / pace)


def _script(name: str, times: np.ndarray, rng: Draw) -> Act:
    motion = _motion(name)
    pace = float(rng.uniform(_SLOWEST, _SCRIPTS[name]))
    start_s = rng.uniform(2, 6) if motion.once else 0.0
    points = _bodies(motion, (times - start_s) * pace, rng.random(3))
    return Act(name, turned(points, rng.uniform(0, 2 * np.pi)), np.inf)


def _motion(name: str) -> Any:
    if name in DAILY:
        return DAILY[name]
    if name in MOTIONS:
        return MOTIONS[name]
    if name in EXERCISES:
        return Gait(EXERCISES[name][0])
    return Gait(EVERYDAY[name], once=name != "pick_up")


def _bodies(motion: Any, t_s: np.ndarray, own: np.ndarray) -> np.ndarray:
    """COCO's keypoints [T,17,3] m."""
    posture = motion.at(t_s, np.tile(own, (len(t_s), 1)))
    body = build(posture.frames, np.full(len(t_s), STATURE_M), posture.curl)
    shift = np.zeros((len(t_s), 3))
    shift[:, 2] = posture.lift - body.lowest
    feet = body.joints[:, [11, 14], :2].mean(1)
    shift[:, :2] = -feet if motion.planted else posture.travel * STATURE_M
    return body.moved(shift).keypoints[:, :17]


def _seen(
    acts: Sequence[Act], rate_hz: int, gaps: bool, smooth: bool, rng: Draw
) -> List[Tuple[int, Poses]]:
    """The people through the camera, the noise and, if it is `smooth`, the smoother."""
    pitch_deg = float(rng.uniform(0, _PITCH_DEG))
    far_m = float(rng.uniform(*_NEAR_M)) if rng.random() < 0.7 else _FAR_M
    camera = looking((1280, 720), HEIGHT_PX * far_m / STATURE_M, far_m, pitch_deg)
    truth = np.stack([pixels(camera, act.points) for act in acts], 1)
    points, scores = measured(truth, np.full(len(acts), HEIGHT_PX), rate_hz, rng)
    for part in _PARTS:
        hidden = np.flatnonzero(rng.random(len(acts)) < _HIDDEN)
        scores[:, hidden[:, None], part] = 0.1
    if gaps:
        scores = np.where(rng.random(scores.shape) < _MISSED, 0, scores)
    smoother, out = Smoother(Smooth(), BODY), []
    for t in range(len(truth)):
        t_ns = int((t + 1) * 1e9 / rate_hz)
        poses = poses_of(points[t], scores[t], HEIGHT_PX)
        poses = smoother(poses, t_ns) if smooth else poses
        out.append((t_ns, poses.take(np.arange(len(poses)))))
    return out
