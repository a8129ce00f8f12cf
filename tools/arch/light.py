"""Light person detectors of our own: a small trunk, a neck that adds, and RTMDet's head.

There is no published checkpoint of them. `edge-tools train` makes their weights.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple, Union

from torch import Tensor, nn
from torch.nn import functional

from tools.arch.blocks import Separable, Style
from tools.arch.mobilenet import MobileNet
from tools.arch.network import Size
from tools.arch.rtmdet import DistanceDetector, RtmdetHead
from tools.arch.shufflenet import ShuffleNet


class LightNeck(nn.Module):
    """Mixes three scales by addition, top-down, then bottom-up (PANet, arXiv 1803.01534).

    Args:
        channels: of the three inputs, finest first.
        width: channels of every output.
        style: of the convolutions.
    """

    def __init__(self, channels: Sequence[int], width: int, style: Style) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(style.conv(c, width, 1) for c in channels)
        self.down = nn.ModuleList(Separable(width, width, 5) for _ in channels[:-1])
        self.shrink = nn.ModuleList(Separable(width, width, 5, 2) for _ in channels[:-1])

    def forward(self, maps: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """[B,channels[i],H_i,W_i] each -> [B,width,H_i,W_i] each."""
        found: List[Tensor] = [reduce(m) for reduce, m in zip(self.reduce, maps)]
        for level in reversed(range(len(self.down))):
            above = functional.interpolate(found[level + 1], scale_factor=2.0, mode="nearest")
            found[level] = self.down[level](found[level] + above)
        for level, shrink in enumerate(self.shrink):
            found[level + 1] = found[level + 1] + shrink(found[level])
        return tuple(found)


class LightDetector(DistanceDetector):
    """A detector of the family `rtmdet` with one class, a person.

    Args:
        trunk: gives maps at strides 8, 16 and 32; has their `channels`.
        width: channels of neck and head.
        size: height, width of the input.
    """

    def __init__(self, trunk: Union[MobileNet, ShuffleNet], width: int, size: Size) -> None:
        style = Style(cspnext=True, eps=1e-5, separable=True)
        super().__init__(trunk, LightNeck(trunk.channels, width, style), 1, size)
        self.bbox_head = RtmdetHead(width, 1, style, exponential=True)
