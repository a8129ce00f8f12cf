"""Smoothing of keypoints. One Smoother serves one camera.

Pure: time is an argument. Variances are in H² (H = the person's standing height), so that noise and
acceleration mean the same for near and distant people.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Dict, Optional

import numpy as np

from edge.geometry import as_complex
from edge.people.filters.consistency import Consistency, Consistent
from edge.people.filters.in_space import SpaceFilter
from edge.people.filters.presets import ArticleFilter, OneEuroFilter
from edge.people.filters.sighting import Filtered, KeypointFilter, Sighting, moved
from edge.people.filters.steady import SteadyFilter
from edge.people.innovations import Innovations, Refine
from edge.people.stature import heights
from edge.settings.config import Smooth
from edge.skeletons import Skeleton
from edge.structures import Poses

_HEIGHT_GAIN = np.float32(0.1)
_KEEP_S = 1.0  # the filters of a person who is away longer start again
FILTERS: Dict[str, Callable[[Smooth, Skeleton], KeypointFilter]] = {
    "steady": SteadyFilter,
    "article": ArticleFilter,
    "one-euro": OneEuroFilter,
}


class Smoother:
    """Filters the keypoints of all people of one camera, by id.

    With the preset `steady`, the body is filtered as a whole (filters.body), and other keypoints
    each alone (filters.points). Weak measurements count less, outliers least (filters.doubt). A
    keypoint that is not seen moves on with its body while its score falls; after `coast_s` its
    filter starts again. Nothing depends on the number of frames.
    """

    def __init__(
        self, options: Smooth, skeleton: Skeleton, refine: Optional[Refine] = None
    ) -> None:
        self._refine = refine
        self._body17 = skeleton.body17
        self._filter = FILTERS[options.preset](options, skeleton)
        self._space = SpaceFilter(skeleton)
        self._consistency = Consistency()
        self._ids = np.zeros(0, np.int64)
        self._t_ns = np.zeros(0, np.int64)
        self._heights = np.zeros(0, np.float32)

    def __call__(self, poses: Poses, t_ns: int) -> Poses:
        """Smooth the people of a frame.

        Args:
            poses: people of the tracker; rows with id -1 are not filtered. Borrowed.
            t_ns: time of the frame.

        Returns:
            The same people with new arrays of keypoints and scores. A keypoint that had no believed
            measurement lately is as measured.
        """
        named = poses.ids >= 0
        if not named.all():
            return self._mixed(poses, named, t_ns)
        poses = _finite(poses)
        self._align(poses.ids, t_ns)
        dt_s = self._elapsed_s(len(poses), t_ns)
        tall = self._measure_heights(poses)
        seen = Sighting(poses.keypoints, poses.scores, tall[:, None], dt_s)
        found = self._filter.step(seen)
        self._consistency.note(seen, found)
        points = found.points
        if self._refine is not None:
            add_h = self._refine(_innovations(poses, seen, found))
            points = points if add_h is None else points + add_h * tall[:, None, None]
        world = None if poses.world is None else self._space.step(poses.world, dt_s)
        return dataclasses.replace(poses, keypoints=points, scores=found.scores, world=world)

    def consistency(self) -> Optional[Consistent]:
        """How well the filter's predictions agree with the measurements; None before any."""
        return self._consistency.read()

    def _mixed(self, poses: Poses, named: np.ndarray, t_ns: int) -> Poses:
        smooth = self(poses.take(named), t_ns)
        keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
        keypoints[named], scores[named] = smooth.keypoints, smooth.scores
        world = poses.world
        if world is not None and smooth.world is not None:
            world = world.copy()
            world[named] = smooth.world
        return dataclasses.replace(poses, keypoints=keypoints, scores=scores, world=world)

    def _elapsed_s(self, n: int, t_ns: int) -> np.ndarray:
        dt_s = np.maximum(t_ns - self._t_ns[:n], 0) * 1e-9
        self._t_ns[:n] = t_ns
        return dt_s.astype(np.float32)[:, None]

    def _measure_heights(self, poses: Poses) -> np.ndarray:
        points = as_complex(poses.keypoints)
        now = heights(points[:, self._body17], poses.scores[:, self._body17], poses.boxes)
        kept = self._heights[: len(poses)]
        kept += np.where(kept > 0, _HEIGHT_GAIN * (now - kept), now)
        return kept

    def _align(self, ids: np.ndarray, t_ns: int) -> None:
        """Put the rows of these people first, in their order; keep the others for _KEEP_S."""
        n = len(ids)
        away_s = (t_ns - self._t_ns) * 1e-9
        if np.array_equal(self._ids[:n], ids) and (away_s[:n] <= _KEEP_S).all():
            return
        row_of = {int(i): row for row, i in enumerate(self._ids)}
        source = np.array([row_of.pop(int(i), -1) for i in ids], np.int64)
        rest = np.array(list(row_of.values()), np.int64)
        rest = rest[away_s[rest] <= _KEEP_S]
        source[np.isin(source, np.flatnonzero(away_s > _KEEP_S))] = -1
        self._move(np.concatenate((source, rest)), np.concatenate((ids, self._ids[rest])), t_ns)

    def _move(self, source: np.ndarray, ids: np.ndarray, t_ns: int) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        new = source < 0
        self._filter.move(source)
        self._space.move(source)
        self._t_ns, self._heights = moved(self._t_ns, source), moved(self._heights, source)
        self._t_ns[new], self._heights[new], self._ids = t_ns, 0, ids


def _innovations(poses: Poses, seen: Sighting, found: Filtered) -> Innovations:
    """The record for a `Refine`."""
    unit = 1 / seen.heights_px[..., None]
    some = (found.known & (poses.scores > 0))[..., None]
    off_h = (poses.keypoints - found.predicted) * unit * some
    step_h = (found.points - found.predicted) * unit * found.known[..., None]
    return Innovations(
        poses.ids,
        seen.dt_s[:, 0],
        seen.heights_px[:, 0],
        poses.scores,
        found.known,
        off_h.astype(np.float32),
        found.variance_h2.astype(np.float32),
        (found.speed * unit).astype(np.float32),
        step_h.astype(np.float32),
    )


def _finite(poses: Poses) -> Poses:
    """Keypoints that are not finite become missing: score 0."""
    if np.isfinite(poses.keypoints).all() and np.isfinite(poses.scores).all():
        return poses
    good = np.isfinite(poses.keypoints).all(2) & np.isfinite(poses.scores)
    keypoints = np.where(good[..., None], poses.keypoints, np.float32(0))
    return dataclasses.replace(
        poses, keypoints=keypoints, scores=np.where(good, poses.scores, np.float32(0))
    )
