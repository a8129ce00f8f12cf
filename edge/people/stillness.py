"""Motion outside the known people: while there is none, the detector may pause.

Pure: no clock. A coarse grid of mean brightness is compared with the grid of the frame that the
detector saw last. Cells that known people cover now, or covered then, do not count. The median
change is subtracted, so that a change of exposure is no motion. Noise is measured in the same
comparison. Constants are in cells and grey levels; they were measured on ten clips of four fixed
set-ups.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.geometry import FARTHEST_PX
from edge.structures import Frame

# Cells along the longer side. In 281 entries of people of 50 to 75 px into a picture of 768 x 576,
# two cells changed in 97.5 % of the entries; with 48 cells, in 94.2 %.
_CELLS = 64
_SAMPLES = 3  # pixels read along each side of a cell
# Boxes are grown by this share of their longer side, because hair, hands and shadows lie outside.
# A person who stays in place changes two cells outside the box by 19 grey levels without growth, by
# 6 with it (medians over two seconds, four people).
_GROWTH = 0.15
# A cell has changed if its change is more than both of these.
_LEAST_CHANGE = 6.0  # grey levels; a coded picture changes by 4 on its own
_LEAST_DEVIATIONS = 5.0  # standard deviations; by chance fewer than two of 2000 cells have more
_LEAST_CELLS = 2  # this many changed cells are motion
# Above this standard deviation of a cell, motion cannot be told from noise. Noise of 10 grey levels
# for each pixel gives 4.8.
_MOST_NOISE = 6.0
_LEAST_FREE_CELLS = 32  # with fewer cells outside people, their median tells nothing
_MAD = 1.4826  # standard deviation of normal noise over its median absolute deviation


class Stillness:
    """Compares frames of one camera with the frame that the detector saw last."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._then = np.zeros((0, 0), np.float32)
        self._known = np.zeros((0, 0), bool)

    def remember(self, frame: Frame, boxes: np.ndarray) -> None:
        """Remember the frame that the detector looks at.

        Args:
            frame: borrowed; its image is not kept.
            boxes: [N,4] f32 px of known people.
        """
        self._size = frame.size
        self._then, self._known = _grid(frame), _known(frame, boxes)

    def share(self, frame: Frame, boxes: np.ndarray) -> float:
        """The share of the picture that has not changed since the remembered frame.

        Args:
            frame: a later frame of the same camera; borrowed.
            boxes: [N,4] f32 px of known people now; rows that are not finite are ignored.

        Returns:
            The share 0..1 of the picture outside known people. 0 if anything moves there, if too
            little of the picture is left to tell, or if the frame has another size.
        """
        if frame.size != self._size:
            return 0.0
        free = ~(self._known | _known(frame, boxes))
        change = (_grid(frame) - self._then)[free]
        if len(change) < _LEAST_FREE_CELLS or _has_motion(change):
            return 0.0
        return len(change) / free.size


def _has_motion(change: np.ndarray) -> bool:
    """Whether some of the cells' changes [C] are neither a change of exposure nor noise."""
    change = np.abs(change - _median(change))
    noise = _MAD * _median(change)
    least = max(_LEAST_CHANGE, _LEAST_DEVIATIONS * noise)
    return noise > _MOST_NOISE or int(np.count_nonzero(change > least)) >= _LEAST_CELLS


def _median(values: np.ndarray) -> float:
    """The upper median; np.median takes three times as long."""
    half = len(values) // 2
    return float(np.partition(values, half)[half])


def _grid(frame: Frame) -> np.ndarray:
    """Mean brightness [R,C] f32 of each cell, from every step-th pixel of every step-th row."""
    step, top, left, rows, columns = grid_layout(frame.stored_size, _CELLS, _SAMPLES)
    bottom, right = top + rows * _SAMPLES * step, left + columns * _SAMPLES * step
    plane = brightness(frame)
    read = plane[top + step // 2 : bottom : step, left + step // 2 : right : step]
    samples = read.astype(np.float32).reshape(rows, _SAMPLES, columns, _SAMPLES)
    means: np.ndarray = samples.sum(1).sum(2) / np.float32(_SAMPLES * _SAMPLES)
    return means


def brightness(frame: Frame) -> np.ndarray:
    """[H,W] u8 view: luma if the layout has it, else green, which is most of the brightness."""
    image = frame.image
    if frame.layout == "nv12":
        return image[: frame.stored_size[1]]
    if frame.layout == "yuyv" or (frame.layout == "gray" and image.ndim == 3):
        return image[..., 0]
    return image if frame.layout == "gray" else image[..., 1]


def grid_layout(size: Tuple[int, int], cells: int, samples: int) -> Tuple[int, int, int, int, int]:
    """Px between samples, top and left px of the grid, its rows and columns.

    Args:
        size: width and height px of the picture.
        cells: along the longer side.
        samples: pixels read along each side of a cell.
    """
    width, height = size
    step = max(1, round(max(size) / (cells * samples)))
    cell = step * samples
    rows, columns = height // cell, width // cell
    return step, (height - rows * cell) // 2, (width - columns * cell) // 2, rows, columns


def _known(frame: Frame, boxes: np.ndarray) -> np.ndarray:
    """[R,C] bool: cells of the stored picture that boxes [N,4] of the upright one touch."""
    if frame.view is not None:
        boxes = frame.view.stored_boxes(boxes, frame.stored_size)
    return _within(boxes, frame.stored_size)


def _within(boxes: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """[R,C] bool: cells that boxes [N,4] touch, after they are grown."""
    step, top, left, rows, columns = grid_layout(size, _CELLS, _SAMPLES)
    cell = step * _SAMPLES
    boxes = boxes[(np.abs(boxes) < FARTHEST_PX).all(1)]
    low, high = boxes[:, :2], boxes[:, 2:]
    grown = _GROWTH * (high - low).max(1, initial=0)[:, None]
    low, high = low - grown - cell, high + grown  # where a touching cell's first corner may lie
    x, y = left + cell * np.arange(columns), top + cell * np.arange(rows)
    across = (x > low[:, :1]) & (x < high[:, :1])
    down = (y > low[:, 1:]) & (y < high[:, 1:])
    inside: np.ndarray = down.T @ across
    return inside
