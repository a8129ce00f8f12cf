"""Quantize one network: ranges, method, mixed precision, equalization, bias correction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import onnx

from edge.errors import DataError
from tools.macs import node_macs, tensor_shapes
from tools.progress import Progress
from tools.quant import equalize
from tools.quant.collect import Feeds, histograms
from tools.quant.graph import Graph, Placement, layers, place_int8, wire
from tools.quant.inputs import Crops, split_crops
from tools.quant.qdq import problems
from tools.quant.quantized_network import QuantizedNetwork
from tools.quant.ranges import METHODS, Histogram
from tools.quant.reference import Reference, method_errors, open_reference, ranges_by_method
from tools.quant.sensitivity import best_value, layer_errors, mixed_placement, most_sensitive
from tools.quant.tuning import tune

REFERENCE_CROPS = 48  # crops that errors are measured on
LAYER_CROPS = 16  # crops that rank layers and equalizations
EQUALIZE_CROPS = 32  # crops that give the ranges of each equalization
CORRECTION_CROPS = 32  # crops that correct biases; all their tensors of one layer are in memory
FLOAT_SHARE = 0.35  # of the MACs that may be float to reach the target: two thirds stay INT8

Equalized = Dict[Optional[float], onnx.ModelProto]  # alpha -> network; None: not equalized


@dataclass(frozen=True)
class QuantizeOptions:
    """Options of `edge-tools quantize`.

    Attributes:
        method: one of METHODS, or auto: the method with the least output error.
        floating: name patterns of layers that stay float.
        sensitivity: measure every layer even if the target is reached.
        max_float: how many layers may become float for accuracy; -1 = FLOAT_SHARE of the MACs.
        target: relative output error that is good enough.
        quiet: show no progress.
    """

    method: str = "auto"
    floating: Sequence[str] = ()
    sensitivity: bool = False
    max_float: int = -1
    target: float = 0.01
    quiet: bool = False


def quantize_network(
    model: onnx.ModelProto, crops: Crops, options: QuantizeOptions, label: str
) -> QuantizedNetwork:
    """Quantize one network.

    Args:
        model: float network; nodes without a name get one.
        crops: recorded inputs of the calibration frames.
        options: of the command.
        label: of the progress bars and errors.

    Raises:
        DataError: there is nothing to quantize, or a tensor has values that are not finite.
    """
    whole = place_int8(wire(model), options.floating)
    if not whole.layers:
        raise DataError(
            f"{label}: no layer to quantize: no Conv, MatMul or Gemm with constant weights "
            "before its last layers that is not kept in floating point"
        )
    calibration, choice = split_crops(crops)
    name = network_input(model, crops)
    reference = open_reference(model, list(choice.subset(REFERENCE_CROPS).batches(name)))
    work = _Work(reference, calibration, name, options, label)
    equalized = work.equalizations()
    alpha, counted = work.choose_equalization(equalized, whole)
    outcome = work.choose_method(whole, counted)
    work.choose_layers(outcome)
    if outcome.dropped and len(equalized) > 1:
        # With all layers in INT8, a few bad layers hide the effect of equalization on the others.
        alpha, counted = work.choose_equalization(equalized, outcome.placement)
    outcome.crops, outcome.alpha = len(calibration), alpha
    outcome.equal = None if alpha is None else reference.model
    work.tune(outcome, counted)
    return outcome


def network_input(model: onnx.ModelProto, crops: Crops) -> str:
    """The graph input that the crops are fed to.

    Raises:
        DataError: the graph has no input of the name that the recipe gives.
    """
    constants = {t.name for t in model.graph.initializer}
    there = [i.name for i in model.graph.input if i.name not in constants]
    if crops.network.input not in there:
        raise DataError(
            f"{crops.network.file}: has no input {crops.network.input!r}; "
            f"it has: {', '.join(there)}; name one as `input` in model.toml"
        )
    return crops.network.input


@dataclass
class _Work:
    """The steps of one quantization.

    Attributes:
        reference: what errors are measured against; its model becomes the equalized network.
        calibration: crops that ranges are measured on.
        input: graph input of the crops.
        options: of the command.
        label: of the progress bars and errors.
    """

    reference: Reference
    calibration: Crops
    input: str
    options: QuantizeOptions
    label: str

    def _progress(self, what: str, total: int, unit: str) -> Progress:
        return Progress(f"{self.label}: {what}", total, unit, self.options.quiet)

    def equalizations(self) -> Equalized:
        """The network as it is, and with its channels equalized at each strength."""
        model = self.reference.model
        found: Equalized = {None: model}
        tensors = equalize.tensors_to_measure(wire(model))
        if tensors:
            batches = self.calibration.batches(self.input)
            maxima = equalize.channel_maxima(model, tensors, batches)
            found.update((a, equalize.equalized(model, maxima, a)) for a in equalize.ALPHAS)
        return found

    def choose_equalization(
        self, equalized: Equalized, placement: Placement
    ) -> Tuple[Optional[float], Dict[str, Histogram]]:
        """Take the equalization with the least error on average over all methods.

        The network of the reference becomes the chosen one.

        Returns:
            Its alpha, and the histograms of its tensors.
        """
        best = None
        if len(equalized) > 1:
            feeds = list(self.calibration.subset(EQUALIZE_CROPS).batches(self.input))
            best = self._best_equalization(equalized, placement, feeds)
        self.reference.model = equalized[best]
        return best, self._count(placement)

    def _best_equalization(
        self, equalized: Equalized, placement: Placement, feeds: List[Feeds]
    ) -> Optional[float]:
        few = self.reference.subset(LAYER_CROPS)
        means: Dict[Optional[float], float] = {}
        with self._progress("channels", len(equalized), "variants") as bar:
            for alpha, model in equalized.items():
                counted = histograms(model, placement.activations, feeds)
                candidate = replace(few, model=model)
                errors = method_errors(candidate, placement, counted, list(METHODS))
                means[alpha] = sum(errors.values()) / len(errors)
                bar.update()
        return min(means, key=lambda alpha: means[alpha])

    def _count(self, placement: Placement) -> Dict[str, Histogram]:
        batches = self.calibration.batches(self.input)
        with self._progress("ranges", len(self.calibration), "crops") as bar:
            step: Callable[[int], None] = lambda done: bar.update(done - bar.done)  # noqa: E731
            return histograms(self.reference.model, placement.activations, batches, step)

    def choose_method(self, whole: Placement, counted: Dict[str, Histogram]) -> QuantizedNetwork:
        """The method with the least error when all layers are INT8."""
        asked = self.options.method
        methods = list(METHODS) if asked == "auto" else [asked]
        with self._progress("methods", len(methods), "methods") as bar:
            errors = method_errors(self.reference, whole, counted, methods, bar.update)
        best = min(errors, key=lambda method: errors[method])
        largest = {tensor: histogram.largest for tensor, histogram in counted.items()}
        ranges = ranges_by_method(counted, best)
        return QuantizedNetwork(
            self.reference.model, ranges, largest, best, whole, 0, methods=errors
        )

    def choose_layers(self, outcome: QuantizedNetwork) -> None:
        """Keep sensitive layers in float if the target is missed and options allow it.

        Layers are measured for this, or because `options.sensitivity` asks for it.
        """
        options = self.options
        reached = outcome.methods[outcome.method] <= options.target
        if not options.sensitivity and (reached or not options.max_float):
            return
        graph = wire(self.reference.model)
        few = self.reference.subset(LAYER_CROPS)
        with self._progress("layer by layer", len(outcome.placement.layers), "layers") as bar:
            outcome.layers = layer_errors(few, outcome.placement, outcome.ranges, bar.update)
        outcome.macs = _macs(graph)
        if options.max_float < 0:
            candidates = best_value(outcome.layers, outcome.macs, FLOAT_SHARE)
        else:
            candidates = most_sensitive(outcome.layers, options.max_float)
        outcome.placement, outcome.dropped = mixed_placement(
            self.reference, graph, options.floating, outcome.ranges, candidates, options.target
        )

    def tune(self, outcome: QuantizedNetwork, counted: Dict[str, Histogram]) -> None:
        """Choose ranges, residual branches and corrections, and check the result.

        Raises:
            DataError: TensorRT would refuse the result.
        """
        few = self.calibration.subset(CORRECTION_CROPS)
        batches = {self.input: [feeds[self.input] for feeds in few.batches(self.input)]}
        methods = sorted(outcome.methods, key=lambda method: outcome.methods[method])
        options, placement = self.options, outcome.placement
        rest = (options.target, self.label, options.quiet)
        best = tune(self.reference, placement, counted, methods, batches, *rest)
        outcome.model, outcome.correction = best.model, best.correction
        outcome.errors, outcome.error = best.errors, best.error
        outcome.method, outcome.placement = best.variant.method, best.variant.placement
        kept = set(outcome.placement.activations)
        outcome.ranges = {t: amax for t, amax in best.variant.ranges.items() if t in kept}
        wrong = problems(outcome.model)
        if wrong:
            raise DataError(f"{self.label}: TensorRT would refuse the result: {wrong[0]}")


def _macs(graph: Graph) -> Dict[str, int]:
    """Layer -> multiply-accumulates; empty if a size of the network is unknown."""
    shapes = tensor_shapes(graph.model)
    nodes = {node.name: node for node in graph.nodes}
    found = {layer.name: node_macs(nodes[layer.name], shapes) for layer in layers(graph)}
    counts = {name: count for name, count in found.items() if count is not None}
    return counts if len(counts) == len(found) else {}
