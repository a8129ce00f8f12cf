"""Base class of all networks: three forms of the outputs, by name."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor, nn

Outputs = Dict[str, Tensor]
Size = Tuple[int, int]  # height, width in px, the order of tensors
DIVISOR = 32  # input px per cell of the coarsest map


class Network(nn.Module):
    """A network for one input size. Images are [B,3,H,W], normalised as the architecture says.

    `raw` returns the head's own maps, `forward` the outputs that a model family decodes, `fused`
    the smallest outputs that contain all that the family needs.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        if size[0] % DIVISOR or size[1] % DIVISOR or min(size) < DIVISOR:
            raise ValueError(f"input size {size[0]}x{size[1]}: both must be multiples of {DIVISOR}")
        self.size = size

    def features(self, image: Tensor) -> Tuple[Tensor, ...]:
        """The maps that the head reads."""
        if not torch.jit.is_tracing() and tuple(image.shape[2:]) != self.size:
            raise ValueError(f"expected images of {self.size}, got {tuple(image.shape[2:])}")
        maps: Tuple[Tensor, ...] = self.get_submodule("backbone")(image)
        neck = getattr(self, "neck", None)
        return maps if neck is None else neck(maps)

    def raw(self, image: Tensor) -> Outputs:
        """The head's maps, not decoded."""
        raise NotImplementedError

    def fused(self, image: Tensor) -> Outputs:
        """Decoded outputs, reduced to the useful entries."""
        raise NotImplementedError


def by_level(**maps: Sequence[Tensor]) -> Outputs:
    """`cls=[a, b]` -> `{"cls_0": a, "cls_1": b}`."""
    return {f"{name}_{i}": m for name, levels in maps.items() for i, m in enumerate(levels)}


def join_levels(levels: Sequence[Tensor], width: int, cells: Sequence[int]) -> Tensor:
    """Maps [B,width,h,w] of several levels -> [B,width,N], level by level, row by row.

    `cells` holds h * w of each level. It and `width` are plain numbers, because reading them from
    the tensors would add computations to the exported graph.
    """
    flat: List[Tensor] = [m.reshape(-1, width, n) for m, n in zip(levels, cells)]
    return torch.cat(flat, 2)


def take_rows(rows: Tensor, index: Tensor, width: int) -> Tensor:
    """Rows [B,N,width], index [B,M] -> [B,M,width].

    The index is widened by adding zeros, because `expand` and `repeat` would add shape arithmetic
    to the exported graph.
    """
    lanes = torch.from_numpy(np.zeros(width, np.int64)).to(index.device)
    return torch.gather(rows, 1, index.unsqueeze(2) + lanes)
