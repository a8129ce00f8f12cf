"""Optical flow on crops of people: where keypoints of one frame lie in the next.

Pure: arrays in, arrays out. The crops of all people are the tiles of one tall picture, so that one
call of OpenCV serves them all. A point is accepted if the way back leads to where it came from
(forward-backward check, Kalal, Mikolajczyk and Matas 2010), and if both ends look alike.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import cv2
import numpy as np

# The farthest that the way back may end from the start, crop px. At a crop of 192 px around a
# person of 0.75 of its side, 1 px is .007 of the person's height.
_RETURN_PX = 1.0
_WINDOW_PX = 15
_LEVELS = 3  # of the pyramid above the crop: motion of up to 15 * 2**3 / 2 px is found
# Both ends look alike if their patches correlate (normalised, so that exposure does not matter).
# Dense flow is smooth: where something else appears, the way back alone would prove nothing.
_PATCH_PX = 9
_LEAST_CORRELATION = 0.6
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.03)
_LEAST_EIGENVALUE = 1e-4  # of a window's gradients: a window without texture has no flow

Move = Callable[[np.ndarray, np.ndarray, np.ndarray], Tuple[np.ndarray, np.ndarray]]


def carried(
    before: np.ndarray, after: np.ndarray, points: np.ndarray, method: str
) -> Tuple[np.ndarray, np.ndarray]:
    """Follow points from one crop of each person to the next.

    Args:
        before: [N,S,S] u8 luma.
        after: [N,S,S] u8 luma, of the same scale.
        points: [N,K,2] f32 crop px in `before`.
        method: a name of METHODS.

    Returns:
        Points [N,K,2] f32 crop px in `after`, and [N,K] bool: whether they are accepted. A point
        that leaves its crop, or lies outside, is not.
    """
    n, k = points.shape[:2]
    if not n or not k:
        return points.copy(), np.zeros((n, k), bool)
    side = before.shape[-1]
    down = (np.arange(n, dtype=np.float32) * side)[:, None]
    stacked = points.copy()
    inside = ((points >= 0) & (points <= side - 1)).all(-1)
    stacked[~inside] = 0  # also what is not finite
    stacked[..., 1] += down
    tall = [crop.reshape(n * side, side) for crop in (before, after)]
    starts = stacked.reshape(-1, 2)
    ends, found = METHODS[method](tall[0], tall[1], starts)
    found &= _alike(tall[0], starts, tall[1], ends)
    ends = ends.reshape(n, k, 2)
    ends[..., 1] -= down
    stays = ((ends >= 0) & (ends <= side - 1)).all(-1)
    return ends, found.reshape(n, k) & inside & stays


def _alike(
    before: np.ndarray, starts: np.ndarray, after: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Whether the patches around starts [P,2] and ends [P,2] correlate, [P] bool."""
    one, other = _patches(before, starts), _patches(after, ends)
    one -= one.mean(1, keepdims=True)
    other -= other.mean(1, keepdims=True)
    size = np.sqrt(np.square(one).sum(1) * np.square(other).sum(1))
    return np.asarray((one * other).sum(1) >= _LEAST_CORRELATION * np.maximum(size, 1e-6))


def _patches(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Patches [P,81] f32 of an image [h,w] around points [P,2], bilinear."""
    reach = np.arange(_PATCH_PX) - _PATCH_PX // 2
    steps = np.stack(np.meshgrid(reach, reach), -1).reshape(1, -1, 2)
    at = (points[:, None] + steps).reshape(-1, 2)
    return _read(image[..., None], at).reshape(len(points), -1)


def lucas_kanade(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Pyramidal Lucas-Kanade (Bouguet 2000): ends [P,2] of points [P,2], and the accepted [P]."""
    start = np.ascontiguousarray(points[:, None])
    ends, fine = _followed(before, after, start)
    back, fine_back = _followed(after, before, ends)
    off = np.hypot(*(back - start)[:, 0].T)
    return ends[:, 0], fine & fine_back & (off <= _RETURN_PX)


def _followed(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    follow: Any = cv2.calcOpticalFlowPyrLK
    ends, fine, _ = follow(
        before,
        after,
        points,
        None,
        winSize=(_WINDOW_PX, _WINDOW_PX),
        maxLevel=_LEVELS,
        criteria=_STOP,
        minEigThreshold=_LEAST_EIGENVALUE,
    )
    return ends, fine[:, 0] > 0


def farneback(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Dense flow (Farneback 2003) at points [P,2]: their ends [P,2], and the accepted [P]."""
    there = _dense(before, after)
    back = _dense(after, before)
    ends = points + _read(there, points)
    off = np.hypot(*(ends + _read(back, ends) - points).T)
    return ends, off <= _RETURN_PX


def _dense(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    follow: Any = cv2.calcOpticalFlowFarneback
    return np.asarray(follow(before, after, None, 0.5, _LEVELS, _WINDOW_PX, 3, 5, 1.1, 0))


def _read(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values [P,C] of an image [h,w,C] at points [P,2], bilinear; the border's outside."""
    limit = np.array([image.shape[1] - 2, image.shape[0] - 2])
    low = np.clip(np.floor(points).astype(np.int64), 0, limit)
    part = np.clip(points - low, 0, 1)
    x, y = low.T
    px, py = part[:, :1], part[:, 1:]
    upper = image[y, x] * (1 - px) + image[y, x + 1] * px
    lower = image[y + 1, x] * (1 - px) + image[y + 1, x + 1] * px
    return np.asarray(upper * (1 - py) + lower * py, np.float32)


METHODS: Dict[str, Move] = {"lucas-kanade": lucas_kanade, "farneback": farneback}
