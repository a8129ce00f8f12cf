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


def worth_dropping(errors: Mapping[str, float], most: int) -> List[str]:
    """Layers that bring a good part of the error, worst first, at most so many.

    Errors of layers are taken as independent, so that their squares add up.
    """
    total = sum(error**2 for error in errors.values())
    worst = [name for name, error in errors.items() if error**2 >= SHARE * total > 0]
    return worst[:most]


def mixed(
    trial: Trial,
    graph: Graph,
    floating: Sequence[str],
    ranges: Mapping[str, float],
    errors: Mapping[str, float],
    target: float,
    most: int,
) -> Tuple[Plan, List[str]]:
    """The plan with as few float layers as reach the target, or with all that are worth it.

    Args:
        trial: where the error is measured.
        graph: the network.
        floating: patterns that are float anyway.
        ranges: amax of each tensor.
        errors: of each layer alone, worst first.
        target: output error that is good enough.
        most: how many layers may become float.

    Returns:
        The plan and the layers it left out for their error.
    """
    dropped: List[str] = []
    chosen = plan(graph, floating)
    for name in [*worth_dropping(errors, most), ""]:
        if not name or trial.error(quantize(trial.model, chosen, ranges)) <= target:
            break
        dropped.append(name)
        chosen = plan(graph, [*floating, *map(escape, dropped)])
    return chosen, dropped
