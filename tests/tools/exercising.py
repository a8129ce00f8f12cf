"""People who do exercises by script, seen by a camera, as the rules see them after smoothing."""

from __future__ import annotations

from typing import Iterator, List, Tuple

import numpy as np

from edge import skeletons
from edge.geometry import boxes_of
from edge.people.smoother import Smoother
from edge.settings import config
from edge.structures import Poses
from tools.benches import _mocap, _noise

COCO = skeletons.get("coco17")


def seen(
    body: np.ndarray, fps: float, heading_rad: float, pitch_deg: float = 5.0, seed: int = -1
) -> Iterator[Tuple[Poses, int]]:
    """Poses and their times of a body [T,17,3] m, with noise and smoothing if a seed is given."""
    camera = _mocap.looking((1280, 720), 900, 4.5, pitch_deg)
    points = _mocap.pixels(camera, _mocap.turned(body, heading_rad))
    scores = np.full(points.shape[:2], 0.9)
    smooth = Smoother(config.Smooth(), COCO)
    if seed >= 0:
        tall = np.array([np.ptp(points[..., 1], axis=1).max()])
        rng = np.random.default_rng(seed)
        noisy, weak = _noise.measured(points[:, None], tall, fps, rng)
        points, scores = noisy[:, 0], weak[:, 0]
    for i, (place, score) in enumerate(zip(points, scores)):
        t_ns = 10**9 + round(i / fps * 1e9)
        poses = person(place, score)
        yield (smooth(poses, t_ns) if seed >= 0 else poses), t_ns


def person(points: np.ndarray, scores: np.ndarray, who: int = 1) -> Poses:
    """One person of the keypoints [17,2] px and scores [17]."""
    places, score = points[None].astype(np.float32), scores[None].astype(np.float32)
    box = boxes_of(places, score, 0.3)
    return Poses(places, score, box, np.array([who]), np.ones(1, np.float32), "coco17")


def times(period_s: float, repetitions: int, warp: float, fps: float) -> np.ndarray:
    """The script's own times of repetitions at another speed, a second of rest on both sides."""
    real_s = np.arange(0, period_s * repetitions / warp + 2, 1 / fps)
    return np.asarray(np.clip(real_s - 1, 0, period_s * repetitions / warp) * warp)


def ends_s(period_s: float, repetitions: int, warp: float) -> List[float]:
    """When each repetition ends."""
    return [1 + (i + 1) * period_s / warp for i in range(repetitions)]
