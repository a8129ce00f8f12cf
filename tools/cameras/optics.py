"""The lens of one camera under calibration: OpenCV's pinhole or fisheye model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import cv2
import numpy as np

from edge.errors import DataError

_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-7)
# OpenCV 4 has the flags of the fisheye model in its module, OpenCV 5 among those of all models.
_OF = cv2.fisheye if hasattr(cv2.fisheye, "CALIB_FIX_SKEW") else cv2
_FLAGS = _OF.CALIB_RECOMPUTE_EXTRINSIC | _OF.CALIB_FIX_SKEW | _OF.CALIB_USE_INTRINSIC_GUESS
Corners = Tuple[np.ndarray, np.ndarray]  # places on the board [n,3] m, in the picture [n,2] px


@dataclass(frozen=True, eq=False)
class Optics:
    """Camera matrix and four coefficients."""

    matrix: np.ndarray  # [3,3] px
    terms: np.ndarray  # [4]
    fisheye: bool

    def project(self, room: np.ndarray, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Points [n,3] m in px [n,2], of a camera with a rotation vector [3] and a shift [3]."""
        call = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints
        found, _ = call(room.reshape(1, -1, 3), turn, shift, self.matrix, self.terms)
        return np.asarray(found).reshape(-1, 2)

    def pose(self, board: np.ndarray, pixels: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Turn [3,3] and shift [3] of a board [n,3] m that is seen at pixels [n,2]."""
        terms = self.terms
        if self.fisheye:
            pixels = cv2.fisheye.undistortPoints(
                pixels.reshape(1, -1, 2), self.matrix, terms, P=self.matrix
            ).reshape(-1, 2)
            terms = np.zeros(4)
        _, vector, shift = cv2.solvePnP(board, pixels, self.matrix, terms, flags=cv2.SOLVEPNP_IPPE)
        vector, shift = cv2.solvePnPRefineLM(board, pixels, self.matrix, terms, vector, shift)
        return cv2.Rodrigues(vector)[0], shift.reshape(3)


def calibrated(
    name: str, size: Tuple[int, int], views: Sequence[Corners], fisheye: bool
) -> Tuple[Optics, float]:
    """The optics of a camera, and their root mean square reprojection error in px.

    Args:
        name: of the camera.
        size: of its pictures.
        views: corners of the board in each of them.
        fisheye: which model.

    Raises:
        DataError: OpenCV finds no lens that fits.
    """
    try:
        error, matrix, terms = _fisheye(size, views) if fisheye else _pinhole(size, views)
    except cv2.error as problem:
        raise DataError(f"camera {name!r}: no lens fits to its pictures{_ADVICE[fisheye]}") from (
            problem
        )
    if not (np.isfinite(matrix).all() and np.isfinite(terms).all() and np.isfinite(error)):
        raise DataError(f"camera {name!r}: no lens fits to its pictures{_ADVICE[fisheye]}")
    return Optics(matrix, terms.reshape(-1)[:4], fisheye), float(error)


_ADVICE = {
    True: ": tilt the board more, show it at the edges, and leave --fisheye out below 120 degrees",
    False: ": tilt the board more and show it at the edges; --fisheye is for lenses that are wider",
}


def _pinhole(
    size: Tuple[int, int], views: Sequence[Corners]
) -> Tuple[float, np.ndarray, np.ndarray]:
    boards, pixels = _split(views)
    error, matrix, terms, _, _ = cv2.calibrateCamera(
        boards, pixels, size, None, None, flags=cv2.CALIB_FIX_K3
    )
    return error, matrix, np.asarray(terms)


def _fisheye(
    size: Tuple[int, int], views: Sequence[Corners]
) -> Tuple[float, np.ndarray, np.ndarray]:
    """The model of Kannala and Brandt; starts from a lens that shows 150 degrees across."""
    boards, pixels = _split(views)
    focal = max(size) / np.radians(150)
    start = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1]])
    error, matrix, terms, _, _ = cv2.fisheye.calibrate(
        [b.reshape(1, -1, 3).astype(np.float64) for b in boards],
        [p.reshape(1, -1, 2).astype(np.float64) for p in pixels],
        size,
        start,
        np.zeros((4, 1)),
        flags=_FLAGS,
        criteria=_CRITERIA,
    )
    return error, np.asarray(matrix), np.asarray(terms)


def _split(views: Sequence[Corners]) -> Tuple[List[np.ndarray], List[np.ndarray]]:
    return (
        [board.astype(np.float32) for board, _ in views],
        [pixels.astype(np.float32).reshape(-1, 1, 2) for _, pixels in views],
    )
