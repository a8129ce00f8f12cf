"""The last choices for a network: ranges, residual branches, biases and weights, by trial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Sequence

import onnx

from tools.progress import Progress
from tools.quant.correct import correct
from tools.quant.graph import Plan
from tools.quant.qdq import quantize
from tools.quant.ranges import Histogram
from tools.quant.side_by_side import Batches
from tools.quant.trial import Trial, read_ranges

WORTH = 0.9  # of the error: what float residual branches must bring it to
FITTED = 2  # ways whose weights are fitted, which takes longest


@dataclass(frozen=True)
class Way:
    """One choice of ranges and branches."""

    method: str
    ranges: Dict[str, float]
    plan: Plan
    handicap: float = 1.0  # on its error, for costing more


@dataclass
class Found:
    """The best network so far."""

    way: Way
    model: onnx.ModelProto
    errors: Dict[str, float] = field(default_factory=dict)
    error: float = float("inf")
    correction: str = "as is"  # or corrected (biases), or fitted (weights and biases)


def finish(
    trial: Trial,
    plan: Plan,
    counted: Mapping[str, Histogram],
    methods: Sequence[str],
    batches: Dict[str, Batches],
    target: float,
    label: str,
    quiet: bool,
) -> Found:
    """The network with the least output error.

    Biases are corrected for every way; if the target is not reached, weights are fitted for the
    best two. Which method is best changes with the layers that are float, and with what the
    correction takes back: neither can be told beforehand.

    Args:
        trial: where errors are measured; its model is the float network.
        plan: what is INT8; a residual trunk adds up many branches, so they are tried in float, too.
        counted: histogram of each tensor.
        methods: for ranges, the first of them on its own if that reaches the target.
        batches: of crops by graph input, for the corrections.
        target: output error that is good enough.
        label: of the progress bars.
        quiet: without them.
    """
    ways = _ways(plan, counted, methods)
    found = Found(ways[0], trial.model)
    order: Dict[int, float] = {}
    with Progress(f"{label}: biases", len(ways), "ways", quiet) as bar:
        for i, way in enumerate(ways):
            order[i] = _try(trial, found, way, batches, False)
            bar.update()
            if found.error <= target:
                bar.update(len(ways) - i - 1)
                return found
    best = sorted(order, key=lambda i: order[i])[:FITTED]
    with Progress(f"{label}: weights", len(best), "ways", quiet) as bar:
        for i in best:
            _try(trial, found, ways[i], batches, True)
            bar.update()
    return found


def _ways(plan: Plan, counted: Mapping[str, Histogram], methods: Sequence[str]) -> List[Way]:
    ways = []
    for method in methods:
        ranges = read_ranges(counted, method)
        ways.append(Way(method, ranges, plan))
        if plan.residuals:
            ways.append(Way(method, ranges, replace(plan, residuals=()), 1 / WORTH))
    return ways


def _try(trial: Trial, found: Found, way: Way, batches: Dict[str, Batches], fit: bool) -> float:
    """Error of a way with its corrections, with its handicap; keep it if it is the best."""
    plain = quantize(trial.model, way.plan, way.ranges)
    models = {
        "fitted" if fit else "corrected": correct(trial.model, plain, way.plan, batches, fit=fit)
    }
    if not fit:
        models["as is"] = plain
    least = float("inf")
    for word, model in models.items():
        errors = trial.errors(model)
        error = trial.overall(errors)
        least = min(least, error * way.handicap)
        if error * way.handicap < found.error * found.way.handicap:
            found.way, found.model, found.correction = way, model, word
            found.errors, found.error = errors, error
    return least
