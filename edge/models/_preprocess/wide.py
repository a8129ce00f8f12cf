"""Pictures of four bytes a pixel, the last unused: what OpenCV 5 cuts turned crops from fastest.

It fetches such a pixel at once, one of three bytes byte by byte: 0.10 against 0.27 ms for a hand.
And a decoder's picture lies in memory: read row by row first, it is in the processor's cache when
the crop goes across it. A body out of 1080 x 1920 px, never read before: 0.5 against 2.2 ms; read
just before: 0.52 against 0.43. The pixels are the same to the last bit. (x86-64, one thread, OpenCV
5.0; OpenCV 4.14 has no such gap.)
"""

from __future__ import annotations

import math
import threading
from typing import Dict, Optional, Tuple

import cv2
import numpy as np

from edge import geometry

FASTER = int(cv2.__version__.split(".")[0]) >= 5
_SIZES = 4  # sizes of frames that a thread keeps a picture for
Region = Tuple[slice, slice]  # rows, columns


class _Pictures(threading.local):
    """Of one thread, as large as the frames, so that a crop's matrix holds for both alike.

    What is in them outside the last region is of older frames.
    """

    def __init__(self) -> None:
        self._of_size: Dict[Tuple[int, ...], np.ndarray] = {}

    def like(self, picture: np.ndarray) -> np.ndarray:
        shape = (*picture.shape[:2], 4)
        if shape not in self._of_size:
            if len(self._of_size) >= _SIZES:  # a camera whose size changes again and again
                self._of_size.clear()
            self._of_size[shape] = np.empty(shape, np.uint8)
        return self._of_size[shape]


_pictures = _Pictures()


def widened(picture: np.ndarray, matrix: np.ndarray, size: geometry.Size) -> np.ndarray:
    """The picture to cut a crop from: a faster one of the same pixels, where there is one.

    Args:
        picture: [H,W,3] u8, or any other, which is given back.
        matrix: [2,3] frame px -> crop px.
        size: width, height of the crop.

    Returns:
        [H,W,4] u8 that is valid where the crop lies, borrowed until this thread's next call.
    """
    if not FASTER or picture.ndim != 3 or picture.shape[2] != 3:
        return picture
    region = _region(matrix, size, picture.shape)
    if region is None:
        return picture
    wide = _pictures.like(picture)
    cv2.cvtColor(picture[region], cv2.COLOR_BGR2BGRA, dst=wide[region])
    return wide


def _region(matrix: np.ndarray, size: geometry.Size, shape: Tuple[int, ...]) -> Optional[Region]:
    """Every pixel that a crop reads of a picture; None if it reads none or is no crop."""
    (a, b, x), (c, d, y) = matrix.tolist()
    area = a * d - b * c
    if not math.isfinite(area + x + y) or not area:
        return None
    # The crop's middle, and how far it reaches around it, in frame px.
    right, down = size[0] / 2 - x, size[1] / 2 - y
    column, row = (d * right - b * down) / area, (a * down - c * right) / area
    wide = (abs(d) * size[0] + abs(b) * size[1]) / abs(2 * area)
    high = (abs(c) * size[0] + abs(a) * size[1]) / abs(2 * area)
    # Two more on each side: bilinear sampling reads the next pixel, and numbers are rounded.
    top, low = max(row - high - 2, 0), min(row + high + 2, shape[0] - 1)
    left, far = max(column - wide - 2, 0), min(column + wide + 2, shape[1] - 1)
    if not (top <= low and left <= far):
        return None
    return slice(int(top), int(low) + 1), slice(int(left), int(far) + 1)
