"""Takes channels out of a network, block by block, and makes up for them."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import torch
from torch import Tensor

from tools.progress import Progress
from tools.training.networks.onnx_graph import OnnxGraph
from tools.training.pruning.channels import Channels, Inside, kept_count
from tools.training.pruning.refit import Moments, moments, refit

PLACES = 256  # of each picture and map, at most
_BATCH = 16

Values = List[Dict[str, Tensor]]  # of the graph, for each batch of pictures


def cut(
    new: OnnxGraph, old: OnnxGraph, images: Tensor, ratio: float, seed: int, quiet: bool
) -> Dict[str, Tuple[int, int]]:
    """Take a share of the channels out of each block of a network.

    Each reader shall give what it gave before, and what the blocks before it lost. So an error does
    not add up on its way.

    Args:
        new: the network; it is changed.
        old: a copy that stays as it is.
        images: normalised, [N,3,H,W].
        ratio: of the channels.
        seed: of the places of maps that count.
        quiet: show no progress.

    Returns:
        Name of each changed layer -> channels before and after; empty: there are none.
    """
    channels = Channels(new, images.shape[-1])
    lots = torch.Generator().manual_seed(seed)
    batches = images.split(_BATCH)
    walks = (_Walk(new, batches), _Walk(old, batches))
    told: Dict[str, Tuple[int, int]] = {}
    insides = channels.insides()
    with torch.no_grad(), Progress("taking channels out", len(insides), "blocks", quiet) as bar:
        for inside in insides:
            keep = kept_count(inside.count, ratio)
            if keep < inside.count:
                _cut_one(new, channels, inside, keep, walks, lots)
                told[inside.maker] = (inside.count, keep)
            bar.update()
    return told


class _Walk:
    """Values of a graph up to a node, for all batches; nothing is computed twice."""

    def __init__(self, graph: OnnxGraph, batches: Sequence[Tensor]) -> None:
        self.graph = graph
        self._at = 0
        self._values: Values = [{graph.input: b} for b in batches]

    def to(self, node: int) -> None:
        """Go on to a node, which is not computed itself."""
        self._values = [self.graph.advance(v, self._at, node) for v in self._values]
        self._at = node

    def look(self, batch: int, names: Sequence[str]) -> Dict[str, Tensor]:
        """Some values of a batch; the place stays."""
        last = max(self.graph.place(n) for n in names) + 1
        given = self._values[batch]
        return self.graph.advance(given, min(self._at, last), last, names)

    def __len__(self) -> int:
        return len(self._values)


def _cut_one(
    new: OnnxGraph,
    channels: Channels,
    inside: Inside,
    keep: int,
    walks: Tuple[_Walk, _Walk],
    lots: torch.Generator,
) -> None:
    for walk in walks:
        walk.to(new.place(new.around(inside.maker)[1]))
    layers = [new.layers[name] for name in inside.readers]
    before = [torch.cat((one.weight[:, :, 0, 0], one.bias[:, None]), 1) for one in layers]
    seen = [_moments(new.around(name), walks, lots) for name in inside.readers]
    rows, weights = refit(seen, before, keep)
    gone = sorted(set(range(inside.count)) - set(rows))
    channels.take_out(inside.maker, gone)
    for layer, weight in zip(layers, weights):
        layer.weight.copy_(weight[:, :-1, None, None])
        layer.bias.copy_(weight[:, -1])


def _moments(
    around: Tuple[str, str, str], walks: Tuple[_Walk, _Walk], lots: torch.Generator
) -> Moments:
    """Moments of a reader: its channels now, and the output that makes the sum as it was."""
    given, output, added = around
    pairs = []
    for batch in range(len(walks[0])):
        now = walks[0].look(batch, [given, added] if added else [given])
        then = walks[1].look(batch, [output, added] if added else [output])
        wanted = then[output] + (then[added] - now[added]) if added else then[output]
        pairs.append(_some(now[given], wanted, lots))
    return moments(pairs)


def _some(channels: Tensor, wanted: Tensor, lots: torch.Generator) -> Tuple[Tensor, Tensor]:
    """Both at some places of each picture's map: [P,C] and [P,O]."""
    both = [value.flatten(2).transpose(1, 2) for value in (channels, wanted)]
    chosen = torch.randperm(both[0].shape[1], generator=lots)[:PLACES]
    return both[0][:, chosen].flatten(0, 1), both[1][:, chosen].flatten(0, 1)
