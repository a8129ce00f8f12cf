"""Which cells answer for which person: the two published ways that depend on the answers of now.

Both give a person as many cells as the sum of the largest IoUs says, those of the least cost; a
cell that two people want goes to the one for whom it costs less. They differ in the cost.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tools.training.boxes.overlap import iou_table

_NEVER = 1e8  # cost of a cell that may not be chosen
_EPS = 1e-7


class Cells(NamedTuple):
    """The answers of all cells of one picture, without gradients."""

    logits: Tensor  # [N] of the person class
    boxes: Tensor  # [N,4] px
    points: Tensor  # [N,2] px
    strides: Tensor  # [N] px


class Assigned(NamedTuple):
    """What each cell answers for."""

    person: Tensor  # [N] i64, -1 = nobody
    overlap: Tensor  # [N] IoU of the cell's box with that person's, 0 = nobody


def dynamic_soft(cells: Cells, people: Tensor) -> Assigned:
    """RTMDet's assignment with soft labels (arXiv 2212.07784, section 3.3).

    cost = C_cls + 3 C_reg + C_centre, with C_cls = BCE(P, IoU) (IoU - P)^2, C_reg = -log IoU and
    C_centre = 10^(distance / stride - 3). The 13 largest IoUs say how many cells a person gets.

    Args:
        cells: answers.
        people: boxes [G,4] px.
    """
    overlap = iou_table(cells.boxes, people)
    gap = overlap - cells.logits.sigmoid()[:, None]
    wide = cells.logits[:, None].expand_as(overlap)
    plain = functional.binary_cross_entropy_with_logits(wide, overlap, reduction="none")
    away = _away(cells, people)
    cost = plain * gap.square() - 3 * (overlap + _EPS).log() + 10 ** (away - 3)
    inside = _inside(cells, people) | _nearest(away)
    return _share_out(cost.masked_fill(~inside, _NEVER), overlap * inside, most=13)


def sim_ota(cells: Cells, people: Tensor) -> Assigned:
    """SimOTA of YOLOX (arXiv 2107.08430, section 2.1, after OTA, arXiv 2103.14259).

    cost = -log P - 3 log IoU, where P is the product of both probabilities. A cell may be chosen if
    it lies in the box, or within 2.5 cells of its centre; cells where both hold come first. The 10
    largest IoUs say how many cells a person gets.

    Args:
        cells: answers; `logits` belong to the product of class and object.
        people: boxes [G,4] px.
    """
    overlap = iou_table(cells.boxes, people)
    sure = -functional.logsigmoid(cells.logits)[:, None]
    away = _away_on_axes(cells, people)
    inside, central = _inside(cells, people), away < 2.5
    cost = sure - 3 * (overlap + _EPS).log() + 1e5 * ~(inside & central)
    allowed = inside | central | _nearest(away)
    return _share_out(cost.masked_fill(~allowed, _NEVER), overlap * allowed, most=10)


def _inside(cells: Cells, people: Tensor) -> Tensor:
    """[N,G] bool: the cell's point lies in the box."""
    low = cells.points[:, None] - people[None, :, :2]
    high = people[None, :, 2:] - cells.points[:, None]
    return torch.cat((low, high), -1).amin(-1) > 0


def _away(cells: Cells, people: Tensor) -> Tensor:
    """[N,G] distance to the box's centre in cells; limited, so that the cost stays finite."""
    centres = (people[:, :2] + people[:, 2:]) / 2
    gap = (cells.points[:, None] - centres[None]).norm(dim=-1)
    return (gap / cells.strides[:, None]).clamp(max=10)


def _away_on_axes(cells: Cells, people: Tensor) -> Tensor:
    """[N,G] the larger of the distances in x and y to the box's centre, in cells."""
    centres = (people[:, :2] + people[:, 2:]) / 2
    gap = (cells.points[:, None] - centres[None]).abs().amax(-1)
    return gap / cells.strides[:, None]


def _nearest(away: Tensor) -> Tensor:
    """[N,G] bool: the cell is the nearest one, so that a person between all points has a cell."""
    return away <= away.amin(0, keepdim=True)


def _share_out(cost: Tensor, overlap: Tensor, most: int) -> Assigned:
    """Give each person the cells of the least cost, and each cell one person at most.

    Args:
        cost: [N,G].
        overlap: [N,G] IoU, 0 where a cell may not be chosen.
        most: largest IoUs that count.
    """
    cells, people = cost.shape
    if not people:
        nobody = torch.full((cells,), -1, dtype=torch.int64, device=cost.device)
        return Assigned(nobody, torch.zeros(cells, device=cost.device))
    wanted = overlap.topk(min(most, cells), 0).values.sum(0).int().clamp(min=1)
    rank = torch.sort(cost, dim=0, stable=True).indices.argsort(0)
    chosen = (rank < wanted[None]) & (cost < _NEVER)
    price, person = cost.masked_fill(~chosen, 2 * _NEVER).min(1)
    person = torch.where(price < _NEVER, person, torch.full_like(person, -1))
    there = overlap.gather(1, person.clamp(min=0)[:, None])[:, 0]
    return Assigned(person, there * (person >= 0))
