"""Which layers lose most in INT8, and a plan without the worst of them."""

from __future__ import annotations

from dataclasses import replace
from glob import escape
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

from tools.quant.graph import Graph, Plan, plan
from tools.quant.qdq import quantize
from tools.quant.trial import Trial

SHARE = 0.005  # of the squared error: a layer that brings less is not worth a float layer


def of_layers(
    trial: Trial,
    whole: Plan,
    ranges: Mapping[str, float],
    progress: Callable[[], None] = lambda: None,
) -> Dict[str, float]:
    """Output error with one layer quantized at a time, worst first."""
    found = {}
    for layer in whole.layers:
        alone = replace(whole, layers=(layer,), residuals=())
        found[layer.name] = trial.error(quantize(trial.model, alone, ranges))
        progress()
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def worst(errors: Mapping[str, float], most: int) -> List[str]:
    """Layers that bring a good part of the error, worst first, at most so many.

    Errors of layers are taken as independent, so that their squares add up.
    """
    total = sum(error**2 for error in errors.values())
    found = [name for name, error in errors.items() if error**2 >= SHARE * total > 0]
    return found[:most]


def cheapest(errors: Mapping[str, float], macs: Mapping[str, int], share: float) -> List[str]:
    """Layers whose floating point takes back most for what it costs, the best bargain first.

    A regression head of many small layers costs next to nothing and adds up its errors right
    before the output: by error alone none of them is ever among the worst.

    Args:
        errors: of each layer alone.
        macs: multiply-accumulates of every layer, also of those that are float anyway; where one
            is unknown, all count the same.
        share: of all MACs that may be in floating point.
    """
    known = all(name in macs for name in errors)
    costs = macs if known else dict.fromkeys(errors, 1)
    room = share * sum(costs.values()) - sum(c for n, c in costs.items() if n not in errors)
    found: List[str] = []
    for name in sorted(errors, key=lambda n: -(errors[n] ** 2) / max(costs[n], 1)):
        if costs[name] <= room:
            found.append(name)
            room -= costs[name]
    return found


def mixed(
    trial: Trial,
    graph: Graph,
    floating: Sequence[str],
    ranges: Mapping[str, float],
    candidates: Sequence[str],
    target: float,
) -> Tuple[Plan, List[str]]:
    """The plan with as few float layers as reach the target, or with all candidates.

    Args:
        trial: where the error is measured.
        graph: the network.
        floating: patterns that are float anyway.
        ranges: amax of each tensor.
        candidates: layers that may become float, in that order.
        target: output error that is good enough.

    Returns:
        The plan and the layers it left out for their error.
    """

    def without(count: int) -> Plan:
        return plan(graph, [*floating, *map(escape, candidates[:count])])

    def reaches(count: int) -> bool:
        return trial.error(quantize(trial.model, without(count), ranges)) <= target

    # Each measurement runs the network on all crops of the trial: halve, do not count up.
    low, high = -1, len(candidates)  # `low` do not reach the target; `high` do, or are all
    if high and not reaches(high):
        low = high - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return without(high), list(candidates[:high])
