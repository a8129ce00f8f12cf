"""`edge-tools command`: sign a command, send it to a box and wait for the answer."""

from __future__ import annotations

import argparse
import base64
import json
import queue
import re
import secrets
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.commands.receiver import NAMES
from edge.commands.record import ANSWER_PREFIX, ANSWER_SCHEMA, SCHEMA, sign, verified
from edge.errors import ConfigError, DataError, NoInputError, TempError
from edge.messages import ROOT
from edge.publish._address import Broker
from edge.settings.schema import name_problem
from tools.mqtt import login
from tools.mqtt.subscriber import Listener
from tools.sign import load_secret

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


def new_command(
    name: str, device: str, args: Dict[str, Any], answer_to: str, lives_s: float
) -> Dict[str, Any]:
    """An unsigned command. It expires when the wait for its answer ends."""
    now_ns = time.time_ns()
    return {
        "schema": SCHEMA,
        "device": device,
        "name": name,
        "id": secrets.token_hex(8),
        "seq": now_ns,
        "expires_utc_ns": now_ns + int(lives_s * 1e9),
        "answer_to": answer_to,
        "args": args,
    }


def check_answer(answer: Dict[str, Any], box_key: str) -> None:
    """Check that an answer comes from the box.

    Raises:
        DataError: the signature is missing, wrong, or of another box.
    """
    try:
        fine = answer["schema"] == ANSWER_SCHEMA and box_key in ("", answer["key"])
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(answer["key"]))
        fine = fine and verified(answer, public, ANSWER_PREFIX)
    except (KeyError, ValueError, TypeError):
        fine = False
    if not fine:
        raise DataError("the answer is not signed by the box, so anyone may have sent it")


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


class CommandClient(Listener):
    """A connection that receives answers; a context manager.

    Args:
        broker: a checked address.
        device: name of the box.
    """

    def __init__(self, broker: Broker, device: str) -> None:
        super().__init__(broker, [f"{ROOT}/{device}/answer/{secrets.token_hex(8)}"])
        self.topic = self.topics[0]
        self._device = device
        self._answers: queue.Queue[bytes] = queue.Queue()

    def ask(self, name: str, body: bytes, id: str, wait_s: float) -> Dict[str, Any]:
        """Publish a command and return its answer.

        Raises:
            TempError: no answer came.
        """
        properties: Optional[Properties] = None
        if self.v5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic = self.topic
            properties.CorrelationData = id.encode()
            properties.MessageExpiryInterval = max(1, int(wait_s))
        self._client.publish(f"{ROOT}/{self._device}/cmd/{name}", body, 1, False, properties)
        end = time.monotonic() + wait_s
        while True:
            try:
                answer = json.loads(self._answers.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                raise TempError(
                    f"{self._device}: no answer in {wait_s:g} s; check that it is online and that "
                    "its configuration sets commands.allow"
                ) from None
            except (ValueError, RecursionError):
                continue
            if isinstance(answer, dict) and answer.get("id") in (id, ""):
                return answer

    def received(self, message: Any) -> None:
        """Queue the answer for `ask`."""
        self._answers.put(bytes(message.payload))
