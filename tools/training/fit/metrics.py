"""The record of a run: metrics.jsonl, a row each report, and a curve of it as PNG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

FILE, CURVE = "metrics.jsonl", "curve.png"


class Metrics:
    """Appends rows; what a killed run wrote after its last state is cut off.

    Args:
        folder: of the run.
        size: bytes to keep.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.path = folder / FILE
        self.path.touch()
        with self.path.open("r+b") as file:
            file.truncate(size)

    def add(self, row: Dict[str, Any]) -> None:
        """Append a row of JSON values."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    @property
    def size(self) -> int:
        """Bytes written."""
        return self.path.stat().st_size

    def rows(self) -> List[Dict[str, Any]]:
        """All rows."""
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]


def draw(metrics: Metrics, folder: Path) -> None:
    """Draw the loss of each report and the error of each epoch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = metrics.rows()
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    losses = [(r["step"], r["loss"]) for r in rows if "loss" in r]
    errors = [(r["step"], r["error"]) for r in rows if r.get("error") is not None]
    axes.plot(*zip(*losses), color="tab:blue") if losses else None
    axes.set(xlabel="step", ylabel="loss of training (blue)")
    if errors:
        right = axes.twinx()
        right.plot(*zip(*errors), color="tab:orange", marker="o", markersize=3)
        right.set_ylabel("error of the stop recordings, share of the box (orange)")
    figure.tight_layout()
    figure.savefig(folder / CURVE, dpi=110)
    pyplot.close(figure)
