"""What quantization did, as a table and as a picture."""

from __future__ import annotations

import io
from typing import Any, List, Mapping, Optional, Sequence

from tools.quant.quantized_network import QuantizedNetwork

SHOWN = 25  # layers in the picture, worst first


def table(outcomes: Mapping[str, QuantizedNetwork]) -> str:
    """One line a network, then the errors of the methods."""
    head = ["network", "int8", "float", "for accuracy", "residuals", "method", "bias", "error"]
    rows = [head] + [_row(name, outcome) for name, outcome in outcomes.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
    for name, outcome in outcomes.items():
        errors = ", ".join(f"{m} {e:.4f}" for m, e in outcome.methods.items())
        lines.append(f"{name}: all layers int8: {errors}")
        if outcome.alpha is not None:
            lines.append(f"{name}: channels equalized, alpha {outcome.alpha:g}")
        if outcome.dropped:
            lines.append(f"{name}: float for accuracy: {', '.join(outcome.dropped)}")
    return "\n".join(lines)


def _row(name: str, outcome: QuantizedNetwork) -> List[str]:
    counts = [len(outcome.placement.layers), len(outcome.placement.floating), len(outcome.dropped)]
    counts.append(len(outcome.placement.residuals))
    return [name, *map(str, counts), outcome.method, outcome.correction, f"{outcome.error:.4f}"]


def picture(outcome: QuantizedNetwork, title: str) -> Optional[bytes]:
    """One page as PNG: ranges of tensors, and errors of methods, layers and outputs.

    None without matplotlib: `verify` quantizes again on a box, which does not have it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return None
    # Figure without pyplot draws into memory and needs no screen.
    figure = Figure(figsize=(11.7, 8.3), layout="constrained")
    figure.suptitle(f"{title}: {outcome.method} ranges, output error {outcome.error:.4f}")
    axes = figure.subplots(2, 2)
    _draw_ranges(axes[0, 0], outcome)
    _draw_bars(axes[0, 1], outcome.methods, "relative output error, all layers int8")
    shown = dict(list(outcome.layers.items())[:SHOWN])
    _draw_bars(axes[1, 0], shown, "relative output error, one layer int8", outcome.dropped)
    _draw_bars(axes[1, 1], outcome.errors, "relative error of each output, as written")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    return data.getvalue()


def _draw_ranges(axes: Any, outcome: QuantizedNetwork) -> None:
    names = list(outcome.ranges)
    axes.plot([outcome.largest[n] for n in names], "k.", label="largest seen")
    axes.plot([outcome.ranges[n] for n in names], "C0_", label="amax")
    axes.set(yscale="log", xlabel="tensor, in order of use", title="ranges")
    axes.legend()


def _draw_bars(
    axes: Any, values: Mapping[str, float], title: str, marked: Sequence[str] = ()
) -> None:
    colours = ["C3" if name in marked else "C0" for name in values]
    axes.barh(range(len(values)), list(values.values()), color=colours)
    axes.set_yticks(range(len(values)), list(values), fontsize=7)
    axes.invert_yaxis()
    axes.set_title(title + (" (red: made float)" if marked else ""), fontsize=10)
    if not values:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
