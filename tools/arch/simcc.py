"""Top-down networks that classify each coordinate (SimCC): RTMPose, DWPose and RTMW.

Sources: SimCC (arXiv 2107.03332), RTMPose (arXiv 2303.07399), RTMW (arXiv 2407.08634).
"""

from __future__ import annotations

from typing import Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.arch.blocks import ConvBn, Style
from tools.arch.csp import Backbone
from tools.arch.gau import GatedAttention, ScaleNorm
from tools.arch.network import DIVISOR, Network, Outputs, Size
from tools.arch.pafpn import Pafpn

STYLE = Style(cspnext=True, eps=1e-5)
BINS_PER_PX = 2
HIDDEN = 256  # features of a keypoint's token
FINAL_KERNEL = 7
RTMW_NECK_BLOCKS = 2


class Classifier(nn.Module):
    """Computes coordinate distributions from keypoint tokens; the last part of both heads."""

    def __init__(self, keypoints: int, size: Size) -> None:
        super().__init__()
        self.keypoints = keypoints
        self.cells = (size[0] // DIVISOR) * (size[1] // DIVISOR)
        self.gau = GatedAttention(HIDDEN)
        self.cls_x = nn.Linear(HIDDEN, size[1] * BINS_PER_PX, bias=False)
        self.cls_y = nn.Linear(HIDDEN, size[0] * BINS_PER_PX, bias=False)

    def classify(self, tokens: Tensor) -> Tuple[Tensor, Tensor]:
        """[B,K,256] -> logits over x [B,K,2W] and over y [B,K,2H]."""
        tokens = self.gau(tokens)
        return self.cls_x(tokens), self.cls_y(tokens)

    def flat(self, maps: Tensor, cells: int) -> Tensor:
        """[B,K,h,w] -> [B,K,h*w]."""
        return maps.reshape(-1, self.keypoints, cells)


class RtmccHead(Classifier):
    """RTMPose's head: one map for each keypoint; its cells become the token."""

    def __init__(self, channels: int, keypoints: int, size: Size) -> None:
        super().__init__(keypoints, size)
        self.final_layer = nn.Conv2d(channels, keypoints, FINAL_KERNEL, padding=FINAL_KERNEL // 2)
        self.mlp = _token(self.cells, HIDDEN)

    def forward(self, maps: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        """The coarsest map [B,C,H/32,W/32], last of `maps` -> logits over x and y."""
        return self.classify(self.mlp(self.flat(self.final_layer(maps[-1]), self.cells)))


class RtmwHead(Classifier):
    """RTMW's head: half of a token comes from the coarsest map, half from a map twice as fine."""

    def __init__(self, channels: int, keypoints: int, size: Size) -> None:
        super().__init__(keypoints, size)
        quarter = channels // 4
        self.conv_dec = _final(quarter, quarter)
        self.final_layer = _final(channels, keypoints)
        self.final_layer2 = _final(channels // 2 + quarter, keypoints)
        self.mlp = _token(self.cells, HIDDEN // 2)
        self.mlp2 = _token(self.cells * 4, HIDDEN // 2)

    def forward(self, maps: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        """[B,C/2,H/16,W/16] and [B,C,H/32,W/32] -> logits over x and y."""
        fine, coarse = maps[-2:]
        finer = self.conv_dec(functional.pixel_shuffle(coarse, 2))
        finer = self.final_layer2(torch.cat((finer, fine), 1))
        tokens = self.mlp(self.flat(self.final_layer(coarse), self.cells))
        finer_tokens = self.mlp2(self.flat(finer, self.cells * 4))
        return self.classify(torch.cat((tokens, finer_tokens), 2))


def _token(cells: int, features: int) -> nn.Module:
    return nn.Sequential(ScaleNorm(cells), nn.Linear(cells, features, bias=False))


def _final(inputs: int, outputs: int) -> ConvBn:
    return ConvBn(inputs, outputs, FINAL_KERNEL, activation=functional.relu)


class SimccNetwork(Network):
    """RTMPose, or RTMW if `fine` (with a neck and a head that also reads the finer map)."""

    def __init__(
        self, deepen: float, widen: float, keypoints: int, size: Size, fine: bool = False
    ) -> None:
        super().__init__(size)
        self.backbone = Backbone(deepen, widen, STYLE)
        channels = self.backbone.channels
        if fine:
            self.neck = Pafpn(channels, None, RTMW_NECK_BLOCKS, STYLE, keep=2)
        head = RtmwHead if fine else RtmccHead
        self.head = head(channels[-1], keypoints, size)

    def forward(self, image: Tensor) -> Outputs:
        """simcc_x [B,K,2W] and simcc_y [B,K,2H]: logits; a bin is half a pixel."""
        over_x, over_y = self.head(self.features(image))
        return {"simcc_x": over_x, "simcc_y": over_y}

    def raw(self, image: Tensor) -> Outputs:
        """The same as `forward`: the head's outputs are its logits."""
        return self.forward(image)

    def fused(self, image: Tensor) -> Outputs:
        """Keypoints [B,K,2] in input px and keypoint_scores [B,K], the smaller of both maxima.

        If the score is not above 0, mmpose takes the keypoint as missing and puts it at bin -1.
        """
        logits = self.forward(image)
        both = (logits["simcc_x"], logits["simcc_y"])
        scores = torch.minimum(both[0].amax(2), both[1].amax(2))
        bins = torch.stack([axis.argmax(2) for axis in both], 2).to(scores.dtype)
        there = (scores > 0).unsqueeze(2).to(scores.dtype)
        bins = bins * there + (there - 1)
        return {"keypoints": bins / BINS_PER_PX, "keypoint_scores": scores}
