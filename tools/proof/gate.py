"""The accuracy gate of a model: what a candidate may lose. Pure."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from edge.recipe import Gate


def failures(figures: Mapping[str, Any], gate: Gate) -> List[str]:
    """What keeps a candidate out, one line each; empty = it passes.

    Args:
        figures: summary of `compare.poses` or `compare.detections`.
        gate: of model.toml.
    """
    found = [
        _below("share of people found", figures["recall"], gate.min_recall),
        # People that nobody else saw are as wrong as lost ones.
        _below("share of people that FP32 sees too", figures["precision"], gate.min_recall),
    ]
    if "mean_oks" in figures:
        found.append(_below("mean OKS", figures["mean_oks"], gate.min_oks))
    for part, of in figures.get("parts", {}).items():
        found.append(_below(f"{part}: share of keypoints found", of["recall"], gate.min_recall))
        if of["mean_px"] is not None and of["mean_px"] > gate.max_px:
            found.append(f"{part}: mean error {of['mean_px']:.2f} px is above {gate.max_px:g}")
    return [line for line in found if line]


def excess(figures: Mapping[str, Any], gate: Gate) -> float:
    """How bad a candidate is, to compare candidates by: 1 = at the limits of the gate."""
    parts = figures.get("parts", {}).values()
    px = [(p["mean_px"] or 0.0) / max(gate.max_px, 1e-6) for p in parts]
    lost = [1 - (p["recall"] or 0.0) for p in parts]
    lost += [1 - (figures["recall"] or 0.0), 1 - (figures["precision"] or 0.0)]
    oks = 1 - (figures["mean_oks"] or 0.0) if "mean_oks" in figures else 0.0
    room = max(1 - gate.min_recall, 1e-3)
    return max([*px, max(lost) / room, oks / max(1 - gate.min_oks, 1e-3)])


def _below(label: str, value: Optional[float], limit: float) -> str:
    if value is None:
        return f"{label}: there is none"
    return f"{label} {value:.4f} is below {limit:g}" if value < limit else ""
