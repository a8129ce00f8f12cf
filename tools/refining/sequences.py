"""Motion capture through the filter: what a temporal network is told, and what it should add."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.people.innovations import Innovations
from edge.people.smoother import Smoother
from edge.people.temporal import features
from edge.settings.config import Smooth
from edge.structures import Poses
from tools.benches._mocap import BODY, bodies, clips, looking, pixels, turned
from tools.benches._noise import measured
from tools.refining.residuals import Track, drawn

HEIGHT_PX = 1000.0
_DISTANCE_M = 6.0


class Sequences(NamedTuple):
    """Keypoints of people over time; M is person and keypoint."""

    rate_hz: float
    told: np.ndarray  # [T,M,12] f32, features
    wanted_h: np.ndarray  # [T,M,2] f32 H, true - filtered
    known: np.ndarray  # [T,M] bool


def truths(
    sets: Optional[Path],
    names: Tuple[str, ...],
    rate_hz: float,
    long_s: float,
    sides_deg: Sequence[float],
) -> np.ndarray:
    """People [T,N,17,2] px of about HEIGHT_PX: every clip from every side."""
    t_s = np.arange(int(long_s * rate_hz)) / rate_hz
    camera = looking((1920, 1080), HEIGHT_PX * _DISTANCE_M / 1.72, _DISTANCE_M, 10.0)
    people = []
    for clip in clips(sets, names).values():
        body = bodies(clip, t_s)
        body[..., :2] -= body[:, :, :2].mean((0, 1))
        people += [pixels(camera, turned(body, np.radians(deg))) for deg in sides_deg]
    return np.stack(people, 1)


def seen(
    truth: np.ndarray, rate_hz: float, tracks: Sequence[Track], rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """Keypoints and scores of the networks: by real residuals, or by the benches' noise if none."""
    if tracks:
        return drawn(truth, HEIGHT_PX, rate_hz, tracks, rng)
    return measured(truth, np.full(truth.shape[1], HEIGHT_PX), rate_hz, rng)


def filtered(
    found: np.ndarray, scores: np.ndarray, rate_hz: float, options: Smooth
) -> Tuple[np.ndarray, List[Innovations]]:
    """The filter's keypoints [T,N,17,2] px, and what it tells about each frame."""
    told: List[Innovations] = []

    def listen(innovations: Innovations) -> None:
        told.append(innovations)

    smooth = Smoother(options, BODY, listen)
    n = found.shape[1]
    out = np.empty(found.shape)
    for t in range(len(found)):
        points = found[t].astype(np.float32)
        boxes = np.concatenate((points.min(1), points.max(1)), -1)
        ones = np.ones(n, np.float32)
        poses = Poses(points, scores[t].astype(np.float32), boxes, np.arange(n), ones, BODY.name)
        out[t] = smooth(poses, int(t * 1e9 / rate_hz)).keypoints
    return out, told


def sequences(
    truth: np.ndarray, found: np.ndarray, scores: np.ndarray, rate_hz: float, options: Smooth
) -> Sequences:
    """What a network is told about people [T,N,17,2] px, and what it should answer."""
    smooth, told = filtered(found, scores, rate_hz, options)
    tall = np.stack([one.heights_px for one in told])[:, :, None, None]
    steps, people = truth.shape[:2]
    rows = (steps, people * truth.shape[2])
    return Sequences(
        rate_hz,
        np.stack([features(one) for one in told]).reshape(*rows, -1),
        ((truth - smooth) / tall).reshape(*rows, 2).astype(np.float32),
        np.stack([one.known for one in told]).reshape(rows),
    )
