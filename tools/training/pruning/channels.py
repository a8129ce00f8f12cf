"""Channels that can be taken out of a network without a change of anything else.

These are the channels between a convolution that widens and the convolutions that sum over them:
the inside of an inverted residual block. What blocks add up stays whole, so each block can be made
up for on its own. The library torch-pruning follows which layers belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import torch
import torch_pruning
from torch import nn

from tools.training.networks.onnx_graph import OnnxGraph

STEP = 8  # runtimes compute this many channels at once


@dataclass(frozen=True)
class Inside:
    """Channels between layers."""

    maker: str  # the layer that makes them
    readers: Tuple[str, ...]  # layers that sum over them
    count: int


class Channels:
    """The channels of a network.

    Args:
        graph: the network.
        side: of its square input, px.
    """

    def __init__(self, graph: OnnxGraph, side: int) -> None:
        self._graph = graph
        self._names = {id(layer): name for name, layer in graph.layers.items()}
        image = torch.zeros(1, 3, side, side)
        with torch.enable_grad():  # it follows the gradients' graph
            links = torch_pruning.DependencyGraph()
            self._links = links.build_dependency(graph, example_inputs=image)

    def insides(self) -> List[Inside]:
        """All that can be taken out, in the order of computing."""
        found = []
        for name, layer in self._graph.layers.items():
            if isinstance(layer, nn.Conv2d) and layer.groups == 1:
                readers = self._readers(layer)
                if readers:
                    found.append(Inside(name, readers, layer.out_channels))
        return found

    def take_out(self, maker: str, channels: Sequence[int]) -> None:
        """Take channels out of the layer that makes them, and out of all that use them."""
        if channels:
            self._group(self._graph.layers[maker], channels).prune()

    def _group(self, layer: nn.Module, channels: Sequence[int]) -> torch_pruning.Group:
        how = torch_pruning.prune_conv_out_channels
        return self._links.get_pruning_group(layer, how, idxs=list(channels))

    def _readers(self, layer: nn.Conv2d) -> Optional[Tuple[str, ...]]:
        """The readers of a layer's channels; None: others make or use these channels, too."""
        count = layer.out_channels
        if count <= layer.in_channels:
            return None  # it narrows: each channel counts
        readers = set()
        for item in self._group(layer, range(count)):
            part = item.dep.target.module
            if part is layer or id(part) not in self._names:
                continue  # without weights
            if not isinstance(part, nn.Conv2d):
                return None
            if part.groups == count == part.out_channels:
                continue  # one filter a channel
            reads = self._links.is_in_channel_pruning_fn(item.dep.handler)
            plain = (part.kernel_size, part.stride, part.padding) == ((1, 1), (1, 1), (0, 0))
            if not reads or not plain or part.groups != 1 or part.in_channels != count:
                return None
            readers.add(self._names[id(part)])
        return tuple(name for name in self._graph.layers if name in readers)


def kept_count(count: int, ratio: float) -> int:
    """Channels that stay: a multiple of STEP."""
    return min(count, max(STEP, STEP * int((1 - ratio) * count / STEP + 0.5)))
