"""The arguments of the decoding kernels, and how many threads each kernel needs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from edge.runtime.kernels.layouts import Choice, Column, Peaks

Shape = Tuple[int, int, int]  # blocks or threads in x, y, z
MAX_ROWS = 1024  # chosen of each frame and output; the best ones if there are more
WARP, WARPS, BLOCK = 32, 4, 256  # lanes; warps in a block of simcc_peaks; threads of choose


@dataclass(frozen=True)
class Place:
    """Where one number of each row lies in an output [frames, ...], in elements.

    The number of row r of frame f is at
    first + f * frame + (r // length) * outer + (r % length) * inner.
    If it is the first of several numbers, the others follow at distances of `part`.
    """

    output: str
    first: int
    frame: int
    outer: int = 0
    inner: int = 1
    part: int = 0


@dataclass(frozen=True)
class Rows:
    """Where the rows of a detector lie in its outputs."""

    rows: int  # of each frame
    length: int  # rows at equal distances, see Place
    score: Place
    box: Place  # its first number
    factor: Optional[Place] = None  # multiplies the score, such as objectness
    parts: int = 4  # numbers of a box
    logits: bool = False  # score and factor are 1 / (1 + exp(-x)) of the numbers there

    @property
    def most(self) -> int:
        """The largest number of rows that may be chosen of a frame."""
        return min(self.rows, MAX_ROWS)

    @property
    def outputs(self) -> List[str]:
        """Names of the outputs that are read, sorted."""
        places = (self.score, self.box, self.factor)
        return sorted({place.output for place in places if place is not None})

    def renamed(self, names: Mapping[str, str]) -> Rows:
        """The same rows with other names of outputs."""
        places: Dict[str, Any] = {
            key: dataclasses.replace(place, output=names[place.output])
            for key, place in vars(self).items()
            if isinstance(place, Place)
        }
        return dataclasses.replace(self, **places)

    @staticmethod
    def of_table(output: str, rows: int, columns: int, score: int, factor: int = -1) -> Rows:
        """Rows of an output [frames, rows, columns] of probabilities, box first, as YOLOX has it.

        Args:
            output: its name.
            rows: of each frame.
            columns: numbers of a row.
            score: column of the score.
            factor: column that multiplies the score; -1 = none.
        """

        def column(i: int) -> Place:
            return Place(output, i, rows * columns, 0, columns, 1)

        more = column(factor) if factor >= 0 else None
        return Rows(rows, rows, column(score), column(0), more)

    @staticmethod
    def of_head(
        output: str, anchors: int, columns: int, cells: int, score: int, factor: int
    ) -> Rows:
        """Rows of a head [frames, anchors * columns, h, w] of logits, as YOLOv4 has it.

        Args:
            output: its name.
            anchors: of each cell.
            columns: numbers of an anchor; the box is first.
            cells: h * w.
            score: column of the score.
            factor: column that multiplies the score.
        """

        def column(i: int) -> Place:
            return Place(output, i * cells, anchors * columns * cells, columns * cells, 1, cells)

        whole = anchors * cells
        return Rows(whole, cells, column(score), column(0), column(factor), logits=True)

    @staticmethod
    def of_maps(
        score: Tuple[str, int, int], box: str, cells: int, factor: Optional[str] = None
    ) -> Rows:
        """Rows of maps [frames, channels, h, w] of logits, as RTMDet and YOLOX have them.

        Args:
            score: name of the map, its channels, and the channel of the score.
            box: name of the map of four channels.
            cells: h * w.
            factor: name of the map of one channel that multiplies the score.
        """
        name, channels, channel = score
        more = None if factor is None else Place(factor, 0, cells)
        first = Place(name, channel * cells, channels * cells)
        return Rows(cells, cells, first, Place(box, 0, 4 * cells, part=cells), more, logits=True)


@dataclass(frozen=True)
class Chosen:
    """The rows of a batch whose scores are high enough, frame by frame."""

    frame: np.ndarray  # [M] i64, rising
    row: np.ndarray  # [M] i64
    scores: np.ndarray  # [M] f32
    boxes: np.ndarray  # [M,parts] f32, as the network gives them
    bad: int = 0  # rows whose score was not finite

    @staticmethod
    def none(parts: int) -> Chosen:
        """No rows; `parts` numbers in a box."""
        whole, real = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return Chosen(whole, whole, real, np.zeros((0, parts), np.float32))


def choice_of(
    rows: Rows, data: Mapping[str, int], frames: int, dtype: np.dtype, floor: float
) -> Choice:
    """The argument of the kernel `choose`; the caller sets the addresses of the results.

    Args:
        rows: where the rows lie.
        data: address of each output.
        frames: of the batch.
        dtype: of the outputs, float32 or float16.
        floor: lowest score; negative scores are never chosen.
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
    """The argument of the kernel `simcc_peaks`; the caller sets the addresses of the results.

    Args:
        logits: addresses of the x and y axes, [rows, bins] each.
        bins: of each axis.
        rows: people times keypoints.
        dtype: of the logits, float32 or float16.
        reach: bins on each side of a maximum whose logits are wanted, too.
    """
    task = Peaks(rows=rows, half=int(np.dtype(dtype).itemsize == 2), reach=reach)
    task.logits[:], task.bins[:] = logits, bins
    return task


def crop_shape(width: int, height: int, count: int) -> Tuple[Shape, Shape]:
    """Blocks and threads of `crop`: a thread for each pixel; neighbours write adjacent numbers."""
    return (-(-width // 32), -(-height // 8), count), (32, 8, 1)


def peaks_shape(rows: int) -> Tuple[Shape, Shape]:
    """Blocks and threads of `simcc_peaks`: a warp for each row of each axis."""
    return (-(-2 * rows // WARPS), 1, 1), (WARP, WARPS, 1)


def choice_shape(frames: int) -> Tuple[Shape, Shape]:
    """Blocks and threads of `choose`: a block for each frame."""
    return (frames, 1, 1), (BLOCK, 1, 1)
