"""What was found, as lines to read."""

from __future__ import annotations

from typing import Any, Dict


def text(proof: Dict[str, Any]) -> str:
    """A proof as `edge-tools verify` prints it."""
    figures = proof["figures"]
    lines = list(proof["steps"])
    lines.append(
        f"{figures['people']} people in {proof['frames']} held-out frames of {proof['set']}: "
        f"{figures['lost']} lost, {figures['gained']} gained"
    )
    if "mean_iou" in figures:
        lines.append(f"mean IoU {_number(figures['mean_iou'])}")
        lines.append(f"score drift {_number(figures['score_drift'], '+')}")
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


def _result(proof: Dict[str, Any]) -> str:
    if proof["result"] != "mixed":
        return str(proof["result"])
    parts = [f"{name} in floating point" for name in proof["float_networks"]]
    parts += [f"{name} with more float layers" for name in proof["relaxed_networks"]]
    return f"mixed: {', '.join(parts)}"


def _number(value: Any, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
