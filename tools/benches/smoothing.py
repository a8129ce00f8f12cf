"""The smoother on motion capture at 10 to 60 frames a second, beside One-Euro and nothing.

Rate 0 is one that changes: every .3 to 1.5 s another of the rates, and no two frames are equally
far apart.

Ten clips that nothing was tuned on, each from four sides, as a person of 1000 px; the noise is that
of `_noise`. One-Euro (Casiez, Roussel and Vogel, CHI 2012) gets the best of a grid for each rate,
chosen on the tuning clips; a keypoint with a score below .3 is held, since it knows no scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, NamedTuple, Optional, Tuple

import numpy as np

from edge.people.smoother import Smoother
from edge.settings.config import Smooth
from edge.structures import VISIBLE, Poses
from tools.benches import Row, row
from tools.benches._mocap import BODY, REPORT, TUNE, bodies, clips, looking, pixels, turned
from tools.benches._noise import STATED, measured
from tools.progress import track

RATES_HZ = (10, 15, 25, 30, 60)
CHANGING = 0  # the rate that changes
HEIGHT_PX = 1000.0
SIDES_DEG = (0, 70, 160, 250)
LONG_S = 6.0
SETTLE_S = 0.5  # at the start, not judged
CUTOFFS_HZ = (0.5, 1.0, 2.0, 4.0, 8.0)
BETAS = (0.0, 0.5, 2.0, 8.0, 20.0, 50.0)  # Hz per height and second
_SPEED_CUTOFF_HZ = 1.0


class Sight(NamedTuple):
    """Everybody at one rate: N is clip and side."""

    t_s: np.ndarray  # [T]
    truth: np.ndarray  # [T,N,17,2] px
    seen: np.ndarray  # [T,N,17,2] px
    scores: np.ndarray  # [T,N,17]


class Quality(NamedTuple):
    """Errors of one side of the bench, of each clip [N], in H; lag in frames."""

    rmse: np.ndarray
    p95: np.ndarray
    jitter: np.ndarray  # mean size of the error's second difference
    lag: np.ndarray


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Rows for each rate: RMSE, 95th percentile, jitter and lag of all three sides."""
    rows: List[Row] = []
    for rate_hz in track((*RATES_HZ, CHANGING), "smoothing", unit="rates"):
        tune, report = (sight(sets, names, rate_hz, 7) for names in (TUNE, REPORT))
        cutoff_hz, beta = tuned(tune)
        sides = {
            "ours": ours(report),
            f"One-Euro {cutoff_hz:g} Hz, {beta:g}": one_euro(report, cutoff_hz, beta),
            "nothing": report.seen,
        }
        quality = {name: judged(report, found) for name, found in sides.items()}
        for name, found in quality.items():
            goals = _goals(rate_hz) if name == "ours" else (None,) * 3
            rows += _rows(f"smoothing {spoken(rate_hz)}, {name}", found, goals)
        share = quality["ours"].rmse / np.median(list(quality.values())[1].rmse)
        name = f"smoothing {spoken(rate_hz)}, ours of One-Euro: RMSE"
        rows.append(row(name, share.tolist(), "x", 0.8))
    return rows


def spoken(rate_hz: int) -> str:
    """The name of a rate."""
    return f"{rate_hz} fps" if rate_hz else "changing rate"


def _goals(rate_hz: int) -> Tuple[Optional[float], ...]:
    """Of the 95th percentile, the jitter and the lag."""
    return 0.025, 0.02 if rate_hz == 30 else None, 0.06


def _rows(name: str, found: Quality, goals: Tuple[Optional[float], ...]) -> List[Row]:
    return [
        row(f"{name}: RMSE", found.rmse.tolist(), "H", noise=STATED),
        row(f"{name}: 95 %", found.p95.tolist(), "H", goals[0]),
        row(f"{name}: jitter", found.jitter.tolist(), "H", goals[1]),
        row(f"{name}: lag", found.lag.tolist(), "fr", goals[2]),
    ]


def sight(sets: Path, names: Tuple[str, ...], rate_hz: int, seed: int) -> Sight:
    """What a camera sees of clips, and what a network makes of it."""
    rng = np.random.default_rng([seed, rate_hz])
    t_s = np.arange(int(LONG_S * rate_hz)) / rate_hz if rate_hz else _changing(rng)
    camera = looking((1920, 1080), HEIGHT_PX * 6.0 / 1.72, 6.0, 10.0)
    people = []
    for clip in clips(sets, names).values():
        body = bodies(clip, t_s)
        body[..., :2] -= body[:, :, :2].mean((0, 1))  # somewhere in the middle of the picture
        people += [pixels(camera, turned(body, np.radians(deg))) for deg in SIDES_DEG]
    truth = np.stack(people, 1)
    rates_hz = 1 / np.gradient(t_s)[:, None, None]
    seen, scores = measured(truth, np.full(len(people), HEIGHT_PX), rates_hz, rng)
    return Sight(t_s, truth, seen, scores)


def _changing(rng: np.random.Generator) -> np.ndarray:
    """Times [T] s of frames whose rate changes, up to LONG_S."""
    t_s = [0.0]
    while t_s[-1] < LONG_S:
        end_s, rate_hz = t_s[-1] + rng.uniform(0.3, 1.5), rng.choice(RATES_HZ)
        while t_s[-1] < end_s:
            t_s.append(t_s[-1] + rng.uniform(0.8, 1.2) / rate_hz)
    return np.array([t for t in t_s if t < LONG_S])


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
        out[t] = smooth(poses, int(sight.t_s[t] * 1e9)).keypoints
    return out


def one_euro(sight: Sight, cutoff_hz: float, beta: float) -> np.ndarray:
    """One-Euro of each coordinate; speeds are in heights a second, weak keypoints are held."""
    out = np.empty_like(sight.seen)
    place, speed = sight.seen[0].copy(), np.zeros_like(sight.seen[0])
    out[0] = place
    for t in range(1, len(out)):
        dt = sight.t_s[t] - sight.t_s[t - 1]
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
    start = int(np.searchsorted(sight.t_s, SETTLE_S))
    error = (found - sight.truth)[start:] / HEIGHT_PX
    size = np.hypot(error[..., 0], error[..., 1])
    bend = np.diff(error, 2, axis=0)
    step = np.gradient(sight.truth, axis=0)[start:] / HEIGHT_PX
    along = np.square(step).sum((0, 2, 3))
    return Quality(
        np.sqrt(np.square(size).mean((0, 2))),
        np.percentile(size, 95, axis=(0, 2)),
        np.hypot(bend[..., 0], bend[..., 1]).mean((0, 2)),
        -(step * error).sum((0, 2, 3)) / np.maximum(along, 1e-12),
    )
