"""YOLOX (arXiv 2107.08430) with mmdetection's key names: each level has its own head."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from torch import Tensor, nn

from tools.arch.blocks import Style
from tools.arch.detector import STRIDES, Detector, csp_parts
from tools.arch.network import Outputs, Size, by_level, join_levels
from tools.arch.priors import boxes_of_offsets

STACKED = 2  # convolutions of each branch
EPS = 1e-3  # of batch normalisation in YOLOX


class YoloxHead(nn.Module):
    """Predicts classes, boxes and objectness for each cell."""

    def __init__(self, channels: int, classes: int, style: Style) -> None:
        super().__init__()

        def predict(outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(channels, outputs, 1) for _ in STRIDES)

        self.multi_level_cls_convs = _branches(channels, style)
        self.multi_level_reg_convs = _branches(channels, style)
        self.multi_level_conv_cls = predict(classes)
        self.multi_level_conv_reg = predict(4)
        self.multi_level_conv_obj = predict(1)

    def forward(self, maps: Sequence[Tensor]) -> Tuple[List[Tensor], List[Tensor], List[Tensor]]:
        """Class logits [B,C,h,w], box offsets [B,4,h,w], objectness logits [B,1,h,w] by level."""
        classes, boxes, objects = [], [], []
        for level, features in enumerate(maps):
            looks = self.multi_level_reg_convs[level](features)
            classes.append(
                self.multi_level_conv_cls[level](self.multi_level_cls_convs[level](features))
            )
            boxes.append(self.multi_level_conv_reg[level](looks))
            objects.append(self.multi_level_conv_obj[level](looks))
        return classes, boxes, objects


def _branches(channels: int, style: Style) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(*[style.spatial(channels, channels, 3) for _ in range(STACKED)])
        for _ in STRIDES
    )


class Yolox(Detector):
    """YOLOX of any size; `separable` for nano."""

    def __init__(
        self, deepen: float, widen: float, classes: int, size: Size, separable: bool = False
    ) -> None:
        style = Style(cspnext=False, eps=EPS, separable=separable)
        backbone, neck = csp_parts(deepen, widen, style)
        super().__init__(backbone, neck, classes, size)
        self.bbox_head = YoloxHead(backbone.channels[0], classes, style)

    def raw(self, image: Tensor) -> Outputs:
        """cls_i [B,C,h,w] and obj_i [B,1,h,w] logits, bbox_i [B,4,h,w] offsets in cells."""
        classes, boxes, objects = self.bbox_head(self.features(image))
        return by_level(cls=classes, bbox=boxes, obj=objects)

    def logits_and_boxes(self, image: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Class logits [B,C,N], objectness logits [B,1,N], boxes [B,N,4] px of all cells."""
        maps = zip(self.bbox_head(self.features(image)), (self.classes, 4, 1))
        classes, offsets, objects = (join_levels(m, width, self.cells) for m, width in maps)
        return classes, objects, boxes_of_offsets(self.points, self.strides, offsets)

    def decode(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """Boxes [B,N,4] in input px, and class times object probability [B,C,N] of all cells."""
        classes, objects, boxes = self.logits_and_boxes(image)
        return boxes, classes.sigmoid() * objects.sigmoid()
