"""Motion capture on the synthetic body.

A clip keeps the directions of the recorded bones and the path over the floor; the lengths are those
of our body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.motion import Posture

_SEAM = 0.5  # if the axes of the last and first frame differ by more, the clip cannot loop
_WALKS = 0.5  # statures/s; people of a faster looping clip cross the floor as walkers
_CURL = 0.3


@dataclass(frozen=True, eq=False)
class Clip:
    """A recorded motion; the contract is `Motion`."""

    frames: np.ndarray  # [F,15,3,3]
    lift: np.ndarray  # [F] statures
    travel: np.ndarray  # [F,2] statures
    interval_s: float
    speed: float
    loops: bool
    planted: bool = False
    once: bool = False

    @property
    def length_s(self) -> float:
        """Its duration."""
        return (len(self.frames) - (0 if self.loops else 1)) * self.interval_s

    @property
    def span_s(self) -> float:
        """The time until the person is replaced; 0 for a loop."""
        return 0.0 if self.loops else max(self.length_s, self.interval_s)

    def at(self, t_s: np.ndarray, own: np.ndarray) -> Posture:
        """Postures at [N] seconds; between two frames, the axes are blended and orthonormalised."""
        count = len(self.frames)
        place = t_s / self.interval_s
        if self.loops:
            place = (place + own[:, 0] * count) % count
        first = np.clip(place.astype(int), 0, count - 1)
        after = (first + 1) % count if self.loops else np.minimum(first + 1, count - 1)
        share = np.clip(place - first, 0, 1)
        mix = _square(_between(self.frames, first, after, share))
        return Posture(
            mix,
            STATURE_M * _between(self.lift, first, after, share),
            _between(self.travel, first, after, share),
            np.full((len(t_s), 2), _CURL),
        )


def settle(frames: np.ndarray, root: np.ndarray, interval_s: float, loops: bool) -> Clip:
    """Make a clip that stands on the floor and starts towards the front.

    Args:
        frames: [F,15,3,3] axes in a world with z up.
        root: [F,3] statures, positions of the mid-hip.
        interval_s: between two frames.
        loops: whether it may loop; it does if its last frame is like its first.
    """
    if loops and len(frames) > 2 and np.abs(frames[-1] - frames[0]).max() < _SEAM:
        frames, root = frames[:-1], root[:-1]
    else:
        loops = False
    count = len(frames)
    drift = (root[-1, :2] - root[0, :2]) / max(count - 1, 1)
    speed = float(np.linalg.norm(drift)) / interval_s
    walks = loops and speed > _WALKS
    ahead = drift if walks else frames[0, 0, :2, 0]
    cos, sin = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    frames, root = turn @ frames, root @ turn.T
    bodies = build(frames, np.ones(count), np.full((count, 2), _CURL))
    low = root[:, 2] + bodies.lowest
    lift = np.maximum(low - np.percentile(low, 20), 0.0)
    way = root[:, :2] - root[:, :2].mean(0)
    if loops:  # remove the drift: the walker's lane adds it
        way = way - np.linspace(-0.5, 0.5, count)[:, None] * (way[-1] - way[0])
    return Clip(frames, lift, way, interval_s, speed if walks else 0.0, loops)


def _between(
    values: np.ndarray, first: np.ndarray, after: np.ndarray, share: np.ndarray
) -> np.ndarray:
    weight = share.reshape((-1,) + (1,) * (values.ndim - 1))
    out: np.ndarray = values[first] * (1 - weight) + values[after] * weight
    return out


def _square(axes: np.ndarray) -> np.ndarray:
    """Make blended axes orthonormal (Gram-Schmidt)."""
    x = axes[..., 0] / np.linalg.norm(axes[..., 0], axis=-1, keepdims=True)
    y = axes[..., 1] - x * (x * axes[..., 1]).sum(-1, keepdims=True)
    y = y / np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=-1)
