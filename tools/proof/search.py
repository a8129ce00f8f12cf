"""If a candidate fails its gate: make single networks more float, worst first, until it passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional

from edge.recipe import Gate
from tools.proof import gate as gates
from tools.proof.compare import Comparison
from tools.proof.heldout import Files, Predictions

Run = Callable[[Files], "Attempt"]
Requantize = Callable[[str, float], Optional[Path]]

SHARES = (0.45, 0.65)  # shares of a network's MACs in float; above, INT8 hardly saves time


@dataclass
class Attempt:
    """One choice of files and what the held-out frames gave with it.

    Attributes:
        files: network -> its file.
        predictions: of the held-out frames.
        figures: comparison with FP32.
        failures: lines of the gate; empty = passed.
    """

    files: Files
    predictions: Predictions
    figures: Comparison
    failures: List[str]


@dataclass
class SearchResult:
    """The choice of files that is left, and how it was found.

    Attributes:
        attempt: the last attempt.
        requantized: networks with more float layers.
        floating: networks that are FP32 again.
        alone: network -> its excess over the gate if only this network is the candidate's.
        steps: one line for each failure and decision.
    """

    attempt: Attempt
    requantized: List[str] = field(default_factory=list)
    floating: List[str] = field(default_factory=list)
    alone: Dict[str, float] = field(default_factory=dict)
    steps: List[str] = field(default_factory=list)


def search(
    candidate: Files, floats: Files, gate: Gate, run: Run, requantize: Requantize
) -> SearchResult:
    """Try the candidate, and step back until the gate is passed.

    If it fails, each network is measured alone. Then, worst first, a network gets more float
    layers, and becomes FP32 if that is not enough.

    Args:
        candidate: network -> file of the candidate.
        floats: network -> FP32 file.
        gate: of the model.
        run: runs the held-out frames with some files.
        requantize: writes a network with a share of its MACs in float and returns the file; None
            if this is not possible.
    """
    result = SearchResult(run(candidate))
    if not result.attempt.failures:
        return result
    result.steps += [f"all networks: {line}" for line in result.attempt.failures]
    quantized = [n for n in candidate if candidate[n] != floats[n]]
    _measure_alone(result, quantized, candidate, floats, gate, run)
    for name in sorted(quantized, key=lambda n: -result.alone[n]):
        if not result.attempt.failures:
            break
        _step_back(result, name, floats, run, requantize)
    return result


def _measure_alone(
    result: SearchResult,
    quantized: List[str],
    candidate: Files,
    floats: Files,
    gate: Gate,
    run: Run,
) -> None:
    """Measure how bad each network is while all others are FP32."""
    for name in quantized:
        alone = result.attempt
        if len(quantized) > 1:
            alone = run({**floats, name: candidate[name]})
        result.alone[name] = gates.excess(alone.figures.summary, gate)
        result.steps += [f"only {name}: {line}" for line in alone.failures]


def _step_back(
    result: SearchResult, name: str, floats: Files, run: Run, requantize: Requantize
) -> None:
    """Give one network more float layers; make it FP32 if that is not enough."""
    for share in SHARES:
        file = requantize(name, share) if result.attempt.failures else None
        if file is None:
            break
        result.steps.append(f"{name}: quantized again with up to {share:.0%} of its MACs in float")
        result.requantized += [name] if name not in result.requantized else []
        result.attempt = run({**result.attempt.files, name: file})
        result.steps += [f"{name} with more float: {line}" for line in result.attempt.failures]
    if result.attempt.failures:
        result.steps.append(f"{name}: goes back to FP32")
        result.floating.append(name)
        result.attempt = run({**result.attempt.files, name: floats[name]})
