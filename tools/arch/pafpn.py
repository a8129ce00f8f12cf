"""Neck of YOLOX, RTMDet and RTMW: mixes three scales, top-down, then bottom-up (PAFPN)."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.arch.blocks import Style
from tools.arch.csp import CspLayer


class Pafpn(nn.Module):
    """Reads maps at strides 8, 16 and 32 and returns maps at the same strides.

    Args:
        channels: channels of the three inputs, finest first.
        outputs: channels of every output; None = as the layers give them.
        blocks: bottlenecks in each layer.
        style: the network's style; CSPNeXt ends in 3x3 convolutions, YOLOX in 1x1.
        keep: number of returned outputs, counted from the coarsest.
    """

    def __init__(
        self,
        channels: Sequence[int],
        outputs: Optional[int],
        blocks: int,
        style: Style,
        keep: int = 3,
    ) -> None:
        super().__init__()
        self.keep = keep
        steps = list(zip(channels[:-1], channels[1:]))
        self.reduce_layers = nn.ModuleList(style.conv(c, f, 1) for f, c in steps[::-1])
        self.top_down_blocks = nn.ModuleList(
            CspLayer(2 * fine, fine, blocks, style) for fine, _ in steps[::-1]
        )
        self.downsamples = nn.ModuleList(style.spatial(fine, fine, 3, 2) for fine, _ in steps)
        self.bottom_up_blocks = nn.ModuleList(
            CspLayer(2 * fine, coarse, blocks, style) for fine, coarse in steps
        )
        if outputs:
            self.out_convs = nn.ModuleList(_last(c, outputs, style) for c in channels)

    def forward(self, maps: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """[B,channels[i],H_i,W_i] each -> [B,outputs,H_i,W_i] each, finest first."""
        mixed = self._bottom_up(self._top_down(maps))
        if hasattr(self, "out_convs"):
            mixed = [conv(level) for conv, level in zip(self.out_convs, mixed)]
        return tuple(mixed[-self.keep :])

    def _top_down(self, maps: Sequence[Tensor]) -> List[Tensor]:
        """Finest first; each level but the finest is reduced to the width of the next finer one."""
        found = [maps[-1]]
        for reduce, block, fine in zip(self.reduce_layers, self.top_down_blocks, maps[-2::-1]):
            found[0] = reduce(found[0])
            above = functional.interpolate(found[0], scale_factor=2.0, mode="nearest")
            found.insert(0, block(torch.cat((above, fine), 1)))
        return found

    def _bottom_up(self, maps: Sequence[Tensor]) -> List[Tensor]:
        found = [maps[0]]
        for shrink, block, coarse in zip(self.downsamples, self.bottom_up_blocks, maps[1:]):
            found.append(block(torch.cat((shrink(found[-1]), coarse), 1)))
        return found


def _last(inputs: int, outputs: int, style: Style) -> nn.Module:
    return style.spatial(inputs, outputs, 3) if style.cspnext else style.conv(inputs, outputs, 1)
