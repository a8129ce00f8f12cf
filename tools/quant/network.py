"""One network from recorded crops to INT8: ranges, method, mixed precision, bias correction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import onnx

from edge.errors import DataError
from tools.macs import node_macs, tensor_shapes
from tools.progress import Progress
from tools.quant import equalize
from tools.quant.collect import Feeds, histograms
from tools.quant.graph import Graph, Plan, layers, plan, wire
from tools.quant.inputs import Crops, split
from tools.quant.qdq import problems
from tools.quant.quantized_network import QuantizedNetwork
from tools.quant.ranges import METHODS, Histogram
from tools.quant.sensitivity import cheapest, mixed, of_layers, worst
from tools.quant.side_by_side import Batches
from tools.quant.trial import Trial, compare, open_trial, read_ranges
from tools.quant.tuning import finish

CHOICE_CROPS = 48  # that choose between methods
LAYER_CROPS = 16  # that rank the layers, and the equalizations over all methods
EQUALIZE_CROPS = 32  # that choose how far channels are equalized
CORRECTION_CROPS = 32  # that correct biases; their tensors are in memory together
FLOAT_SHARE = 0.35  # of the MACs may be float to reach the target: two thirds stay INT8


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Attributes:
        method: one of METHODS, or auto: the one with the least output error.
        floating: name patterns of layers that stay float.
        sensitivity: measure every layer even if the target is reached.
        max_float: layers that may become float for accuracy; -1 = FLOAT_SHARE of the MACs.
        target: relative output error that is good enough.
        quiet: without progress.
    """

    method: str = "auto"
    floating: Sequence[str] = ()
    sensitivity: bool = False
    max_float: int = -1
    target: float = 0.01
    quiet: bool = False


def make(model: onnx.ModelProto, crops: Crops, wishes: Wishes, label: str) -> QuantizedNetwork:
    """Quantize one network.

    Args:
        model: float network; its nodes get names.
        crops: recorded inputs of the calibration split.
        wishes: the user's.
        label: of the progress bars.

    Raises:
        DataError: nothing to quantize, or values that are not finite.
    """
    graph = wire(model)
    whole = plan(graph, wishes.floating)
    if not whole.layers:
        raise DataError(
            f"{label}: no layer to quantize: no Conv, MatMul or Gemm with constant weights "
            "before its last layers that is not kept in floating point"
        )
    calibration, choice = split(crops)
    name = network_input(model, crops)
    trial = open_trial(model, list(choice.few(CHOICE_CROPS).batches(name)))
    ways = _equalizations(model, calibration, name)
    alpha, counted = _equalize(trial, ways, whole, calibration, name, label, wishes.quiet)
    outcome = _choose_method(trial, whole, counted, wishes, label)
    _choose_layers(trial, wire(trial.model), outcome, wishes, label)
    if outcome.dropped and len(ways) > 1:
        # All INT8, a few bad layers hide what the channels do to the others.
        alpha, counted = _equalize(
            trial, ways, outcome.plan, calibration, name, label, wishes.quiet
        )
    outcome.crops, outcome.alpha = len(calibration), alpha
    outcome.equal = None if alpha is None else trial.model
    few = calibration.few(CORRECTION_CROPS)
    batches = {name: [feeds[name] for feeds in few.batches(name)]}
    _finish(trial, outcome, counted, batches, wishes, label)
    return outcome


def network_input(model: onnx.ModelProto, crops: Crops) -> str:
    """The graph input that the crops are fed to.

    Raises:
        DataError: the recipe names one that is not there.
    """
    constants = {t.name for t in model.graph.initializer}
    there = [i.name for i in model.graph.input if i.name not in constants]
    if crops.network.input not in there:
        raise DataError(
            f"{crops.network.file}: has no input {crops.network.input!r}; "
            f"it has: {', '.join(there)}; name one as `input` in model.toml"
        )
    return crops.network.input


def _count(
    model: onnx.ModelProto, whole: Plan, crops: Crops, name: str, label: str, quiet: bool
) -> Dict[str, Histogram]:
    with Progress(f"{label}: ranges", len(crops), "crops", quiet) as bar:
        step: Callable[[int], None] = lambda done: bar.update(done - bar.done)  # noqa: E731
        return histograms(model, whole.activations, crops.batches(name), step)


def _equalizations(
    model: onnx.ModelProto, crops: Crops, name: str
) -> Dict[Optional[float], onnx.ModelProto]:
    """The network with its channels scaled, by how far; None: as it is."""
    tensors = equalize.tensors_read(wire(model))
    if not tensors:
        return {None: model}
    reach = equalize.reaches(model, tensors, crops.batches(name))
    ways: Dict[Optional[float], onnx.ModelProto] = {None: model}
    ways.update((a, equalize.equalized(model, reach, a)) for a in equalize.ALPHAS)
    return ways


