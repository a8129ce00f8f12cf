"""The report that `edge-tools verify` prints."""

from __future__ import annotations

from typing import Any, Dict, List

from tools.proof.noise_floor import NOISE, SHIFT_PX, STABLE_OKS


def text(proof: Dict[str, Any]) -> str:
    """The report on a proof, several lines."""
    figures = proof["figures"]
    lines = list(proof["steps"])
    lines.append(
        f"{figures['people']} people in {proof['frames']} held-out frames of {proof['set']}: "
        f"{figures['lost']} lost, {figures['gained']} gained"
    )
    if "mean_iou" in figures:
        floor = figures["floor"]
        lines.append(
            f"mean IoU {_number(figures['mean_iou'])}; FP32 against itself in {floor['runs']} runs "
            f"with noise of {NOISE:g} grey level: IoU {_number(floor['mean_iou'])}, share of "
            f"people found {_number(floor['recall'])}"
        )
        lines.append(f"score drift {_number(figures['score_drift'], '+')}")
    if "judged" in figures:
        lines += _floor(figures)
    if "mean_oks" in figures:
        least = _number(figures["least_oks"])
        lines.append(f"OKS body: mean {_number(figures['mean_oks'])}, least {least}")
        lines.append(f"keypoint score drift {_number(figures['keypoint_score_drift'], '+')}")
    for part, of in figures.get("parts", {}).items():
        lines.append(
            f"{part:11} mean {_number(of['mean_px'])} px, p95 {_number(of['p95_px'])} px, "
            f"{of['recall']:.1%} of {of['keypoints']} keypoints found"
        )
    lines += proof["failures"]
    lines.append(f"picture: {proof['picture']}")
    verdict = "passes" if proof["passed"] else "FAILS"
    lines.append(f"{proof['model']} {proof['asked']}: {verdict} its gate as {_result(proof)}")
    return "\n".join(lines)


def _floor(figures: Dict[str, Any]) -> List[str]:
    """Which people are judged, and the figures of everybody."""
    floor, everybody = figures["floor"], figures["everybody"]
    body = everybody["parts"].get("body", {})
    return [
        f"FP32 keeps its own pose of {figures['judged']} of {figures['people']} people (OKS >= "
        f"{STABLE_OKS} in {floor['runs']} runs with noise of {NOISE:g} grey level and boxes "
        f"shifted by {SHIFT_PX} px): they are judged; share of them found "
        f"{_number(figures['judged_recall'])}",
        f"everybody: OKS body {_number(everybody['mean_oks'])}, mean "
        f"{_number(body.get('mean_px'))} px; FP32 against itself: OKS body "
        f"{_number(floor['mean_oks'])}, share of people found {_number(floor['recall'])}",
    ]


def _result(proof: Dict[str, Any]) -> str:
    if proof["result"] != "mixed":
        return str(proof["result"])
    parts = [f"{name} in FP32" for name in proof["float_networks"]]
    parts += [f"{name} with more float layers" for name in proof["relaxed_networks"]]
    return f"mixed: {', '.join(parts)}"


def _number(value: Any, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
