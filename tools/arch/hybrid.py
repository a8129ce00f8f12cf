"""RTMO's neck: attention over the coarsest map, then convolutions that mix the scales.

Sources: RT-DETR's hybrid encoder (arXiv 2304.08069), RTMO (arXiv 2312.07526).
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.arch.attention import HIDDEN, EncoderLayer, Waves
from tools.arch.blocks import ConvBn
from tools.arch.network import Size

TEMPERATURE = 10000


class RepBlock(nn.Module):
    """A 3x3 and a 1x1 convolution in parallel (RepVGG, arXiv 2101.03697)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch_3x3 = ConvBn(channels, channels, 3, activation=None)
        self.branch_1x1 = ConvBn(channels, channels, 1, activation=None)

    def forward(self, maps: Tensor) -> Tensor:
        """[B,C,H,W] -> the same shape."""
        return functional.silu(self.branch_3x3(maps) + self.branch_1x1(maps))


class CspRepLayer(nn.Module):
    """Two branches, one of them with RepVGG blocks; they are added and widened again."""

    def __init__(self, hidden: int, blocks: int) -> None:
        super().__init__()
        self.conv1 = ConvBn(2 * HIDDEN, hidden, 1)
        self.conv2 = ConvBn(2 * HIDDEN, hidden, 1)
        self.bottlenecks = nn.Sequential(*[RepBlock(hidden) for _ in range(blocks)])
        self.conv3 = nn.Identity() if hidden == HIDDEN else ConvBn(hidden, HIDDEN, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """[B,512,H,W] -> [B,256,H,W]."""
        both = self.bottlenecks(self.conv1(maps)) + self.conv2(maps)
        return self.conv3(both)


class HybridEncoder(nn.Module):
    """Reads three maps and returns the two coarser ones.

    Args:
        channels: channels of the maps at strides 8, 16 and 32.
        outputs: channels of both outputs.
        deepen: factor on the number of blocks.
        widen: factor on the hidden channels of the mixing layers.
        size: height, width of the network's input.
    """

    def __init__(
        self, channels: Sequence[int], outputs: int, deepen: float, widen: float, size: Size
    ) -> None:
        super().__init__()
        self.coarse = (size[0] // 32, size[1] // 32)

        def mixers() -> nn.ModuleList:
            layers = (CspRepLayer(int(HIDDEN * widen), round(3 * deepen)) for _ in range(2))
            return nn.ModuleList(layers)

        self.input_proj = nn.ModuleList(ConvBn(c, HIDDEN, 1, activation=None) for c in channels)
        self.encoder = nn.ModuleList([nn.ModuleDict({"layers": nn.ModuleList([EncoderLayer()])})])
        self.sincos_pos_enc = Waves(HIDDEN // 2, TEMPERATURE)
        self.register_buffer("position", None, persistent=False)  # set before an export
        self.lateral_convs = nn.ModuleList(ConvBn(HIDDEN, HIDDEN, 1) for _ in range(2))
        self.fpn_blocks = mixers()
        self.downsample_convs = nn.ModuleList(ConvBn(HIDDEN, HIDDEN, 3, 2) for _ in range(2))
        self.pan_blocks = mixers()
        last = (ConvBn(HIDDEN, outputs, 1, activation=None) for _ in range(2))
        self.projector = nn.ModuleDict({"convs": nn.ModuleList(last)})

    def forward(self, maps: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Maps at strides 8, 16, 32 -> [B,outputs,h,w] at strides 16 and 32."""
        levels = [project(level) for project, level in zip(self.input_proj, maps)]
        levels[-1] = self._attend(levels[-1])
        fine, middle, coarse = self._top_down(levels)
        middle = self._shrink(0, fine, middle)
        coarse = self._shrink(1, middle, coarse)
        last = self.projector["convs"]
        return last[0](middle), last[1](coarse)

    def places(self) -> Tensor:
        """Encoded positions of the coarsest cells [1,h*w,256], added to their queries and keys."""
        return self.sincos_pos_enc.over_grid(*self.coarse)

    def _attend(self, maps: Tensor) -> Tensor:
        height, width = self.coarse
        tokens = maps.reshape(-1, HIDDEN, height * width).transpose(1, 2)
        position = self.places() if self.position is None else self.position
        for layer in self.encoder[0]["layers"]:
            tokens = layer(tokens, position, height * width)
        return tokens.transpose(1, 2).reshape(-1, HIDDEN, height, width)

    def _top_down(self, levels: Sequence[Tensor]) -> List[Tensor]:
        found = [levels[-1]]
        for lateral, mix, fine in zip(self.lateral_convs, self.fpn_blocks, levels[-2::-1]):
            found[0] = lateral(found[0])
            above = functional.interpolate(found[0], scale_factor=2.0, mode="nearest")
            found.insert(0, mix(torch.cat((above, fine), 1)))
        return found

    def _shrink(self, step: int, fine: Tensor, coarse: Tensor) -> Tensor:
        smaller = self.downsample_convs[step](fine)
        return self.pan_blocks[step](torch.cat((smaller, coarse), 1))
