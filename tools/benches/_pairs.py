"""Two people before a camera: fights, and what resembles them.

A scene is two acts in space. In a fight, two people come near, strike each other for some seconds
while they circle, and part. The other scenes are motion capture, gaits and formulas, alone or in
pairs. What belongs to the split `tune` may be looked at while a rule is made; `report` may not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.motion import Gait, ease
from tools.benches._blows import FRIENDLY, Blow, blows, fighter, points_of
from tools.benches._mocap import played, turned
from tools.render.motion.exercises import EVERYDAY, EXERCISES

TUNE, REPORT = "tune", "report"
SEEDS = {TUNE: 11, REPORT: 77}
# Motion capture and gaits that are no strikes, by split.
CALM_CLIPS: Dict[str, Tuple[str, ...]] = {
    TUNE: ("walk", "dance_a", "gait:jog", "gait:wave", "gait:jump", "getup_facedown"),
    REPORT: ("run", "dance_b", "spin", "gait:run", "gait:walk", "jump", "crawl", "01_03"),
}
CALM_FORMULAS: Dict[str, Tuple[str, ...]] = {
    TUNE: (
        "jumping_jack",
        "lunge",
        "press",
        "knee_raise",
        "side_bend",
        "biceps_curl",
        "gestures",
        "hug",
        "high_five",
        "clapping",
    ),
    REPORT: (
        "jumping_jack",
        "knee_raise",
        "side_bend",
        "arm_circle",
        "push_up",
        "pick_up",
        "handshake",
        "hug",
        "gestures",
        "throwing",
        "basketball_shot",
    ),
}
CAPTURED = {TUNE: ("kick",), REPORT: ("punch", "spinkick", "Boxing_Toes")}
# Tip and joint of each limb, and the least speed of a captured blow in statures a second.
_LIMBS = (
    ("left_hand", 9, 5, 2.3),
    ("right_hand", 10, 6, 2.3),
    ("left_foot", 15, 11, 3.0),
    ("right_foot", 16, 12, 3.0),
)
_TRUTH_HZ = 120
TOGETHER = ("hug", "handshake", "gestures", "high_five", "clapping")  # face to face
FIGHT_S, BEFORE_S, AFTER_S = (3.0, 6.0), 2.0, 1.5
_NEAR_M, _FAR_M = (0.62, 0.95), 2.2


class Truth(NamedTuple):
    """A strike: whose, with which limb, and when the limb is out."""

    person: int
    limb: str
    start_s: float
    end_s: float


class Scene(NamedTuple):
    """People over time."""

    name: str
    rate_hz: float
    points: np.ndarray  # [T,N,17,3] m
    strikes: List[Truth]
    fight_s: Tuple[float, float]  # start and end of the fight; (inf, inf) = there is none

    @property
    def long_s(self) -> float:
        """Its duration."""
        return len(self.points) / self.rate_hz


NO_FIGHT = (np.inf, np.inf)


def fights(split: str, rate_hz: float, count: int, seed: int = 0) -> List[Scene]:
    """Fights of two, from all sides."""
    return [
        _fight(np.random.default_rng([SEEDS[split], 1, i, seed]), i, rate_hz) for i in range(count)
    ]


def _fight(rng: np.random.Generator, number: int, rate_hz: float) -> Scene:
    long_s = float(rng.uniform(*FIGHT_S))
    t_s = np.arange(int((BEFORE_S + long_s + AFTER_S) * rate_hz)) / rate_hz
    span = (BEFORE_S, BEFORE_S + long_s)
    one_sided = rng.random() < 0.3
    pause = (0.25, 0.9) if rng.random() < 0.6 else (0.6, 1.4)
    both = [blows(rng, *span, pause), blows(rng, *span, pause)]
    if one_sided:
        both[int(rng.integers(2))] = []
    people = [_fighter(rng, t_s, both[i], both[1 - i], span) for i in (0, 1)]
    near = rng.uniform(*_NEAR_M)
    gap = ease(t_s, ((0, _FAR_M), (BEFORE_S, near), (span[1], near), (span[1] + 1.2, _FAR_M)))
    gap += 0.12 * np.sin(2 * np.pi * 0.45 * t_s + rng.uniform(0, 6)) * (gap < _FAR_M - 0.3)
    turn = number * np.pi / 8 + 0.5 * np.sin(0.5 * t_s + rng.uniform(0, 6))
    strikes = [Truth(i, blow.limb, blow.start_s, blow.end_s) for i in (0, 1) for blow in both[i]]
    return Scene("fight", rate_hz, facing(people, gap, turn), strikes, span)


def _fighter(
    rng: np.random.Generator,
    t_s: np.ndarray,
    own: List[Blow],
    others: List[Blow],
    span: Tuple[float, float],
) -> np.ndarray:
    ready = rng.uniform(0.5, 1.0) if own else rng.uniform(0, 1)
    guard = ready * ease(t_s, ((0, 0), (span[0], 1), (span[1], 1), (span[1] + 1, 0)))
    hits_s = [b.end_s for b in others if rng.random() < 0.6]
    return points_of(fighter(t_s, rng.random(3), own, hits_s, guard))


def facing(people: Sequence[np.ndarray], gap_m: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Two people [T,17,3] face to face, `gap_m` [T] apart on a line at `turn` [T] rad."""
    placed = []
    for i, points in enumerate(people):
        sign = (1.0, -1.0)[i]
        body = points.copy()
        if sign < 0:
            body[..., :2] *= -1
        body[..., 0] -= sign * gap_m[:, None] / 2
        placed.append(_turned_each(body, turn))
    return np.stack(placed, 1)


