"""`edge-tools import`: an ONNX file of the user's own becomes a model of the program."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from edge.errors import ConfigError
from tools import places
from tools.importing.command import Result, import_network
from tools.importing.outputs import WANTED
from tools.importing.report import text
from tools.importing.request import Request

HELP = "your own ONNX network -> a model the program can run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("file", metavar="FILE.onnx", type=Path)
    parser.add_argument(
        "--family", choices=sorted(WANTED), help="what kind of network it is; our exports know"
    )
    parser.add_argument("--skeleton", help="which keypoints it gives (pose networks)")
    parser.add_argument("--name", help="of the model; else from the file's name")
    parser.add_argument("--models", metavar="DIR", type=Path, default=places.models())
    parser.add_argument("--force", action="store_true", help="replace a model imported before")
    parser.add_argument("--width", type=int, metavar="PX", help="of an input of open size")
    parser.add_argument("--height", type=int, metavar="PX")
    parser.add_argument("--channels", choices=("rgb", "bgr"), help="order the network wants")
    for name, what in (("mean", "subtracted"), ("std", "divided by")):
        parser.add_argument(
            f"--{name}", nargs=3, type=float, metavar=("A", "B", "C"), help=f"{what}, 0..255"
        )
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="NAME=GRAPHNAME",
        help="which output is what, if its name and shape do not say",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the family, such as decode=udp",
    )
    parser.add_argument("--licence", default="", help="of the weights")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    result: Result = import_network(_request(args), quiet=args.json)
    print(json.dumps(result.facts) if args.json else text(result.facts))
    return 0


def _request(args: argparse.Namespace) -> Request:
    pixels = {k: getattr(args, k) for k in ("channels", "mean", "std")}
    return Request(
        file=args.file,
        models=args.models,
        family=args.family,
        skeleton=args.skeleton,
        name=args.name or re.sub(r"[^a-z0-9_-]+", "-", args.file.stem.lower()).strip("-_")[:32],
        size=(args.width, args.height),
        pixels={k: v for k, v in pixels.items() if v is not None},
        outputs=dict(_pair("--output", given) for given in args.output),
        options={k: _setting(v) for k, v in (_pair("--option", o) for o in args.option)},
        licence=args.licence,
        force=args.force,
    )


def _pair(flag: str, given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not (name and equals and value):
        raise ConfigError(f"{flag} {given}: expected NAME=VALUE")
    return name, value


def _setting(value: str) -> object:
    """Numbers, true, false, lists and tables as JSON writes them; anything else is a text."""
    try:
        return json.loads(value)
    except ValueError:
        return value
