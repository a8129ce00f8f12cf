"""A verdict in words, for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional


def of(figures: Dict[str, Any], out: Path, folder: Path) -> str:
    """The lines that `edge-tools train` prints.

    Args:
        figures: of a session.
        out: folder of the run.
        folder: where the model is installed if it is not refused.
    """
    lines = _of_boxes(figures) if "ap50_lost" in figures else _of_poses(figures)
    lines.append(f"page: {out / 'page.html'}")
    if figures["refused"]:
        lines.append(f"refused: {figures['refused']}; the model stays in {out / 'model'}")
    else:
        lines.append(f"wrote {folder}; next: edge-tools calibrate, quantize, verify, bundle")
    return "\n".join(lines)


def _of_poses(figures: Dict[str, Any]) -> List[str]:
    held_out = figures["held_out"]
    lines = []
    for name, key, unit in (
        ("OKS", "oks", ""),
        ("error", "error", " of the box"),
        ("px", "px", ""),
    ):
        was, now = (held_out["before"] or {}).get(key), held_out["after"][key]
        lines.append(f"held out, {name}: {_number(was)} -> {_number(now)}{unit}")
    return [*lines, f"reference: {figures['oks_lost']:.1%} of the OKS lost"]


def _of_boxes(figures: Dict[str, Any]) -> List[str]:
    lines = []
    for part in ("held_out", "reference"):
        if figures[part]:
            was, now = figures[part]["before"] or {}, figures[part]["after"]
            lines.append(
                f"{part.replace('_', ' ')}: AP50 {_number(was.get('ap50'))} -> "
                f"{_number(now['ap50'])}, of {now['people']} people {was.get('right', '-')} -> "
                f"{now['right']} found, false boxes {was.get('false', '-')} -> {now['false']}"
            )
    return lines


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.3f}"
