"""RTMO (arXiv 2312.07526): people and their keypoints in one pass."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import torch
from torch import Tensor, nn

from tools.arch.blocks import ConvBn, Style
from tools.arch.csp import Backbone
from tools.arch.dcc import CoordinateClassifier
from tools.arch.hybrid import HybridEncoder
from tools.arch.network import Network, Outputs, Size, by_level, join_levels, take_rows
from tools.arch.priors import boxes_of_offsets, cells_of, grid

STRIDES = (16, 32)
EPS = 1e-3  # of batch normalisation in the backbone and the head
KEYPOINTS = 17
WIDTH = 256  # channels of each branch at a factor of 1; pose vectors have twice as many
GROUPS = 8
GROUP_WIDTH = 36
STACKED = 2
CANDIDATES = 300  # people decoded in each image, before suppression


class HeadMaps(nn.Module):
    """Predicts class, box, visibility and pose vector of each cell."""

    def __init__(self, widen: float) -> None:
        super().__init__()
        width = self.width = int(WIDTH * widen)
        grouped = GROUPS * int(GROUP_WIDTH * widen)

        def predict(inputs: int, outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(inputs, outputs, 1) for _ in STRIDES)

        self.conv_cls = nn.ModuleList(_stack(width, width, STACKED, 1) for _ in STRIDES)
        self.conv_pose = nn.ModuleList(_stack(width, grouped, 2 * STACKED, GROUPS) for _ in STRIDES)
        self.out_cls = predict(width, 1)
        self.out_bbox = predict(grouped, 4)
        self.out_kpt_reg = predict(grouped, 2 * KEYPOINTS)  # used in training only
        self.out_kpt_vis = predict(grouped, KEYPOINTS)
        self.out_pose = predict(grouped, 2 * width)

    def forward(self, maps: Sequence[Tensor]) -> Dict[str, List[Tensor]]:
        """Two maps [B,2*width,h,w] -> cls, bbox, vis and posevec, by level each."""
        found: Dict[str, List[Tensor]] = {"cls": [], "bbox": [], "vis": [], "posevec": []}
        for level, both in enumerate(maps):
            classes, poses = both.split(self.width, 1)
            poses = self.conv_pose[level](poses)
            found["cls"].append(self.out_cls[level](self.conv_cls[level](classes)))
            found["bbox"].append(self.out_bbox[level](poses))
            found["vis"].append(self.out_kpt_vis[level](poses))
            found["posevec"].append(self.out_pose[level](poses))
        return found


def _stack(inputs: int, width: int, count: int, groups: int) -> nn.Sequential:
    """A stack of convolutions; the first is not grouped."""
    first = ConvBn(inputs, width, 3, eps=EPS)
    rest = [ConvBn(width, width, 3, groups=groups, eps=EPS) for _ in range(count - 1)]
    return nn.Sequential(first, *rest)


class RtmoHead(nn.Module):
    """The maps, the coordinate classifier, and parameters that only training uses."""

    def __init__(self, widen: float) -> None:
        super().__init__()
        self.head_module = HeadMaps(widen)
        self.dcc = CoordinateClassifier(2 * int(WIDTH * widen), KEYPOINTS)
        self.loss_oks = nn.Module()
        self.loss_oks.register_buffer("sigmas", torch.zeros(KEYPOINTS))


class Rtmo(Network):
    """RTMO of any size.

    Args:
        deepen: factor on the number of blocks.
        widen: factor on the channels.
        size: height, width of the input.
    """

    def __init__(self, deepen: float, widen: float, size: Size) -> None:
        super().__init__(size)
        self.candidates = CANDIDATES
        self.backbone = Backbone(deepen, widen, Style(cspnext=False, eps=EPS))
        self.vector = 2 * int(WIDTH * widen)
        self.neck = HybridEncoder(self.backbone.channels, self.vector, deepen, widen, size)
        self.head = RtmoHead(widen)
        self.cells = cells_of(size, STRIDES)
        points, strides = grid(size, STRIDES, centred=True)
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def raw(self, image: Tensor) -> Outputs:
        """cls_i, bbox_i (offsets in cells), vis_i and posevec_i at strides 16 and 32."""
        return by_level(**self.head.head_module(self.features(image)))

    def decode(self, image: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes [B,N,4] px, scores [B,N], visibility [B,N,K] and pose vectors [B,N,C]."""
        levels = self.head.head_module(self.features(image))
        widths = {"cls": 1, "bbox": 4, "vis": KEYPOINTS, "posevec": self.vector}
        maps = {k: join_levels(level, widths[k], self.cells) for k, level in levels.items()}
        boxes = boxes_of_offsets(self.points, self.strides, maps["bbox"])
        scores, seen = maps["cls"].sigmoid()[:, 0], maps["vis"].sigmoid()
        return boxes, scores, seen.transpose(1, 2), maps["posevec"].transpose(1, 2)

    def forward(self, image: Tensor) -> Outputs:
        """The `candidates` best cells of each image, best first, before suppression.

        Returns:
            boxes [B,M,4] in input px, scores [B,M,1] 0..1, keypoints [B,M,17,2] in input px,
            visibility [B,M,17] 0..1.
        """
        boxes, scores, seen, vectors = self.decode(image)
        count = min(self.candidates, sum(self.cells))
        best, index = torch.topk(scores, count, 1)
        boxes, seen = take_rows(boxes, index, 4), take_rows(seen, index, KEYPOINTS)
        points = self.points[0].transpose(0, 1)[index.reshape(-1)]
        chosen = take_rows(vectors, index, self.vector).reshape(-1, self.vector)
        keypoints = self.head.dcc(chosen, boxes.reshape(-1, 4), points)
        keypoints = keypoints.reshape(-1, count, KEYPOINTS, 2)
        return {
            "boxes": boxes,
            "scores": best.unsqueeze(2),
            "keypoints": keypoints,
            "visibility": seen,
        }

    def fused(self, image: Tensor) -> Outputs:
        """The same as `forward`, which already returns only the best cells."""
        return self.forward(image)
