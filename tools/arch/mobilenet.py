"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381), 1.75 times as wide: MoveNet's trunk.

Batch norms are folded, as in the published MoveNet file, so its weights can be copied in order
(`convolutions`). The stage of stride 32 is left out, because it has two thirds of the weights: a
separable convolution, which begins anew, makes that map. TensorFlow pads a convolution of stride 2
at the right and at the bottom only. Here all sides are padded: a cell then sees what TensorFlow's
sees of a picture that is moved by less than a cell.
"""

from __future__ import annotations

from typing import List, Tuple

from torch import Tensor, nn
from torch.nn import functional

from tools.arch.blocks import Separable

# Channels after the block, wider channels in it, stride.
BLOCKS = (
    *((40, 144, 2), (40, 240, 1), (48, 240, 2), (48, 288, 1), (48, 288, 1)),
    *((96, 288, 2), (96, 576, 1), (96, 576, 1), (96, 576, 1), (144, 576, 1)),
    *((144, 864, 1), (144, 864, 1)),
)
FIRST, NARROW = 48, 24  # channels of the first convolution, and after it
FINE = 5  # blocks up to the map of stride 8
COARSE = 160  # channels of the map of stride 32


class Narrowing(nn.Module):
    """Depthwise 3x3 and a pointwise convolution without activation, perhaps widened before."""

    def __init__(self, inputs: int, wide: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.widen: nn.Module = nn.Identity() if wide == inputs else nn.Conv2d(inputs, wide, 1)
        self.depth = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide)
        self.narrow = nn.Conv2d(wide, outputs, 1)
        self.add = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """[B,inputs,H,W] -> [B,outputs,H/stride,W/stride]."""
        found = self.widen(maps)
        found = found if isinstance(self.widen, nn.Identity) else functional.relu6(found)
        made: Tensor = self.narrow(functional.relu6(self.depth(found)))
        return maps + made if self.add else made


class MobileNet(nn.Module):
    """The trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = [BLOCKS[FINE - 1][0], BLOCKS[-1][0], COARSE]
        self.first = nn.Conv2d(3, FIRST, 3, 2)
        self.fine = nn.Sequential(
            Narrowing(FIRST, FIRST, NARROW, 1), *_blocks(NARROW, BLOCKS[:FINE])
        )
        self.middle = nn.Sequential(*_blocks(BLOCKS[FINE - 1][0], BLOCKS[FINE:]))
        self.coarse = Separable(BLOCKS[-1][0], COARSE, 3, 2)

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """[B,3,H,W] -> the maps at strides 8, 16 and 32."""
        fine = self.fine(functional.relu6(self.first(image)))
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)

    def convolutions(self) -> List[nn.Conv2d]:
        """The convolutions that MoveNet has, too, in the order of its graph."""
        parts = (self.first, self.fine, self.middle)
        return [m for part in parts for m in part.modules() if isinstance(m, nn.Conv2d)]

    def early(self) -> List[nn.Module]:
        """The layers on large maps, which fine-tuning may keep as they are."""
        return [self.first, self.fine]


def _blocks(inputs: int, rows: Tuple[Tuple[int, int, int], ...]) -> List[Narrowing]:
    found = []
    for outputs, wide, stride in rows:
        found.append(Narrowing(inputs, wide, outputs, stride))
        inputs = outputs
    return found
