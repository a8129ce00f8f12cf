"""`edge-tools import`: make a model for the daemon from your own ONNX file."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from edge.errors import ConfigError
from tools import places
from tools.importing.import_network import ImportResult, import_network
from tools.importing.outputs import FAMILY_OUTPUTS
from tools.importing.report import text
from tools.importing.request import ImportRequest

HELP = "make a model for the daemon from your own ONNX file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("file", metavar="FILE.onnx", type=Path)
    parser.add_argument(
        "--family",
        choices=sorted(FAMILY_OUTPUTS),
        help="kind of network (default: from the file, if edge-tools exported it)",
    )
    parser.add_argument("--skeleton", help="names of the keypoints (pose networks)")
    parser.add_argument("--name", help="name of the model (default: from the file name)")
    parser.add_argument(
        "--models",
        metavar="DIR",
        type=Path,
        default=places.models(),
        help="folder of the models (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace a model imported before")
    for side in ("width", "height"):
        parser.add_argument(
            f"--{side}", type=int, metavar="PX", help=f"input {side}, if the network leaves it open"
        )
    parser.add_argument(
        "--channels", choices=("rgb", "bgr"), help="order of the colour channels in the input"
    )
    for name, use in (("mean", "is subtracted from"), ("std", "divides")):
        parser.add_argument(
            f"--{name}",
            nargs=3,
            type=float,
            metavar=("A", "B", "C"),
            help=f"{use} the pixel values 0..255, for each channel",
        )
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="NAME=GRAPHNAME",
        help="the family's name for an output, if its name and shape do not tell",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the family, such as decode=udp",
    )
    parser.add_argument("--licence", default="", help="licence of the weights")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    result: ImportResult = import_network(_request(args), quiet=args.json)
    print(json.dumps(result.facts) if args.json else text(result.facts))
    return 0


def _request(args: argparse.Namespace) -> ImportRequest:
    pixels = {k: getattr(args, k) for k in ("channels", "mean", "std")}
    return ImportRequest(
        file=args.file,
        models=args.models,
        family=args.family,
        skeleton=args.skeleton,
        name=args.name or re.sub(r"[^a-z0-9_-]+", "-", args.file.stem.lower()).strip("-_")[:32],
        size=(args.width, args.height),
        pixels={k: v for k, v in pixels.items() if v is not None},
        outputs=dict(_pair("--output", given) for given in args.output),
        options={k: _option_value(v) for k, v in (_pair("--option", o) for o in args.option)},
        licence=args.licence,
        force=args.force,
    )


def _pair(flag: str, given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not (name and equals and value):
        raise ConfigError(f"{flag} {given}: expected NAME=VALUE")
    return name, value


def _option_value(value: str) -> object:
    """The value as JSON, else as text."""
    try:
        return json.loads(value)
    except ValueError:
        return value
