"""`edge-tools export-poses`: poses for OpenPose, COCO, OpenSim, C3D, tables and Rerun."""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
from pathlib import Path
from typing import Iterator, List, Protocol

from edge.errors import ConfigError, DataError, UnavailableError
from tools.exporting import c3d, coco, openpose, rrd, sources, tables, trc
from tools.exporting.choice import Choice
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline, with_rate
from tools.mqtt import login
from tools.progress import track

HELP = "convert recorded or published poses for other programs"
FORMATS = {
    "openpose": "a folder: one JSON file a frame, as OpenPose writes and Pose2Sim reads",
    "coco": "a folder: results.json and images.json, for pycocotools",
    "trc": "a folder: one TRC a person, with Pose2Sim's marker names, for OpenSim",
    "c3d": "a folder: one C3D a person, with the same markers",
    "csv": "a file: one row for each person and frame",
    "parquet": "a file: the same as integers; needs pyarrow",
    "rrd": "a file for the viewer of Rerun; needs rerun-sdk",
}
PACKAGES = {"pyarrow": "pyarrow", "rerun": "rerun-sdk"}


class Writer(Protocol):
    """Writes one format."""

    def add(self, sight: Sight) -> None:
        """Write the people of one frame."""

    def close(self) -> List[str]:
        """Complete the output; notes for the user."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "formats:\n" + "\n".join(f"  {n:9} {what}" for n, what in FORMATS.items())
    parser.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="folder of recordings, .poses files, files of --sink jsonl:PATH, - for standard "
        "input, or one mqtt[s]://[user@]host[:port]",
    )
    parser.add_argument("--to", required=True, choices=list(FORMATS), help="the format")
    parser.add_argument("--out", required=True, type=Path, metavar="PATH", help="file or folder")
    parser.add_argument(
        "--camera", action="append", default=[], metavar="NAME", help="camera or scene; repeatable"
    )
    parser.add_argument(
        "--person", action="append", default=[], type=int, metavar="ID", help="id; repeatable"
    )
    parser.add_argument("--device", default="", metavar="NAME", help="box; default: all")
    parser.add_argument(
        "--begin",
        default="",
        metavar="TIME",
        help="seconds since the first frame, or a date such as 2026-11-30T12:00:00",
    )
    parser.add_argument("--end", default="", metavar="TIME", help="as --begin")
    parser.add_argument(
        "--skeleton", default="", metavar="NAME", help="convert the keypoints to this set"
    )
    parser.add_argument(
        "--scenes",
        action="store_true",
        help="people in space, of calibrated cameras, instead of those in pictures",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        metavar="HZ",
        help="frames per second of numbered formats; default: by the times of the frames",
    )
    parser.add_argument(
        "--up",
        choices=("z", "y"),
        default="z",
        help="the axis of the calibration that points up, for trc and c3d of scenes",
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar="S", help="listen to a broker for this long"
    )
    parser.add_argument("--overwrite", action="store_true", help="write where something is already")
    login.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert; Ctrl-C ends listening to a broker, and completes the files."""
    if arguments.rate < 0:
        raise ConfigError("--rate: must not be negative")
    choice = Choice(
        arguments.camera,
        arguments.person,
        arguments.device,
        arguments.begin,
        arguments.end,
        arguments.skeleton,
        arguments.scenes,
    )
    _refuse_existing(arguments)
    interrupt = _Interrupt()
    try:
        return _convert(arguments, choice.applied(interrupt.until(_source(arguments, interrupt))))
    finally:
        interrupt.restore()


def _convert(arguments: argparse.Namespace, chosen: Iterator[Sight]) -> int:
    rate_hz, sights = with_rate(chosen, arguments.rate)
    first = next(sights, None)
    if first is None:
        raise DataError(f"{arguments.source[0]}: no frame is left; {_what_is_chosen(arguments)}")
    timeline = Timeline(rate_hz)
    writer = _writer(arguments, timeline)
    for sight in track(itertools.chain([first], sights), "frames"):
        writer.add(sight)
    for note in writer.close():
        print(note)
    if timeline.doubled and arguments.to in ("openpose", "trc", "c3d"):
        rate = f"{rate_hz:g} frames a second"
        print(f"edge-tools: {timeline.doubled} frames fell on others at {rate}", file=sys.stderr)
    return 0


def _what_is_chosen(arguments: argparse.Namespace) -> str:
    if arguments.scenes:
        return "scenes are published where [[scenes]] is configured; recordings have none"
    return "check --camera, --device, --begin and --end"


def _source(arguments: argparse.Namespace, interrupt: _Interrupt) -> Iterator[Sight]:
    first = arguments.source[0]
    if first.startswith(("mqtt://", "mqtts://")):
        if len(arguments.source) > 1:
            raise ConfigError(f"{arguments.source[1]}: a broker is the only source")
        broker = login.broker(first, arguments)
        device = arguments.device or "+"
        return sources.of_broker(broker, device, arguments.seconds, interrupt.came)
    if "://" in first:
        raise ConfigError(f"{first}: give a path, or mqtt://HOST")
    return sources.of_paths([Path(text) for text in arguments.source])


class _Interrupt:
    """Ctrl-C and SIGTERM end the reading instead of failing: what was read is completed."""

    def __init__(self) -> None:
        self._came: List[int] = []
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {n: signal.signal(n, lambda number, _: self._note(number)) for n in numbers}

    def _note(self, number: int) -> None:
        self._came.append(number)

    def came(self) -> bool:
        return bool(self._came)

    def until(self, sights: Iterator[Sight]) -> Iterator[Sight]:
        """The frames before the signal."""
        return itertools.takewhile(lambda _: not self._came, sights)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _refuse_existing(arguments: argparse.Namespace) -> None:
    """Raises ConfigError if the output would change what is there."""
    out: Path = arguments.out
    used = out.exists() and not (out.is_dir() and not any(out.iterdir()))
    if used and not arguments.overwrite:
        raise ConfigError(f"{out}: exists; give another --out, or --overwrite")


def _writer(arguments: argparse.Namespace, timeline: Timeline) -> Writer:
    out, y_up = arguments.out, arguments.up == "y"
    if arguments.scenes and arguments.to in ("openpose", "coco"):
        raise ConfigError(f"--to {arguments.to}: has no points in space; leave --scenes out")
    try:
        if arguments.to == "openpose":
            return openpose.Writer(out, timeline, not arguments.skeleton)
        if arguments.to == "coco":
            return coco.Writer(out, timeline)
        if arguments.to == "trc":
            return trc.Writer(out, timeline, y_up)
        if arguments.to == "c3d":
            return c3d.Writer(out, timeline, y_up)
        if arguments.to == "rrd":
            return rrd.Writer(out, timeline)
        return tables.Csv(out) if arguments.to == "csv" else tables.Parquet(out)
    except ModuleNotFoundError as error:
        package = PACKAGES.get((error.name or "").split(".")[0], error.name)
        raise UnavailableError(
            f"--to {arguments.to} needs the Python package {package}: pip install {package}"
        ) from error
