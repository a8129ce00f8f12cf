"""When a candidate fails its gate: give single networks back to floating point, worst first."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional

from edge.recipe import Gate
from tools.proof import gate as gates
from tools.proof.compare import Figures
from tools.proof.heldout import Files, Results

Try = Callable[[Files], "Trial"]
Relax = Callable[[str, float], Optional[Path]]

SHARES = (0.45, 0.65)  # of a network's MACs in floating point; more, and INT8 is hardly worth it


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
    relaxed: List[str] = field(default_factory=list)  # networks with more float layers
    floating: List[str] = field(default_factory=list)  # networks back in floating point
    alone: Dict[str, float] = field(default_factory=dict)  # loss of each network by itself
    steps: List[str] = field(default_factory=list)


def search(candidate: Files, floats: Files, gate: Gate, attempt: Try, relax: Relax) -> Outcome:
    """Try the candidate; step back until the gate is passed.

    Each network by itself, worst first: with more of its layers in floating point, then wholly.

    Args:
        candidate: file of each network.
        floats: their FP32 files.
        gate: of the model.
        attempt: runs the held-out frames.
        relax: makes a network's file with a share of its MACs in float; None: that cannot be.
    """
    outcome = Outcome(attempt(candidate))
    if not outcome.trial.failures:
        return outcome
    outcome.steps += [f"all networks: {line}" for line in outcome.trial.failures]
    suspects = [n for n in candidate if candidate[n] != floats[n]]
    _accuse(outcome, suspects, candidate, floats, gate, attempt)
    for name in sorted(suspects, key=lambda n: -outcome.alone[n]):
        if not outcome.trial.failures:
            break
        _step_back(outcome, name, floats, attempt, relax)
    return outcome


def _accuse(
    outcome: Outcome,
    suspects: List[str],
    candidate: Files,
    floats: Files,
    gate: Gate,
    attempt: Try,
) -> None:
    """Measure what each network loses by itself."""
    for name in suspects:
        alone = outcome.trial
        if len(suspects) > 1:
            alone = attempt({**floats, name: candidate[name]})
        outcome.alone[name] = gates.excess(alone.figures.summary, gate)
        outcome.steps += [f"only {name}: {line}" for line in alone.failures]


def _step_back(outcome: Outcome, name: str, floats: Files, attempt: Try, relax: Relax) -> None:
    """One network: more float layers; wholly float if that does not do."""
    for share in SHARES:
        relaxed = relax(name, share) if outcome.trial.failures else None
        if relaxed is None:
            break
        outcome.steps.append(f"{name}: up to {share:.0%} of its MACs in floating point")
        outcome.relaxed += [name] if name not in outcome.relaxed else []
        outcome.trial = attempt({**outcome.trial.files, name: relaxed})
        outcome.steps += [f"{name} relaxed: {line}" for line in outcome.trial.failures]
    if outcome.trial.failures:
        outcome.steps.append(f"{name}: goes back to floating point")
        outcome.floating.append(name)
        outcome.trial = attempt({**outcome.trial.files, name: floats[name]})
