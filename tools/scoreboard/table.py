"""Tables for a terminal and for Markdown, and their place in a page of the docs."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Sequence

from edge.errors import DataError, NoInputError
from tools.evaluation.text_report import aligned

BEGIN, END = "<!-- made by `make accuracy`: begin -->", "<!-- made by `make accuracy`: end -->"


@dataclass(frozen=True)
class Table:
    """One table of the scoreboard."""

    title: str
    note: str  # what was done, in a sentence or two
    head: Sequence[str]
    rows: List[Sequence[str]] = field(default_factory=list)

    def text(self) -> str:
        """For a terminal."""
        lines = [self.title, self.note, *aligned([self.head, *self.rows])]
        return "\n".join(line for line in lines if line)

    def markdown(self) -> str:
        """For the docs."""
        marks = ["---"] + ["---:"] * (len(self.head) - 1)
        rows = [self.head, marks, *self.rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([f"### {self.title}", "", *_wrapped(self.note), "", *lines])


def _wrapped(text: str, width: int = 100) -> List[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def write(path: Path, tables: Sequence[Table], made_by: str, place: str = "") -> None:
    """Put the tables between the two marks of a page.

    Args:
        path: of the page.
        tables: in their order.
        made_by: a line above them.
        place: words of the command whose marks they are; empty = those of `make accuracy`.

    Raises:
        NoInputError: no such page. DataError: it has no such marks.
    """
    try:
        page = path.read_text("utf-8")
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    first, last = (
        mark.replace("make accuracy", f"edge-tools {place}" if place else "make accuracy")
        for mark in (BEGIN, END)
    )
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise DataError(f"{path}: has no place for the tables: add the lines {first} and {last}")
    body = "\n\n".join([made_by, *(table.markdown() for table in tables)])
    path.write_text(f"{before}{first}\n\n{body}\n\n{last}{after}", "utf-8")
