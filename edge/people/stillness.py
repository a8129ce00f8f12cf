"""Whether anything stirs in a camera's picture where nobody is known: if not, a detector may rest.

Pure: no clock. A coarse grid of mean brightness is compared with that of the frame the detector saw
last, outside the people known then and now. A change of the whole picture (exposure) is taken off,
and noise is measured in the very comparison. Constants are in cells and grey levels, measured on
ten clips of four fixed set-ups: see each.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.geometry import FARTHEST_PX
from edge.structures import Frame

# Cells along the longer side. People of 50 to 75 px in a picture of 768 by 576 stir two of them in
# 97.5 % of 281 entries; with 48 cells, in 94.2 %.
_CELLS = 64
_SAMPLES = 3  # pixels read of a cell, along each side
# All around a box, in its longer side: hair, hands, shadow. A person who stays in place stirs two
# cells outside by 19 grey levels at 0, by 6 at .15 (medians over two seconds, four people).
_GROWN = 0.15
_FLOOR = 6.0  # grey levels that a cell must change by; a coded picture's own restlessness is 4
_NOISES = 5.0  # ... and standard deviations: fewer than two of 2000 cells do so by chance
_ENOUGH = 2  # such cells
# Standard deviation of a cell above which nothing can be said: 4.8 where each pixel has one of 10.
_NOISIEST = 6.0
_FEWEST = 32  # cells outside people, below which their median says nothing
_MAD = 1.4826  # standard deviation of normal noise over its median absolute deviation


class Stillness:
    """Remembers what one camera's detector saw last."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._then = np.zeros((0, 0), np.float32)
        self._known = np.zeros((0, 0), bool)

    def remember(self, frame: Frame, boxes: np.ndarray) -> None:
        """A detector looks at this frame.

        Args:
            frame: borrowed; nothing of its image is kept.
            boxes: [N,4] f32 px, where known people are.
        """
        self._size = frame.size
        self._then, self._known = _grid(frame), _within(boxes, frame.size)

    def share(self, frame: Frame, boxes: np.ndarray) -> float:
        """How much of the picture is known to be as it was at the last look.

        Args:
            frame: a later one of the same camera; borrowed.
            boxes: [N,4] f32 px, where known people are now; rows that are no numbers hide nothing.

        Returns:
            The share 0..1 of the picture outside known people; 0 where anything stirs there, where
            too little of it is left to tell, and where the picture has another size.
        """
        if frame.size != self._size:
            return 0.0
        free = ~(self._known | _within(boxes, frame.size))
        change = (_grid(frame) - self._then)[free]
        if len(change) < _FEWEST or _stirred(change):
            return 0.0
        return len(change) / free.size


def _stirred(change: np.ndarray) -> bool:
    """Of cells' changes [C], whether some are neither the whole picture's nor noise."""
    change = np.abs(change - _middle(change))
    noise = _MAD * _middle(change)
    least = max(_FLOOR, _NOISES * noise)
    return noise > _NOISIEST or int(np.count_nonzero(change > least)) >= _ENOUGH


def _middle(values: np.ndarray) -> float:
    """The upper median; np.median takes three times as long."""
    half = len(values) // 2
    return float(np.partition(values, half)[half])


def _grid(frame: Frame) -> np.ndarray:
    """Mean brightness of each cell, [R,C] f32; reads every step-th pixel of every step-th row."""
    step, top, left, rows, columns = _layout(frame.size)
    bottom, right = top + rows * _SAMPLES * step, left + columns * _SAMPLES * step
    plane = _brightness(frame)
    read = plane[top + step // 2 : bottom : step, left + step // 2 : right : step]
    samples = read.astype(np.float32).reshape(rows, _SAMPLES, columns, _SAMPLES)
    means: np.ndarray = samples.sum(1).sum(2) / np.float32(_SAMPLES * _SAMPLES)
    return means


def _brightness(frame: Frame) -> np.ndarray:
    """[H,W] u8 view: the luma plane where there is one, else green, most of brightness."""
    image = frame.image
    if frame.layout == "nv12":
        return image[: frame.size[1]]
    if frame.layout == "yuyv" or (frame.layout == "gray" and image.ndim == 3):
        return image[..., 0]
    return image if frame.layout == "gray" else image[..., 1]


def _layout(size: Tuple[int, int]) -> Tuple[int, int, int, int, int]:
    """Pixels between samples, first row and column of the grid, its rows and columns."""
    width, height = size
    step = max(1, round(max(size) / (_CELLS * _SAMPLES)))
    cell = step * _SAMPLES
    rows, columns = height // cell, width // cell
    return step, (height - rows * cell) // 2, (width - columns * cell) // 2, rows, columns


def _within(boxes: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """[R,C] bool: the cells that grown boxes [N,4] touch."""
    step, top, left, rows, columns = _layout(size)
    cell = step * _SAMPLES
    boxes = boxes[(np.abs(boxes) < FARTHEST_PX).all(1)]
    low, high = boxes[:, :2], boxes[:, 2:]
    grown = _GROWN * (high - low).max(1, initial=0)[:, None]
    low, high = low - grown - cell, high + grown  # of cells' first corners
    x, y = left + cell * np.arange(columns), top + cell * np.arange(rows)
    across = (x > low[:, :1]) & (x < high[:, :1])
    down = (y > low[:, 1:]) & (y < high[:, 1:])
    inside: np.ndarray = down.T @ across
    return inside