def _turned_each(points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    out = points.copy()
    out[..., 0] = cos * points[..., 0] - sin * points[..., 1]
    out[..., 1] = sin * points[..., 0] + cos * points[..., 1]
    return out


def strikers(split: str, rate_hz: float, count: int, seed: int = 0) -> List[Scene]:
    """People alone who punch and kick into the air, with long pauses, from all sides."""
    found = []
    for i in range(count):
        rng = np.random.default_rng([SEEDS[split], 2, i, seed])
        t_s = np.arange(int(12 * rate_hz)) / rate_hz
        struck = blows(rng, 1.0, 11.0, (0.7, 2.5))
        guard = np.full(len(t_s), rng.uniform(0, 1))
        points = points_of(fighter(t_s, rng.random(3), struck, [], guard))
        truth = [Truth(0, b.limb, b.start_s, b.end_s) for b in struck]
        turned_points = turned(points, i * np.pi / 4)
        found.append(Scene("strikes", rate_hz, turned_points[:, None], truth, NO_FIGHT))
    return found


def captured(sets: Optional[Path], split: str, rate_hz: float) -> List[Scene]:
    """Motion capture of people who strike into the air, from four sides, forwards and backwards."""
    t_s = np.arange(int(10 * rate_hz)) / rate_hz
    found = []
    for name in CAPTURED[split]:
        truth = _captured_strikes(played(sets, name, np.arange(10 * _TRUTH_HZ) / _TRUTH_HZ)[0])
        points, _ = played(sets, name, t_s)
        for side in range(4):
            seen = turned(points, side * np.pi / 2 + 0.3)[:, None]
            found.append(Scene(f"captured {name}", rate_hz, seen, truth, NO_FIGHT))
    return found


def _captured_strikes(points: np.ndarray) -> List[Truth]:
    """Where a hand or foot is fast against the hips and goes away from the body."""
    body = points / STATURE_M
    hips, found = body[:, 11:13].mean(1), []
    for limb, tip, joint, least in _LIMBS:
        speed = np.linalg.norm(np.diff(body[:, tip] - hips, axis=0), axis=1) * _TRUTH_HZ
        reach = np.linalg.norm(body[:, tip] - body[:, joint], axis=1)
        fast = np.flatnonzero(speed > least)
        for run in np.split(fast, np.flatnonzero(np.diff(fast) > 0.25 * _TRUTH_HZ) + 1):
            if len(run) and reach[run[-1]] > reach[run[0]]:
                found.append(Truth(0, limb, run[0] / _TRUTH_HZ, run[-1] / _TRUTH_HZ))
    return found


def motion(
    sets: Optional[Path], name: str, t_s: np.ndarray, rng: np.random.Generator
) -> Tuple[np.ndarray, float]:
    """Keypoints [T,17,3] m of a motion by name in its place, and its speed m/s."""
    own = rng.random(3)
    if name in FRIENDLY:
        return points_of(FRIENDLY[name](t_s, own)), 0.0
    play: Callable[..., object] = EXERCISES[name][0] if name in EXERCISES else EVERYDAY.get(name)  # type: ignore[assignment]
    if play is None:
        return played(sets, name, t_s + rng.uniform(0, 10))
    posture = Gait(play).at(t_s, np.broadcast_to(own, (len(t_s), 3)))  # type: ignore[arg-type]
    body = build(posture.frames, np.full(len(t_s), STATURE_M), posture.curl)
    shift = np.zeros((len(t_s), 3))
    shift[:, 2] = posture.lift - body.lowest
    points = body.moved(shift).keypoints[:, :17]
    points[..., :2] -= points[:, 11:13, :2].mean(1, keepdims=True)
    return points, 0.0


def others(
    sets: Optional[Path],
    split: str,
    rate_hz: float,
    long_s: float,
    sides: int = 4,
    seed: int = 0,
) -> List[Scene]:
    """Motion without strikes: each one by two people near each other, and crossing walkers."""
    found: List[Scene] = []
    for kind in CALM_CLIPS[split] + CALM_FORMULAS[split]:
        for side in range(sides):
            rng = np.random.default_rng([SEEDS[split], 3, len(found), seed])
            found.append(_two(sets, kind, side * 2 * np.pi / sides + 0.3, rate_hz, long_s, rng))
    for side in range(2 * sides):
        rng = np.random.default_rng([SEEDS[split], 4, side, seed])
        found.append(_crossing(sets, side * np.pi / sides, rate_hz, long_s, rng))
        found.append(_greeting(sets, side * np.pi / sides, rate_hz, long_s, rng))
    return found


def _two(
    sets: Optional[Path],
    kind: str,
    turn: float,
    rate_hz: float,
    long_s: float,
    rng: np.random.Generator,
) -> Scene:
    """Two people with the same motion: face to face, or side by side."""
    t_s = np.arange(int(long_s * rate_hz)) / rate_hz
    pair = [motion(sets, kind, t_s, rng)[0] for _ in (0, 1)]
    if kind == "01_03":
        pair[1] = pair[1] + 3.0
    if kind in TOGETHER:
        gap = np.full(len(t_s), rng.uniform(0.32, 0.45) if kind == "hug" else rng.uniform(0.7, 1.1))
        return Scene(kind, rate_hz, facing(pair, gap, np.full(len(t_s), turn)), [], NO_FIGHT)
    apart = rng.uniform(0.9, 1.3)
    ahead = [turned(p, turn) for p in pair]
    side = apart / 2 * np.array([-np.sin(turn), np.cos(turn), 0])
    return Scene(kind, rate_hz, np.stack((ahead[0] - side, ahead[1] + side), 1), [], NO_FIGHT)


def _crossing(
    sets: Optional[Path], turn: float, rate_hz: float, long_s: float, rng: np.random.Generator
) -> Scene:
    """Two who walk or run past each other, to and fro, on lanes .5 m apart."""
    t_s = np.arange(int(long_s * rate_hz)) / rate_hz
    kind = ("gait:walk", "gait:run")[int(rng.random() < 0.4)]
    people = []
    for sign in (1.0, -1.0):
        points, speed = motion(sets, kind, t_s, rng)
        lap_s = 5.0 / speed
        lap = np.floor(t_s / lap_s + 0.5)
        along = (t_s / lap_s + 0.5 - lap) * 5.0 - 2.5
        back = np.where(lap % 2 == 0, 1.0, -1.0) * sign
        body = points.copy()
        body[..., :2] *= back[:, None, None]
        body[..., 0] += (along * back)[:, None]
        body[..., 1] += 0.25 * sign
        people.append(turned(body, turn))
    return Scene(f"crossing {kind}", rate_hz, np.stack(people, 1), [], NO_FIGHT)


def _greeting(
    sets: Optional[Path], turn: float, rate_hz: float, long_s: float, rng: np.random.Generator
) -> Scene:
    """One runs to another, both hug, and part again; every five seconds."""
    t_s = np.arange(int(long_s * rate_hz)) / rate_hz
    into_s = t_s % 5.0
    gap = ease(into_s, ((0, 3.0), (1.1, 0.4), (3.5, 0.4), (5.0, 3.0)))
    runs = (into_s < 1.0) | (into_s > 3.8)
    hugging, running = (motion(sets, k, t_s, rng)[0] for k in ("hug", "gait:run"))
    mix = np.convolve(runs, np.ones(5) / 5, "same")[:, None, None]
    people = [hugging * (1 - mix) + running * mix, motion(sets, "hug", t_s, rng)[0]]
    return Scene("greeting", rate_hz, facing(people, gap, np.full(len(t_s), turn)), [], NO_FIGHT)
