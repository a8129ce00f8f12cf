"""Try ranges, residual branches, biases and weights of a network, and keep the best combination."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Sequence

import onnx

from tools.progress import Progress
from tools.quant.correct import correct
from tools.quant.graph import Placement
from tools.quant.qdq import quantize
from tools.quant.ranges import Histogram
from tools.quant.reference import Reference, ranges_by_method
from tools.quant.stepwise import Batches

WORTH = 0.9  # float residual branches must bring the error down to this share of it
FITTED = 2  # number of variants whose weights are fitted, which takes longest


@dataclass(frozen=True)
class Variant:
    """One choice of ranges and residual branches.

    Attributes:
        method: the method that gave the ranges.
        ranges: amax of each tensor.
        placement: what is INT8.
        handicap: factor on the error when variants are compared; above 1 if the variant is slower.
    """

    method: str
    ranges: Dict[str, float]
    placement: Placement
    handicap: float = 1.0


@dataclass
class BestVariant:
    """The best variant so far.

    Attributes:
        variant: the choice.
        model: the quantized network.
        errors: relative error of each output.
        error: one figure for all outputs.
        correction: as is, corrected (biases), or fitted (weights and biases).
    """

    variant: Variant
    model: onnx.ModelProto
    errors: Dict[str, float] = field(default_factory=dict)
    error: float = float("inf")
    correction: str = "as is"


def tune(
    reference: Reference,
    placement: Placement,
    counted: Mapping[str, Histogram],
    methods: Sequence[str],
    batches: Dict[str, Batches],
    target: float,
    label: str,
    quiet: bool,
) -> BestVariant:
    """The network with the least output error.

    Biases are corrected for every variant. If the target is not reached, weights are fitted for the
    best two. All variants are tried because the best method cannot be known before: it depends on
    which layers are float and on what the correction recovers.

    Args:
        reference: what errors are measured against; its model is the float network.
        placement: what is INT8. Its residual branches are also tried in float: the trunk of a
            residual network adds up the errors of many branches.
        counted: histogram of each tensor.
        methods: methods for ranges; the first alone is used if it reaches the target.
        batches: graph input -> batches of crops, for the corrections.
        target: output error that is good enough.
        label: of the progress bars.
        quiet: show no progress.
    """
    variants = _variants(placement, counted, methods)
    best = BestVariant(variants[0], reference.model)
    errors: Dict[int, float] = {}
    with Progress(f"{label}: biases", len(variants), "variants", quiet) as bar:
        for i, variant in enumerate(variants):
            errors[i] = _try(reference, best, variant, batches, False)
            bar.update()
            if best.error <= target:
                bar.update(len(variants) - i - 1)
                return best
    fitted = sorted(errors, key=lambda i: errors[i])[:FITTED]
    with Progress(f"{label}: weights", len(fitted), "variants", quiet) as bar:
        for i in fitted:
            _try(reference, best, variants[i], batches, True)
            bar.update()
    return best


def _variants(
    placement: Placement, counted: Mapping[str, Histogram], methods: Sequence[str]
) -> List[Variant]:
    variants = []
    for method in methods:
        ranges = ranges_by_method(counted, method)
        variants.append(Variant(method, ranges, placement))
        if placement.residuals:
            variants.append(Variant(method, ranges, replace(placement, residuals=()), 1 / WORTH))
    return variants


def _try(
    reference: Reference,
    best: BestVariant,
    variant: Variant,
    batches: Dict[str, Batches],
    fit: bool,
) -> float:
    """Quantize a variant with its corrections, and keep it in `best` if it is better.

    Returns:
        Its least error times its handicap.
    """
    plain = quantize(reference.model, variant.placement, variant.ranges)
    corrected = correct(reference.model, plain, variant.placement, batches, fit=fit)
    models = {"fitted": corrected} if fit else {"corrected": corrected, "as is": plain}
    least = float("inf")
    for word, model in models.items():
        errors = reference.errors(model)
        error = reference.overall(errors)
        least = min(least, error * variant.handicap)
        if error * variant.handicap < best.error * best.variant.handicap:
            best.variant, best.model, best.correction = variant, model, word
            best.errors, best.error = errors, error
    return least
