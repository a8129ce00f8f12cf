"""`edge-tools accuracy`: the project's own accuracy table, from one command."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Callable, List, Tuple

from edge import __version__
from edge.errors import ConfigError
from tools import places
from tools.scoreboard import (
    cameras,
    exercises,
    labelled,
    motion,
    pedestrians,
    rendered,
    rules,
    scenes,
    sensing,
)
from tools.scoreboard.table import Table, write

HELP = "the project's own accuracy: pictures, four cameras, rendered people, motion capture"
PARTS = (
    "pictures",
    "cameras",
    "scenes",
    "pedestrians",
    "rendered",
    "smoother",
    "tracker",
    "falls",
    "fusion",
    "depth",
)
LONG = ("rules", "exercises")  # an hour of networks: only if they are named; own place in the page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"some of {', '.join(PARTS)}; none = all of these. Long: {', '.join(LONG)}",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        action="append",
        default=[],
        metavar="LABELS",
        help="labelled pictures of your own (as `evaluate` takes them); may be repeated",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="models folder")
    parser.add_argument(
        "--sets", type=Path, default=places.sets(), metavar="DIR", help="folder of sets"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/accuracy"), metavar="DIR", help="pages and figures"
    )
    parser.add_argument(
        "--write", type=Path, metavar="PAGE.md", help="put the tables into this page of the docs"
    )
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure everything and print it."""
    known = (*PARTS, *LONG)
    wrong = [part for part in arguments.parts if part not in known]
    if wrong:
        raise ConfigError(f"no part called {wrong[0]!r}; there are: {', '.join(known)}")
    if arguments.write and set(arguments.parts) & set(LONG) and set(arguments.parts) - set(LONG):
        raise ConfigError(
            f"--write: {' and '.join(LONG)} have a place of their own; run them alone"
        )
    start_s = time.monotonic()
    tables: List[Table] = []
    for name, make in _makers(arguments):
        if name in (arguments.parts or PARTS):
            tables.append(make())
            if not arguments.json:
                print(tables[-1].text(), end="\n\n", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = [{"title": t.title, "note": t.note, "head": t.head, "rows": t.rows} for t in tables]
    (arguments.out / "accuracy.json").write_text(json.dumps(found, indent=1), "utf-8")
    minutes = (time.monotonic() - start_s) / 60
    if arguments.write:
        place = "accuracy rules" if set(arguments.parts) & set(LONG) else ""
        write(arguments.write, tables, _made_by(minutes, place), place)
    print(json.dumps(found) if arguments.json else f"{minutes:.0f} minutes; {arguments.out}")
    return 0


def _makers(arguments: argparse.Namespace) -> List[Tuple[str, Callable[[], Table]]]:
    """Each part, in the order of the page; parts without data are left out."""
    models, sets, out = arguments.models, arguments.sets, arguments.out
    makers: List[Tuple[str, Callable[[], Table]]] = [
        (
            "pictures",
            lambda: labelled.table("Real pictures, labelled", arguments.labels, models, out),
        ),
        ("cameras", lambda: cameras.table(models, sets)),
        ("scenes", lambda: scenes.table(models, sets)),
        ("pedestrians", lambda: pedestrians.table(models, sets)),
        ("rendered", lambda: _rendered(arguments)),
        ("smoother", lambda: motion.smoother(sets)),
        ("tracker", lambda: motion.tracker(sets)),
        ("falls", lambda: motion.fall_rule(sets)),
        ("rules", lambda: rules.table(models, sets, out, quiet=arguments.json)),
        ("exercises", lambda: exercises.table(models, sets, arguments.json)),
        ("fusion", lambda: sensing.fused_angles(sets)),
        ("depth", sensing.lifted),
    ]
    if arguments.labels:
        return makers
    if "pictures" in arguments.parts:
        raise ConfigError("pictures: none are named; --labels LABELS")
    return makers[1:]


def _rendered(arguments: argparse.Namespace) -> Table:
    paths = rendered.draw(arguments.out / "rendered", arguments.json)
    setups = [labelled.SETUPS[0], labelled.SETUPS[-1]]
    found = labelled.table("Rendered people", paths, arguments.models, arguments.out, setups)
    note = "Drawn by `edge-tools synth` (split report): no keypoint of them was ever guessed. "
    return dataclasses.replace(found, note=note + found.note)


def _made_by(minutes: float, place: str) -> str:
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    command = f"edge-tools {place}" if place else "make accuracy"
    made = f"`{command}`, edge-tools {__version__}{_commit()}, {today}, {os.cpu_count()} cores of "
    return f"{made}{platform.machine()}, {minutes:.0f} minutes."


def _commit() -> str:
    """The commit of the source tree; empty where it is none of git's."""
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, encoding="utf-8")
    except OSError:
        return ""
    return f" at commit {done.stdout.strip()}" if done.returncode == 0 else ""
