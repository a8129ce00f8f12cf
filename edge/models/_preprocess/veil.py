"""Draws silhouettes of people in veils, and hides pixels of crops by veils."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Sequence, Tuple

import cv2
import numpy as np

from edge import geometry
from edge.structures import VEIL_CELL_PX

_HIDDEN, _SEEN = 255, 0
_FAR = 4096  # cells; wider than any veil, and OpenCV 4.14 and 5.0 can draw lines from there
_HEAD = 1.1  # radius of the head, in widths of a limb
# COCO keypoints.
_FACE = slice(0, 5)
_TORSO = np.array([5, 6, 12, 11])
_LINES = np.array(
    [(5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16)]  # limbs
    + [(5, 6), (11, 12), (5, 11), (6, 12)]  # around the torso
)


@dataclass(frozen=True)
class Silhouettes:
    """The keypoints of S people in crops."""

    places: np.ndarray  # [S,17,2] f32 px of the crop, COCO keypoints
    known: np.ndarray  # [S,17] bool, keypoints to draw
    widths: np.ndarray  # [S] f32 px of a limb; OpenCV draws it up to two cells wider
    hidden: np.ndarray  # [S] bool, true = hide the person, false = show what was hidden before


def blank(count: int, size: geometry.Size) -> np.ndarray:
    """Veils [count,h,w] u8 that hide nothing, for crops of that width and height."""
    width, height = (-(-side // VEIL_CELL_PX) for side in size)
    return np.zeros((count, height, width), np.uint8)


def draw(veils: np.ndarray, which: np.ndarray, people: Silhouettes) -> None:
    """Draw silhouettes into veils, one after the other.

    Args:
        veils: [V,h,w] u8, changed in place.
        which: [S] index of the veil of each silhouette.
        people: silhouettes, in px of the veil's crop.
    """
    # The centre of cell 0 is half a cell from the crop's edge, that of pixel 0 half a pixel.
    places = (people.places + 0.5) / VEIL_CELL_PX - 0.5
    heads, has_head = _heads(places, people.known)
    corners, heads = _whole(places), _whole(heads)
    widths = _whole(people.widths / VEIL_CELL_PX).clip(1, max(veils.shape[1:])).tolist()
    every, torsos = corners.take(_LINES, 1), corners.take(_TORSO, 1)
    drawn = np.asarray(people.known[:, _LINES].all(-1))
    has_torso = np.all(people.known[:, _TORSO], -1).tolist()
    values = np.where(people.hidden, _HIDDEN, _SEEN).tolist()
    for i, (veil, value) in enumerate(zip(which.tolist(), values)):
        if has_torso[i]:
            cv2.fillPoly(veils[veil], [torsos[i]], value)
        lines = list(every[i][drawn[i]])
        if lines:
            cv2.polylines(veils[veil], lines, False, value, widths[i])
        if has_head[i]:
            cv2.circle(veils[veil], tuple(heads[i].tolist()), int(_HEAD * widths[i]), value, -1)


def _heads(places: np.ndarray, known: np.ndarray) -> Tuple[np.ndarray, Sequence[bool]]:
    """Centres [S,2] of the heads, and whether a person has a visible face keypoint."""
    seen = known[:, _FACE]
    count = seen.sum(1)
    total = np.where(seen[..., None], places[:, _FACE], 0).sum(1)
    return total / np.maximum(count, 1)[:, None], (count > 0).tolist()


def _whole(numbers: np.ndarray) -> np.ndarray:
    return np.rint(np.minimum(np.maximum(numbers, -_FAR), _FAR)).astype(np.int32)


def hide(crop: np.ndarray, cells: np.ndarray, border: int) -> None:
    """Set the pixels of hidden cells to the grey value `border`.

    Args:
        crop: [H,W,C] or [H,W] u8, changed in place.
        cells: [h,w] u8, the veil of the crop.
        border: 0..255.
    """
    high, wide = crop.shape[:2]
    # Write the four px of a cell at once: np.repeat along the rows takes longer.
    bytes_4 = (cells.astype(np.uint32) * np.uint32(0x01010101)).view(np.uint8)
    mask = np.repeat(bytes_4, VEIL_CELL_PX, axis=0)[:high, :wide]
    cv2.copyTo(_plain(crop.shape, border), mask, crop)


@lru_cache(maxsize=8)
def _plain(shape: Tuple[int, ...], border: int) -> np.ndarray:
    return np.full(shape, border, np.uint8)
