"""`edge-tools report`: what was done in a session, as one page with curves and skeletons."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import List

from edge.durable import READABLE, write_whole
from edge.errors import DataError, NoInputError
from edge.settings import config
from tools.reports.exercises import exercises
from tools.reports.markdown import markdown
from tools.reports.page import page
from tools.reports.recorded import read

HELP = "a page (HTML and Markdown) of what was done in a session: repetitions, curves, skeletons"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "recorded",
        type=Path,
        metavar="SESSION",
        help="a recording (.poses, or the folder), or messages: a file of the sink jsonl, or of "
        "mosquitto_sub -v",
    )
    parser.add_argument("--session", metavar="NAME", help="only this session; '' = without one")
    parser.add_argument("--person", type=int, metavar="ID", help="only this person")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="F",
        help="rules of this configuration; for messages it gives bounds, goals and templates",
    )
    parser.add_argument("--title", help="of the page; default: the name of the session and the box")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("report.html"),
        metavar="F.html",
        help="the page; the Markdown file is beside it (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Read, write the page and the Markdown file, and print the figures.

    Raises:
        EdgeError: nothing was counted, or a file cannot be read or written.
    """
    rules_of = config.load(arguments.config) if arguments.config else None
    found = read(arguments.recorded, rules_of)
    made = exercises(found, arguments.session, arguments.person)
    if not made:
        there = sorted({str(told.data.get("session", "")) for told in found.events})
        said = f"; sessions with events: {', '.join(map(repr, there))}" if there else ""
        raise DataError(
            f"{arguments.recorded}: no repetition of a rule action or rom is in it{said}"
        )
    title = arguments.title or _title(found.device, sorted({one.session for one in made} - {""}))
    out: Path = arguments.out
    try:
        write_whole(out, page(found, made, title).encode(), READABLE)
        write_whole(out.with_suffix(".md"), markdown(found, made, title).encode(), READABLE)
    except OSError as error:
        raise NoInputError(f"{error.filename}: {error.strerror}") from error
    figures = [one.figures() for one in made]
    if arguments.json:
        print(json.dumps({"page": str(out), "exercises": figures, "notes": found.notes}))
        return 0
    for one in figures:
        counts = f"{one['repetitions']} repetitions, {one['good']} without a fault"
        print(f"{one['name']}, person {one['person']}: {counts}")
    for note in found.notes:
        print(f"note: {note}")
    print(out)
    return 0


def _title(device: str, sessions: List[str]) -> str:
    return f"Session {', '.join(sessions)} at {device}" if sessions else f"Exercises at {device}"
