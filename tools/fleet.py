"""`edge-tools fleet`: many boxes: their landed events as tables and as a page."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from edge.errors import ConfigError, TempError
from tools.landing import minutes, page, report, tables
from tools.rollout import arguments as rollout_arguments

HELP = "many boxes: their states, bundles in stages, and reports of what `land` stored"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    join = actions.add_parser("join", help="join landed files into one table a day and box")
    join.add_argument("folder", type=Path, metavar="FOLDER", help="of `edge-tools land`")
    join.add_argument(
        "--older",
        type=float,
        default=3600.0,
        metavar="S",
        help="leave files that are younger, for programs that stream them (default: %(default)g)",
    )
    join.add_argument("--json", action="store_true", help="print JSON")
    told = actions.add_parser("report", help="counts, dwell, alarms, heat: one page")
    told.add_argument("folder", type=Path, metavar="FOLDER", help="of `edge-tools land`")
    told.add_argument("--first", default="", metavar="DAY", help="such as 2026-11-30 (UTC)")
    told.add_argument("--last", default="", metavar="DAY", help="last day (UTC)")
    told.add_argument(
        "--utc-offset",
        type=float,
        metavar="H",
        help="hours and days are local: hours against UTC (default: this machine's)",
    )
    told.add_argument("--out", type=Path, default=Path("fleet.html"), help="default: %(default)s")
    told.add_argument("--json", action="store_true", help="print the tables as JSON")
    minute = actions.add_parser("minutes", help="the table of minutes that Spark makes, as JSON")
    minute.add_argument("folder", type=Path, metavar="FOLDER", help="of `edge-tools land`")
    rollout_arguments.add(actions)


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    actions = {
        "join": _join,
        "report": _report,
        "minutes": _minutes,
        "status": rollout_arguments.status,
        "push": rollout_arguments.run_push,
    }
    return actions[arguments.action](arguments) or 0


def _join(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.older <= 1e9:
        raise ConfigError("--older: must be at least 0 s")
    done = tables.join(arguments.folder, arguments.older, arguments.json)
    if arguments.json:
        print(json.dumps(vars(done)))
    else:
        print(f"{done.files} files joined into {done.tables} tables of {done.rows} rows")


def _minutes(arguments: argparse.Namespace) -> None:
    rows = minutes.table(tables.open_events(arguments.folder))
    print(json.dumps([{**row, "minute": row["minute"].isoformat()} for row in rows]))


def _report(arguments: argparse.Namespace) -> None:
    for name in ("first", "last"):
        problem = getattr(arguments, name) and tables.day_problem(getattr(arguments, name))
        if problem:
            raise ConfigError(f"--{name}: {problem}")
    offset_h = arguments.utc_offset
    if offset_h is None:
        offset_h = time.localtime().tm_gmtoff / 3600
    if not -14 <= offset_h <= 14:
        raise ConfigError("--utc-offset: must be -14 to 14 hours")
    database = tables.open_events(arguments.folder, arguments.first, arguments.last)
    made = report.make(database, offset_h)
    over = made.overview
    note = (
        f"{over['first']} to {over['last']}, local time (UTC{offset_h:+g}). Tracks are people as a "
        "camera numbers them: somebody whom two cameras see is two tracks. These are counts of "
        "events, and a rule may be wrong."
    )
    try:
        arguments.out.write_text(page.html(made, "Fleet report", note), "utf-8")
    except OSError as error:
        raise TempError(f"{arguments.out}: {error.strerror}") from error
    if arguments.json:
        print(json.dumps(made.record()))
        return
    print(
        f"{over['events']} events of {over['devices']} boxes, {over['alarms']} alarms, "
        f"{over['falls']} falls; {arguments.out}"
    )
