"""The last choices are those with the least error, and end where it is small enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

import numpy as np
import onnx
import pytest

from tests.tools import quant_nets
from tools.quant import collect, qdq, reference, tuning
from tools.quant.correct import correct
from tools.quant.graph import place_int8, wire
from tools.quant.ranges import METHODS
from tools.quant.tuning import BestVariant, tune

PIXELS = quant_nets.pictures(12)
FEEDS = [{"input": (PIXELS[i : i + 4] / 255).astype(np.float32)} for i in range(0, 12, 4)]
BATCHES = {"input": [feed["input"] for feed in FEEDS]}
MODEL = quant_nets.every_layer()
CHOSEN = place_int8(wire(MODEL))
COUNTED = collect.histograms(MODEL, CHOSEN.activations, FEEDS)
REFERENCE = reference.open_reference(MODEL, FEEDS)


def tuned(target: float, methods: List[str]) -> BestVariant:
    return tune(REFERENCE, CHOSEN, COUNTED, methods, BATCHES, target, "small", True)


def test_no_way_is_better_than_what_is_found() -> None:
    found = tuned(0.0, list(METHODS)[::-1])  # the best is not the first
    assert found.error == pytest.approx(REFERENCE.error(found.model), rel=1e-6)
    assert qdq.problems(found.model) == []
    for method in METHODS:
        for chosen in (CHOSEN, replace(CHOSEN, residuals=())):
            plain = qdq.quantize(MODEL, chosen, reference.ranges_by_method(COUNTED, method))
            extra = 1.0 if chosen.residuals else 1 / tuning.WORTH
            better = correct(MODEL, plain, chosen, BATCHES)
            for other in (plain, better):
                assert found.error * found.variant.handicap <= REFERENCE.error(other) * extra * (
                    1 + 1e-6
                )


def test_float_branches_must_be_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "WORTH", 1e-6)
    assert tuned(0.0, list(METHODS)).variant.placement.residuals == CHOSEN.residuals


def test_small_enough_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first method's ranges, and no weight is touched."""
    tried: List[bool] = []
    real = correct

    def watched(*args: object, fit: bool) -> onnx.ModelProto:
        tried.append(fit)
        return real(*args, fit=fit)  # type: ignore[arg-type,misc]

    monkeypatch.setattr(tuning, "correct", watched)
    assert tuned(1.0, ["mse", "minmax"]).variant.method == "mse"
    assert tried == [False]
    tuned(0.0, ["mse", "minmax"])
    assert tried[1:] == [False] * 4 + [True] * 2, "weights are fitted for the best two only"


def test_one_crop_that_flips_does_not_outweigh_the_rest() -> None:
    wanted = np.ones((10, 4), np.float32)
    flipped, drifted = wanted.copy(), wanted + 0.5
    flipped[3] += 4
    holder = reference.Reference(MODEL, [], {"points": wanted})
    errors: Dict[str, float] = {}
    for name, given in (("flipped", flipped), ("drifted", drifted)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reference, "outputs_of", lambda _m, _f, given=given: {"points": given})
            errors[name] = holder.error(MODEL)
    assert errors == pytest.approx({"flipped": 0.4, "drifted": 0.5})
