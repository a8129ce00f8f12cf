"""How the decoding kernels are told what lies where, and how many threads they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from edge.runtime.kernels.layouts import Choice, Column, Peaks

Shape = Tuple[int, int, int]  # blocks or threads in x, y, z
MOST = 1024  # candidates of a frame and output; beyond it the best are kept
WARP, WARPS, BLOCK = 32, 4, 256  # lanes; warps in a block of simcc_peaks; threads of choose


@dataclass(frozen=True)
class Rows:
    """Where a detector's numbers lie in an output [frames, ...], counted in elements.

    Row r of frame f is at f * frame + (r // length) * outer + (r % length) * inner; the numbers of
    its box are `part` apart.
    """

    rows: int  # of each frame
    length: int
    frame: int
    outer: int
    inner: int
    part: int
    score: int  # first row's place of the score
    factor: int = -1  # of what it is multiplied with, such as objectness; -1 = nothing
    box: int = 0
    parts: int = 4
    logits: bool = False  # scores are 1 / (1 + exp(-x)) of what is there

    @staticmethod
    def of_table(rows: int, columns: int, score: int, factor: int = -1, box: int = 0) -> Rows:
        """An output [frames, rows, columns], as YOLOX gives it: probabilities."""
        return Rows(rows, rows, rows * columns, 0, columns, 1, score, factor, box)

    @staticmethod
    def of_head(anchors: int, columns: int, cells: int, score: int, factor: int) -> Rows:
        """A head [frames, anchors * columns, h, w] of h * w = `cells`, as YOLOv4's: logits."""
        frame, outer = anchors * columns * cells, columns * cells
        places = (score * cells, factor * cells, 0)
        return Rows(anchors * cells, cells, frame, outer, 1, cells, *places, logits=True)


@dataclass(frozen=True)
class Chosen:
    """Rows of all frames whose score is high enough, by frame, rising."""

    frame: np.ndarray  # [M] i64
    row: np.ndarray  # [M] i64
    scores: np.ndarray  # [M] f32
    boxes: np.ndarray  # [M,parts] f32, as the network gives them
    bad: int = 0  # rows whose score was no finite number

    @staticmethod
    def none(parts: int) -> Chosen:
        """Of no frame."""
        whole, real = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return Chosen(whole, whole, real, np.zeros((0, parts), np.float32))


def choice_of(rows: Rows, data: int, frames: int, dtype: np.dtype, floor: float) -> Choice:
    """The argument of `choose` for one output; where results go is left to be set.

    Args:
        rows: where numbers lie.
        data: address of the output.
        frames: of the batch.
        dtype: float32 or float16.
        floor: lowest score; negative scores are never kept.
    """
    size = np.dtype(dtype).itemsize

    def column(first: int) -> Column:
        return Column(data + first * size, rows.frame, rows.outer, rows.inner, rows.part)

    return Choice(
        score=column(rows.score),
        factor=column(rows.factor) if rows.factor >= 0 else Column(),
        box=column(rows.box),
        rows=rows.rows,
        frames=frames,
        length=rows.length,
        parts=rows.parts,
        half=int(size == 2),
        logits=int(rows.logits),
        floor=floor,
    )


def peaks_of(logits: Tuple[int, int], bins: Tuple[int, int], rows: int, dtype: np.dtype) -> Peaks:
    """The argument of `simcc_peaks`; where results go is left to be set.

    Args:
        logits: addresses of the x and y axes, [rows, bins] each.
        bins: of each axis.
        rows: people times keypoints.
        dtype: float32 or float16.
    """
    task = Peaks(rows=rows, half=int(np.dtype(dtype).itemsize == 2))
    task.logits[:], task.bins[:] = logits, bins
    return task


def crop_shape(width: int, height: int, count: int) -> Tuple[Shape, Shape]:
    """Blocks and threads of `crop`: a thread a pixel, neighbours write side by side."""
    return (-(-width // 32), -(-height // 8), count), (32, 8, 1)


def peaks_shape(rows: int) -> Tuple[Shape, Shape]:
    """Blocks and threads of `simcc_peaks`: a warp for each row of each axis."""
    return (-(-2 * rows // WARPS), 1, 1), (WARP, WARPS, 1)


def choice_shape(frames: int) -> Tuple[Shape, Shape]:
    """Blocks and threads of `choose`: a block a frame."""
    return (frames, 1, 1), (BLOCK, 1, 1)
