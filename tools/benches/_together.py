"""Fits the table of edge/people/filters/together.py to the tuning clips of motion capture."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence, Tuple

import numpy as np

from edge.people.filters.motion_noise import ACCELERATION_S, DECAY_HZ
from tools.benches._mocap import BODY, TUNE, bodies, clips, looking, pixels, turned
from tools.benches.smoothing import HEIGHT_PX

RATE_HZ, LONG_S, AHEAD_S = 120, 12.0, 0.1
SIDES_DEG = tuple(range(0, 360, 40))
_TORSO = (5, 6, 11, 12)
# Twice the fitted variance: with it the filter lags by half as much, and its error is the same.
_AGILE = 2.0


def fitted(
    sets: Path, names: Tuple[str, ...] = TUNE, sides_deg: Sequence[float] = SIDES_DEG
) -> np.ndarray:
    """Covariance [17,17] of accelerations as `together.covariance` gives it.

    What a keypoint does within AHEAD_S beyond its velocity, which decays but for the torso's, is
    taken for the work of white acceleration.
    """
    points = _seen(sets, names, sides_deg) / HEIGHT_PX
    ahead, step_s = round(AHEAD_S * RATE_HZ), 1 / RATE_HZ
    speed = (points[2:] - points[:-2]) / (2 * step_s)
    place = points[1:-1]
    body = speed[:, :, _TORSO].mean(2, keepdims=True)
    way = (speed - body) * (1 - np.exp(-DECAY_HZ * AHEAD_S)) / DECAY_HZ + body * AHEAD_S
    off = place[ahead:] - place[:-ahead] - way[:-ahead]
    off = np.concatenate((off, off[:, :, BODY.flip]), 1)  # mirrored people
    covariance = np.einsum("tnka,tnja->kj", off, off) / (off.shape[0] * off.shape[1] * 2)
    density = covariance / (AHEAD_S**3 / 3)
    out: np.ndarray = _AGILE * density / ACCELERATION_S / 10.0**2
    return out


def _seen(sets: Path, names: Tuple[str, ...], sides_deg: Sequence[float]) -> np.ndarray:
    """Keypoints [T,N,17,2] px of the clips from all sides."""
    camera = looking((1920, 1080), HEIGHT_PX * 6.0 / 1.72, 6.0, 10.0)
    t_s, people = np.arange(int(LONG_S * RATE_HZ)) / RATE_HZ, []
    for clip in clips(sets, names).values():
        body = bodies(clip, t_s)
        body[..., :2] -= body[:, :, :2].mean((0, 1))
        people += [pixels(camera, turned(body, np.radians(deg))) for deg in sides_deg]
    return np.stack(people, 1)
