"""RTMDet (arXiv 2212.07784): all levels share the head's convolutions but not its norms."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from torch import Tensor, nn

from tools.arch.blocks import Style
from tools.arch.detector import STRIDES, Detector, csp_parts
from tools.arch.network import Outputs, Size, by_level, join_levels
from tools.arch.priors import boxes_of_distances

STACKED = 2  # convolutions of each branch


class RtmdetHead(nn.Module):
    """Predicts classes and the sides of a box for each cell.

    Args:
        channels: channels of every map.
        classes: number of classes.
        style: for nano, convolutions are separable and not shared.
        exponential: the sides are predicted as logarithms (m, l and x).
    """

    def __init__(self, channels: int, classes: int, style: Style, exponential: bool) -> None:
        super().__init__()
        self.exponential = exponential
        self.cls_convs = _branches(channels, style)
        self.reg_convs = _branches(channels, style)
        self.rtm_cls = nn.ModuleList(nn.Conv2d(channels, classes, 1) for _ in STRIDES)
        self.rtm_reg = nn.ModuleList(nn.Conv2d(channels, 4, 1) for _ in STRIDES)

    def forward(self, maps: Sequence[Tensor]) -> Tuple[List[Tensor], List[Tensor]]:
        """Class logits [B,C,h,w], and distances left, top, right, bottom [B,4,h,w] px, by level."""
        logits, distances = [], []
        for level, (features, stride) in enumerate(zip(maps, STRIDES)):
            logits.append(self.rtm_cls[level](self.cls_convs[level](features)))
            sides = self.rtm_reg[level](self.reg_convs[level](features))
            distances.append((sides.exp() if self.exponential else sides) * stride)
        return logits, distances


def _branches(channels: int, style: Style) -> nn.ModuleList:
    branches = [
        nn.Sequential(*[style.spatial(channels, channels, 3) for _ in range(STACKED)])
        for _ in STRIDES
    ]
    if not style.separable:
        for branch in branches[1:]:
            for block, first in zip(branch, branches[0]):
                block.conv = first.conv
    return nn.ModuleList(branches)


class DistanceDetector(Detector):
    """A detector with RTMDet's head, `bbox_head`."""

    bbox_head: RtmdetHead

    def raw(self, image: Tensor) -> Outputs:
        """cls_i [B,C,h,w] logits and bbox_i [B,4,h,w] distances in px."""
        logits, distances = self.bbox_head(self.features(image))
        return by_level(cls=logits, bbox=distances)

    def logits_and_boxes(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """Class logits [B,C,N] and boxes [B,N,4] in input px of all cells."""
        logits, distances = self.bbox_head(self.features(image))
        boxes = boxes_of_distances(self.points, join_levels(distances, 4, self.cells))
        return join_levels(logits, self.classes, self.cells), boxes

    def decode(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """Boxes [B,N,4] in input px and probabilities [B,C,N] of all cells."""
        logits, boxes = self.logits_and_boxes(image)
        return boxes, logits.sigmoid()


class Rtmdet(DistanceDetector):
    """RTMDet of any size."""

    def __init__(
        self,
        deepen: float,
        widen: float,
        classes: int,
        size: Size,
        separable: bool = False,
        exponential: bool = False,
    ) -> None:
        style = Style(cspnext=True, eps=1e-5, separable=separable)
        backbone, neck = csp_parts(deepen, widen, style)
        super().__init__(backbone, neck, classes, size)
        self.bbox_head = RtmdetHead(backbone.channels[0], classes, style, exponential)
