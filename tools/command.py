"""`edge-tools command`: sign a command, send it to a box and wait for the answer."""

from __future__ import annotations

import argparse
import base64
import json
import re
from pathlib import Path
from typing import Any, Dict, List

from edge.commands.receiver import NAMES
from edge.commands.record import sign
from edge.errors import ConfigError, NoInputError
from edge.settings.schema import name_problem
from tools.mqtt import login
from tools.mqtt.commands import CommandClient, check_answer, new_command
from tools.signing import load_secret

HELP = "sign a command, send it to a box and wait for the answer"
REFUSED = 77  # sysexits EX_NOPERM
LONGEST_WAIT_S = 86400
WHOLE = re.compile(r"-?[0-9]{1,18}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("name", choices=NAMES)
    parser.add_argument(
        "values",
        nargs="*",
        metavar="KEY=VALUE",
        help="arguments: max_hz=5 | camera=door width_px=640 | seconds=60 | file=x.bundle | "
        "action=start name=monday camera=gym template=squat plan=3x10",
    )
    parser.add_argument("--device", required=True, help="name of the box")
    parser.add_argument(
        "--broker",
        default="mqtt://127.0.0.1",
        metavar="mqtt[s]://[user@]host[:port]",
        help="the broker (default: on this machine)",
    )
    parser.add_argument("--key", type=Path, required=True, help="secret key of `keygen`")
    parser.add_argument(
        "--box-key",
        default="",
        metavar="HEX",
        help="refuse answers that are not signed with this key of the box",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=15.0,
        metavar="S",
        help="time to wait for the answer (default: %(default)g)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="F.jpg", help="file for the picture of a snapshot"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    login.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send the command and print the answer."""
    if name_problem(arguments.device):
        raise ConfigError(f"--device: {name_problem(arguments.device)}")
    if not 0 < arguments.wait <= LONGEST_WAIT_S:
        raise ConfigError(f"--wait: must be above 0 and at most {LONGEST_WAIT_S} s")
    args = values(arguments.values)
    if arguments.name == "snapshot" and arguments.out is None:
        raise ConfigError("--out: is missing; name a file for the picture")
    key = load_secret(arguments.key)
    broker = login.broker(arguments.broker, arguments)
    with CommandClient(broker, arguments.device) as client:
        command = new_command(arguments.name, arguments.device, args, client.topic, arguments.wait)
        answer = client.ask(arguments.name, sign(command, key), command["id"], arguments.wait)
    check_answer(answer, arguments.box_key)
    _print(answer, arguments)
    return 0 if answer["state"] == "done" else REFUSED


def values(pairs: List[str]) -> Dict[str, Any]:
    """The record of KEY=VALUE arguments; whole numbers become numbers."""
    found: Dict[str, Any] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name:
            raise ConfigError(f"{pair!r}: expected KEY=VALUE")
        found[name] = int(value) if WHOLE.fullmatch(value) else value
    return found


def _print(answer: Dict[str, Any], arguments: argparse.Namespace) -> None:
    result = dict(answer["result"])
    if "jpeg" in result and arguments.out is not None:
        data = base64.b64decode(result.pop("jpeg"))
        try:
            arguments.out.write_bytes(data)
        except OSError as error:
            raise NoInputError(f"{arguments.out}: {error.strerror}") from error
        result["file"] = str(arguments.out)
    if arguments.json:
        print(json.dumps({**answer, "result": result}))
        return
    reason = f" ({answer['reason']}): {answer['detail']}" if answer["reason"] else ""
    told = " ".join(f"{k}={v}" for k, v in result.items())
    print(f"{arguments.device}: {arguments.name} {answer['state']}{reason} {told}".rstrip())
