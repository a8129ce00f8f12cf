"""The rules `fight` and `strike` on fights, single blows, and motion that is neither.

From many sides, by cameras that look down by 0, 15, 30 and 45 degrees, at 10, 15 and 30 frames a
second, clean and with the noise of `_noise`, through the smoother, with the defaults of all. Where
two people overlap in the picture, one of them is lost now and then and comes back with another id.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.people.smoother import Smoother
from edge.rules import Rule, fight, strike
from edge.settings.config import Smooth
from edge.structures import PoseEvent, Poses
from tools.benches import Row, row
from tools.benches._mocap import BODY, looking, pixels, poses_of
from tools.benches._noise import STATED, measured
from tools.benches._pairs import REPORT, Scene, captured, fights, others, strikers
from tools.progress import Progress

RATES_HZ, PITCHES_DEG = (10, 15, 30), (0, 15, 30, 45)
HEIGHT_PX, DISTANCE_M = 330.0, 6.0
FIGHTS, STRIKERS, CALM_S = 16, 8, 12.0
SOON_S = 2.0  # a fight is found if it is told until so long after its end
_BEFORE_S, _AFTER_S = 0.2, 0.7  # of a strike's event around the moment when the limb is out
_LOST_H, _LOST_SHARE, _LOST_S = 0.25, 0.3, (0.3, 1.0)


class Told(NamedTuple):
    """What both rules told of one scene."""

    scene: Scene
    fights: List[float]  # seconds of the starts
    strikes: List[Tuple[float, int]]  # seconds, and the number of the person in the scene


class Found(NamedTuple):
    """Counts over scenes."""

    hits: int
    wanted: int
    false: int
    minutes: float


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Rows for each rate, clean and noisy: recall and false alarms of both rules."""
    rows: List[Row] = []
    with Progress("fights", 2 * len(RATES_HZ), "cameras") as bar:
        for rate_hz in RATES_HZ:
            some = scenes(sets, REPORT, rate_hz)
            for noisy in (False, True):
                told = watched(some, rate_hz, noisy)
                bar.update()
                rows += _rows(f"{rate_hz} fps {'noisy' if noisy else 'clean'}", told, noisy)
    return rows


def scenes(sets: Path, split: str, rate_hz: float) -> List[Scene]:
    """All scenes of a split."""
    return (
        fights(split, rate_hz, FIGHTS)
        + strikers(split, rate_hz, STRIKERS)
        + captured(sets, split, rate_hz)
        + others(sets, split, rate_hz, CALM_S, 2)
    )


def watched(
    some: Sequence[Scene],
    rate_hz: int,
    noisy: bool,
    smooth: Smooth = Smooth(),  # noqa: B008 - frozen
) -> List[Told]:
    """What the rules tell of scenes, each seen by one of the cameras."""
    told = []
    for number, scene in enumerate(some):
        pitch_deg = PITCHES_DEG[number % len(PITCHES_DEG)]
        camera = looking((1280, 720), HEIGHT_PX * DISTANCE_M / 1.72, DISTANCE_M, pitch_deg)
        truth = pixels(camera, scene.points)
        rng = np.random.default_rng([rate_hz, int(pitch_deg), number])
        tall = np.full(truth.shape[1], HEIGHT_PX)
        seen, scores = truth, np.ones(truth.shape[:3])
        if noisy:
            seen, scores = measured(truth, tall, rate_hz, rng)
        filter_ = Smoother(smooth, BODY)
        ids = _ids(truth, rate_hz, rng)
        rules: Tuple[Rule, Rule] = (fight.build(fight.Options()), strike.build(strike.Options()))
        found: List[PoseEvent] = []
        for t, now in enumerate(ids):
            t_ns = int((t + 1) * 1e9 / rate_hz)
            poses = poses_of(seen[t], scores[t], HEIGHT_PX)
            people = _named(poses, now)
            smoothed = filter_(people, t_ns)
            for rule in rules:
                found += rule(smoothed, "trial", t_ns)
        told.append(_told(scene, found, ids))
    return told


def _named(poses: Poses, ids: np.ndarray) -> Poses:
    """The people who are not lost, with these ids."""
    return dataclasses.replace(poses, ids=ids).take(ids >= 0)


