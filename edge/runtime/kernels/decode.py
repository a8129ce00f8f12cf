"""How the decoding kernels are told what lies where, and how many threads they need."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from edge.runtime.kernels.layouts import Choice, Column, Peaks

Shape = Tuple[int, int, int]  # blocks or threads in x, y, z
MOST = 1024  # candidates of a frame and output; beyond it the best are kept
WARP, WARPS, BLOCK = 32, 4, 256  # lanes; warps in a block of simcc_peaks; threads of choose


@dataclass(frozen=True)
class Place:
    """Where one number of every row lies in an output [frames, ...], counted in elements.

    That of row r of frame f is at first + f * frame + (r // length) * outer + (r % length) * inner;
    where it is the first of several, the others are `part` apart.
    """

    output: str
    first: int
    frame: int
    outer: int = 0
    inner: int = 1
    part: int = 0


@dataclass(frozen=True)
class Rows:
    """Where a detector's numbers lie."""

    rows: int  # of each frame
    length: int  # rows that lie evenly
    score: Place
    box: Place
    factor: Optional[Place] = None  # what the score is multiplied with, such as objectness
    parts: int = 4  # numbers of a box
    logits: bool = False  # scores are 1 / (1 + exp(-x)) of what is there

    @property
    def most(self) -> int:
        """How many of a frame may be chosen."""
        return min(self.rows, MOST)

    @property
    def outputs(self) -> List[str]:
        """What is read, each once."""
        places = (self.score, self.box, self.factor)
        return sorted({place.output for place in places if place is not None})

    def renamed(self, names: Mapping[str, str]) -> Rows:
        """The same with other names of outputs."""
        places: Dict[str, Any] = {
            key: dataclasses.replace(place, output=names[place.output])
            for key, place in vars(self).items()
            if isinstance(place, Place)
        }
        return dataclasses.replace(self, **places)

    @staticmethod
    def of_table(output: str, rows: int, columns: int, score: int, factor: int = -1) -> Rows:
        """An output [frames, rows, columns], as YOLOX gives it: probabilities; the box is first."""

        def column(i: int) -> Place:
            return Place(output, i, rows * columns, 0, columns, 1)

        more = column(factor) if factor >= 0 else None
        return Rows(rows, rows, column(score), column(0), more)

    @staticmethod
    def of_head(
        output: str, anchors: int, columns: int, cells: int, score: int, factor: int
    ) -> Rows:
        """A head [frames, anchors * columns, h, w] of h * w = `cells`, as YOLOv4's: logits."""

        def column(i: int) -> Place:
            return Place(output, i * cells, anchors * columns * cells, columns * cells, 1, cells)

        whole = anchors * cells
        return Rows(whole, cells, column(score), column(0), column(factor), logits=True)

    @staticmethod
    def of_maps(
        score: Tuple[str, int, int], box: str, cells: int, factor: Optional[str] = None
    ) -> Rows:
        """Maps [frames, channels, h, w] of h * w = `cells`, as RTMDet's and YOLOX's: logits.

        Args:
            score: name, channels, and which of them.
            box: name of the map of four channels.
            cells: of each map.
            factor: name of a map of one channel.
        """
        name, channels, channel = score
        more = None if factor is None else Place(factor, 0, cells)
        first = Place(name, channel * cells, channels * cells)
        return Rows(cells, cells, first, Place(box, 0, 4 * cells, part=cells), more, logits=True)


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


def choice_of(
    rows: Rows, data: Mapping[str, int], frames: int, dtype: np.dtype, floor: float
) -> Choice:
    """The argument of `choose`; where results go is left to be set.

    Args:
        rows: where numbers lie.
        data: address of each output.
        frames: of the batch.
        dtype: float32 or float16.
        floor: lowest score; negative scores are never kept.
    """
    size = np.dtype(dtype).itemsize

    def column(at: Place) -> Column:
        return Column(data[at.output] + at.first * size, at.frame, at.outer, at.inner, at.part)

    return Choice(
        score=column(rows.score),
        factor=column(rows.factor) if rows.factor else Column(),
        box=column(rows.box),
        rows=rows.rows,
        frames=frames,
        length=rows.length,
        parts=rows.parts,
        most=rows.most,
        half=int(size == 2),
        logits=int(rows.logits),
        floor=floor,
    )


def peaks_of(
    logits: Tuple[int, int], bins: Tuple[int, int], rows: int, dtype: np.dtype, reach: int = 0
) -> Peaks:
    """The argument of `simcc_peaks`; where results go is left to be set.

    Args:
        logits: addresses of the x and y axes, [rows, bins] each.
        bins: of each axis.
        rows: people times keypoints.
        dtype: float32 or float16.
        reach: bins on each side of a maximum that are wanted, too.
    """
    task = Peaks(rows=rows, half=int(np.dtype(dtype).itemsize == 2), reach=reach)
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
