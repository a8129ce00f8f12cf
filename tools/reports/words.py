"""The rows and sentences that the page and the Markdown file share."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Tuple

from tools.reports.exercises import Exercise, faults, span_ns
from tools.reports.recorded import Told

Row = List[str]


def heading(one: Exercise) -> str:
    """The exercise and who did it."""
    name = one.name.replace("_", " ")
    session = f", session {one.session}" if one.session else ""
    return f"{name}: person {one.person} at {one.camera}{session}"


def when(one: Exercise) -> str:
    """Date and time of the exercise in UTC, and how long it took."""
    told = [*one.repetitions, *one.others]
    first = min(told, key=lambda t: t.t_ns)
    begin_ns = min(span_ns(t)[0] for t in one.repetitions) if one.repetitions else first.t_ns
    utc_s = (first.utc_ns - first.t_ns + begin_ns) * 1e-9
    long_s = (max(t.t_ns for t in told) - begin_ns) * 1e-9
    date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(utc_s))
    return f"{date} UTC, {long_s // 60:.0f} min {long_s % 60:.0f} s"


def tiles(one: Exercise) -> List[Tuple[str, str]]:
    """The main figures, each with what it is."""
    figures = one.figures()
    made = [_repetitions(one), (str(figures["good"]), "without a fault")]
    if one.kind == "action" and "score" in figures:
        made += [
            (f"{figures['score']:.0f}", "mean score of 100"),
            (f"{figures['best']:.0f} / {figures['worst']:.0f}", "best / worst score"),
            (f"{figures['tempo']:.2f}", "mean tempo; 1 = the template's"),
        ]
    for name, side in figures.get("angles", {}).items():
        words = f"{name.replace('_', ' ')}: mean range ({side['worst_deg']} to {side['best_deg']})"
        made.append((f"{side['range_deg']:.0f} deg", words))
        if one.table.get("hold_s") or side["hold_s"] >= 1:
            made.append((f"{side['hold_s']:.1f} s", f"{name.replace('_', ' ')}: mean hold"))
    uneven = one.uneven_deg()
    if uneven is not None:
        made.append((f"{uneven:.0f} deg", "left and right differ in mean range"))
    if figures["plan"]:
        plan = figures["plan"]
        made.append((f"{plan['done']} of {plan['sets']}", f"sets of {plan['reps']} done"))
    if figures["alarms"]:
        made.append((str(figures["alarms"]), "alarms outside the bounds"))
    return made


def _repetitions(one: Exercise) -> Tuple[str, str]:
    sides = [str(len(one.side(name))) for name in one.angles()]
    if len(sides) == 2:
        return " + ".join(sides), "repetitions, left + right"
    n = len(one.repetitions)
    return str(n), "repetition" if n == 1 else "repetitions"


def columns(one: Exercise) -> Row:
    """Heads of the table of repetitions."""
    if one.kind == "action":
        return ["repetition", "score", "duration s", "tempo", "side", "faults"]
    return ["repetition", "angle", "range deg", "peak deg", "duration s", "hold s", "faults"]


def row(told: Told) -> Row:
    """One repetition in the table."""
    d, said = told.data, "; ".join(faults(told)) or "-"
    if told.kind == "action":
        side = "mirrored" if d["mirrored"] else "as in the template"
        figures = [f"{d['score']:.0f}", f"{d['duration_s']:.2f}", f"{d['tempo']:.2f}", side]
        return [str(d["repetition"]), *figures, said]
    figures = [f"{d[k]:.0f}" for k in ("range_deg", "peak_deg")]
    figures += [f"{d[k]:.1f}" for k in ("duration_s", "hold_s")]
    return [str(d["number"]), str(d["angle"]).replace("_", " "), *figures, said]


def remarks(one: Exercise) -> List[str]:
    """What else was told: alarms, compensations, asymmetry, with their reasons."""
    begin_ns = min(t.t_ns for t in [*one.repetitions, *one.others])
    kinds = ("outside", "compensation", "asymmetry")
    told = [t for t in one.others if t.data["action"] in kinds]
    return [f"{max((t.t_ns - begin_ns) * 1e-9, 0):.0f} s: {t.why}" for t in told]


def counted(names: Dict[str, Any]) -> str:
    """Names with their counts."""
    return ", ".join(f"{name} ({count})" for name, count in names.items())


def best_and_worst(one: Exercise) -> str:
    """Which repetitions were done best and worst."""
    best, worst = one.best(), one.worst()
    if best is None or worst is None or len(one.repetitions) < 2 * max(len(one.angles()), 1):
        return ""
    number = "number" if one.kind == "rom" else "repetition"
    sides = len(one.angles()) > 1 if one.kind == "rom" else False

    def named(told: Told) -> str:
        side = f" ({str(told.data['angle']).replace('_', ' ')})" if sides else ""
        return f"{told.data[number]}{side}"

    return f"Best: repetition {named(best)}. Worst: repetition {named(worst)}."
