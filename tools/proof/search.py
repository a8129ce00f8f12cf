"""When a candidate fails its gate: give single networks back to floating point, worst first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List

from edge.recipe import Gate
from tools.proof import gate as gates
from tools.proof.compare import Figures
from tools.proof.heldout import Files, Results

Try = Callable[[Files], "Trial"]


@dataclass
class Trial:
    """One choice of files and what came of it."""

    files: Files
    results: Results
    figures: Figures
    failures: List[str]


@dataclass
class Outcome:
    """The choice that is left, and the way to it."""

    trial: Trial
    floating: List[str] = field(default_factory=list)  # networks back in floating point
    alone: Dict[str, float] = field(default_factory=dict)  # loss of each network by itself
    steps: List[str] = field(default_factory=list)


def search(
    candidate: Files, floats: Files, gate: Gate, attempt: Try, step_back: bool
) -> Outcome:
    """Try the candidate; step back until the gate is passed.

    Args:
        candidate: file of each network.
        floats: their FP32 files.
        gate: of the model.
        attempt: runs the held-out frames.
        step_back: False: only the verdict.
    """
    outcome = Outcome(attempt(candidate))
    if not outcome.trial.failures or not step_back:
        return outcome
    outcome.steps += [f"all networks: {line}" for line in outcome.trial.failures]
    suspects = [n for n in candidate if candidate[n] != floats[n]]
    for name in suspects:
        alone = outcome.trial
        if len(suspects) > 1:
            alone = attempt({**floats, name: candidate[name]})
        outcome.alone[name] = gates.excess(alone.figures.summary, gate)
        outcome.steps += [f"only {name}: {line}" for line in alone.failures]
    for name in sorted(suspects, key=lambda n: -outcome.alone[n]):
        outcome.floating.append(name)
        outcome.steps.append(f"{name} goes back to floating point")
        outcome.trial = attempt(
            {n: floats[n] if n in outcome.floating else candidate[n] for n in candidate}
        )
        if not outcome.trial.failures:
            break
    return outcome
