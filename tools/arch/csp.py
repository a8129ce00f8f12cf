"""Cross-stage-partial layers, and the CSPNeXt and CSPDarknet backbones."""

from __future__ import annotations

from typing import List, Tuple

import torch
from torch import Tensor, nn

from tools.arch.blocks import ChannelAttention, Focus, Separable, SpatialPyramid, Style

WIDTHS = (64, 128, 256, 512, 1024)  # channels of the stem and the four stages at a factor of 1
CSPNEXT_DEPTHS = (3, 6, 6, 3)  # blocks of each stage at a factor of 1
DARKNET_DEPTHS = (3, 9, 9, 3)


class Bottleneck(nn.Module):
    """Two convolutions; the input is added if `identity`."""

    def __init__(self, channels: int, identity: bool, style: Style) -> None:
        super().__init__()
        self.identity = identity
        if style.cspnext:
            self.conv1: nn.Module = style.spatial(channels, channels, 3)
            self.conv2: nn.Module = Separable(channels, channels, 5, eps=style.eps)
        else:
            self.conv1 = style.conv(channels, channels, 1)
            self.conv2 = style.spatial(channels, channels, 3)

    def forward(self, maps: Tensor) -> Tensor:
        """[B,C,H,W] -> the same shape."""
        found: Tensor = self.conv2(self.conv1(maps))
        return maps + found if self.identity else found


class CspLayer(nn.Module):
    """One half of the channels passes through bottlenecks, the other half passes by."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        blocks: int,
        style: Style,
        identity: bool = False,
        attention: bool = False,
    ) -> None:
        super().__init__()
        half = outputs // 2
        self.main_conv = style.conv(inputs, half, 1)
        self.short_conv = style.conv(inputs, half, 1)
        self.final_conv = style.conv(2 * half, outputs, 1)
        self.blocks = nn.Sequential(*[Bottleneck(half, identity, style) for _ in range(blocks)])
        self.attention = ChannelAttention(2 * half) if attention else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """[B,inputs,H,W] -> [B,outputs,H,W]."""
        both = torch.cat((self.blocks(self.main_conv(maps)), self.short_conv(maps)), 1)
        return self.final_conv(self.attention(both))


class Backbone(nn.Module):
    """A stem and four stages; each halves the map.

    Args:
        deepen: factor on the number of blocks of each stage.
        widen: factor on the channels.
        style: CSPNeXt (with channel attention) or CSPDarknet.
    """

    def __init__(self, deepen: float, widen: float, style: Style) -> None:
        super().__init__()
        widths = [int(width * widen) for width in WIDTHS]
        self.channels = widths[2:]
        self.stem = _cspnext_stem(widths[0], style) if style.cspnext else Focus(widths[0], style)
        depths = CSPNEXT_DEPTHS if style.cspnext else DARKNET_DEPTHS
        for stage, depth in enumerate(depths, 1):
            blocks = max(round(depth * deepen), 1)
            layers = _stage(widths[stage - 1], widths[stage], blocks, stage == 4, style)
            self.add_module(f"stage{stage}", nn.Sequential(*layers))

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """[B,3,H,W] -> the maps at strides 8, 16 and 32."""
        maps = [self.stem(image)]
        for stage in range(1, 5):
            maps.append(self.get_submodule(f"stage{stage}")(maps[-1]))
        return tuple(maps[2:])


def _cspnext_stem(outputs: int, style: Style) -> nn.Module:
    half = outputs // 2
    return nn.Sequential(
        style.conv(3, half, 3, 2), style.conv(half, half, 3), style.conv(half, outputs, 3)
    )


def _stage(inputs: int, outputs: int, blocks: int, last: bool, style: Style) -> List[nn.Module]:
    """One stage. The last one has a spatial pyramid, and its bottlenecks add no input."""
    layers: List[nn.Module] = [style.spatial(inputs, outputs, 3, 2)]
    if last:
        layers.append(SpatialPyramid(outputs, style))
    csp = CspLayer(outputs, outputs, blocks, style, identity=not last, attention=style.cspnext)
    return layers + [csp]
