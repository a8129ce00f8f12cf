"""Open lines of the picture that rules watch."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from edge.errors import ConfigError
from edge.rules._polygon import picture_points


def line(
    corners: Sequence[Sequence[float]], width: int = 0, height: int = 0, name: str = "line"
) -> np.ndarray:
    """The points [V] of a line of the configuration, complex px.

    Args:
        corners: each [x, y], in px; shares 0..1 of the picture if width and height are given.
        width: px of the picture, 0 = corners are px.
        height: px of the picture.
        name: key of the corners, for error lines.

    Raises:
        ConfigError: the points are no line.
    """
    points = picture_points(corners, width, height, name, 2)
    if np.abs(np.diff(points)).min() < 1:
        raise ConfigError(f"{name}: two points that follow each other are the same")
    return points


def distances(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance [N] px of points [N] from a line [V]."""
    start, side = corners[:-1], np.diff(corners)
    there = points[:, None] - start
    along = np.clip((there * side.conj()).real / np.abs(side) ** 2, 0, 1)
    return np.asarray(np.abs(there - along * side).min(1))


def crossings(before: np.ndarray, now: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """How often the ways from `before` [N] to `now` [N] cross a line [V], [N] i64.

    To the right of somebody who looks along the line counts +1, to the left -1. NaN crosses
    nothing.
    """
    start, side = corners[:-1], np.diff(corners)
    step = (now - before)[:, None]
    was, new = _cross(side, before[:, None] - start), _cross(side, now[:, None] - start)
    # A point on the line belongs to its right side, so that no crossing counts twice.
    turns = (new >= 0).astype(np.int64) - (was >= 0)
    first, last = (
        _cross(step, start - before[:, None]),
        _cross(step, start + side - before[:, None]),
    )
    within = (first >= 0) != (last >= 0)
    moved = np.isfinite(step.real) & (step != 0)
    return np.asarray((turns * (within & moved)).sum(1))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The z of a cross product; above 0 if b points to the right of a, where y grows downwards."""
    return np.asarray(a.real * b.imag - a.imag * b.real)


def arrow(corners: np.ndarray, length_px: float) -> np.ndarray:
    """An arrow [5] from the middle of a line to its right."""
    sides = np.diff(corners)
    reached = np.cumsum(np.abs(sides))
    middle = int(np.argmax(reached >= reached[-1] / 2))
    ahead = 1j * sides[middle] / abs(sides[middle]) * length_px
    root = corners[middle] + sides[middle] / 2
    tip, wings = root + ahead, ahead * np.array([0.3 + 0.2j, 0.3 - 0.2j])
    return np.array([root, tip, tip - wings[0], tip, tip - wings[1]])
