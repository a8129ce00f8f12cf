"""What is wrong with the answers of a detector, summed over cells."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tools.training.boxes.overlap import giou


def quality_focal(logits: Tensor, quality: Tensor) -> Tensor:
    """Quality focal loss |q - P|^2 BCE(P, q) (Li et al. 2020, arXiv 2006.04388), each cell's.

    Args:
        logits: [N].
        quality: [N] the IoU that a cell should tell; 0 where nobody is.
    """
    plain = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return plain * (quality - logits.sigmoid()).square()


def box_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """1 - GIoU of boxes [N,4] and those that they should be, each cell's."""
    return 1 - giou(boxes, wanted)