def _equalize(
    trial: Trial,
    ways: Dict[Optional[float], onnx.ModelProto],
    chosen: Plan,
    crops: Crops,
    name: str,
    label: str,
    quiet: bool,
) -> Tuple[Optional[float], Dict[str, Histogram]]:
    """Give the trial the network whose channels suit INT8 best, on average over all methods.

    Returns:
        How far its channels are scaled, and its histograms.
    """
    best = None
    if len(ways) > 1:
        few = list(crops.few(EQUALIZE_CROPS).batches(name))
        best = _best_equalization(trial.few(LAYER_CROPS), ways, chosen, few, label, quiet)
    trial.model = ways[best]
    return best, _count(trial.model, chosen, crops, name, label, quiet)


def _best_equalization(
    trial: Trial,
    ways: Dict[Optional[float], onnx.ModelProto],
    chosen: Plan,
    feeds: List[Feeds],
    label: str,
    quiet: bool,
) -> Optional[float]:
    means: Dict[Optional[float], float] = {}
    with Progress(f"{label}: channels", len(ways), "ways", quiet) as bar:
        for alpha, model in ways.items():
            counted = histograms(model, chosen.activations, feeds)
            errors = compare(replace(trial, model=model), chosen, counted, list(METHODS))
            means[alpha] = sum(errors.values()) / len(errors)
            bar.update()
    return min(means, key=lambda alpha: means[alpha])


def _choose_method(
    trial: Trial, whole: Plan, counted: Dict[str, Histogram], wishes: Wishes, label: str
) -> QuantizedNetwork:
    methods = list(METHODS) if wishes.method == "auto" else [wishes.method]
    with Progress(f"{label}: methods", len(methods), "methods", wishes.quiet) as bar:
        errors = compare(trial, whole, counted, methods, bar.update)
    best = min(errors, key=lambda method: errors[method])
    largest = {tensor: histogram.largest for tensor, histogram in counted.items()}
    ranges = read_ranges(counted, best)
    return QuantizedNetwork(trial.model, ranges, largest, best, whole, 0, methods=errors)


def _choose_layers(
    trial: Trial, graph: Graph, outcome: QuantizedNetwork, wishes: Wishes, label: str
) -> None:
    """Measure the layers if asked or needed, and make the worst float if allowed and needed."""
    reached = outcome.methods[outcome.method] <= wishes.target
    if not wishes.sensitivity and (reached or not wishes.max_float):
        return
    few = trial.few(LAYER_CROPS)
    with Progress(
        f"{label}: layer by layer", len(outcome.plan.layers), "layers", wishes.quiet
    ) as bar:
        outcome.layers = of_layers(few, outcome.plan, outcome.ranges, bar.update)
    outcome.macs = _macs(graph)
    if wishes.max_float < 0:
        candidates = cheapest(outcome.layers, outcome.macs, FLOAT_SHARE)
    else:
        candidates = worst(outcome.layers, wishes.max_float)
    outcome.plan, outcome.dropped = mixed(
        trial, graph, wishes.floating, outcome.ranges, candidates, wishes.target
    )


def _macs(graph: Graph) -> Dict[str, int]:
    """Of every layer; empty where the network's sizes are open."""
    shapes = tensor_shapes(graph.model)
    nodes = {node.name: node for node in graph.nodes}
    found = {layer.name: node_macs(nodes[layer.name], shapes) for layer in layers(graph)}
    counts = {name: count for name, count in found.items() if count is not None}
    return counts if len(counts) == len(found) else {}


def _finish(
    trial: Trial,
    outcome: QuantizedNetwork,
    counted: Dict[str, Histogram],
    batches: Dict[str, Batches],
    wishes: Wishes,
    label: str,
) -> None:
    """Ranges of the layers that stayed, residual branches, biases and weights as they help."""
    methods = sorted(outcome.methods, key=lambda method: outcome.methods[method])
    found = finish(
        trial, outcome.plan, counted, methods, batches, wishes.target, label, wishes.quiet
    )
    outcome.model, outcome.correction = found.model, found.correction
    outcome.errors, outcome.error = found.errors, found.error
    outcome.method, outcome.plan = found.way.method, found.way.plan
    kept = set(outcome.plan.activations)
    outcome.ranges = {t: amax for t, amax in found.way.ranges.items() if t in kept}
    wrong = problems(outcome.model)
    if wrong:
        raise DataError(f"{label}: TensorRT would refuse the result: {wrong[0]}")
