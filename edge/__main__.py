"""The command `edge`: run, check, session, provision, doctor."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

# Our matrices are small: a pool of BLAS threads would only take cores from the networks. Set before
# NumPy is imported, which reads it once.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from edge import __version__
from edge.errors import INTERRUPTED, PIPE_CLOSED, ConfigError, EdgeError
from edge.service import logs, session, stdout
from edge.settings import config
from edge.settings.cameras import Camera

if TYPE_CHECKING:
    from edge.service.paths import Plan

log = logging.getLogger(__name__)

EPILOG = (
    "exit codes: 0 success, 2 wrong option, 65 wrong data, 66 a file or camera is missing, "
    "69 a package or service is missing, 70 a bug of this program, 75 temporary failure, "
    "78 wrong configuration, 130 interrupted, 141 standard output was closed"
)


COMMANDS = {
    "run": "turn cameras into poses and events",
    "check": "find mistakes in a configuration file",
    "session": "start, pause or end an exercise in the daemon of this machine",
    "provision": "give this box a name, a key and a broker",
    "doctor": "check this machine; name every problem and its fix",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        "edge", description="Cameras in, whole-body poses and events out over MQTT.", epilog=EPILOG
    )
    top.add_argument("--version", action="version", version=f"edge {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    own = {
        name: commands.add_parser(
            name, help=line, description=f"{line.capitalize()}.", epilog=EPILOG
        )
        for name, line in COMMANDS.items()
    }
    _add_paths(own["run"])
    _add_run(own["run"])
    _add_provision(own["provision"])
    session.add_arguments(own["session"])
    own["check"].add_argument("file", type=Path, help="configuration file (TOML)")
    own["doctor"].add_argument(
        "--config",
        type=Path,
        metavar="F",
        help="the configuration to check; default: the installed one, if there is one",
    )
    own["doctor"].add_argument("--json", action="store_true", help="print JSON")
    own["doctor"].add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="also write a file to send to somebody: findings, versions, times, no secrets",
    )
    _add_find(own["doctor"])
    return top


def _add_find(own: argparse.ArgumentParser) -> None:
    own.add_argument(
        "--find-cameras",
        action="store_true",
        help="only look for ONVIF cameras in the local network, for some seconds",
    )
    own.add_argument("--login", metavar="USER", help="ask them for their streams, as this user")
    own.add_argument("--password-file", type=Path, metavar="F", help="password of that user")


def _add_provision(own: argparse.ArgumentParser) -> None:
    own.add_argument("--device", default="", metavar="NAME", help="name of this box in topics")
    own.add_argument("--broker", default="", metavar="URI", help="the broker: mqtts://HOST")
    own.add_argument(
        "--ca", type=Path, metavar="F", help="certificate (PEM) of the broker's authority"
    )
    own.add_argument(
        "--certificate", type=Path, metavar="F", help="signed certificate (PEM) of this box"
    )
    own.add_argument(
        "--new-key", action="store_true", help="make a new key and a new certificate request"
    )
    own.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="root folder of an image; default /",
    )


def _add_paths(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="picture, video, folder, or address of a camera, in place of the cameras in the file; "
        "of each picture and video an annotated one is written beside it (photo.poses.jpg)",
    )
    run.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the annotated files of PATH; default: beside each",
    )


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--config", type=Path, metavar="F", help="configuration file (TOML)")
    run.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="URI",
        help="camera or recording, in place of the cameras in the file; may be repeated",
    )
    run.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="URI",
        help="mqtt://HOST or jsonl:PATH, in place of the sinks in the file; may be repeated",
    )
    run.add_argument(
        "--models", metavar="DIR", help="folder of models, in place of models.dir in the file"
    )
    run.add_argument(
        "--max-frames",
        type=_count,
        default=0,
        metavar="N",
        help="stop after N steps; a step takes the newest frame of each camera that has one",
    )
    run.add_argument(
        "--annotate",
        type=Path,
        metavar="OUT.mp4",
        help="write a video (.mp4 or .avi) of the frames with skeletons",
    )
    run.add_argument(
        "--print-config",
        action="store_true",
        help="print the merged configuration with the meaning of every key, and exit",
    )
    run.add_argument(
        "--log",
        choices=logs.FORMS,
        default="auto",
        help="log format; auto = journald fields under systemd, plain text on a terminal",
    )
    run.add_argument("-v", "--verbose", action="store_true", help="also log debug messages")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def merged(arguments: argparse.Namespace, plan: Optional[Plan] = None) -> config.Config:
    """The configuration of the file, with the options of the command line in place of its keys.

    Args:
        arguments: the command line.
        plan: what its paths mean.

    Raises:
        EdgeError: the file or an option is wrong.
    """
    base = _of_file(arguments)
    if plan is not None:
        base = dataclasses.replace(base, cameras=plan.cameras)
    elif arguments.source:
        cameras = [Camera(source=uri) for uri in arguments.source]
        base = dataclasses.replace(base, cameras=cameras)
    sinks = base.publish.sinks
    tried = not arguments.config and bool(plan or arguments.source)
    if tried and stdout.is_terminal(sys.stdout):
        sinks = []  # somebody who tries a camera does not want keypoints over the screen
    sinks = arguments.sink or sinks
    base = dataclasses.replace(base, publish=dataclasses.replace(base.publish, sinks=sinks))
    if arguments.models:
        base = dataclasses.replace(base, models=config.Models(dir=arguments.models))
    return config.complete(base)


def _of_file(arguments: argparse.Namespace) -> config.Config:
    return config.load(arguments.config) if arguments.config else config.Config()


def _planned(arguments: argparse.Namespace) -> Optional[Plan]:
    """What the paths of the command line mean; None = there are none."""
    if not arguments.paths:
        if arguments.output:
            raise ConfigError("--output: is for the files of PATH; give one")
        return None
    from edge.service import paths

    return paths.plan(
        [*arguments.source, *arguments.paths],
        arguments.output,
        _of_file(arguments).capture.max_megapixels,
        1 << 16 if arguments.annotate else paths.TOGETHER,
    )


def main(argv: Optional[List[str]] = None) -> int:
    """Run a command and return its exit code. A user's mistake is one line, never a traceback."""
    arguments = parser().parse_args(argv)
    level = logging.DEBUG if getattr(arguments, "verbose", False) else logging.INFO
    handler = logs.start(level, getattr(arguments, "log", "auto"))
    try:
        return _dispatch(arguments, handler)
    except EdgeError as error:
        print(f"edge: {error}", file=sys.stderr)  # noqa: T201 - the result for the user
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return PIPE_CLOSED


