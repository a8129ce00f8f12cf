"""`edge run | check | doctor`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
from pathlib import Path
from typing import List, Optional

# Our matrices are small: a pool of BLAS threads would only take cores from the networks. Before
# NumPy is loaded, which reads it once.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from edge import __version__
from edge.errors import INTERRUPTED, PIPE_CLOSED, EdgeError
from edge.service import logs
from edge.service.stdout import answer
from edge.settings import config

EPILOG = (
    "exit codes: 0 fine, 2 no such option, 65 bad data, 66 no input, 69 unavailable, "
    "70 a fault of ours, 75 try later, 78 config, 141 nobody reads the answer any more"
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        "edge", description="Cameras in, whole-body poses and events out over MQTT.", epilog=EPILOG
    )
    top.add_argument("--version", action="version", version=f"edge {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="turn cameras into poses and events", epilog=EPILOG))
    check = commands.add_parser("check", help="validate a configuration file")
    check.add_argument("file", type=Path)
    _add_provision(commands.add_parser("provision", help="give this box a name, a key, a broker"))
    doctor = commands.add_parser("doctor", help="what this machine has and lacks, and what to do")
    doctor.add_argument("--config", type=Path, help="check what this configuration needs, too")
    doctor.add_argument("--json", action="store_true", help="machine-readable")
    return top


def _add_provision(own: argparse.ArgumentParser) -> None:
    own.add_argument("--device", default="", metavar="NAME", help="its name in topics")
    own.add_argument("--broker", default="", metavar="URI", help="mqtts://HOST")
    own.add_argument("--ca", type=Path, metavar="F", help="the broker's authority, PEM")
    own.add_argument("--certificate", type=Path, metavar="F", help="this box's, once it is signed")
    own.add_argument("--new-key", action="store_true", help="make another key, ask for another")
    own.add_argument("--root", type=Path, default=Path("/"), help="folder of an image; default /")


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--config", type=Path, metavar="F", help="configuration file (TOML)")
    run.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="URI",
        help="camera or recording, instead of the file's; may be repeated",
    )
    run.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="URI",
        help="mqtt://HOST or jsonl:PATH, instead of the file's; may be repeated",
    )
    run.add_argument("--models", metavar="DIR", help="folder of models")
    run.add_argument(
        "--max-frames",
        type=_count,
        default=0,
        metavar="N",
        help="stop after N frames of each camera",
    )
    run.add_argument("--annotate", type=Path, metavar="OUT.mp4", help="write a video of skeletons")
    run.add_argument(
        "--print-config",
        action="store_true",
        help="print the merged configuration, every key with its meaning, and leave",
    )
    run.add_argument(
        "--log",
        choices=logs.FORMS,
        default="auto",
        help="form of the lines on standard error; auto = as whoever reads them likes",
    )
    run.add_argument("-v", "--verbose", action="store_true", help="tell more")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def merged(arguments: argparse.Namespace) -> config.Config:
    """The file's configuration with the command line's wishes on top.

    Raises:
        EdgeError: the file or an option is wrong.
    """
    base = config.load(arguments.config) if arguments.config else config.Config()
    if arguments.source:
        cameras = [config.Camera(source=uri) for uri in arguments.source]
        base = dataclasses.replace(base, cameras=cameras)
    if arguments.sink:
        publish = dataclasses.replace(base.publish, sinks=arguments.sink)
        base = dataclasses.replace(base, publish=publish)
    if arguments.models:
        base = dataclasses.replace(base, models=config.Models(dir=arguments.models))
    return config.complete(base)


def main(argv: Optional[List[str]] = None) -> int:
    """Run a command; returns the exit code. A user's mistake is one line, never a traceback."""
    arguments = parser().parse_args(argv)
    level = logging.DEBUG if getattr(arguments, "verbose", False) else logging.INFO
    logs.start(level, getattr(arguments, "log", "auto"))
    try:
        return _dispatch(arguments)
    except EdgeError as error:
        print(f"edge: {error}", file=sys.stderr)  # noqa: T201 - the answer to the user
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return PIPE_CLOSED


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.command == "check":
        from edge.service.check import check

        check(arguments.file)
        answer(f"{arguments.file}: fine\n")
        return 0
    if arguments.command == "doctor":
        from edge.doctor import doctor

        return doctor(arguments.config, arguments.json)
    if arguments.command == "provision":
        return _provision(arguments)
    settings = merged(arguments)
    if arguments.print_config:
        answer(config.show(settings))
        return 0
    from edge.service.daemon import run

    again = (lambda: merged(arguments)) if arguments.config else None
    return run(settings, arguments.max_frames, arguments.annotate, again)


def _provision(arguments: argparse.Namespace) -> int:
    from edge.service.provision import Order, provision, systemd_version

    order = Order(
        arguments.root,
        arguments.device,
        arguments.broker,
        arguments.ca,
        arguments.certificate,
        arguments.new_key,
    )
    on_this_machine = arguments.root == Path("/")
    lines = provision(order, systemd_version() if on_this_machine else 0)
    answer("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
