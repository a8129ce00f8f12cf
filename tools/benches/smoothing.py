"""The smoother on motion capture at 10 to 60 frames a second, beside One-Euro and nothing.

Ten clips that nothing was tuned on, each from four sides, as a person of 1000 px; the noise is that
of `_noise`. One-Euro (Casiez, Roussel and Vogel, CHI 2012) gets the best of a grid for each rate,
chosen on the tuning clips; a keypoint with a score below .3 is held, since it knows no scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, NamedTuple, Tuple

import numpy as np

from edge.people.smoother import Smoother
from edge.settings.config import Smooth
from edge.structures import VISIBLE, Poses
from tools.benches import Row, row
from tools.benches._mocap import BODY, REPORT, TUNE, bodies, clips, looking, pixels, turned
from tools.benches._noise import STATED, measured
from tools.progress import track

RATES_HZ = (10, 15, 30, 60)
HEIGHT_PX = 1000.0
SIDES_DEG = (0, 70, 160, 250)
LONG_S = 6.0
SETTLE_S = 0.5  # at the start, not judged
CUTOFFS_HZ = (0.5, 1.0, 2.0, 4.0, 8.0)
BETAS = (0.0, 0.5, 2.0, 8.0, 20.0, 50.0)  # Hz per height and second
_SPEED_CUTOFF_HZ = 1.0


class Sight(NamedTuple):
    """Everybody at one rate: N is clip and side."""

    rate_hz: int
    truth: np.ndarray  # [T,N,17,2] px
    seen: np.ndarray  # [T,N,17,2] px
    scores: np.ndarray  # [T,N,17]


class Quality(NamedTuple):
    """Errors of one side of the bench, of each clip [N], in H; lag in frames."""

    rmse: np.ndarray
    p95: np.ndarray
    jitter: np.ndarray
    lag: np.ndarray


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Rows for each rate: RMSE, 95th percentile, jitter and lag of all three sides."""
    rows: List[Row] = []
    for rate_hz in track(RATES_HZ, "smoothing", unit="rates"):
        tune, report = (sight(sets, names, rate_hz, 7) for names in (TUNE, REPORT))
        cutoff_hz, beta = tuned(tune)
        sides = {
            "ours": ours(report),
            f"One-Euro {cutoff_hz:g} Hz, {beta:g}": one_euro(report, cutoff_hz, beta),
            "nothing": report.seen,
        }
        for name, found in sides.items():
            rows += _rows(f"smoothing {rate_hz} fps, {name}", judged(report, found))
    return rows


def _rows(name: str, found: Quality) -> List[Row]:
    return [
        row(f"{name}: RMSE", found.rmse.tolist(), "H", noise=STATED),
        row(f"{name}: 95 %", found.p95.tolist(), "H"),
        row(f"{name}: jitter", found.jitter.tolist(), "H"),
        row(f"{name}: lag", found.lag.tolist(), "fr"),
    ]


def sight(sets: Path, names: Tuple[str, ...], rate_hz: int, seed: int) -> Sight:
    """What a camera sees of clips, and what a network makes of it."""
    rng = np.random.default_rng([seed, rate_hz])
    t_s = np.arange(int(LONG_S * rate_hz)) / rate_hz
    camera = looking((1920, 1080), HEIGHT_PX * 6.0 / 1.72, 6.0, 10.0)
    people = []
    for clip in clips(sets, names).values():
        body = bodies(clip, t_s)
        body[..., :2] -= body[:, :, :2].mean((0, 1))  # somewhere in the middle of the picture
        people += [pixels(camera, turned(body, np.radians(deg))) for deg in SIDES_DEG]
    truth = np.stack(people, 1)
    seen, scores = measured(truth, np.full(len(people), HEIGHT_PX), rate_hz, rng)
    return Sight(rate_hz, truth, seen, scores)


def ours(sight: Sight) -> np.ndarray:
    """The daemon's smoother with its defaults; [T,N,17,2] px."""
    smooth = Smoother(Smooth(), BODY)
    n = sight.truth.shape[1]
    out = np.empty_like(sight.truth)
    for t in range(len(out)):
        points = sight.seen[t].astype(np.float32)
        boxes = np.concatenate((points.min(1), points.max(1)), -1)
        ones = np.ones(n, np.float32)
        scores = sight.scores[t].astype(np.float32)
        poses = Poses(points, scores, boxes, np.arange(n), ones, BODY.name)
        out[t] = smooth(poses, int(t * 1e9 / sight.rate_hz)).keypoints
    return out


def one_euro(sight: Sight, cutoff_hz: float, beta: float) -> np.ndarray:
    """One-Euro of each coordinate; speeds are in heights a second, weak keypoints are held."""
    dt = 1.0 / sight.rate_hz
    out = np.empty_like(sight.seen)
    place, speed = sight.seen[0].copy(), np.zeros_like(sight.seen[0])
    out[0] = place
    for t in range(1, len(out)):
        strong = (sight.scores[t] > VISIBLE)[..., None]
        now = np.where(strong, sight.seen[t], place)
        speed += _gain(_SPEED_CUTOFF_HZ, dt) * ((now - place) / dt / HEIGHT_PX - speed)
        place += _gain(cutoff_hz + beta * np.abs(speed), dt) * (now - place)
        out[t] = place
    return out


def _gain(cutoff_hz: Any, dt_s: float) -> np.ndarray:
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff_hz) * dt_s)))


def tuned(sight: Sight) -> Tuple[float, float]:
    """The cut-off and the speed factor of One-Euro with the least RMSE."""
    grid = [(cutoff_hz, beta) for cutoff_hz in CUTOFFS_HZ for beta in BETAS]
    errors = [judged(sight, one_euro(sight, *pair)).rmse.mean() for pair in grid]
    return grid[int(np.argmin(errors))]


def judged(sight: Sight, found: np.ndarray) -> Quality:
    """How far found keypoints [T,N,17,2] are from the truth, after the first half second."""
    start = int(SETTLE_S * sight.rate_hz)
    error = (found - sight.truth)[start:] / HEIGHT_PX
    size = np.hypot(error[..., 0], error[..., 1])
    bend = np.diff(error, 2, axis=0)
    step = np.gradient(sight.truth, axis=0)[start:] / HEIGHT_PX
    along = np.square(step).sum((0, 2, 3))
    return Quality(
        np.sqrt(np.square(size).mean((0, 2))),
        np.percentile(size, 95, axis=(0, 2)),
        np.sqrt(np.square(bend).sum(-1).mean((0, 2))),
        -(step * error).sum((0, 2, 3)) / np.maximum(along, 1e-12),
    )
