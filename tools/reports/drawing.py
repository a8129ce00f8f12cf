"""Drawings of a report as SVG text, readable on light and dark pages."""

from __future__ import annotations

from html import escape
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

GOOD, BAD, MAIN, BAND = "#2e8b57", "#c0392b", "#3b76af", "#3b76af"


def svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    """A drawing; it shrinks with the page."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    """Words; `more` is further attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def polyline(x: np.ndarray, y: np.ndarray, colour: str, width: float = 1.5, more: str = "") -> str:
    """A line that breaks where y is NaN."""
    known = np.isfinite(y)
    parts, at = [], 0
    for end in [*(np.flatnonzero(np.diff(known.astype(int))) + 1).tolist(), len(y)]:
        if known[at] and end - at > 1:
            places = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[at:end], y[at:end]))
            parts.append(
                f'<polyline points="{places}" fill="none" stroke="{colour}" '
                f'stroke-width="{width:g}" stroke-linejoin="round" {more}/>'
            )
        at = end
    return "".join(parts)


def area(x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, opacity: float) -> str:
    """The surface between two lines."""
    places = [*zip(x, low), *zip(x[::-1], high[::-1])]
    joined = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    return f'<polygon points="{joined}" fill="{colour}" opacity="{opacity:g}"/>'


class Plot:
    """A field with axes inside a larger drawing.

    Args:
        left, top, wide, high: of the field in px of the drawing.
        x_to, y_from, y_to: ranges of the data; x begins at 0.
    """

    def __init__(
        self,
        place: Tuple[float, float, float, float],
        x_to: float,
        y_range: Tuple[float, float],
    ) -> None:
        self.left, self.top, self.wide, self.high = place
        self._x_to, self._y = max(x_to, 1e-9), y_range
        self.parts: List[str] = []

    def x(self, values: np.ndarray) -> np.ndarray:
        """Data to px."""
        return np.asarray(self.left + self.wide * np.asarray(values) / self._x_to)

    def y(self, values: np.ndarray) -> np.ndarray:
        """Data to px."""
        low, high = self._y
        share = (np.asarray(values, np.float64) - low) / max(high - low, 1e-9)
        return np.asarray(self.top + self.high * (1 - share))

    def axes(self, x_ticks: Sequence[float], y_ticks: Sequence[float], x_unit: str = "") -> None:
        """Lines and numbers."""
        for tick in y_ticks:
            y = float(self.y(np.array(tick)))
            self.parts.append(f'<path d="M{self.left} {y:.1f}h{self.wide}" class="grid"/>')
            self.parts.append(text(self.left - 5, y + 4, f"{tick:g}", "end", 'class="tick"'))
        below = self.top + self.high + 14
        for tick in x_ticks:
            words = f"{tick:g}{x_unit}" if tick == x_ticks[-1] else f"{tick:g}"
            self.parts.append(text(float(self.x(np.array(tick))), below, words, "middle", _TICK))

    def title(self, words: str) -> None:
        """Above the field."""
        self.parts.append(text(self.left, self.top - 6, words, more='class="name"'))


_TICK = 'class="tick"'


def ticks(low: float, high: float, most: int = 6) -> List[float]:
    """Round numbers from low to high."""
    span = max(high - low, 1e-9)
    raw = span / most
    size = 10 ** np.floor(np.log10(raw))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= raw)
    first = np.ceil(low / step - 1e-9) * step
    return [round(float(v), 6) + 0.0 for v in np.arange(first, high + step * 1e-6, step)]


def bars(
    values: Sequence[float],
    good: Sequence[bool],
    names: Sequence[str],
    most: float,
    unit: str,
    goal: Optional[float] = None,
) -> str:
    """Upright bars, one a repetition; green = good. `goal` is a dashed line."""
    n = max(len(values), 1)
    step = min(44.0, 660.0 / n)
    plot = Plot((46, 12, step * n + 8, 120), step * n + 8, (0, max(most, 1e-9)))
    plot.axes([], ticks(0, most, 4))
    every = -(-n * 22 // 660)
    for i, (value, fine, name) in enumerate(zip(values, good, names)):
        top = float(plot.y(np.array(min(max(value, 0), most))))
        x, bottom = 50 + i * step, 132.0
        colour = GOOD if fine else BAD
        plot.parts.append(
            f'<rect x="{x:.1f}" y="{top:.1f}" width="{step * 0.72:.1f}" '
            f'height="{max(bottom - top, 1):.1f}" rx="2" fill="{colour}"><title>{escape(name)}: '
            f"{value:g} {unit}</title></rect>"
        )
        if i % every == 0:
            plot.parts.append(text(x + step * 0.36, 147, name, "middle", _TICK))
    if goal is not None:
        y = float(plot.y(np.array(goal)))
        plot.parts.append(f'<path d="M46 {y:.1f}h{step * n + 8:.1f}" class="goal"/>')
    return svg(70 + step * n, 154, plot.parts, f"{unit} of each repetition")


def share_bar(done: int, of: int) -> str:
    """Boxes of which some are filled."""
    step = min(26.0, 640.0 / max(of, 1))
    parts = [
        f'<rect x="{i * step:.1f}" y="2" width="{step - 3:.1f}" height="16" rx="3" '
        + (f'fill="{GOOD}"/>' if i < done else 'class="empty"/>')
        for i in range(max(of, done))
    ]
    return svg(step * max(of, done, 1), 20, parts, f"{done} of {of}")


def two_bars(values: Dict[str, float], most: float, unit: str) -> str:
    """Two lying bars to compare sides."""
    parts = []
    for i, (name, value) in enumerate(values.items()):
        wide = 360 * min(max(value / max(most, 1e-9), 0), 1)
        parts.append(text(150, 17 + 24 * i, name, "end"))
        parts.append(
            f'<rect x="158" y="{4 + 24 * i}" width="{wide:.1f}" height="16" rx="3" fill="{MAIN}"/>'
        )
        parts.append(text(164 + wide, 17 + 24 * i, f"{value:g} {unit}"))
    return svg(600, 8 + 24 * len(values), parts, "both sides")
