"""Plots of one exercise: repetitions in the template's band, angles in their bounds."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence

import numpy as np

from edge.rules._action.features import NAMES, degrees_of
from edge.rules._action.template import Template
from edge.rules._rom.options import NO_HIGH_DEG, NO_LOW_DEG
from tools.reports.curves import Aligned, AngleCurve
from tools.reports.drawing import BAD, BAND, GOOD, MAIN, Plot, area, polyline, svg, text, ticks
from tools.reports.exercises import Exercise, span_ns

_COLUMNS, _MOST_POINTS = 3, 1500


def in_band(template: Template, reps: Sequence[Aligned]) -> str:
    """A field for each limb that matters: the template's band, and every repetition.

    The best repetition is green, the worst red. Angles are from hanging; of the trunk from upright.
    """
    limbs = np.flatnonzero(template.weights >= 0.35).tolist()
    faulty = {fault["limb"] for rep in reps for fault in rep.told.data["faults"]}
    limbs += [i for i, name in enumerate(NAMES) if name in faulty and i not in limbs]
    rows = -(-len(limbs) // _COLUMNS)
    parts: List[str] = []
    for number, limb in enumerate(sorted(limbs)):
        column, row = number % _COLUMNS, number // _COLUMNS
        plot = Plot((36 + 350 * column, 24 + 170 * row, 300, 118), template.length_s, (0, 180))
        plot.axes(ticks(0, template.length_s, 4), [0, 45, 90, 135, 180], " s")
        plot.title(NAMES[limb].replace("_", " "))
        _limb(plot, template, reps, limb)
        parts += plot.parts
    return svg(36 + 350 * _COLUMNS, 10 + 170 * rows, parts, "limbs in the template's band")


def _limb(plot: Plot, template: Template, reps: Sequence[Aligned], limb: int) -> None:
    t_s = np.arange(len(template.reaches)) / template.rate_hz
    x, wanted, room = plot.x(t_s), template.reaches[:, limb], template.tolerances[limb]
    low, high = (plot.y(degrees_of(wanted + sign * room)) for sign in (1, -1))
    plot.parts.append(area(x, low, high, BAND, 0.22))
    plot.parts.append(polyline(x, plot.y(degrees_of(wanted)), MAIN, 1, 'stroke-dasharray="4 3"'))
    by_score = sorted(reps, key=lambda rep: -float(rep.told.data["score"]))
    for i, rep in enumerate(by_score):
        colour, width, more = "currentColor", 0.8, 'opacity=".35"'
        if i == 0:
            colour, width, more = GOOD, 2.0, ""
        elif i == len(by_score) - 1:
            colour, width, more = BAD, 2.0, ""
        y = plot.y(degrees_of(rep.reaches[:, limb]))
        plot.parts.append(polyline(x, y, colour, width, more))
    begin = 0
    for name, end in template.phases:
        edge = float(plot.x(np.array(end / template.rate_hz)))
        plot.parts.append(f'<path d="M{edge:.1f} {plot.top:g}v{plot.high:g}" class="grid"/>')
        middle = float(plot.x(np.array((begin + end) / 2 / template.rate_hz)))
        plot.parts.append(text(middle, plot.top + 10, name, "middle", 'class="phase"'))
        begin = end


def over_time(one: Exercise, name: str, curve: AngleCurve) -> str:
    """An angle over the exercise: bounds, goal, and the peak of each repetition."""
    told = one.side(name)
    peaks = [float(t.data["peak_deg"]) for t in told]
    known = curve.degrees[np.isfinite(curve.degrees)]
    table = one.table
    marks = [float(table[k]) for k in ("goal_deg", "low_deg", "high_deg") if _given(table, k)]
    every = np.concatenate((known, peaks, marks)) if len(known) else np.array([0.0, 90.0])
    low, high = float(min(every.min(), 0)) - 5, float(every.max()) + 12
    long_s = float(curve.t_s[-1]) if len(curve.t_s) else 1.0
    plot = Plot((46, 14, 1010, 220), long_s, (low, high))
    _bounds(plot, table, low, high)
    plot.axes(ticks(0, long_s, 10), ticks(low, high, 7), " s")
    step = max(1, len(curve.t_s) // _MOST_POINTS)
    plot.parts.append(polyline(plot.x(curve.t_s[::step]), plot.y(curve.degrees[::step]), MAIN, 1.8))
    for i, (rep, peak) in enumerate(zip(told, peaks)):
        _peak(plot, one, curve, rep, peak, str(i + 1))
    return svg(1080, 256, plot.parts, name.replace("_", " "))


def _peak(plot: Plot, one: Exercise, curve: AngleCurve, rep: Any, peak: float, name: str) -> None:
    begin_ns, end_ns = span_ns(rep)
    t_ns = curve.begin_ns + curve.t_s * 1e9
    during = (t_ns >= begin_ns) & (t_ns <= end_ns) & np.isfinite(curve.degrees)
    if not during.any():
        return
    off = np.where(during, np.abs(curve.degrees - peak), np.inf)
    x = float(plot.x(curve.t_s[int(off.argmin())]))
    y = float(plot.y(np.array(peak)))
    colour = GOOD if one.good(rep) else BAD
    plot.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
    above = 16 if one.table.get("toward") == "low" else -8
    plot.parts.append(text(x, y + above, name, "middle", 'class="tick"'))


def _bounds(plot: Plot, table: Mapping[str, Any], low: float, high: float) -> None:
    ends = plot.left, plot.left + plot.wide
    for key, other in (("low_deg", low), ("high_deg", high)):
        if _given(table, key):
            y = plot.y(np.array([float(table[key])] * 2))
            outer = plot.y(np.array([other] * 2))
            plot.parts.append(area(np.array(ends), y, outer, BAD, 0.13))
            plot.parts.append(polyline(np.array(ends), y, BAD, 1))
    if _given(table, "goal_deg"):
        goal = float(table["goal_deg"])
        y = plot.y(np.array([goal] * 2))
        plot.parts.append(polyline(np.array(ends), y, GOOD, 1.2, 'stroke-dasharray="6 4"'))
        plot.parts.append(text(ends[1] - 4, float(y[0]) - 4, "goal", "end", 'class="tick"'))


def _given(table: Mapping[str, Any], key: str) -> bool:
    none = {"goal_deg": 0.0, "low_deg": NO_LOW_DEG, "high_deg": NO_HIGH_DEG}[key]
    return key in table and float(table[key]) != none
