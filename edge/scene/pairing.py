"""People of all cameras at one instant, from cameras that take their pictures at different times.

The instant is the newest one that all cameras have reached. A camera without a frame of just that
time gives the keypoints between its frames before and after it, for people who are in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from edge.structures import Poses

_KEPT = 8  # frames of a camera that are remembered
_SAME_NS = 500_000  # frames closer than this are of one instant
_EARLY = 0.7  # an instant may come this share of a frame's pause after the one before: jitter
_BACK_NS = 2 * 10**9  # time that goes back by more starts again


@dataclass(frozen=True, eq=False)
class Views:
    """The people of all cameras at one instant."""

    t_ns: int
    live: np.ndarray  # [C] bool: the camera has pictures around that time
    camera: np.ndarray  # [M] i64 row of each person's camera
    ids: np.ndarray  # [M] i64 of the person in that camera
    keypoints: np.ndarray  # [M,K,2] f64 px
    scores: np.ndarray  # [M,K] f64 0..1

    def __len__(self) -> int:
        return len(self.camera)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of a frame."""

    t_ns: int
    ids: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray


class Pairing:
    """Collects frames of C cameras and gives instants that all of them have reached.

    Args:
        cameras: C.
        keypoints: K.
        max_gap_ns: two frames of a camera may be this far apart to interpolate between them; a
            camera without a frame for longer is left out.
        delays_ns: [C] by how much later than the truth each camera's times are.
    """

    def __init__(
        self, cameras: int, keypoints: int, max_gap_ns: int, delays_ns: Sequence[int]
    ) -> None:
        self._frames: List[List[_Seen]] = [[] for _ in range(cameras)]
        self._keypoints = keypoints
        self._max_gap_ns = max_gap_ns
        self._delays_ns = list(delays_ns)
        self._last_ns: Optional[int] = None

    def add(self, camera: int, poses: Poses, t_ns: int) -> None:
        """Take the people of a frame; the arrays are copied."""
        t_ns -= self._delays_ns[camera]
        kept = self._frames[camera]
        if kept and t_ns <= kept[-1].t_ns:
            kept.clear()  # the clock of a source went back
        kept.append(
            _Seen(t_ns, poses.ids.copy(), poses.keypoints.astype(np.float64), poses.scores.copy())
        )
        del kept[:-_KEPT]

    def instant(self) -> Optional[Views]:
        """The people at the next instant; None = there is none yet.

        Instants come as often as the slowest live camera has frames.
        """
        live = self._live()
        if not live.any():
            return None
        rows = np.flatnonzero(live).tolist()
        t_ns = min(self._frames[c][-1].t_ns for c in rows)
        if self._last_ns is not None and t_ns > self._last_ns - _BACK_NS:
            pause_ns = max(_spacing_ns(self._frames[c]) for c in rows)
            if t_ns - self._last_ns < max(_EARLY * pause_ns, _SAME_NS):
                return None
        self._last_ns = t_ns
        return self._views(live, t_ns)

    def _live(self) -> np.ndarray:
        """The largest set of cameras whose newest frames lie within the tolerance of the newest."""
        newest = [frames[-1].t_ns if frames else None for frames in self._frames]
        best = np.zeros(len(newest), bool)
        best_ns = -(1 << 62)
        for t_ns in newest:
            if t_ns is not None:
                near = np.array(
                    [n is not None and 0 <= t_ns - n <= self._max_gap_ns for n in newest], bool
                )
                if (near.sum(), t_ns) > (best.sum(), best_ns):
                    best, best_ns = near, t_ns
        return best

    def _views(self, live: np.ndarray, t_ns: int) -> Views:
        there = live.copy()
        parts: List[Tuple[int, _Seen]] = []
        for camera in np.flatnonzero(live):
            seen = self._at(int(camera), t_ns)
            if seen is None:
                there[camera] = False
            else:
                parts.append((int(camera), seen))
        k = self._keypoints
        return Views(
            t_ns,
            there,
            np.repeat(np.array([c for c, _ in parts], np.int64), [len(s.ids) for _, s in parts]),
            np.concatenate([np.zeros(0, np.int64), *[s.ids for _, s in parts]]),
            np.concatenate([np.zeros((0, k, 2)), *[s.keypoints for _, s in parts]]),
            np.concatenate([np.zeros((0, k)), *[s.scores for _, s in parts]]),
        )

    def _at(self, camera: int, t_ns: int) -> Optional[_Seen]:
        """The people of a camera at a time; None if its frames do not reach around it."""
        frames = self._frames[camera]
        for i in range(len(frames) - 1, -1, -1):
            if abs(frames[i].t_ns - t_ns) <= _SAME_NS:
                return frames[i]
            if frames[i].t_ns < t_ns:
                if i + 1 == len(frames):
                    return None
                if frames[i + 1].t_ns - frames[i].t_ns > self._max_gap_ns:
                    return None
                return _between(frames[i], frames[i + 1], t_ns)
        return None


def _spacing_ns(frames: Sequence[_Seen]) -> int:
    """The middle pause between frames; 0 with fewer than two."""
    pauses = sorted([b.t_ns - a.t_ns for a, b in zip(frames, frames[1:])])
    return pauses[len(pauses) // 2] if pauses else 0


def _between(before: _Seen, after: _Seen, t_ns: int) -> _Seen:
    """People who are in both frames, at a time between them."""
    ids, a, b = np.intersect1d(before.ids, after.ids, return_indices=True)
    named = ids >= 0
    ids, a, b = ids[named], a[named], b[named]
    share = (t_ns - before.t_ns) / (after.t_ns - before.t_ns)
    keypoints = before.keypoints[a] * (1 - share) + after.keypoints[b] * share
    return _Seen(t_ns, ids, keypoints, np.minimum(before.scores[a], after.scores[b]))
