"""Cost of rules: every kind of rule beside each other, for 50 people in 4 cameras."""

from __future__ import annotations

import gc
import time
import tracemalloc
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from edge import plug
from edge.capture._synthetic.body import STATURE_M
from edge.errors import ConfigError
from edge.geometry import boxes_of
from edge.rules import Rule, build_rule
from edge.scene.ground import Ground
from edge.settings import templates
from edge.skeletons import body17
from edge.structures import PoseEvent, Poses, RuleSummary
from tools.benches import Row, row
from tools.benches._mocap import looking, pixels, turned
from tools.render.motion.bodies import bodies
from tools.render.motion.exercises import EXERCISES

GOAL_MS = 2.0  # of all rules, for one frame of one camera
GROWTH_GOAL_KB = 64.0
PEOPLE, CAMERAS, HZ, LONG_S = 50, 4, 30.0, 8.0
_SIZE = (1920, 1080)
_FLOOR = [[100, 300], [1800, 300], [1900, 1050], [50, 1050]]
_FLOOR_M = Ground((0.004, 0, 0, 0, 0.004, 0, 0, 0, 1))
# Options of kinds that need some, or that do more with them. Other kinds run with their defaults.
TABLES: Dict[str, Dict[str, Any]] = {
    "action": {"template": "squat"},
    "custom": {
        "when": 'angle("left_elbow") < 40 deg and speed("left_wrist") > 1.5 H/s for 0.3 s',
    },
    "crowd": {"polygon": _FLOOR, "area_m2": 48.0},
    "line": {"line": [[200, 800], [1700, 700]]},
    "run": {"ground": _FLOOR_M},
    "rom": {"angle": "knee", "reps": 10, "low_deg": 5, "high_deg": 120, "max_lean_deg": 25},
    "zone": {"polygon": _FLOOR, "dwell_s": 1.0},
}


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Time of each kind of rule and of all together for a frame; growth of memory."""
    frames = crowd(round(LONG_S * HZ))
    built = {kind: rule(kind) for kind in plug.names("rules")}
    times = {kind: _times_ms(one, frames, max(rounds // 2, 1)) for kind, one in built.items()}
    each = [
        row(f"rules: {kind}", list(found), "ms", None, people=len(frames[0]))
        for kind, found in times.items()
    ]
    together = _times_ms(_Together([rule(kind) for kind in times]), frames, max(rounds // 2, 1))
    name = f"rules: all {len(times)}, one frame of {CAMERAS} cameras with {PEOPLE} people"
    grown_kb = _grown_kb(list(built.values()), frames)
    return [
        *each,
        row(name, list(together), "ms", GOAL_MS),
        row("rules: memory after as many frames again", [grown_kb], "KB", GROWTH_GOAL_KB),
    ]


def rule(kind: str) -> Rule:
    """A rule of a kind, with options that let it work.

    Raises:
        ConfigError: it needs an option that `TABLES` lacks.
    """
    table = {"kind": kind, **TABLES.get(kind, {})}
    try:
        return build_rule(templates.resolved(table, kind), kind)
    except ConfigError as error:
        raise ConfigError(f"{error}; give it in TABLES of tools/benches/rules.py") from error


def crowd(count: int) -> List[Poses]:
    """Frames of one of the cameras: its share of the people exercise side by side, with noise."""
    n, rng = -(-PEOPLE // CAMERAS), np.random.default_rng(0)
    t_s = np.arange(count) / HZ
    camera = looking(_SIZE, 1000, 5.0, 5.0)
    names = sorted(EXERCISES)
    each = []
    for i in range(n):
        points = bodies(names[i % len(names)], t_s, rng.random(3))
        seen = pixels(camera, turned(points, rng.random() * 2 * np.pi))
        each.append(seen + [130.0 * (i - n / 2), 0.0])
    places = np.stack(each, 1) + rng.normal(0, 0.006 * 200 * STATURE_M, (count, n, 17, 2))
    return [_poses(frame.astype(np.float32)) for frame in places]


def _poses(points: np.ndarray) -> Poses:
    n, at = len(points), body17("wholebody133")
    keypoints, scores = np.zeros((n, 133, 2), np.float32), np.zeros((n, 133), np.float32)
    keypoints[:, at], scores[:, at] = points, 0.9
    boxes = boxes_of(keypoints, scores, 0.3)
    return Poses(keypoints, scores, boxes, np.arange(n), np.ones(n, np.float32), "wholebody133")


class _Together:
    """Rules that are given the same record one after the other, as in the daemon: they share work.

    Args:
        rules: in their order.
    """

    def __init__(self, rules: List[Rule]) -> None:
        self._rules = rules

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        return [event for one in self._rules for event in one(poses, camera, t_ns)]

    def summary(self) -> RuleSummary:
        """The last of them all."""
        return [one.summary() for one in self._rules][-1]


def _times_ms(one: Rule, frames: List[Poses], passes: int) -> np.ndarray:
    """Time [T] of this thread for each frame with its summary: the least of the passes.

    Other work on the machine makes times longer, never shorter.
    """
    found = np.full(len(frames), np.inf)
    for nth in range(passes + 1):  # the first pass lets the rule know the people
        for i, poses in enumerate(frames):
            t_ns = round((nth * len(frames) + i + 1) * 1e9 / HZ)
            start = time.thread_time()
            one(poses, "bench", t_ns)
            one.summary()
            spent_ms = (time.thread_time() - start) * 1e3
            found[i] = min(found[i], spent_ms) if nth else np.inf
    return found


def _grown_kb(rules: List[Rule], frames: List[Poses]) -> float:
    """What the rules hold more after seeing the frames a second time."""
    held, begin_ns = [], 10**13
    tracemalloc.start()
    try:
        for nth in range(3):
            for i, poses in enumerate(frames):
                t_ns = begin_ns + round((nth * len(frames) + i) * 1e9 / HZ)
                for one in rules:
                    one(poses, "bench", t_ns)
                    one.summary()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return max(held[2] - held[1], 0) / 1024
