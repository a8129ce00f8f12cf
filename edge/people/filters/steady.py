"""The default filter: the body as a whole, every other keypoint alone."""

from __future__ import annotations

import numpy as np

from edge.people.filters.body import BodyFilter
from edge.people.filters.points import PointFilter
from edge.people.filters.sides import Sides
from edge.people.filters.sighting import Filtered, Sighting
from edge.settings.config import Smooth
from edge.skeletons import Skeleton
from edge.structures import Rows


class SteadyFilter:
    """Filters all keypoints of all people of one camera. Rows are moved by `move`."""

    def __init__(self, options: Smooth, skeleton: Skeleton) -> None:
        body = skeleton.body17
        others = np.setdiff1d(np.arange(len(skeleton)), body)
        self._body = BodyFilter(options)
        self._sides = Sides(skeleton)
        self._points = PointFilter(options, len(others))
        self._of_body, self._others = _as_slice(body), _as_slice(others)
        self._order = _as_slice(np.argsort(np.concatenate((body, others))))

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        self._body.move(source)
        self._points.move(source)
        self._sides.move(source)

    def step(self, seen: Sighting) -> Filtered:
        """Predict and update the first N people, those of a frame."""
        seen = self._sides.mended(seen, *self._body.predict(seen.dt_s))
        body = self._body.update(seen.take(self._of_body))
        speed = self._body.body_speed(len(seen.points))
        others = self._points.step(seen.take(self._others), speed)
        pairs = zip(vars(body).values(), vars(others).values())
        return Filtered(*[np.concatenate(pair, 1)[:, self._order] for pair in pairs])


def _as_slice(which: np.ndarray) -> Rows:
    """A slice in place of indices that count up: it makes views, not copies."""
    if len(which) and np.array_equal(which, np.arange(which[0], which[0] + len(which))):
        return slice(int(which[0]), int(which[0]) + len(which))
    return which
