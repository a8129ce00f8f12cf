"""Plots as SVG text: bars and curves, readable in light and dark pages."""

from __future__ import annotations

from html import escape
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

COLOURS = ("#3b76af", "#d97b29", "#4c9a51", "#b8433f", "#7d5fa8", "#7a5c4f", "#c46fa7")
_WIDTH, _ROW, _LABEL = 640, 20, 170


def bars(rows: Dict[str, Optional[float]], most: float = 1.0, digits: int = 2) -> str:
    """Horizontal bars, one a row, each with its value; a row without a value says so."""
    height = _ROW * len(rows) + 8
    room = _WIDTH - _LABEL - 60
    parts: List[str] = []
    for number, (name, value) in enumerate(rows.items()):
        y = 4 + number * _ROW
        parts.append(_text(_LABEL - 8, y + 14, name, "end"))
        size = 0.0 if value is None else room * min(max(value / most, 0.0), 1.0)
        parts.append(
            f'<rect x="{_LABEL}" y="{y + 3}" width="{size:.1f}" height="14" rx="2" '
            f'fill="{COLOURS[0]}"/>'
        )
        label = "no label" if value is None else f"{value:.{digits}f}"
        parts.append(_text(_LABEL + size + 6, y + 14, label, "start"))
    return _svg(_WIDTH, height, parts)


def curves(lines: Dict[str, Tuple[np.ndarray, np.ndarray]], x_label: str, y_label: str) -> str:
    """Lines of x and y, both from 0; y up to 1."""
    width, height, left, low = 640, 300, 64, 44
    right = max((float(x.max()) for x, _ in lines.values() if len(x)), default=1.0)
    room_x, room_y = width - left - 150, height - low - 12
    parts = _axes(left, room_x, room_y, right, x_label, y_label)
    for number, (name, (x, y)) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = " ".join(
            f"{left + room_x * a / right:.1f},{12 + room_y * (1 - b):.1f}"
            for a, b in zip(x.tolist(), y.tolist())
        )
        parts.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        y_px = 22 + 18 * number
        parts.append(
            f'<rect x="{left + room_x + 14}" y="{y_px - 8}" width="10" height="10" '
            f'fill="{colour}"/>'
        )
        parts.append(_text(left + room_x + 30, y_px + 1, name, "start"))
    return _svg(width, height, parts)


def _axes(
    left: int, room_x: int, room_y: int, right: float, x_label: str, y_label: str
) -> List[str]:
    parts: List[str] = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = left + room_x * share, 12 + room_y * (1 - share)
        parts.append(f'<path d="M{left} {y:.1f}h{room_x}M{x:.1f} 12v{room_y}" class="grid"/>')
        parts.append(_text(left - 6, y + 4, f"{share:g}", "end"))
        parts.append(_text(x, 12 + room_y + 16, f"{right * share:.3g}", "middle"))
    parts.append(_text(left + room_x / 2, 12 + room_y + 32, x_label, "middle"))
    turned = f'transform="rotate(-90 12 {12 + room_y / 2:.0f})"'
    parts.append(
        f'<text x="12" y="{12 + room_y / 2:.0f}" text-anchor="middle" {turned}>'
        f"{escape(y_label)}</text>"
    )
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img">{"".join(parts)}</svg>'
