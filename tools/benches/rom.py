"""The rule `rom` on exercises by formula: angle, repetitions, and refusal of bad views.

The joint angles of a body in space are the truth. Cameras see it from all around; `_noise` spoils
the keypoints, and the smoother runs with its defaults. Options were chosen on TUNE.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from edge.people import angles
from edge.people.smoother import Smoother
from edge.rules.rom import Options
from edge.rules.rom import build as build_rule
from edge.settings.config import Smooth
from tools.benches import Row, row
from tools.benches._mocap import BODY, looking, pixels, poses_of, turned
from tools.benches._noise import STATED, measured
from tools.render.motion import bodies as exercising

# (exercise, angle, the plane it moves in)
TUNE = (
    ("lunge", "left_knee", "sagittal"),
    ("squat", "right_knee", "sagittal"),
    ("biceps_curl", "left_elbow", "own"),
    ("jumping_jack", "left_shoulder_abduction", "frontal"),
)
REPORT = (
    ("knee_raise", "left_knee", "sagittal"),
    ("knee_raise", "right_hip", "sagittal"),
    ("deadlift", "left_hip", "sagittal"),
    ("push_up", "left_elbow", "own"),  # no camera here sees it in its plane
    ("press", "right_elbow", "own"),
    ("side_bend", "trunk_side_bend", "frontal"),
)
HEADINGS_DEG = tuple(range(0, 360, 15))
RATE_HZ, LONG_S, SETTLE_S = 30, 16.0, 2.0
HEIGHT_PX, DISTANCE_M = 330.0, 6.0
DELAY_FRAMES = 2  # of the smoother and the rule's filter
IN_PLANE_DEG, OUT_OF_PLANE_DEG = 15.0, 45.0
_UP = (0.0, 0.0, 1.0)


class Seen(NamedTuple):
    """One exercise from H headings over T frames."""

    off_deg: np.ndarray  # [H] true angle between the picture and the plane of the movement
    truth: np.ndarray  # [T] deg
    angle: np.ndarray  # [T,H] deg as the rule has it
    known: np.ndarray  # [T,H] bool
    repetitions: np.ndarray  # [H] told


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Rows with noise and without, over the exercises of REPORT."""
    rows: List[Row] = []
    for noisy in (True, False):
        found = [seen(*exercise, noisy=noisy) for exercise in REPORT]
        name = f"rom {'with noise' if noisy else 'clean'}"
        earlier = f"{DELAY_FRAMES / RATE_HZ * 1e3:.0f} ms earlier"
        figures = {
            "angle RMSE in plane": ([rmse(s) for s in found], "deg"),
            f"the same against the angle {earlier}": (
                [rmse(s, DELAY_FRAMES) for s in found],
                "deg",
            ),
            "refused in plane": ([refused(s, 0, IN_PLANE_DEG) for s in found], ""),
            "refused out of plane": ([refused(s, OUT_OF_PLANE_DEG, 90) for s in found], ""),
        }
        noise = STATED if noisy else "none"
        rows += [_row(f"{name}: {what}", *figure, noise) for what, figure in figures.items()]
    return rows


def _row(name: str, values: Sequence[float], unit: str, noise: str) -> Row:
    """Over the exercises that have such views."""
    names = [f"{exercise}, {angle}" for exercise, angle, _ in REPORT]
    there = {n: round(v, 3) for n, v in zip(names, values) if np.isfinite(v)}
    return row(name, list(there.values()), unit, noise=noise, exercises=there)


def seen(exercise: str, angle: str, plane: str, noisy: bool, seed: int = 1, **options: Any) -> Seen:
    """What the rule makes of an exercise, from all headings."""
    t_s = np.arange(int(LONG_S * RATE_HZ)) / RATE_HZ
    points = bodies(exercise, t_s, np.random.default_rng(seed))
    rule: Any = build_rule(Options(angle=angle, **options))
    name = rule.which[0]
    tall = np.full(len(points), STATURE_M)
    ones = np.ones(points.shape[:2], np.float32)
    truth = angles.measure(points, ones, BODY.name, [name], tall, _UP).degrees[:, 0]
    normal = _normal(points, name, plane)
    views = [turned(points, np.radians(h)) for h in HEADINGS_DEG]
    ahead = [turned(normal, np.radians(h)) for h in HEADINGS_DEG]
    off_deg = np.array([np.degrees(np.arccos(min(abs(float(a[1])), 1))) for a in ahead])
    camera = looking((1280, 720), HEIGHT_PX * DISTANCE_M / STATURE_M, DISTANCE_M, 5.0)
    truth_px = np.stack([pixels(camera, view) for view in views], 1)
    return Seen(off_deg, truth, *_played(rule, truth_px, noisy, seed))


def bodies(exercise: str, t_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """COCO's keypoints [T,17,3] m, the hips above the origin."""
    points = exercising.bodies(exercise, t_s, rng.random(3))
    points[..., :2] -= points[:, 11:13, :2].mean((0, 1))
    return points


def _normal(points: np.ndarray, name: str, plane: str) -> np.ndarray:
    """The mean normal [3] of the plane of the movement."""
    if plane == "sagittal":
        normals = points[:, 11] - points[:, 12]
    elif plane == "frontal":
        across = points[:, 11] - points[:, 12]
        normals = np.cross(across, np.array(_UP))
    else:
        shoulder, elbow, wrist = (5, 7, 9) if name.startswith("left") else (6, 8, 10)
        arm, forearm = points[:, elbow] - points[:, shoulder], points[:, wrist] - points[:, elbow]
        normals = np.cross(arm, forearm)
    mean = normals.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def _played(
    rule: Any, truth_px: np.ndarray, noisy: bool, seed: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = truth_px.shape[1]
    tall, rng = np.full(n, HEIGHT_PX), np.random.default_rng([seed, 7])
    seen_px, scores = measured(truth_px, tall, RATE_HZ, rng)
    if not noisy:
        seen_px, scores = truth_px, np.ones(truth_px.shape[:3])
    smooth, told = Smoother(Smooth(), BODY), np.zeros(n, np.int64)
    angle, known = np.zeros((len(seen_px), n)), np.zeros((len(seen_px), n), bool)
    for t in range(len(seen_px)):
        t_ns = int((t + 1) * 1e9 / RATE_HZ)
        poses = smooth(poses_of(seen_px[t], scores[t], HEIGHT_PX), t_ns)
        for event in rule(poses, "trial", t_ns):
            told[event.person] += event.data["action"] == "repetition"
        angle[t], known[t] = rule.people["angle"][:, 0], rule.people["known"][:, 0]
    return angle, known, told


def rmse(found: Seen, delay: int = 0) -> float:
    """Error in deg of the angles in the plane that the rule gave, against those frames before."""
    start = int(SETTLE_S * RATE_HZ)
    truth = found.truth[start - delay : len(found.truth) - delay]
    use = found.known[start:] & (found.off_deg <= IN_PLANE_DEG)
    error = (found.angle[start:] - truth[:, None])[use]
    return float(np.sqrt(np.square(error).mean())) if error.size else float("nan")


def refused(found: Seen, low_deg: float, high_deg: float) -> float:
    """Share of frames that the rule refused, of views so far off the plane."""
    views = (found.off_deg >= low_deg) & (found.off_deg <= high_deg)
    known = found.known[int(SETTLE_S * RATE_HZ) :, views]
    return float(1 - known.mean()) if known.size else float("nan")
