"""ShuffleNetV2 (Ma et al., arXiv 1807.11164) as a trunk: maps at strides 8, 16 and 32."""

from __future__ import annotations

from typing import List, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.arch.blocks import ConvBn

# Table 5 of the paper: channels of the first convolution and of stages 2, 3 and 4 by the factor.
WIDTHS = {"0.5": (24, 48, 96, 192), "1.0": (24, 116, 232, 464)}
DEPTHS = (4, 8, 4)  # units of each stage; the first one halves the map


class Unit(nn.Module):
    """One half of the channels passes through convolutions; the halves are then interleaved.

    A unit that halves the map passes all channels through both branches.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        given = inputs if stride > 1 else half
        self.half = half
        self.main = nn.Sequential(
            ConvBn(given, half, 1, activation=functional.relu),
            ConvBn(half, half, 3, stride, groups=half, activation=None),
            ConvBn(half, half, 1, activation=functional.relu),
        )
        self.side: nn.Module = nn.Identity()
        if stride > 1:
            self.side = nn.Sequential(
                ConvBn(inputs, inputs, 3, stride, groups=inputs, activation=None),
                ConvBn(inputs, half, 1, activation=functional.relu),
            )
        self.whole = stride > 1
        # Interleaving by an index keeps shape arithmetic out of the exported graph.
        order = torch.arange(2 * half).reshape(2, half).t().reshape(-1)
        self.register_buffer("order", order, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """[B,inputs,H,W] -> [B,outputs,H/stride,W/stride]."""
        first, second = (maps, maps) if self.whole else (maps[:, : self.half], maps[:, self.half :])
        both = torch.cat((self.side(first), self.main(second)), 1)
        return torch.index_select(both, 1, self.order)


class ShuffleNet(nn.Module):
    """The trunk.

    Args:
        factor: a key of WIDTHS.
    """

    def __init__(self, factor: str) -> None:
        super().__init__()
        widths = WIDTHS[factor]
        self.channels = list(widths[1:])
        self.stem = nn.Sequential(ConvBn(3, widths[0], 3, 2, activation=functional.relu))
        for stage, depth in enumerate(DEPTHS, 2):
            units: List[nn.Module] = [Unit(widths[stage - 2], widths[stage - 1], 2)]
            units += [Unit(widths[stage - 1], widths[stage - 1], 1) for _ in range(depth - 1)]
            self.add_module(f"stage{stage}", nn.Sequential(*units))

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """[B,3,H,W] -> the maps at strides 8, 16 and 32."""
        maps = [functional.max_pool2d(self.stem(image), 3, 2, 1)]
        for stage in (2, 3, 4):
            maps.append(self.get_submodule(f"stage{stage}")(maps[-1]))
        return tuple(maps[1:])

    def early(self) -> List[nn.Module]:
        """The layers on large maps, which fine-tuning may keep as they are."""
        return [self.stem]
