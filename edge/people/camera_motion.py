"""How a camera moved between two frames, by sparse optical flow of the background.

Pure: no clock. A small grey picture of each frame is compared with that of the frame before. While
they agree outside known people the camera stands still, and nothing else is computed. Otherwise
corners of the background are followed by pyramidal Lucas-Kanade (Bouguet 2001), and a turn, a scale
and a shift are fitted to them with RANSAC (Fischler and Bolles 1981). Lengths are in cells of the
small picture.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

import cv2
import numpy as np

from edge.people.stillness import brightness, grid_layout
from edge.structures import Frame
from edge.view import stored_of_upright

_CELLS, _SAMPLES = 128, 2  # along the longer side; pixels read along each side of a cell
_GROWTH = 0.1  # boxes of people are grown by this share of their sides
# The camera may have moved if more than this share of the background changed by more grey levels.
_CHANGE, _CHANGED_SHARE = 10.0, 0.01
_LEAST_CORNER, _APART = 0.02, 5  # share of the best corner's worth; cells between two corners
_EDGE = 4  # cells at the border, where a window would be cut
_WINDOW, _LEVELS = (9, 9), 2  # cells; levels of the pyramid above the picture
_NEAR = 0.6  # a corner this near to the fitted motion supports it
_LEAST_CORNERS, _LEAST_SHARE, _MOST_CORNERS = 8, 0.5, 64
_TRIALS = 64
_LEAST_FREE = 64  # cells of the background; fewer tell nothing
_LEAST_MOTION = 0.15  # smaller motion is noise


class CameraMotion:
    """Compares each frame of one camera with the frame before."""

    def __init__(self) -> None:
        self._before: Optional[np.ndarray] = None
        self._size = (0, 0)

    def __call__(self, frame: Frame, boxes: np.ndarray) -> Optional[np.ndarray]:
        """Where points of the background of the frame before are now.

        Args:
            frame: borrowed; its image is not kept.
            boxes: [N,4] f32 px of known people in the upright picture; their motion is their own.

        Returns:
            [2,3] f64 from px of the upright picture before to px of the upright picture now. None
            if the camera stands still, if too little of the background is seen to tell, or if the
            picture has another size.
        """
        before, size = self._before, self._size
        now, scale, corner = small_picture(frame)
        self._before, self._size = now, frame.stored_size
        if before is None or size != frame.stored_size:
            return None
        if frame.view is not None:
            boxes = frame.view.stored_boxes(boxes, frame.stored_size)
        free = _background(boxes, now.shape, scale, corner)
        if not _changed(before, now, free):
            self._before = before  # slow motion adds up until it is seen
            return None
        motion = motion_of(before, now, free)
        return None if motion is None else _upright(motion, frame, scale, corner)


def small_picture(frame: Frame) -> Tuple[np.ndarray, float, np.ndarray]:
    """A small grey picture [R,C] f32, px of its cells' sides, and px [2] of its first centre."""
    step, top, left, rows, columns = grid_layout(frame.stored_size, _CELLS, _SAMPLES)
    side = step * _SAMPLES
    plane = brightness(frame)[top : top + rows * side, left : left + columns * side]
    total = np.zeros((rows, columns), np.float32)
    for y in range(_SAMPLES):
        for x in range(_SAMPLES):
            total += plane[y * step + step // 2 :: side, x * step + step // 2 :: side]
    total /= _SAMPLES * _SAMPLES
    return total, float(side), np.array([left, top]) + (side - 1) / 2


def motion_of(before: np.ndarray, now: np.ndarray, free: np.ndarray) -> Optional[np.ndarray]:
    """The motion [2,3] f64 of the background from one small picture to the next.

    Args:
        before: [R,C] f32 grey levels.
        now: [R,C] f32.
        free: [R,C] bool, cells of the background.

    Returns:
        The matrix from cells of `before` to cells of `now`; None if no motion fits.
    """
    old, new = _followed(before, now, free)
    fitted = _fitted(old, new)
    if fitted is None:
        return None
    turn, shift = fitted
    if np.abs((turn - 1) * old + shift).max() < _LEAST_MOTION:
        return None
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _followed(
    before: np.ndarray, now: np.ndarray, free: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Corners [P] c128 of the background (Shi and Tomasi 1994), and where they are now [P]."""
    none = np.zeros(0, np.complex128)
    find: Any = cv2.goodFeaturesToTrack
    follow: Any = cv2.calcOpticalFlowPyrLK
    old, new = (np.rint(picture).astype(np.uint8) for picture in (before, now))
    mask = np.zeros(free.shape, np.uint8)
    mask[_EDGE:-_EDGE, _EDGE:-_EDGE] = free[_EDGE:-_EDGE, _EDGE:-_EDGE]
    corners = find(old, _MOST_CORNERS, _LEAST_CORNER, _APART, mask=mask)
    if corners is None:
        return none, none
    moved, found, error = follow(old, new, corners, None, winSize=_WINDOW, maxLevel=_LEVELS)
    good = (found[:, 0] > 0) & (error[:, 0] < _CHANGE)
    pairs = np.concatenate((corners, moved), 1)[good].astype(np.float64)
    return pairs[:, 0] @ [1, 1j], pairs[:, 1] @ [1, 1j]


def _fitted(before: np.ndarray, now: np.ndarray) -> Optional[Tuple[complex, complex]]:
    """Turn with scale, and shift, that most points [P] c128 x + iy agree with."""
    if len(before) < _LEAST_CORNERS:
        return None
    pairs = np.random.default_rng(0).integers(0, len(before), (_TRIALS, 2))
    across = before[pairs[:, 1]] - before[pairs[:, 0]]
    pairs, across = pairs[across != 0], across[across != 0]
    turn = (now[pairs[:, 1]] - now[pairs[:, 0]]) / across
    shift = now[pairs[:, 0]] - turn * before[pairs[:, 0]]
    near = np.abs(turn[:, None] * before + shift[:, None] - now) < _NEAR
    support = near.sum(1) if len(near) else np.zeros(1, np.int64)
    if support.max() < max(_LEAST_CORNERS, _LEAST_SHARE * len(before)):
        return None
    old, new = before[near[support.argmax()]], now[near[support.argmax()]]
    flat = old - old.mean()
    best = (np.conj(flat) * (new - new.mean())).sum() / (np.abs(flat) ** 2).sum()
    return complex(best), complex(new.mean() - best * old.mean())


def _upright(motion: np.ndarray, frame: Frame, scale: float, corner: np.ndarray) -> np.ndarray:
    """A motion of the small picture's cells as one of the upright picture's px."""
    cells = np.array([[1 / scale, 0, -corner[0] / scale], [0, 1 / scale, -corner[1] / scale]])
    to_cells = np.vstack((cells, [0, 0, 1]))
    if frame.view is not None:
        stored = stored_of_upright(frame.view, frame.stored_size)
        to_cells = to_cells @ np.vstack((stored, [0, 0, 1]))
    moved = np.linalg.inv(to_cells) @ np.vstack((motion, [0, 0, 1])) @ to_cells
    return np.asarray(moved[:2])


def _background(
    boxes: np.ndarray, shape: Tuple[int, ...], scale: float, corner: np.ndarray
) -> np.ndarray:
    """[R,C] bool: cells that no box [N,4] of the stored picture covers."""
    boxes = boxes[np.isfinite(boxes).all(1)]
    grown = _GROWTH * (boxes[:, 2:] - boxes[:, :2])
    low = (boxes[:, :2] - grown - corner) / scale - 0.5
    high = (boxes[:, 2:] + grown - corner) / scale + 0.5
    y, x = np.arange(shape[0]), np.arange(shape[1])
    across = (x > low[:, :1]) & (x < high[:, :1])
    down = (y > low[:, 1:]) & (y < high[:, 1:])
    return ~np.asarray(down.T @ across)


def _changed(before: np.ndarray, now: np.ndarray, free: np.ndarray) -> bool:
    """Whether enough of the background changed to ask whether the camera moved."""
    change = (now - before)[free]
    if len(change) < _LEAST_FREE:
        return False
    change -= np.partition(change, len(change) // 2)[len(change) // 2]
    return int(np.count_nonzero(np.abs(change) > _CHANGE)) > _CHANGED_SHARE * len(change)
