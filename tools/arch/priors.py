"""Places of the cells of a detector's maps in its input, and boxes from the cells' outputs."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import torch
from torch import Tensor

from tools.arch.network import Size


def cells_of(size: Size, strides: Sequence[int]) -> List[int]:
    """Number of cells in each level."""
    return [(size[0] // s) * (size[1] // s) for s in strides]


def grid(size: Size, strides: Sequence[int], centred: bool) -> Tuple[Tensor, Tensor]:
    """Points and strides of all cells, level by level, row by row.

    Args:
        size: height and width of the input, px.
        strides: px per cell, for each level.
        centred: use the middle of a cell's pixels, (stride - 1) / 2, as in RTMO; else its corner.

    Returns:
        Points [1,2,N] (x, y) px and strides [1,1,N] px, float32.
    """
    points, steps = [], []
    for stride in strides:
        shift = (stride - 1) / 2 if centred else 0.0
        rows = torch.arange(size[0] // stride, dtype=torch.float32) * stride + shift
        columns = torch.arange(size[1] // stride, dtype=torch.float32) * stride + shift
        x, y = columns.repeat(len(rows)), rows.repeat_interleave(len(columns))
        points.append(torch.stack((x, y)))
        steps.append(torch.full((1, len(x)), float(stride)))
    return torch.cat(points, 1)[None], torch.cat(steps, 1)[None]


def boxes_of_distances(points: Tensor, distances: Tensor) -> Tensor:
    """RTMDet: distances left, top, right, bottom [B,4,N] px -> boxes x1 y1 x2 y2 [B,N,4] px."""
    low, high = points - distances[:, :2], points + distances[:, 2:]
    return torch.cat((low, high), 1).transpose(1, 2)


def boxes_of_offsets(points: Tensor, strides: Tensor, offsets: Tensor) -> Tensor:
    """YOLOX: centre offsets and logarithms of the size [B,4,N], in cells -> boxes [B,N,4] px."""
    centre = points + offsets[:, :2] * strides
    half = offsets[:, 2:].exp() * (strides / 2)
    return torch.cat((centre - half, centre + half), 1).transpose(1, 2)
