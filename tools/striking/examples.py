"""Windows of limbs with labels: which limb of which side has just struck."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from edge.errors import NoInputError
from edge.people.smoother import Smoother
from edge.recording.record import unpack
from edge.recording.ring import SUFFIX, read_segment
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._strikes import blows, windows
from edge.settings.config import Smooth
from tools.benches._mocap import BODY, looking, pixels, poses_of
from tools.benches._noise import measured
from tools.benches._pairs import Scene
from tools.striking.scenes import LONG_S, SHOVE, scenes

RATES_HZ = (10, 10, 12, 15, 15, 20, 25, 30)
HEIGHT_PX = 330.0
_CLEAN, _STEEPEST_DEG, _DISTANCE_M = 0.25, 45.0, (4.0, 9.0)
# A blow is told this long after the limb is out; a little before and after it may be, too.
_AFTER_S, _MAYBE_S = (0.08, 0.26), (-0.08, 0.55)
_NOISE = (0.7, 2.5)  # strengths
_KEEP_S = 3.0
MAYBE = -1


class Examples(NamedTuple):
    """Windows, each of one person at a tick."""

    windows: np.ndarray  # [W,TICKS,TRUNK+1] c64
    labels: np.ndarray  # [W,2,3] i8, right and left side; punch, kick, shove; 1, 0 or MAYBE
    people: np.ndarray  # [W] i64
    t_s: np.ndarray  # [W] in the scene
    names: List[str]  # of each person's scene


def examples(sets: Path, split: str, seed: int) -> Examples:
    """Examples of all scenes of a seed, at a frame rate, pitch and noise that the seed draws."""
    rng = np.random.default_rng([seed, 7])
    rate_hz = int(rng.choice(RATES_HZ))
    noisy = bool(rng.random() >= _CLEAN)
    some = scenes(sets, split, rate_hz, seed)
    distance_m = float(rng.uniform(*_DISTANCE_M))
    camera = looking(
        (1280, 720), HEIGHT_PX * distance_m / STATURE_M, distance_m, rng.uniform(0, _STEEPEST_DEG)
    )
    truth = pixels(camera, np.concatenate([_of_length(s) for s in some], 1))
    seen, scores = truth, np.ones(truth.shape[:3])
    if noisy:
        tall = np.full(truth.shape[1], HEIGHT_PX)
        seen, scores = measured(truth, tall, rate_hz, rng, float(rng.uniform(*_NOISE)))
    found, people, t_s = _windows(seen, scores, rate_hz, int(rng.integers(windows.STEP_NS)))
    names = [s.name for s in some for _ in range(s.points.shape[1])]
    return Examples(found, _labels(some, people, t_s), people, t_s, names)


def calm_examples(folder: Path) -> Examples:
    """Examples of a recording in which nobody strikes.

    Raises:
        NoInputError: there is none. DataError: a file is damaged.
    """
    people = PersonMemory(LONG_S, **windows.fields())
    found = [np.zeros((0, windows.TICKS, windows.TRUNK + 1), np.complex64)]
    segments = sorted(folder.glob("*" + SUFFIX))
    if not segments:
        raise NoInputError(f"{folder}: contains no recording; set [record] max_mb to record")
    for segment in segments:
        for kind, payload in read_segment(segment):
            if kind != "P":
                continue
            told = unpack(payload)
            poses, t_ns = with_ids(told.poses), told.t_ns
            rows = people.rows_of(poses, t_ns)
            bodies = windows.bodies(people, rows, poses, t_ns)
            if windows.follow(people, rows, bodies, t_ns):
                found.append(people["past"][rows[bodies.known]].copy())
            people.forget(people.note_seen(rows, t_ns) > _KEEP_S)
    all_windows = np.concatenate(found)
    count = len(all_windows)
    nobody = np.zeros(count, np.int64)
    return Examples(all_windows, np.zeros((count, 2, 3), np.int8), nobody, nobody * 0.0, ["calm"])


def _of_length(scene: Scene) -> np.ndarray:
    """The points [T,N,17,3] of a scene that waits at its end, or is cut."""
    count = int(LONG_S * scene.rate_hz)
    missing = max(count - len(scene.points), 0)
    return np.concatenate((scene.points[:count], np.repeat(scene.points[-1:], missing, 0)))


def _windows(
    seen: np.ndarray, scores: np.ndarray, rate_hz: float, offset_ns: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of all people at each tick, who it is, and when."""
    smooth, people = Smoother(Smooth(), BODY), PersonMemory(LONG_S, **windows.fields())
    rows = np.arange(seen.shape[1])
    found, times = [], []
    for t in range(len(seen)):
        t_ns = int((t + 1) * 1e9 / rate_hz) + offset_ns
        poses = smooth(poses_of(seen[t], scores[t], HEIGHT_PX), t_ns)
        if t == 0:
            people.rows_of(poses, t_ns)
        bodies = windows.bodies(people, rows, poses, t_ns)
        if windows.follow(people, rows, bodies, t_ns):
            found.append(people["past"].copy())
            tick_ns = t_ns // windows.STEP_NS * windows.STEP_NS
            times.append(np.full(len(rows), (tick_ns - offset_ns) * 1e-9 - 1 / rate_hz))
        people.note_seen(rows, t_ns)
    return np.concatenate(found), np.tile(rows, len(found)), np.concatenate(times)


def _labels(some: Sequence[Scene], people: np.ndarray, t_s: np.ndarray) -> np.ndarray:
    out = np.zeros((len(people), 2, 3), np.int8)
    first = 0
    for scene in some:
        for truth in scene.strikes:
            own = np.flatnonzero(people == first + truth.person)
            late_s = t_s[own] - truth.end_s
            maybe = own[(late_s > _MAYBE_S[0]) & (late_s < _MAYBE_S[1])]
            sure = own[(late_s > _AFTER_S[0]) & (late_s < _AFTER_S[1])]
            for side, what in _places(truth.limb):
                free = maybe[out[maybe, side, what] != 1]
                out[free, side, what] = MAYBE
                out[sure, side, what] = 1
        first += scene.points.shape[1]
    return out


def _places(limb: str) -> List[Tuple[int, int]]:
    """Sides and kinds of labels of a limb."""
    if limb == SHOVE:
        return [(0, 2), (1, 2)]
    at = blows.LIMBS.index(limb)
    return [(1 - at % 2, at // 2)]
