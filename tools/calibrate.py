"""`edge-tools calibrate`: make a calibration set of the user's recordings.

It chooses frames that differ and records the network inputs exactly as the daemon makes them.
Without --from, the inputs of an existing set are recorded again, for example for other models; or
the set is made of its fetched media.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List

from edge.errors import ConfigError, NoInputError
from edge.settings import config
from edge.settings.schema import name_problem
from tools import places
from tools.calib import make, media, selection
from tools.calib.make import MadeSet, SetRequest
from tools.calib.report import REPORT
from tools.calib.selection import CALIBRATION, HELD_OUT
from tools.fetch.by_name import ensure_set
from tools.fetch.files import locked
from tools.fetch.sources import load_set

HELP = "make a calibration set of your own recordings"
SHOWN = 5  # problems that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("name", metavar="NAME", help="name of the set, a folder in --sets")
    parser.add_argument(
        "--from",
        dest="words",
        nargs="+",
        default=[],
        metavar="PATH_OR_URI",
        help="videos, folders, globs, or a running camera (rtsp://..., v4l2://...)",
    )
    _add_numbers(parser)
    parser.add_argument(
        "--models", type=Path, default=places.models(), metavar="DIR", help="models folder"
    )
    parser.add_argument(
        "--detect", default=config.Detect().model, metavar="MODEL", help="detector (%(default)s)"
    )
    parser.add_argument(
        "--pose", default=config.Pose().model, metavar="MODEL", help="pose model (%(default)s)"
    )
    parser.add_argument(
        "--sets", type=Path, default=places.sets(), metavar="DIR", help="folder of sets"
    )
    parser.add_argument("--licence", default="", metavar="TEXT", help="licence of the recordings")
    parser.add_argument("--json", action="store_true", help="print JSON, show no progress")


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    """Declare how much is recorded and chosen."""
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="how long to record a camera (%(default)s)",
    )
    parser.add_argument(
        "--frames",
        type=int,
        default=128,
        metavar="N",
        help="frames to calibrate with (%(default)s)",
    )
    parser.add_argument(
        "--heldout", type=int, default=32, metavar="N", help="frames to verify with (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of all random choices"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make a set, or record the inputs of an existing set again."""
    places.require_owner(arguments.sets)
    settings = _settings(arguments)
    folder = arguments.sets / arguments.name
    if arguments.words:
        made = make.make_set(folder, _order(arguments, arguments.words), settings)
    elif selection.file_of(folder).is_file():
        made = _record_again(folder, settings, arguments.json)
    else:
        made = make.make_set(folder, _order(arguments, _media(arguments)), settings)
    _print(made, arguments.json)
    return 0


def _settings(arguments: argparse.Namespace) -> config.Config:
    problem = name_problem(arguments.name)
    if problem:
        raise ConfigError(f"{arguments.name!r} cannot be the name of a set: {problem}")
    for name, least in (("frames", 1), ("heldout", 0), ("seed", 0)):
        if getattr(arguments, name) < least:
            raise ConfigError(f"--{name}: must be at least {least}")
    if not 0 < arguments.seconds < float("inf"):
        raise ConfigError("--seconds: must be above 0")
    if not arguments.models.is_dir():
        raise NoInputError(f"{arguments.models}: no such folder of models")
    table: Dict[str, Any] = {
        "models": {"dir": str(arguments.models)},
        "detect": {"model": arguments.detect},
        "pose": {"model": arguments.pose},
        "runtime": {"prefer": "onnx"},  # an engine must not give the inputs it is calibrated with
    }
    return config.build(config.Config, table)


def _order(arguments: argparse.Namespace, words: List[str]) -> SetRequest:
    return SetRequest(
        sources=words,
        frames=arguments.frames,
        held_out=arguments.heldout,
        seed=arguments.seed,
        seconds=arguments.seconds,
        licence=arguments.licence,
        quiet=arguments.json,
    )


def _media(arguments: argparse.Namespace) -> List[str]:
    """Videos and pictures of a media set; they are fetched if missing."""
    folder = arguments.sets / arguments.name
    if (
        not (folder / selection.FILE).is_file()
        and not (places.SOURCE_SETS / arguments.name).is_dir()
    ):
        raise NoInputError(f"{folder}: no such set; name recordings with --from to make it")
    folder = ensure_set(arguments.name, arguments.sets, arguments.json)
    media_set = load_set(folder)
    arguments.licence = arguments.licence or media_set.licence
    files = [folder / m.file for source in media_set.sources for m in source.members]
    return [str(f) for f in files if f.suffix.lower() in media.VIDEOS + media.IMAGES]


def _record_again(folder: Path, settings: config.Config, quiet: bool) -> MadeSet:
    with locked(folder / make.LOCK):
        chosen = selection.load(folder)
        selection.require_pictures(folder, chosen.frames)
        inputs = make.record_inputs(folder, chosen, settings, quiet)
    return MadeSet(folder, chosen, inputs=inputs)


def _print(made: MadeSet, as_json: bool) -> None:
    chosen = made.selection
    figures = {
        "set": str(made.folder),
        "frames": len(chosen.of(CALIBRATION)),
        "held_out": len(chosen.of(HELD_OUT)),
        "people": sum(p.people for p in chosen.frames),
        "looked_at": made.looked_at,
        "left_out": made.problems,
        "inputs": made.inputs,
        "report": str(made.folder / REPORT) if (made.folder / REPORT).is_file() else "",
    }
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    for problem in made.problems[:SHOWN]:
        print(f"left out: {problem}", file=sys.stderr)
    if len(made.problems) > SHOWN:
        print(f"left out: {len(made.problems) - SHOWN} more", file=sys.stderr)
    print(
        f"{made.folder}: {figures['frames']} calibration frames, {figures['held_out']} held out, "
        f"{figures['people']} people"
        + (f", of {made.looked_at} frames scanned" if made.looked_at else "")
    )
    for name, count in made.inputs.items():
        print(f"  {name}: {count} inputs")
    print(f"report: {figures['report'] or 'not drawn, as matplotlib is not installed'}")
