"""Which layers are sensitive to INT8, and a placement that keeps the worst of them in float."""

from __future__ import annotations

from dataclasses import replace
from glob import escape
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

from tools.quant.graph import Graph, Placement, place_int8
from tools.quant.qdq import quantize
from tools.quant.reference import Reference

SHARE = 0.005  # of the squared error of all layers; a layer with less is not worth keeping float


def layer_errors(
    reference: Reference,
    whole: Placement,
    ranges: Mapping[str, float],
    progress: Callable[[], None] = lambda: None,
) -> Dict[str, float]:
    """Layer -> output error with only this layer in INT8, worst layer first."""
    found = {}
    for layer in whole.layers:
        alone = replace(whole, layers=(layer,), residuals=())
        found[layer.name] = reference.error(quantize(reference.model, alone, ranges))
        progress()
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def most_sensitive(errors: Mapping[str, float], most: int) -> List[str]:
    """Layers with a noticeable share of the error, worst first, `most` at most.

    The errors of layers are taken as independent, so their squares add up.
    """
    total = sum(error**2 for error in errors.values())
    found = [name for name, error in errors.items() if error**2 >= SHARE * total > 0]
    return found[:most]


def best_value(errors: Mapping[str, float], macs: Mapping[str, int], share: float) -> List[str]:
    """Layers that save most squared error for each MAC in float, best first.

    Error alone is a poor guide: a regression head of many small layers costs next to nothing, and
    its errors add up right before the output, but none of its layers is among the worst.

    Args:
        errors: layer -> output error with only this layer in INT8.
        macs: layer -> multiply-accumulates, also of layers that are float anyway. If a layer has
            none, all layers count the same.
        share: of all MACs that may be float.
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


def mixed_placement(
    reference: Reference,
    graph: Graph,
    floating: Sequence[str],
    ranges: Mapping[str, float],
    candidates: Sequence[str],
    target: float,
) -> Tuple[Placement, List[str]]:
    """The placement with the fewest float layers that reach the target.

    If the target cannot be reached, all candidates are float.

    Args:
        reference: what errors are measured against.
        graph: the network.
        floating: name patterns of layers that are float anyway.
        ranges: amax of each tensor.
        candidates: layers that may become float, in this order.
        target: output error that is good enough.

    Returns:
        The placement, and the candidates that are float in it.
    """

    def without(count: int) -> Placement:
        return place_int8(graph, [*floating, *map(escape, candidates[:count])])

    def reaches(count: int) -> bool:
        return reference.error(quantize(reference.model, without(count), ranges)) <= target

    # Each measurement runs the network on all crops of the reference, so bisect.
    low, high = -1, len(candidates)  # `low` misses the target; `high` reaches it, or is all
    if high and not reaches(high):
        low = high - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return without(high), list(candidates[:high])
