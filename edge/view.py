"""How a picture in memory lies in the upright picture that poses and boxes refer to.

A camera may hang upside down or on its side, and its pixels may not be square. Its frames stay in
memory as they came. What reads pixels composes its own affine map with that of the view, so that no
frame is turned or scaled as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Sequence, Tuple

import numpy as np

Size = Tuple[int, int]  # width, height px
TURNS = (0, 90, 180, 270)
FLIPS = ("", "h", "v")
# Bits of `View.code`; the same in crop.cu.
SWAPPED, MIRRORED_X, MIRRORED_Y = 1, 2, 4
_SQUARE = 0.01  # pixels that differ from squares by less count as square
_MOST_ASPECT = 4.0  # an aspect beyond it is damage


@dataclass(frozen=True)
class View:
    """The way from the stored to the upright picture: stretch, turn, mirror, in this order."""

    turn: int = 0  # degrees clockwise, one of TURNS
    flip: str = ""  # one of FLIPS: h = left becomes right, v = top becomes bottom
    aspect: float = 1.0  # width over height of a stored pixel

    @property
    def is_plain(self) -> bool:
        """Whether the stored picture is the upright one."""
        return self.turn == 0 and not self.flip and self.aspect == 1.0

    @property
    def code(self) -> int:
        """The turn and the mirroring as bits.

        Stored px of upright px: exchange x and y if SWAPPED, then count x or y from the far side if
        MIRRORED_X or MIRRORED_Y.
        """
        code = {0: 0, 90: SWAPPED | MIRRORED_Y, 180: MIRRORED_X | MIRRORED_Y}.get(
            self.turn, SWAPPED | MIRRORED_X
        )
        if self.flip:
            crosswise = (self.flip == "h") == bool(code & SWAPPED)
            code ^= MIRRORED_Y if crosswise else MIRRORED_X
        return code

    def stretched(self, stored: Size) -> Size:
        """The size of the stored picture with square pixels: its short side grows."""
        width, height = stored
        if self.aspect >= 1:
            return max(1, round(width * self.aspect)), height
        return width, max(1, round(height / self.aspect))

    def size(self, stored: Size) -> Size:
        """The size of the upright picture."""
        width, height = self.stretched(stored)
        return (height, width) if self.code & SWAPPED else (width, height)

    def upright(self, image: np.ndarray) -> np.ndarray:
        """Turn and mirror an image [H,W,...] of square pixels, as a view of the same memory."""
        code = self.code
        if code & MIRRORED_Y:
            image = image[::-1]
        if code & MIRRORED_X:
            image = image[:, ::-1]
        return image.swapaxes(0, 1) if code & SWAPPED else image

    def stored_boxes(self, boxes: np.ndarray, stored: Size) -> np.ndarray:
        """Boxes [N,4] of the upright picture in px of the stored one."""
        matrix = stored_of_upright(self, stored).astype(np.float32)
        corners = boxes.reshape(-1, 2, 2) @ matrix[:, :2].T + matrix[:, 2]
        return np.asarray(np.concatenate((corners.min(1), corners.max(1)), 1), np.float32)


def pixel_aspect(numerator: float, denominator: float) -> float:
    """Width over height of a pixel; 1 if it is unknown, almost square, or beyond belief."""
    if not (numerator > 0 and denominator > 0):
        return 1.0
    aspect = numerator / denominator
    believed = 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT
    return aspect if believed and abs(aspect - 1) >= _SQUARE else 1.0


@lru_cache(maxsize=64)
def stored_of_upright(view: View, stored: Size) -> np.ndarray:
    """The matrix [2,3] f64 from px of the upright picture to px of the stored one; read-only.

    Whole numbers are centres of pixels in both pictures, and their edges lie on each other.
    """
    code, (width, height) = view.code, view.stretched(stored)
    matrix = np.array([[0.0, 1, 0], [1, 0, 0]] if code & SWAPPED else [[1.0, 0, 0], [0, 1, 0]])
    for axis, bit, length in ((0, MIRRORED_X, width), (1, MIRRORED_Y, height)):
        if code & bit:
            matrix[axis] = -matrix[axis]
            matrix[axis, 2] += length - 1
        scale = stored[axis] / length
        matrix[axis] *= scale
        matrix[axis, 2] += scale / 2 - 0.5
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=64)
def upright_of_stored(view: View, stored: Size) -> np.ndarray:
    """The inverse [2,3] f64 of `stored_of_upright`; read-only."""
    back = np.linalg.inv(np.vstack((stored_of_upright(view, stored), [0, 0, 1])))[:2]
    back.setflags(write=False)
    return np.asarray(back)


def crop_maps(frames: Sequence[Any], which: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Matrices of crops from px of the stored pictures.

    Args:
        frames: `Frame` records.
        which: [B] index into `frames` of each crop.
        matrices: [B,2,3] from px of the upright picture to px of the crop.

    Returns:
        [B,2,3] f64 from px of the stored picture to px of the crop; the matrices themselves if all
        pictures are upright.
    """
    maps = np.asarray(matrices, np.float64)
    if all(frame.view is None for frame in frames):
        return maps
    inner = np.empty((len(frames), 2, 3))
    for i, frame in enumerate(frames):
        inner[i] = upright_of_stored(frame.view or View(), frame.stored_size)
    inner = inner[np.asarray(which)]
    out = np.matmul(maps[:, :, :2], inner)
    out[:, :, 2] += maps[:, :, 2]
    return out
