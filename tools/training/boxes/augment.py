"""Training pictures: one warp with zoom, shift and mirror, or four pictures in one; then colour.

Every number comes from the generator that is given, so a step always gives the same batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import cv2
import numpy as np

from edge import geometry
from edge.models._preprocess.crops import PAD
from tools.training.boxes.store import Pictures
from tools.training.fit.augment import coloured

_LEAST_PX = 6.0  # a smaller box of the input does not count
_LEAST_SHARE = 0.3  # a box of which less is in the input does not count


@dataclass(frozen=True)
class PictureChanges:
    """How much is changed; shares are of the pictures."""

    zoom: Tuple[float, float] = (0.5, 1.6)  # of the letterbox, drawn evenly by its logarithm
    flip: float = 0.5
    four: float = 0.25  # four pictures in one, each zoomed to half of that
    colour: float = 0.8
    grey: float = 0.1


PLAIN = PictureChanges((1.0, 1.0), 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Shown:
    """One training picture."""

    image: np.ndarray  # [H,W,3] u8 BGR
    boxes: np.ndarray  # [G,4] f32 px of the input
    ignored: np.ndarray  # [I,4] f32 px of the input


def show(
    pictures: Pictures,
    which: int,
    size: Tuple[int, int],
    how: PictureChanges,
    rng: np.random.Generator,
) -> Shown:
    """A picture as the network sees it, changed by lot.

    Args:
        pictures: copies on disk.
        which: one of them.
        size: width and height of the input, px.
        how: how much is changed.
        rng: of all lots.
    """
    if rng.uniform() < how.four:
        others = rng.integers(0, len(pictures), 3).tolist()
        shown = _four(pictures, [which, *others], size, how, rng)
    else:
        shown = _one(pictures, which, size, how, rng)
    image = shown.image
    if rng.uniform() < how.colour:
        image = coloured(image, rng, bool(rng.uniform() < how.grey))
    return Shown(image, shown.boxes, shown.ignored)


def _one(
    pictures: Pictures,
    which: int,
    size: Tuple[int, int],
    how: PictureChanges,
    rng: np.random.Generator,
) -> Shown:
    lots = rng.uniform(size=4)
    width, height = (int(v) for v in pictures.sizes[which])
    matrix = geometry.letterbox((width, height), size).astype(np.float64)
    low, high = how.zoom
    zoom = low * (high / low) ** lots[0]
    matrix[:, :2] *= zoom
    # Somewhere in the input; a picture that is larger than it is cut.
    room = np.array(size) - matrix[[0, 1], [0, 1]] * (width, height)
    matrix[:, 2] = 0 if zoom == 1.0 else room * lots[1:3]
    if lots[3] < how.flip:
        matrix = np.array([[-1, 0, size[0] - 1], [0, 1, 0]]) @ np.vstack((matrix, [0, 0, 1]))
    image = pictures.image(which)
    if matrix[1, 1] < 0.5:  # warpAffine knows no area mean: halve first
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        halved = matrix.copy()
        halved[:, :2] *= 2
    else:
        halved = matrix
    shown = cv2.warpAffine(image, halved, size, flags=cv2.INTER_LINEAR, borderValue=(PAD,) * 3)
    return _labelled(shown, pictures.boxes[which], pictures.ignored[which], matrix)


def _labelled(
    image: np.ndarray, boxes: np.ndarray, ignored: np.ndarray, matrix: np.ndarray
) -> Shown:
    size = (image.shape[1], image.shape[0])
    placed, aside = _moved(boxes, matrix), _moved(ignored, matrix)
    seen = geometry.clip_boxes(placed, size)
    share = geometry.areas_of(seen) / np.maximum(geometry.areas_of(placed), 1e-6)
    fine = (share >= _LEAST_SHARE) & ((seen[:, 2:] - seen[:, :2]).min(1, initial=1e9) >= _LEAST_PX)
    rest = np.concatenate((seen[~fine], geometry.clip_boxes(aside, size)))
    return Shown(image, seen[fine], rest[geometry.areas_of(rest) > 0])


def _moved(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes [N,4] after a matrix [2,3] that may mirror and never turns."""
    factors, shifts = matrix[[0, 1], [0, 1]], matrix[:, 2]
    moved = boxes * np.tile(factors, 2) + np.tile(shifts, 2)
    low, high = np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])
    return np.asarray(np.concatenate((low, high), 1), np.float32)


def _four(
    pictures: Pictures,
    which: List[int],
    size: Tuple[int, int],
    how: PictureChanges,
    rng: np.random.Generator,
) -> Shown:
    """Four pictures in the quarters of the input (YOLOv4's mosaic, arXiv 2004.10934)."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    half = (size[0] // 2, size[1] // 2)
    boxes, ignored = [], []
    for place, one in enumerate(which):
        part = _one(pictures, one, half, how, rng)
        x, y = (place % 2) * half[0], (place // 2) * half[1]
        image[y : y + half[1], x : x + half[0]] = part.image
        boxes.append(part.boxes + np.array([x, y, x, y], np.float32))
        ignored.append(part.ignored + np.array([x, y, x, y], np.float32))
    return Shown(image, np.concatenate(boxes), np.concatenate(ignored))
