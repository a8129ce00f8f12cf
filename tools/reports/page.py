"""The report as one HTML page; nothing in it comes from elsewhere."""

from __future__ import annotations

from html import escape
from typing import List, Optional, Sequence

import numpy as np

from tools.evaluation.page.style import STYLE
from tools.reports import curves, figure, plots, words
from tools.reports.drawing import bars, share_bar, two_bars
from tools.reports.exercises import Exercise
from tools.reports.recorded import Recorded

_OWN = """
.side{display:flex;flex-wrap:wrap;gap:1.5rem;align-items:flex-start}
.side figure{margin:.4rem 0;max-width:34rem}
.side svg{background:#8881;border-radius:10px}
svg .tick{font-size:11px;opacity:.75}svg .name{font-size:13px;font-weight:600}
svg .phase{font-size:10px;opacity:.65}svg .goal{stroke:#2e8b57;stroke-dasharray:6 4;fill:none}
svg .empty{fill:none;stroke:#8889}.tiles b{white-space:nowrap}.tiles div{font-size:.87rem}
.bad{color:#c0392b}td:last-child,th:last-child{text-align:left;white-space:normal}
h3{font-size:1rem;margin:1.4rem 0 .2rem}
@media print{body{max-width:none}section{break-before:page}section:first-of-type{break-before:auto}}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(found: Recorded, made: Sequence[Exercise], title: str) -> str:
    """The whole page.

    Args:
        found: what was recorded.
        made: its exercises.
        title: of the page.
    """
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escape(title)}</title><style>{STYLE}{_OWN}</style>",
        f"<h1>{escape(title)}</h1>",
        _overview(made),
        *(f'<section id="e{i}">{_exercise(found, one)}</section>' for i, one in enumerate(made)),
        *(f"<p class=small>Note: {escape(note)}.</p>" for note in found.notes),
        "<p class=small>Measured by cameras. Angles of a picture are not those of a goniometer, "
        "and the shipped templates are not a coach's.</p></html>",
    ]
    return "\n".join(parts)


def _overview(made: Sequence[Exercise]) -> str:
    if len(made) < 2:
        return ""
    rows = []
    for i, one in enumerate(made):
        figures = one.figures()
        score = f"{figures['score']:.0f}" if "score" in figures else "-"
        cells = [str(figures["repetitions"]), str(figures["good"]), score, words.when(one)]
        link = f'<a href="#e{i}">{escape(words.heading(one))}</a>'
        rows.append([link, *map(escape, cells)])
    return _table(["exercise", "repetitions", "without a fault", "score", "when"], rows)


def _exercise(found: Recorded, one: Exercise) -> str:
    shown = "".join(
        f"<div><b>{escape(value)}</b>{escape(name)}</div>" for value, name in words.tiles(one)
    )
    parts = [
        f"<h2>{escape(words.heading(one))}</h2><p class=small>{escape(words.when(one))}</p>",
        f"<div class=tiles>{shown}</div>",
        _plan(one),
    ]
    parts += _action(found, one) if one.kind == "action" else _rom(found, one)
    rows = [[escape(cell) for cell in words.row(told)] for told in one.repetitions]
    if rows:
        parts += ["<h3>Repetitions</h3>", f"<p>{words.best_and_worst(one)}</p>"]
        parts.append(_table(words.columns(one), rows))
    remarks = words.remarks(one)
    if remarks:
        items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks[:40])
        more = f"<li>and {len(remarks) - 40} more</li>" if len(remarks) > 40 else ""
        parts.append(f"<h3>Alarms and compensations</h3><ul>{items}{more}</ul>")
    return "\n".join(parts)


def _plan(one: Exercise) -> str:
    plan = one.figures()["plan"]
    if not plan:
        return ""
    good = len(one.repetitions) if one.kind == "action" else _least_good(one)
    whole = plan["sets"] * plan["reps"]
    words_ = f"Plan {plan['sets']} x {plan['reps']}: {min(good, whole)} of {whole} repetitions"
    return f"<h3>{words_}</h3>{share_bar(min(good, whole), whole)}"


def _least_good(one: Exercise) -> int:
    """Good repetitions that count for the plan: each side must do them."""
    sides = [sum(one.good(t) for t in one.side(name)) for name in one.angles()]
    return min(sides, default=0)


def _action(found: Recorded, one: Exercise) -> List[str]:
    told = one.repetitions
    if not told:
        return []
    good, names = [one.good(t) for t in told], [str(t.data["repetition"]) for t in told]
    scores = [float(t.data["score"]) for t in told]
    times_s = [float(t.data["duration_s"]) for t in told]
    template = one.template()
    wanted_s = template.length_s if template else None
    most_s = max([*times_s, wanted_s or 0])
    parts = [
        _side(
            _figure(bars(scores, good, names, 100, "points"), "Score of each repetition."),
            _figure(
                bars(times_s, good, names, most_s, "s", wanted_s),
                "Duration of each repetition; dashed: the template's.",
            ),
        )
    ]
    reps = curves.aligned(found, one, template) if template else []
    if template is None:
        parts.append(_small(f"No template {one.name} is known here, so there are no curves."))
    elif not reps:
        parts.append(_small("The people were not recorded, so there are no curves."))
    else:
        worst = min(reps, key=lambda rep: float(rep.told.data["score"]))
        moment, frame, limb = curves.worst_moment(template, worst)
        mirrored = bool(worst.told.data["mirrored"])
        drawn = figure.off_template(moment, template, frame, limb, mirrored)
        said = worst.told.why or "as in the template"
        parts.append("<h3>Limbs against the template</h3>")
        parts.append(
            _figure(
                plots.in_band(template, reps),
                "Angle of each limb from hanging (trunk: from upright), in the time of the "
                "template. Band: the template and its tolerance. Green: best repetition. Red: "
                "worst. Grey: the others.",
            )
        )
        caption = (
            f"Repetition {worst.told.data['repetition']}, score {worst.told.data['score']:.0f}, "
            f"at its worst moment: {said}. Red: the limb. Dashed green: the template's."
        )
        parts.append(_side(_figure(drawn, caption), _faults(one)))
    return parts


def _rom(found: Recorded, one: Exercise) -> List[str]:
    parts: List[str] = []
    shown = curves.angles(found, one)
    for name in one.angles():
        told = one.side(name)
        parts.append(f"<h3>{escape(name.replace('_', ' '))}</h3>")
        curve = shown.get(name)
        if curve is not None and np.isfinite(curve.degrees).any():
            parts.append(
                _figure(
                    plots.over_time(one, name, curve),
                    "The angle as the rule has it; a gap: it was refused or not seen. Dots: peaks, "
                    "green without a fault, red with one. Red surface: outside the bounds.",
                )
            )
        good, names = [one.good(t) for t in told], [str(t.data["number"]) for t in told]
        ranges = [float(t.data["range_deg"]) for t in told]
        holds_s = [float(t.data["hold_s"]) for t in told]
        held = _limit(one, "hold_s")
        parts.append(
            _side(
                _figure(bars(ranges, good, names, max(ranges), "deg"), "Range of each repetition."),
                _figure(
                    bars(holds_s, good, names, max([*holds_s, held or 0.1]), "s", held),
                    "Hold at the peak" + ("; dashed: as planned." if held else "."),
                ),
            )
        )
    if not shown:
        parts.append(_small("The people were not recorded, so there are no curves."))
    uneven = one.uneven_deg()
    if uneven is not None:
        means = one.figures()["angles"]
        sides = {name.replace("_", " "): side["range_deg"] for name, side in means.items()}
        parts.append("<h3>Left and right</h3>" + two_bars(sides, max(sides.values()), "deg"))
    moment, worst = curves.at_peak(found, one, shown), one.worst()
    if moment is not None and worst is not None:
        peak = float(worst.data["peak_deg"])
        drawn = figure.with_angle(moment, str(worst.data["angle"]), peak)
        caption = f"The worst repetition ({worst.data['number']}) at its peak: {worst.why}."
        parts.append(_side(_figure(drawn, caption), _faults(one)))
    return parts


def _limit(one: Exercise, key: str) -> Optional[float]:
    value = float(one.table.get(key, 0))
    return value or None


def _faults(one: Exercise) -> str:
    counts = one.figures()["faults"]
    if not counts:
        return "<p>No faults.</p>"
    items = "".join(f"<li>{escape(name)}: {count}</li>" for name, count in counts.items())
    return f"<div><h3>Faults</h3><ul>{items}</ul></div>"


def _figure(drawing: str, caption: str) -> str:
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def _side(*parts: str) -> str:
    return f"<div class=side>{''.join(parts)}</div>"


def _small(said: str) -> str:
    return f"<p class=small>{escape(said)}</p>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