def _dispatch(arguments: argparse.Namespace, handler: logs.Handler) -> int:
    if arguments.command == "check":
        from edge.service.check import check

        check(arguments.file)
        stdout.write(f"{arguments.file}: is valid\n")
        return 0
    if arguments.command == "doctor":
        from edge.doctor import doctor, find_cameras

        login = find_cameras.login_of(arguments.login, arguments.password_file)
        if arguments.find_cameras and arguments.report:
            raise ConfigError("--report does not go with --find-cameras")
        if arguments.find_cameras:
            return doctor(None, arguments.json, lambda path: find_cameras.find(login))
        if login is not None:
            raise ConfigError("--login goes with --find-cameras")
        return doctor(arguments.config, arguments.json, report_file=arguments.report)
    if arguments.command == "provision":
        return _provision(arguments)
    if arguments.command == "session":
        return session.session(arguments)
    plan = _planned(arguments)
    settings = merged(arguments, plan)
    if arguments.print_config:
        stdout.write(config.show(settings))
        return 0
    from edge.service import rounds

    if not settings.publish.sinks and not (plan and plan.only_files):
        log.info(
            "nothing is published: add --sink mqtt://HOST, or --sink jsonl:- for this terminal"
        )
    read_again = (lambda: merged(arguments)) if arguments.config and plan is None else None
    order = rounds.Order(arguments.max_frames, arguments.annotate, read_again)
    return rounds.run(settings, order, handler, plan)


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
    stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
