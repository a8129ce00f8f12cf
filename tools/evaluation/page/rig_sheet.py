"""The page of calibrated cameras without labels."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, Sequence

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
    rows = [
        [
            camera,
            row["poses"],
            row["compared"],
            row.get("median_px"),
            row.get("p90_px"),
            row.get("median_h"),
            row.get("far_share"),
            figures["ids"][camera],
        ]
        for camera, row in [*figures["cameras"].items()]
    ]
    total = sum(figures["ids"].values())
    rows.append(
        [
            "all",
            figures["poses"],
            figures["compared"],
            figures.get("median_px"),
            figures.get("p90_px"),
            figures.get("median_h"),
            figures.get("far_share"),
            total,
        ]
    )
    head = ["camera", "poses", "compared", "median px", "90 % px", "median H", "> 40 px", "ids"]
    most = max([row.get("p90_px", 0.0) for row in figures["cameras"].values()] + [1.0])
    moved = figures["motion"]
    blocks = [
        f"<h1>{escape(name)}: do the cameras agree?</h1><p>{_TEXT}</p>",
        tables.table(head, rows),
        "<h2>Median disagreement, px</h2>",
        plots.bars({c: row.get("median_px") for c, row in figures["cameras"].items()}, most, 1),
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
