"""The page of calibrated cameras without labels."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, List, Sequence

from tools.evaluation.page import plots, tables
from tools.evaluation.page.sheet import document

_TEXT = (
    "Nothing is labelled. A keypoint that one camera sees lies on a line in the picture of "
    "another; the distance from that line is part of the errors of both. A person's figure is "
    "the median over shoulders, arms, hips and legs. Agreement does not prove a pose "
    "right: cameras may agree on the same mistake along the line."
)


def page(name: str, figures: Dict[str, Any], made_by: Sequence[str]) -> str:
    """The HTML text."""
    cameras = figures["cameras"]
    rows = [_row(camera, row, figures["ids"][camera]) for camera, row in cameras.items()]
    rows.append(_row("all", figures, sum(figures["ids"].values())))
    head = ["camera", "poses", "compared", "median px", "90 % px", "median H", "> 40 px", "ids"]
    most = max([row.get("p90_px", 0.0) for row in cameras.values()] + [1.0])
    moved = figures["motion"]
    blocks = [
        f"<h1>{escape(name)}: do the cameras agree?</h1><p>{_TEXT}</p>",
        tables.table(head, rows),
        "<h2>Median disagreement, px</h2>",
        plots.bars({c: row.get("median_px") for c, row in cameras.items()}, most, 1),
        "<h2>Motion</h2>",
        tables.table(
            ["", "value"],
            [
                ["jitter, heights", tables.number(moved["jitter_h"], 4)],
                ["poses with a jump of .15 heights", moved["jump_share"]],
            ],
        ),
        "<h2>How this was made</h2><ul>",
        *(f"<li>{escape(line)}</li>" for line in made_by),
        "</ul>",
    ]
    return document(f"{name}: do the cameras agree?", blocks)


def _row(name: str, row: Dict[str, Any], ids: int) -> List[Any]:
    values = [row.get(key) for key in ("median_px", "p90_px", "median_h", "far_share")]
    return [name, row["poses"], row["compared"], *values, ids]
