"""`edge-tools template`: list, show and make templates of exercises for the rule `action`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Tuple

from edge.errors import ConfigError, NoInputError
from edge.rules._action.template import Template, of_table
from edge.settings import templates
from edge.settings.schema import name_problem
from tools.templates import picture, shipped, written
from tools.templates.make import from_examples
from tools.templates.recording import repetition

HELP = "list, show and make templates of exercises (squat, lunge ...), also from recordings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="the templates that are shipped")
    listed.add_argument("--json", action="store_true", help="print JSON")
    show = actions.add_parser("show", help="draw a template as a picture")
    show.add_argument("template", help="name of a shipped template, or path of a .toml")
    show.add_argument("--out", type=Path, help="picture (default: NAME.png)")
    record = actions.add_parser("record", help="make a template from recorded repetitions")
    record.add_argument("name", help="of the exercise")
    record.add_argument("recording", type=Path, help="a segment (.poses), or a folder of them")
    record.add_argument(
        "--repetition",
        type=_span,
        action="append",
        required=True,
        metavar="FROM-TO",
        help="seconds since the recording began, such as 12.4-15.1; give several for a mean",
    )
    record.add_argument("--camera", default="", help="name of the camera (default: the only one)")
    record.add_argument("--person", type=int, default=-1, help="id (default: the largest)")
    record.add_argument("--source", default="recorded by the user", help="a note for the file")
    record.add_argument("--out", type=Path, help="file to write (default: NAME.toml)")
    remade = actions.add_parser("ship", help="make the shipped templates again from their scripts")
    remade.add_argument("--out", type=Path, default=templates.SHIPPED, help="folder")


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    {"list": _list, "show": _show, "record": _record, "ship": _ship}[arguments.action](arguments)
    return 0


def _list(arguments: argparse.Namespace) -> None:
    found = [of_table(templates.read(name)) for name in templates.names()]
    if arguments.json:
        rows = [
            {"name": t.name, "length_s": round(t.length_s, 2), "source": t.source} for t in found
        ]
        print(json.dumps(rows))
        return
    for template in found:
        print(f"{template.name:18} {template.length_s:4.1f} s  {template.source}")


def _show(arguments: argparse.Namespace) -> None:
    template = of_table(templates.read(arguments.template))
    out = arguments.out or Path(f"{template.name}.png")
    _folder_of(out)
    picture.draw(template, out)
    print(out)


def _record(arguments: argparse.Namespace) -> None:
    if name_problem(arguments.name):
        raise ConfigError(f"{arguments.name}: {name_problem(arguments.name)}")
    out = arguments.out or Path(f"{arguments.name}.toml")
    _folder_of(out)
    examples = [
        repetition(arguments.recording, span, arguments.camera, arguments.person)
        for span in arguments.repetition
    ]
    made = from_examples(arguments.name, examples, arguments.source, "the user's own")
    written.write(made, out)
    print(_said(made, out))


def _ship(arguments: argparse.Namespace) -> None:
    for name in shipped.SHIPPED:
        out = arguments.out / f"{name}.toml"
        _folder_of(out)
        made = shipped.make(name)
        written.write(made, out)
        print(_said(made, out))


def _said(made: Template, out: Path) -> str:
    return f"{out}: {made.examples} repetitions, {made.length_s:.1f} s, usual {made.usual:.2f}"


def _folder_of(path: Path) -> None:
    if not path.parent.is_dir():
        raise NoInputError(f"{path.parent}: no such folder; create it")


def _span(text: str) -> Tuple[float, float]:
    """Begin and end in seconds."""
    begin, mark, end = text.partition("-")
    try:
        span = float(begin), float(end)
    except ValueError:
        span = 1.0, 0.0
    if not mark or not 0 <= span[0] < span[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: use FROM-TO in seconds, such as 12.4-15.1")
    return span