def _ids(truth: np.ndarray, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Ids [T,N] as a tracker gives them: in a clinch one is lost, -1, and comes back as another."""
    count, people = truth.shape[:2]
    ids = np.tile(np.arange(people), (count, 1))
    if people < 2:
        return ids
    trunks = truth[:, :, [5, 6, 11, 12]].mean(2)
    close = np.linalg.norm(trunks[:, 0] - trunks[:, 1], axis=1) < _LOST_H * HEIGHT_PX
    next_id, t = people, 0
    while t < count:
        if not close[t] or rng.random() > _LOST_SHARE / rate_hz:
            t += 1
            continue
        who, back = int(rng.integers(2)), t + int(rng.uniform(*_LOST_S) * rate_hz) + 1
        ids[t:back, who] = -1
        if rng.random() < 0.5:
            ids[back:, who] = next_id
            next_id += 1
        t = back + int(rate_hz)
    return ids


def _told(scene: Scene, events: Sequence[PoseEvent], ids: np.ndarray) -> Told:
    place = {int(who): person for person in range(ids.shape[1]) for who in set(ids[:, person])}
    starts = [e.t_ns * 1e-9 for e in events if e.kind == "fight" and e.data["action"] == "start"]
    struck = [(e.t_ns * 1e-9, place[e.person]) for e in events if e.kind == "strike"]
    return Told(scene, starts, struck)


def fights_found(told: Sequence[Told]) -> Found:
    """Fights that were told, and false ones; a fight may be told once more within itself."""
    hits = wanted = false = 0
    minutes = 0.0
    for one in told:
        start_s, end_s = one.scene.fight_s
        inside = [s for s in one.fights if start_s <= s <= end_s + SOON_S]
        hits += bool(inside)
        wanted += bool(np.isfinite(end_s))
        false += len(one.fights) - len(inside)
        minutes += one.scene.long_s / 60
    return Found(hits, wanted, false, minutes)


def strikes_found(told: Sequence[Told]) -> Found:
    """Strikes that were told, each by one event of its person; other events are false."""
    hits = wanted = false = 0
    minutes = 0.0
    for one in told:
        left = list(one.strikes)
        for truth in one.scene.strikes:
            near = [
                e
                for e in left
                if e[1] == truth.person and -_BEFORE_S <= e[0] - truth.end_s <= _AFTER_S
            ]
            if near:
                left.remove(near[0])
            hits += bool(near)
        wanted += len(one.scene.strikes)
        false += len(left)
        minutes += one.scene.long_s / 60
    return Found(hits, wanted, false, minutes)


def _rows(name: str, told: Sequence[Told], noisy: bool) -> List[Row]:
    calm = [t for t in told if not t.scene.strikes and not np.isfinite(t.scene.fight_s[1])]
    fought, struck = fights_found(told), strikes_found(told)
    calm_fights, calm_strikes = fights_found(calm), strikes_found(calm)
    more: Dict[str, Any] = {"noise": STATED if noisy else "none"}
    return [
        row(f"fights {name}: recall", [fought.hits / fought.wanted], "", of=fought.wanted, **more),
        row(
            f"fights {name}: false alarms in 10 minutes of other motion",
            [10 * calm_fights.false / calm_fights.minutes],
            "",
            minutes=round(calm_fights.minutes, 1),
            motions=_by_motion(calm, "fights"),
        ),
        row(f"strikes {name}: recall", [struck.hits / struck.wanted], "", of=struck.wanted),
        row(
            f"strikes {name}: precision",
            [struck.hits / max(struck.hits + struck.false, 1)],
            "",
            false=struck.false,
        ),
        row(
            f"strikes {name}: false ones in 10 minutes of other motion",
            [10 * calm_strikes.false / calm_strikes.minutes],
            "",
            motions=_by_motion(calm, "strikes"),
        ),
    ]


def _by_motion(told: Sequence[Told], kind: str) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for one in told:
        found[one.scene.name] = found.get(one.scene.name, 0) + len(getattr(one, kind))
    return {name: count for name, count in found.items() if count}
