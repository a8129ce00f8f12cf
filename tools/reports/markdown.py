"""The report as Markdown: tables, and a small chart of characters."""

from __future__ import annotations

from typing import List, Sequence

from tools.reports import words
from tools.reports.exercises import Exercise
from tools.reports.recorded import Recorded

_LEVELS = "▁▂▃▄▅▆▇█"


def markdown(found: Recorded, made: Sequence[Exercise], title: str) -> str:
    """The whole text.

    Args:
        found: what was recorded.
        made: its exercises.
        title: of the text.
    """
    lines = [f"# {title}", ""]
    for one in made:
        lines += [f"## {words.heading(one)}", "", words.when(one), ""]
        lines += [f"- **{value}** {name}" for value, name in words.tiles(one)]
        counts = one.figures()["faults"]
        lines += [f"- faults: {words.counted(counts)}"] if counts else []
        lines += ["", *_repetitions(one)]
        remarks = words.remarks(one)
        lines += ["", *(f"- {remark}" for remark in remarks)] if remarks else []
        lines.append("")
    lines += [f"Note: {note}." for note in found.notes]
    return "\n".join(lines).rstrip() + "\n"


def _repetitions(one: Exercise) -> List[str]:
    if not one.repetitions:
        return []
    key = "score" if one.kind == "action" else "range_deg"
    values = [float(told.data[key]) for told in one.repetitions]
    most = 100.0 if one.kind == "action" else max(values)
    head = words.columns(one)
    lines = [f"`{chart(values, most)}` {words.best_and_worst(one)}".rstrip(), ""]
    lines += [_row(head), _row(["---"] * len(head))]
    return lines + [_row(words.row(told)) for told in one.repetitions]


def chart(values: Sequence[float], most: float) -> str:
    """One character for each value, as high as its share of `most`."""
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[min(max(round(top * v / max(most, 1e-9)), 0), top)] for v in values)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
