"""One network from recorded crops to INT8: ranges, method, mixed precision, bias correction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import onnx

from edge.errors import DataError
from tools.engines.network import node_macs, tensor_shapes
from tools.progress import Progress
from tools.quant import equalize
from tools.quant.collect import histograms
from tools.quant.correct import correct
from tools.quant.graph import Graph, Plan, layers, plan, wire
from tools.quant.inputs import BATCH, Crops, split
from tools.quant.qdq import problems, quantize
from tools.quant.ranges import METHODS, Histogram
from tools.quant.sensitivity import cheapest, mixed, of_layers, worst
from tools.quant.trial import Trial, compare, open_trial, read_ranges
from tools.quant.walk import Batches

CHOICE_CROPS = 12  # that choose between methods
LAYER_CROPS = 6  # that rank the layers
EQUALIZE_CROPS = 32  # that choose how far channels are equalized
CORRECTION_CROPS = 32  # that correct biases; their tensors are in memory together
EQUALIZE_METHODS = ("minmax", "percentile")
WORTH = 0.9  # of the error: what float residual branches must bring it to
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
    target: float = 0.02
    quiet: bool = False


@dataclass
class Outcome:
    """What came out.

    Attributes:
        model: with Q/DQ pairs.
        ranges: amax of each quantized tensor.
        largest: of each of them, as seen.
        method: of the ranges.
        plan: what is INT8.
        dropped: layers that were made float for accuracy.
        methods: output error of each method, all layers INT8.
        layers: output error with one layer INT8 at a time, worst first; empty if not measured.
        macs: of each layer; empty where sizes are open.
        errors: relative error of each output in the end.
        error: of all outputs together.
        correction: of rounding: as is, corrected (biases) or fitted (weights and biases).
        alpha: of the equalization; None = channels are as they were.
        equal: the float network that the ranges belong to, where channels were scaled.
        crops: how many gave ranges.
    """

    model: onnx.ModelProto
    ranges: Dict[str, float]
    largest: Dict[str, float]
    method: str
    plan: Plan
    crops: int
    dropped: List[str] = field(default_factory=list)
    methods: Dict[str, float] = field(default_factory=dict)
    layers: Dict[str, float] = field(default_factory=dict)
    macs: Dict[str, int] = field(default_factory=dict)
    errors: Dict[str, float] = field(default_factory=dict)
    error: float = float("inf")
    correction: str = "as is"
    alpha: Optional[float] = None
    equal: Optional[onnx.ModelProto] = None


def make(model: onnx.ModelProto, crops: Crops, wishes: Wishes, label: str) -> Outcome:
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
    trial.model, alpha = _equalize(trial, whole, calibration, name, label, wishes.quiet)
    graph = wire(trial.model)
    counted = _count(trial.model, whole, calibration, name, label, wishes.quiet)
    outcome = _choose_method(trial, whole, counted, wishes, label)
    outcome.crops, outcome.alpha = len(calibration), alpha
    outcome.equal = None if alpha is None else trial.model
    _choose_layers(trial, graph, outcome, wishes, label)
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


def _equalize(
    trial: Trial, whole: Plan, crops: Crops, name: str, label: str, quiet: bool
) -> Tuple[onnx.ModelProto, Optional[float]]:
    """The network with its channels scaled as far as INT8 gains by it, and how far that is."""
    tensors = equalize.tensors_read(wire(trial.model))
    if not tensors:
        return trial.model, None
    reach = equalize.reaches(trial.model, tensors, crops.batches(name))
    best: Tuple[onnx.ModelProto, Optional[float]] = (trial.model, None)
    least = float("inf")
    few = list(crops.few(EQUALIZE_CROPS).batches(name))
    ways: List[Optional[float]] = [None, *equalize.ALPHAS]
    with Progress(f"{label}: channels", len(ways), "ways", quiet) as bar:
        for alpha in ways:
            model = trial.model if alpha is None else equalize.equalized(trial.model, reach, alpha)
            counted = histograms(model, whole.activations, few)
            errors = compare(replace(trial, model=model), whole, counted, EQUALIZE_METHODS)
            if min(errors.values()) < least:
                best, least = (model, alpha), min(errors.values())
            bar.update()
    return best


def _choose_method(
    trial: Trial, whole: Plan, counted: Dict[str, Histogram], wishes: Wishes, label: str
) -> Outcome:
    methods = list(METHODS) if wishes.method == "auto" else [wishes.method]
    with Progress(f"{label}: methods", len(methods), "methods", wishes.quiet) as bar:
        errors = compare(trial, whole, counted, methods, bar.update)
    best = min(errors, key=lambda method: errors[method])
    largest = {tensor: histogram.largest for tensor, histogram in counted.items()}
    ranges = read_ranges(counted, best)
    return Outcome(trial.model, ranges, largest, best, whole, 0, methods=errors)


def _choose_layers(
    trial: Trial, graph: Graph, outcome: Outcome, wishes: Wishes, label: str
) -> None:
    """Measure the layers if asked or needed, and make the worst float if allowed and needed."""
    reached = outcome.methods[outcome.method] <= wishes.target
    if not wishes.sensitivity and (reached or not wishes.max_float):
        return
    few = open_trial(trial.model, trial.feeds[: -(-LAYER_CROPS // BATCH)])
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
    outcome: Outcome,
    counted: Dict[str, Histogram],
    batches: Dict[str, Batches],
    wishes: Wishes,
    label: str,
) -> None:
    """Ranges of the layers that stayed, residual branches and biases where they help."""
    if outcome.dropped and len(outcome.methods) > 1:
        # Without the worst layers another method may be the best.
        again = compare(trial, outcome.plan, counted, list(outcome.methods))
        outcome.method = min(again, key=lambda method: again[method])
        outcome.ranges = read_ranges(counted, outcome.method)
    _take_better(trial, outcome, outcome.plan, batches, label, wishes.quiet)
    if outcome.error > wishes.target and outcome.plan.residuals and wishes.max_float:
        # A residual trunk adds up many branches; in float it keeps what no later layer mends.
        other = replace(outcome.plan, residuals=())
        _take_better(trial, outcome, other, batches, label, wishes.quiet)
    if outcome.error > wishes.target:
        _fit(trial, outcome, batches, label, wishes.quiet)
    kept = set(outcome.plan.activations)
    outcome.ranges = {t: amax for t, amax in outcome.ranges.items() if t in kept}
    wrong = problems(outcome.model)
    if wrong:
        raise DataError(f"{label}: TensorRT would refuse the result: {wrong[0]}")


def _take_better(
    trial: Trial,
    outcome: Outcome,
    chosen: Plan,
    batches: Dict[str, Batches],
    label: str,
    quiet: bool,
) -> None:
    """Write a plan plainly and with corrected biases; keep it where it is clearly better."""
    plain = quantize(trial.model, chosen, outcome.ranges)
    fewer = 1.0 if chosen is outcome.plan else WORTH
    _keep_if_better(trial, outcome, chosen, plain, "as is", fewer)
    with Progress(f"{label}: biases", len(chosen.layers), "layers", quiet) as bar:
        better = correct(trial.model, plain, chosen, batches, bar.update)
    _keep_if_better(trial, outcome, chosen, better, "corrected", fewer)


def _fit(
    trial: Trial, outcome: Outcome, batches: Dict[str, Batches], label: str, quiet: bool
) -> None:
    """Weights fitted to what their layers get: it takes longest, so once, for the final plan."""
    chosen = outcome.plan
    plain = quantize(trial.model, chosen, outcome.ranges)
    with Progress(f"{label}: weights", len(chosen.layers), "layers", quiet) as bar:
        better = correct(trial.model, plain, chosen, batches, bar.update, fit=True)
    _keep_if_better(trial, outcome, chosen, better, "fitted", 1.0)


def _keep_if_better(
    trial: Trial, outcome: Outcome, chosen: Plan, model: onnx.ModelProto, word: str, fewer: float
) -> None:
    errors = trial.errors(model)
    error = trial.overall(errors)
    if error < fewer * outcome.error:
        outcome.model, outcome.errors, outcome.error = model, errors, error
        outcome.correction, outcome.plan = word, chosen
