"""The rules of places on people whose ways are known: precision and recall.

Walkers, runners and others on a floor of 8 m, seen by cameras that look down by 12, 25 and 40
degrees, at 10, 15 and 30 frames a second, through the noise of the other benches, missed and false
boxes, the tracker and the smoother. Figures with a ground are in metres of the floor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from edge.people.smoother import Smoother
from edge.people.tracker import Tracker
from edge.rules import build_rule
from edge.settings.config import Smooth, Track
from tools.benches import Row, row
from tools.benches import _places_recorded as recorded
from tools.benches import _places_scenes as scenes
from tools.benches import _places_truth as truths
from tools.benches._mocap import BODY
from tools.benches._noise import STATED
from tools.benches._places_scenes import Actor, Scene
from tools.benches._places_truth import Score, Truth
from tools.progress import Progress

CAMERAS = ((12.0, 10), (25.0, 15), (40.0, 30), (25.0, 10), (12.0, 15), (40.0, 15))
LONG_S, SEEDS = 48.0, 3
SLACK_S = 2.5
CALM = {
    "tune": ("walk", "dance_a", "kick", "jump", "gait:reach"),
    "report": ("gait:walk", "dance_b", "punch", "spinkick", "gait:wave", "gait:squat", "gait:jump"),
}
WALKS = {"tune": ("walk", "01_01"), "report": ("gait:walk", "run", "01_03")}
LINE = (complex(-3.5, 0.3), complex(3.5, -0.2))
SQUARE = np.array([-1.5 - 1.5j, 1.5 - 1.5j, 1.5 + 1.5j, -1.5 + 1.5j])
DENSE_PER_M2 = 0.7
NETWORKED = ("line", "loiter", "hands_up")
Make = Callable[[Path, str, np.ndarray, np.random.Generator], List[Actor]]


class Trial(NamedTuple):
    """How a rule is tried."""

    actors: Make
    rule: Callable[[Scene], Dict[str, Any]]
    truth: Callable[[Scene, float], Truth]


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Precision and recall of each rule."""
    rows: List[Row] = []
    seeds = min(rounds, SEEDS)
    with Progress("places", len(TRIALS) * seeds * len(CAMERAS), "scenes") as bar:
        for name in TRIALS:
            found = [
                score(sets, name, "report", c, s, bar.update) for c in CAMERAS for s in range(seeds)
            ]
            total = found[0][0]
            for one, _ in found[1:]:
                total = total.plus(one)
            rows += _rows(name, total, sum(minutes for _, minutes in found))
    return rows + _through_networks(sets)


def _through_networks(sets: Path) -> List[Row]:
    """The same on drawn clips whose poses were recorded, if there are any."""
    totals: Dict[str, Score] = {}
    minutes = 0.0
    for folder in sorted(sets.glob("rendered-rules-*")):
        for clip in recorded.clips(folder):
            minutes += float(np.isfinite(clip.boxes[..., 0]).sum()) / clip.rate_hz / 60
            for name in NETWORKED:
                one = recorded.score(clip, name)
                totals[name] = totals[name].plus(one) if name in totals else one
    return [r for name, t in totals.items() for r in _rows(f"{name}, networks", t, minutes)]


def _rows(name: str, total: Score, minutes: float) -> List[Row]:
    detail = {**total._asdict(), "person_minutes": round(minutes, 1), "noise": STATED}
    told = total.right + total.false
    return [
        row(f"{name}: recall", [total.found / max(total.labels, 1)], "", **detail),
        row(f"{name}: precision", [total.right / max(told, 1)], "", **detail),
    ]


def score(
    sets: Path,
    name: str,
    split: str,
    camera: Tuple[float, int],
    seed: int,
    done: Callable[[], None] = lambda: None,
    **options: Any,
) -> Tuple[Score, float]:
    """How right a rule is in one scene, and how many minutes people were in it."""
    trial, (pitch_deg, rate_hz) = TRIALS[name], camera
    rng = np.random.default_rng([seed, round(pitch_deg), rate_hz, split == "report"])
    t_s = np.arange(round(LONG_S * rate_hz)) / rate_hz
    scene = scenes.of(trial.actors(sets, split, t_s, rng), pitch_deg, rate_hz, rng)
    told = events(scene, build_rule({**trial.rule(scene), **options}, "rules[0]"), rate_hz)
    minutes = float(np.isfinite(scene.points[:, :, 0, 0]).sum()) / rate_hz / 60
    done()
    return truths.judge(trial.truth(scene, rate_hz), told, SLACK_S), minutes


