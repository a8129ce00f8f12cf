"""`edge session`: start, pause and end an exercise in the daemon of this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from edge.errors import ConfigError, EdgeError, UnavailableError
from edge.service import stdout
from edge.settings import config

ACTIONS = ("start", "stop", "reset", "pause", "resume")
INSTALLED = Path("/etc/edge/edge.toml")
RUN_FOLDER = Path("/run/edge")  # RuntimeDirectory= of systemd/edge.service
ANSWER_S = 10.0
TEXTS = ("name", "camera", "rule", "plan", "template")


def add_arguments(own: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    own.add_argument("action", choices=ACTIONS, help="pause: count nothing until resume")
    own.add_argument("--name", help="name of the session that starts; default: session")
    own.add_argument("--camera", help="one camera only; default: all")
    own.add_argument("--person", type=int, help="number of the only person who is judged")
    own.add_argument("--place", metavar="X,Y", help="judge only the person who is there, px")
    own.add_argument("--rule", help="rules of this name only, or that look for this template")
    own.add_argument("--plan", metavar="3x10", help="sets x repetitions, or 3x10x5: hold for 5 s")
    own.add_argument("--template", metavar="NAME", help="the exercise that a rule action looks for")
    own.add_argument(
        "--config", type=Path, metavar="F", help=f"the daemon's configuration; default: {INSTALLED}"
    )
    own.add_argument("--json", action="store_true", help="print JSON")


def session(arguments: argparse.Namespace) -> int:
    """Ask the daemon, and print its answer.

    Raises:
        EdgeError: the daemon refuses, or none answers.
    """
    from edge.commands import local_socket

    args = {"action": arguments.action, **_given(arguments)}
    answer = local_socket.ask(_socket(arguments.config), "session", args, ANSWER_S)
    if arguments.json:
        stdout.write(json.dumps(answer) + "\n")
        return int(answer["exit_code"])
    if answer["state"] != "done":
        raise _Refused(answer)
    told = " ".join(f"{key}={value}" for key, value in answer["result"].items() if key != "action")
    stdout.write(f"session {arguments.action}: {told}\n")
    return 0


class _Refused(EdgeError):
    """The daemon's own error."""

    def __init__(self, answer: Dict[str, Any]) -> None:
        super().__init__(str(answer["detail"]))
        self.exit_code = int(answer["exit_code"])


def _given(arguments: argparse.Namespace) -> Dict[str, Any]:
    given = {name: getattr(arguments, name) for name in (*TEXTS, "person")}
    found = {name: value for name, value in given.items() if value is not None}
    if arguments.place is not None:
        x, mark, y = arguments.place.partition(",")
        if not mark or not x.isdigit() or not y.isdigit():
            raise ConfigError(f"--place: {arguments.place!r}: write X,Y in px, such as 640,360")
        found.update(x_px=int(x), y_px=int(y))
    return found


def _socket(path: Optional[Path]) -> Path:
    """The socket of the daemon that a configuration belongs to; the service's comes first."""
    from edge import durable
    from edge.commands.local_socket import NAME

    folders: List[Path] = [] if path else [RUN_FOLDER]
    if path or INSTALLED.exists():
        named = durable.find_state_dir(config.load(path or INSTALLED).state.dir)
        folders += [named] if named else []
    if path:
        folders.append(RUN_FOLDER)
    there = [folder / NAME for folder in folders if (folder / NAME).exists()]
    if not there:
        looked = ", ".join(str(folder / NAME) for folder in folders) or "no folder"
        raise UnavailableError(
            f"no run answers at {looked}; set commands.local = true, start `edge run`, and name "
            "its configuration with --config"
        )
    return there[0]
