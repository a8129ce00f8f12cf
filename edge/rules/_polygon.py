"""Polygons of the picture that several rules use."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from edge.errors import ConfigError


def depths(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance [N] px of points [N] from the border of a polygon [V], complex; negative outside."""
    start, side = corners, np.concatenate((corners[1:], corners[:1])) - corners
    there = points[:, None] - start
    along = (there * side.conj()).real / np.maximum(np.abs(side) ** 2, 1e-12)
    nearest = np.abs(there - np.clip(along, 0, 1) * side).min(1)
    # Even-odd rule: count the sides that a ray to the right crosses.
    spans = (there.imag < 0) != (there.imag < side.imag)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = there.real < there.imag * (side.real / side.imag)
    return np.where((spans & crossing).sum(1) % 2 == 1, nearest, -nearest)


def polygon(
    corners: Sequence[Sequence[float]], width: int = 0, height: int = 0, name: str = "polygon"
) -> np.ndarray:
    """The corners [V] of a polygon of the configuration, complex px.

    Args:
        corners: each [x, y], in px; shares 0..1 of the picture if width and height are given.
        width: px of the picture, 0 = corners are px.
        height: px of the picture.
        name: key of the corners, for error lines.

    Raises:
        ConfigError: the corners are no polygon.
    """
    points = picture_points(corners, width, height, name, 3)
    area = (points * np.roll(points, -1).conj()).imag.sum()
    if abs(area) < 2:
        raise ConfigError(f"{name}: the corners lie on one line; they must enclose an area")
    return points


def picture_points(
    corners: Sequence[Sequence[float]], width: int, height: int, name: str, least: int
) -> np.ndarray:
    """Points [V] of the configuration, complex px; for arguments and errors see `polygon`."""
    if len(corners) < least or any(len(c) != 2 for c in corners):
        raise ConfigError(f"{name}: expected at least {least} corners, each [x, y]")
    points = np.array([complex(x, y) for x, y in corners])
    if bool(width) != bool(height):
        raise ConfigError("width, height: give both or none")
    if width:
        if min(points.real.min(), points.imag.min()) < 0 or max(map(max, corners)) > 1:
            raise ConfigError(
                f"{name}: with width and height given, corners must be shares of them, 0..1"
            )
        points = points.real * width + 1j * points.imag * height
    elif max(map(max, corners)) <= 1:
        raise ConfigError(
            f"{name}: all corners are within one px; to use shares, give width and height"
        )
    return points
