"""Cross-stage-partial layers and the backbone made of them, for CSPNeXt and CSPDarknet alike."""

from __future__ import annotations

from typing import List, Tuple

import torch
from torch import Tensor, nn

from tools.arch.blocks import ChannelAttention, Focus, Separable, SpatialPyramid, Style

WIDTHS = (64, 128, 256, 512, 1024)  # channels of the stem and the four stages at factor 1
CSPNEXT_DEPTHS = (3, 6, 6, 3)  # blocks of each stage at factor 1
DARKNET_DEPTHS = (3, 9, 9, 3)


class Bottleneck(nn.Module):
    """Two convolutions, with the input added if `identity`."""

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
    """Half of the channels goes through bottlenecks, the other half around them."""

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
    """Stem and four stages, each of which halves the map.

    Args:
        deepen: factor on the blocks of each stage.
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
    """The last stage looks over the pyramid and adds no identities."""
    layers: List[nn.Module] = [style.spatial(inputs, outputs, 3, 2)]
    if last:
        layers.append(SpatialPyramid(outputs, style))
    csp = CspLayer(outputs, outputs, blocks, style, identity=not last, attention=style.cspnext)
    return layers + [csp]
