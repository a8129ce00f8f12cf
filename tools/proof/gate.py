"""The accuracy gate of a model: how much a candidate may lose against FP32. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from edge.recipe import Gate

LEAST_JUDGED = 0.5  # share of the people that must be stable; else the gate proves nothing


def failures(figures: Mapping[str, Any], gate: Gate) -> List[str]:
    """Why a candidate fails its gate, one line each; empty = it passes.

    If the noise floor is known (tools.proof.noise_floor), OKS and px are of stable people. The
    limits on shares of people and keypoints, and on the OKS of everybody, are then counted from
    what FP32 reaches against itself instead of from 1.

    Args:
        figures: summary of `compare.compare_poses` or `compare.compare_detections`.
        gate: limits of model.toml.
    """
    least = _limits(figures, gate)
    found = [
        _below("share of people found", figures["recall"], least["recall"]),
        # A person that FP32 does not find is as wrong as a lost one.
        _below("share of people that FP32 finds too", figures["precision"], least["precision"]),
    ]
    if "judged" in figures:
        found += _of_judged(figures, least)
    if "mean_oks" in figures:
        found.append(_below("mean OKS", figures["mean_oks"], gate.min_oks))
    for part, of in figures.get("parts", {}).items():
        share = _floor(figures.get("floor", {}).get("parts", {}).get(part, {}), "recall")
        least_share = share - (1 - gate.min_recall)
        found.append(_below(f"{part}: share of keypoints found", of["recall"], least_share))
        if of["mean_px"] is not None and of["mean_px"] > gate.max_px:
            found.append(f"{part}: mean error {of['mean_px']:.2f} px is above {gate.max_px:g}")
    return [line for line in found if line]


def _limits(figures: Mapping[str, Any], gate: Gate) -> Dict[str, float]:
    """Limit of each figure: what FP32 reaches against itself, minus what the gate allows."""
    least = dict.fromkeys(("recall", "precision", "judged_recall"), gate.min_recall)
    least["mean_oks"] = gate.min_oks
    floor = figures.get("floor", {})
    return {name: _floor(floor, name) - (1 - limit) for name, limit in least.items()}


def _floor(floor: Mapping[str, Any], name: str) -> float:
    """A figure of FP32 against itself; 1 if it was not measured."""
    value = floor.get(name)
    return 1.0 if value is None else float(value)


def _of_judged(figures: Mapping[str, Any], least: Mapping[str, float]) -> List[str]:
    judged, people = figures["judged"], figures["people"]
    found = [
        _below("share of stable people found", figures["judged_recall"], least["judged_recall"]),
        _below("mean OKS of everybody", figures["everybody"]["mean_oks"], least["mean_oks"]),
    ]
    if judged < LEAST_JUDGED * people:
        found.append(
            f"FP32 keeps the pose of only {judged} of {people} people under noise: "
            "hold out more frames"
        )
    return found


def excess(figures: Mapping[str, Any], gate: Gate) -> float:
    """How bad a candidate is, as one figure to compare candidates by; 1 = at the limit."""
    floor = figures.get("floor", {})
    parts = figures.get("parts", {})
    px = [(of["mean_px"] or 0.0) / max(gate.max_px, 1e-6) for of in parts.values()]
    floors = floor.get("parts", {})
    lost = [_floor(floors.get(p, {}), "recall") - (of["recall"] or 0.0) for p, of in parts.items()]
    shares = ("recall", "precision", *(("judged_recall",) if "judged" in figures else ()))
    lost += [_floor(floor, name) - (figures[name] or 0.0) for name in shares]
    oks = 1 - (figures["mean_oks"] or 0.0) if "mean_oks" in figures else 0.0
    if "everybody" in figures:
        oks = max(oks, _floor(floor, "mean_oks") - (figures["everybody"]["mean_oks"] or 0.0))
    room = max(1 - gate.min_recall, 1e-3)
    return max([*px, max(lost) / room, oks / max(1 - gate.min_oks, 1e-3)])


def _below(label: str, value: Optional[float], limit: float) -> str:
    if value is None:
        return f"{label}: there is none"
    return f"{label} {value:.4f} is below {limit:g}" if value < limit else ""
