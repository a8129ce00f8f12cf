"""Figures as HTML tables."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, Iterable, List, Optional, Sequence


def number(value: Optional[float], digits: int = 3) -> str:
    """A figure for people: .789, or - if there is none."""
    if value is None:
        return "-"
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # never -0
    return text[1:] if text.startswith("0.") else text


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under a head; cells that are numbers get three digits."""
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float) or value is None:
        value = number(value)
    return f"<td>{escape(str(value))}</td>"


def parts(figures: Dict[str, Any]) -> str:
    """A row for each body part."""
    head = ["", "mean OKS", "median", "of those found", "people", "given", "AP", "AR", "PCK .05"]
    rows: List[List[Any]] = []
    for name, oks in figures["oks"].items():
        precision = figures["precision"].get(name, {})
        pck = figures["pck"][name]
        rows.append(
            [
                name,
                oks["mean"],
                oks["median"],
                oks["mean_of_found"],
                oks["people"],
                oks["given"],
                precision.get("AP"),
                precision.get("AR"),
                pck["0.05"],
                pck["0.1"],
                pck["0.2"],
            ]
        )
    return table([*head, "PCK .1", "PCK .2"], rows)


def nme(figures: Dict[str, Any]) -> str:
    """A row for each of face and hands."""
    rows = [
        [name, row["median"], row["mean"], f"{row['given']} of {row['labelled']}"]
        for name, row in figures["nme"].items()
    ]
    return table(["", "NME, median", "mean", "found"], rows) if rows else ""


def comparison(compared: Dict[str, Any]) -> str:
    """Ours against theirs with intervals."""
    rows = []
    for name, row in compared["rows"].items():
        span = f"{row['low']:+.3f} to {row['high']:+.3f}"
        mark = "worse" if name in compared["worse"] else ""
        rows.append([name, row["ours"], row["theirs"], f"{row['difference']:+.3f}", span, mark])
    head = ["", "ours", compared["against"], "difference", f"{compared['level']} % interval", ""]
    return table(head, rows).replace("<td>worse</td>", '<td class="worse">worse</td>')
