"""Base class of RTMDet, YOLOX and the light detectors, which differ in their heads."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor, nn

from tools.arch.blocks import Style
from tools.arch.csp import Backbone
from tools.arch.network import Network, Outputs, Size, take_rows
from tools.arch.pafpn import Pafpn
from tools.arch.priors import cells_of, grid

STRIDES = (8, 16, 32)
PERSON = 0  # class index of a person, as in COCO
CANDIDATES = 300  # boxes in the output of a fused detector


class Detector(Network):
    """Backbone and neck of a detector; the head is the subclass's `bbox_head`.

    Args:
        backbone: gives maps at STRIDES.
        neck: mixes them.
        classes: number of classes.
        size: height, width of the input.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module, classes: int, size: Size) -> None:
        super().__init__(size)
        self.classes = classes
        self.candidates = CANDIDATES
        self.backbone = backbone
        self.neck = neck
        self.cells = cells_of(size, STRIDES)
        points, strides = grid(size, STRIDES, centred=False)
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def decode(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """Boxes [B,N,4] in input px and probabilities [B,C,N] of all cells."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> Outputs:
        """Boxes [B,N,4] x1 y1 x2 y2 in input px, scores [B,N,C] 0..1; before suppression."""
        boxes, scores = self.decode(image)
        return {"boxes": boxes, "scores": scores.transpose(1, 2)}

    def fused(self, image: Tensor) -> Outputs:
        """People only, best first, at most `candidates`: boxes [B,M,4] and scores [B,M,1]."""
        boxes, scores = self.decode(image)
        best, index = torch.topk(scores[:, PERSON], min(self.candidates, sum(self.cells)), 1)
        return {"boxes": take_rows(boxes, index, 4), "scores": best.unsqueeze(2)}


def csp_parts(deepen: float, widen: float, style: Style) -> Tuple[Backbone, Pafpn]:
    """Backbone and neck of RTMDet or YOLOX.

    Args:
        deepen: factor on the number of blocks.
        widen: factor on the channels.
        style: RTMDet's or YOLOX's.
    """
    backbone = Backbone(deepen, widen, style)
    channels = backbone.channels
    # In the configurations the necks' depth is the factor on 3 blocks.
    return backbone, Pafpn(channels, channels[0], max(round(3 * deepen), 1), style)
