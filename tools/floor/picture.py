"""A grid of metres over a still of a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

import cv2
import numpy as np

from edge.errors import NoInputError, TempError
from edge.scene.ground import Ground

_STEP_PX = 4
_LINES = 24  # most lines to each side
_NICE_M = (0.5, 1, 2, 5, 10, 20, 50)


def still_of(path: Optional[Path], size: Tuple[int, int]) -> np.ndarray:
    """The first picture of a file, or a grey one of a size.

    Raises:
        NoInputError: the file cannot be read.
    """
    if path is None:
        return np.full((size[1], size[0], 3), 96, np.uint8)
    if not path.is_file():
        raise NoInputError(f"{path}: no such file")
    image = cv2.imread(str(path))
    if image is None:
        video = cv2.VideoCapture(str(path))
        there, image = video.read()
        video.release()
        if not there:
            raise NoInputError(f"{path}: is neither a picture nor a video that OpenCV reads")
    return np.asarray(image)


def draw(path: Path, image: np.ndarray, ground: Ground, points: np.ndarray) -> float:
    """Write the picture with lines at whole metres, and the points [P] complex px.

    Returns:
        Metres between two lines.

    Raises:
        TempError: the file cannot be written.
    """
    high, wide = image.shape[:2]
    y, x = np.mgrid[0:high:_STEP_PX, 0:wide:_STEP_PX].astype(np.float64)
    floor = ground.metres(x + 1j * y)
    near = _near(ground, points, floor)
    step_m = _step(floor[near])
    out = image.copy()
    for axis, colour in ((floor.real, (80, 220, 80)), (floor.imag, (80, 180, 255))):
        cells = np.where(near, np.floor(axis / step_m), -1e9)
        edge = (cells != np.roll(cells, 1, 0)) | (cells != np.roll(cells, 1, 1))
        edge &= near & np.roll(near, 1, 0) & np.roll(near, 1, 1)
        edge[0], edge[:, 0] = False, False
        out[_enlarged(edge, image.shape[:2])] = colour
    for point in points:
        cv2.circle(out, (round(point.real), round(point.imag)), 4, (60, 60, 255), -1, cv2.LINE_AA)
    text = f"a cell is {step_m:g} m"
    cv2.putText(out, text, (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(out, text, (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255,) * 3, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(path), out):
        raise TempError(f"{path}: cannot be written")
    return step_m


def _near(ground: Ground, points: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Cells of the floor that are not much further than the points."""
    known = ground.metres(points) if len(points) else floor[np.isfinite(floor.real)]
    middle = np.median(known.real) + 1j * np.median(known.imag)
    reach = 2.5 * float(np.percentile(np.abs(known - middle), 95)) + 1.0
    return np.isfinite(floor.real) & (np.abs(np.nan_to_num(floor, nan=1e12) - middle) < reach)


def _step(floor: np.ndarray) -> float:
    extent = float(max(np.ptp(floor.real), np.ptp(floor.imag))) if floor.size else 1.0
    return next((n for n in _NICE_M if extent / n <= _LINES), float(_NICE_M[-1]))


def _enlarged(edge: np.ndarray, shape: Tuple[int, int]) -> np.ndarray:
    """Cells as px: the upper left quarter of each cell."""
    whole = np.zeros((edge.shape[0] * _STEP_PX, edge.shape[1] * _STEP_PX), bool)
    for dy in range(2):
        for dx in range(2):
            whole[dy::_STEP_PX, dx::_STEP_PX] = edge
    return whole[: shape[0], : shape[1]]
