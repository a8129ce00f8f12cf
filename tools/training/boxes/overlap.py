"""Overlap of boxes x1 y1 x2 y2 as tensors with gradients."""

from __future__ import annotations

from typing import Tuple

from torch import Tensor

_EPS = 1e-7


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes that can be broadcast to each other, [...,4] -> [...]."""
    both, union = _parts(first, second)
    return both / union


def iou_table(first: Tensor, second: Tensor) -> Tensor:
    """IoU [N,G] of boxes [N,4] and [G,4]."""
    return iou(first[:, None], second[None])


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU, -1 to 1 (Rezatofighi et al. 2019, arXiv 1902.09630), [...,4] -> [...].

    IoU less the share of the smallest box around both that neither covers.
    """
    both, union = _parts(first, second)
    low = first[..., :2].minimum(second[..., :2])
    high = first[..., 2:].maximum(second[..., 2:])
    around = (high - low).clamp(min=0).prod(-1).clamp(min=_EPS)
    return both / union - (around - union) / around


def _parts(first: Tensor, second: Tensor) -> Tuple[Tensor, Tensor]:
    low = first[..., :2].maximum(second[..., :2])
    high = first[..., 2:].minimum(second[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (first, second)]
    return both, (areas[0] + areas[1] - both).clamp(min=_EPS)
