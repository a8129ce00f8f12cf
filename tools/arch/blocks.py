"""Convolution blocks of the CSPNeXt and YOLOX networks, with the key names of their checkpoints.

Sources: RTMDet (arXiv 2212.07784), YOLOX (arXiv 2107.08430). Images and maps are [B,C,H,W].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, Union

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Optional[Callable[[Tensor], Tensor]]
SPP_KERNEL = 5  # pools of 9 and 13 equal two and three successive pools of 5


class ConvBn(nn.Module):
    """A convolution that keeps or halves the map, batch normalisation, activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        eps: float = 1e-5,
        activation: Activation = functional.silu,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=eps)
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        """[B,inputs,H,W] -> [B,outputs,H/stride,W/stride]."""
        maps = self.bn(self.conv(maps))
        return maps if self.activation is None else self.activation(maps)


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, each with normalisation and activation."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.depthwise_conv = ConvBn(inputs, inputs, kernel, stride, groups=inputs, eps=eps)
        self.pointwise_conv = ConvBn(inputs, outputs, 1, eps=eps)

    def forward(self, maps: Tensor) -> Tensor:
        """[B,inputs,H,W] -> [B,outputs,H/stride,W/stride]."""
        return self.pointwise_conv(self.depthwise_conv(maps))


@dataclass(frozen=True)
class Style:
    """The differences between networks of this kind, apart from the size."""

    cspnext: bool  # CSPNeXt blocks (3x3, then separable 5x5), else YOLOX blocks (1x1, then 3x3)
    eps: float  # of batch normalisation
    separable: bool = False  # nano networks: all spatial convolutions are separable

    def conv(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> ConvBn:
        """A plain convolution block."""
        return ConvBn(inputs, outputs, kernel, stride, eps=self.eps)

    def spatial(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1
    ) -> Union[ConvBn, Separable]:
        """A spatial convolution block: plain, or separable in nano networks."""
        if self.separable:
            return Separable(inputs, outputs, kernel, stride, self.eps)
        return self.conv(inputs, outputs, kernel, stride)


class Focus(nn.Module):
    """YOLOX's stem: each 2x2 px become one cell of 4 x 3 channels; then a 3x3 convolution."""

    def __init__(self, outputs: int, style: Style) -> None:
        super().__init__()
        self.conv = style.conv(12, outputs, 3)

    def forward(self, image: Tensor) -> Tensor:
        """[B,3,H,W] -> [B,outputs,H/2,W/2]; the corners are in the order of the checkpoints."""
        corners = [image[..., y::2, x::2] for x in (0, 1) for y in (0, 1)]
        return self.conv(torch.cat(corners, 1))


class SpatialPyramid(nn.Module):
    """Concatenates the map with its maxima over 5, 9 and 13 cells."""

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        self.conv1 = style.conv(channels, channels // 2, 1)
        self.conv2 = style.conv(channels // 2 * 4, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """[B,C,H,W] -> the same shape."""
        scales = [self.conv1(maps)]
        for _ in range(3):
            scales.append(functional.max_pool2d(scales[-1], SPP_KERNEL, 1, SPP_KERNEL // 2))
        return self.conv2(torch.cat(scales, 1))


class ChannelAttention(nn.Module):
    """Multiplies each channel with a weight computed from the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """[B,C,H,W] -> the same shape."""
        means = functional.adaptive_avg_pool2d(maps, 1)
        return maps * functional.hardsigmoid(self.fc(means))
