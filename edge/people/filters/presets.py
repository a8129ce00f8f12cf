"""Two filters of other people by name, to compare with: `smooth.preset`.

Both filter each keypoint alone and publish the scores as measured. Neither knows outliers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.geometry import as_complex, as_pairs
from edge.people.filters.sighting import Filtered, Sighting, moved
from edge.settings.config import Smooth
from edge.skeletons import Skeleton

# The article's constants: variances in px², and a frame as the unit of time.
_PROCESS, _MEASUREMENT = 0.1, 0.05
_START = 1.0  # variance of the velocity of a new keypoint, px² per frame²
# One-Euro's cut-off at rest, and what a height per second adds: those of the least error on the
# tuning clips at 15 to 60 frames a second (tools/benches/smoothing.py).
_CUTOFF_HZ, _CUTOFF_HZ_S_H = 8.0, 8.0
_SPEED_CUTOFF_HZ = 1.0


class _PresetFilter:
    """The places and velocities of keypoints, x + iy; rows are moved by `move`."""

    def __init__(self, options: Smooth, skeleton: Skeleton) -> None:
        self._min_score, self._noise_h = options.min_score, options.r
        self._places = np.zeros((0, len(skeleton)), np.complex64)  # px
        self._speeds = np.zeros((0, len(skeleton)), np.complex64)
        self._known = np.zeros((0, len(skeleton)), bool)

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        self._places, self._speeds = moved(self._places, source), moved(self._speeds, source)
        self._known = moved(self._known, source)
        self._speeds[source < 0], self._known[source < 0] = 0, False

    def _answer(
        self,
        seen: Sighting,
        predicted: np.ndarray,
        speed: np.ndarray,
        variance_h2: np.ndarray,
        taken: np.ndarray,
    ) -> Filtered:
        """The record of a frame; `taken` [N,K]: which measurements were used."""
        n = len(seen.points)
        places, known = self._places[:n], self._known[:n]
        was = known.copy()
        known |= taken
        shown = np.where(known, places, as_complex(seen.points))
        return Filtered(
            as_pairs(shown),
            seen.scores,
            as_pairs(predicted),
            as_pairs(speed),
            variance_h2,
            was,
            taken.astype(np.float32),
        )


class ArticleFilter(_PresetFilter):
    """A Kalman filter of constant velocity that counts frames, with the article's constants."""

    def __init__(self, options: Smooth, skeleton: Skeleton) -> None:
        super().__init__(options, skeleton)
        self._p = [np.zeros((0, len(skeleton)), np.float32) for _ in range(3)]

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        super().move(source)
        self._p = [moved(plane, source) for plane in self._p]

    def step(self, seen: Sighting) -> Filtered:
        """Predict and update the first N people, those of a frame."""
        n = len(seen.points)
        p00, p01, p11 = (plane[:n] for plane in self._p)
        places, speeds, known = self._places[:n], self._speeds[:n], self._known[:n]
        measured, taken = as_complex(seen.points), seen.scores > 0
        self._predict(places, speeds, known)
        np.copyto(places, measured, where=~known)
        p00[~known], p01[~known], p11[~known] = _MEASUREMENT, 0, _START
        predicted, speed = places.copy(), speeds / np.maximum(seen.dt_s, np.float32(1e-3))
        total = p00 + np.float32(_MEASUREMENT)
        used = taken & known
        k0, k1 = used * (p00 / total), used * (p01 / total)
        off = measured - places
        places += k0 * off
        speeds += k1 * off
        p11 -= k1 * p01
        p01 *= 1 - k0
        p00 *= 1 - k0
        return self._answer(seen, predicted, speed, total / np.square(seen.heights_px), taken)

    def _predict(self, places: np.ndarray, speeds: np.ndarray, known: np.ndarray) -> None:
        p00, p01, p11 = (plane[: len(places)] for plane in self._p)
        places += speeds * known
        p00 += 2 * p01 + p11 + np.float32(_PROCESS / 3)
        p01 += p11 + np.float32(_PROCESS / 2)
        p11 += np.float32(_PROCESS)


class OneEuroFilter(_PresetFilter):
    """One-Euro: a low-pass filter whose cut-off rises with speed (Casiez et al., CHI 2012).

    It knows no scores: a keypoint of a score below `min_score` stays where it was.
    """

    def step(self, seen: Sighting) -> Filtered:
        """Update the first N people, those of a frame."""
        n = len(seen.points)
        places, speeds, known = self._places[:n], self._speeds[:n], self._known[:n]
        measured, taken = as_complex(seen.points), seen.scores > self._min_score
        np.copyto(places, measured, where=~known)
        dt_s = np.maximum(seen.dt_s, np.float32(1e-6))
        off = np.where(taken, measured - places, 0)
        predicted, speed = places.copy(), speeds.copy()
        speeds += _gain(_SPEED_CUTOFF_HZ, dt_s) * (off / dt_s - speeds)
        for axis in ("real", "imag"):
            fast = np.abs(getattr(speeds, axis)) / seen.heights_px
            gain = _gain(_CUTOFF_HZ + _CUTOFF_HZ_S_H * fast, dt_s)
            getattr(places, axis)[:] += gain * getattr(off, axis)
        variance_h2 = seen.noise_h2(self._noise_h)
        return self._answer(seen, predicted, speed, variance_h2, taken)


def _gain(cutoff_hz: Any, dt_s: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff_hz * dt_s)), np.float32)