def events(scene: Scene, rule: Any, rate_hz: float) -> List[Tuple[int, str, float]]:
    """What a rule tells: person, action and time of each event; ends are left out."""
    tracker, smooth, told = Tracker(Track(), BODY), Smoother(Smooth(), BODY), []
    for t, instant in enumerate(scene.instants):
        t_ns = int((t + 1) * 1e9 / rate_hz)
        poses = smooth(tracker.update(instant.found, t_ns), t_ns)
        for event in rule(poses, "trial", t_ns):
            if event.data["action"] != "end":
                who = scenes.person_of(scene.boxes[t], poses.boxes[poses.ids == event.person])
                told.append((who, str(event.data["action"]), t / rate_hz))
    return told


def _crossers(sets: Path, split: str, t_s: np.ndarray, rng: np.random.Generator) -> List[Actor]:
    names = WALKS[split]
    return [scenes.wanders(sets, names[i % len(names)], t_s, rng) for i in range(6)]


def _line(scene: Scene) -> Dict[str, Any]:
    ends = scenes.on_picture(scene.camera, np.array(LINE))
    return {"kind": "line", "line": [[p.real, p.imag] for p in ends]}


def _stayers(sets: Path, split: str, t_s: np.ndarray, rng: np.random.Generator) -> List[Actor]:
    return [
        *[scenes.stops(sets, t_s, rng, 5, rng.uniform(14, 20), rng.uniform(0, 0.5)) for _ in "abc"],
        scenes.stops(sets, t_s, rng, 5, 5, 0.2),
        scenes.paces(sets, t_s, rng, 4.0),
        scenes.wanders(sets, WALKS[split][0], t_s, rng),
    ]


def _loiter(scene: Scene) -> Dict[str, Any]:
    options = {"after_s": truths.LOITER_S, "radius_m": truths.LOITER_M, "ground": scene.ground}
    return {"kind": "loiter", **options}


def _hands(sets: Path, split: str, t_s: np.ndarray, rng: np.random.Generator) -> List[Actor]:
    calm = CALM[split]
    picks = [calm[i] for i in rng.permutation(len(calm))[:4]]
    people = [scenes.wanders(sets, name, t_s, rng, scenes.HALF_M - 1) for name in picks]
    stands = [scenes.stops(sets, t_s, rng, 6, 8, 0.1) for _ in "ab"]
    raised = [scenes.raises(actor, t_s, rng, 12.0) for actor in [*stands, people[0]]]
    return [*raised, *people[1:]]


def _crowd_people(sets: Path, split: str, t_s: np.ndarray, rng: np.random.Generator) -> List[Actor]:
    return [scenes.gathers(sets, t_s, rng, 16.0, 1.5) for _ in range(rng.integers(9, 12))]


def _crowd(scene: Scene) -> Dict[str, Any]:
    corners = scenes.on_picture(scene.camera, SQUARE)
    polygon = [[p.real, p.imag] for p in corners]
    options = {"over_per_m2": DENSE_PER_M2, "refractory_s": 2.0, "ground": scene.ground}
    return {"kind": "crowd", "polygon": polygon, **options}


def _feet(scene: Scene, rate_hz: float) -> np.ndarray:
    return truths.feet(scene.points, rate_hz)


TRIALS = {
    "line": Trial(_crossers, _line, lambda s, hz: truths.crossings(_feet(s, hz), hz, LINE)),
    "loiter": Trial(_stayers, _loiter, lambda s, hz: truths.loitering(s.places, hz)),
    "crowd": Trial(
        _crowd_people,
        _crowd,
        lambda s, hz: truths.crowding(_feet(s, hz), hz, SQUARE, DENSE_PER_M2, 2.5),
    ),
    "hands_up": Trial(
        _hands, lambda s: {"kind": "hands_up"}, lambda s, hz: truths.hands_up(s.points, hz)
    ),
}
