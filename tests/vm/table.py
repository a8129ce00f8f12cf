"""The table of all cases: out/vm/table.json, and the same as Markdown for docs/vm.md."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, Dict, List

from tests.vm.image import CACHE, ROOT

FILE = CACHE / "table.json"
PAGE = ROOT / "docs/vm.md"
BEGIN, END = "<!-- table: make vm-test -->\n", "<!-- end of table -->\n"
Results = Dict[str, Dict[str, Any]]


def load() -> Results:
    """Results of earlier runs by case; of a case, the last one."""
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


def save(results: Results) -> None:
    FILE.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")


def markdown(results: Results) -> str:
    """One line for each row, in the order of the cases."""
    lines = [
        "| case | what happened | tried | held | lost | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        for row in result["rows"]:
            lost = "-" if row["lost"] is None else row["lost"]
            what = row["fault"] + (f" ({row['note']})" if row["note"] else "")
            cells = [name, what, row["tried"], row["held"], lost, spread(row["seconds"])]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        if result["error"]:
            lines.append(f"| {name} | **failed**: {result['error'].splitlines()[0]} | | | | |")
    return "\n".join(lines) + "\n"


def spread(seconds: List[float]) -> str:
    """Least, median and most; one figure if there is one; - if there is none."""
    if len(seconds) < 2:
        return "".join(f"{s:g}" for s in seconds) or "-"
    return f"{min(seconds):g} · {statistics.median(seconds):g} · {max(seconds):g}"


def into_page(results: Results, page: Path = PAGE) -> None:
    """Put the table into the page, between its two marks."""
    text = page.read_text("utf-8")
    head, mark, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise SystemExit(f"{page}: lacks the marks of the table")
    page.write_text(head + mark + markdown(results) + end + tail, "utf-8")
