"""The form of a signed command, and its check.

A command is a JSON object in canonical form: keys sorted, no spaces, ASCII, whole numbers.
`signature` is ed25519 (RFC 8032) in hex over `PREFIX` and the canonical form of all other fields.
Because of the prefix a signature under other data, such as a list of models, is never valid for a
command.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, NoReturn, Optional

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.errors import DataError
from edge.messages import ROOT
from edge.settings.schema import name_problem

SCHEMA, ANSWER_SCHEMA = "command/1", "answer/1"
PREFIX, ANSWER_PREFIX = b"edge-command/1\n", b"edge-answer/1\n"
MAX_BYTES = 16384
FIELDS = {
    "schema": str,
    "device": str,
    "name": str,
    "id": str,
    "seq": int,
    "expires_utc_ns": int,
    "answer_to": str,
    "args": dict,
    "signature": str,
}
REASONS = (
    "malformed",
    "foreign",
    "other_device",
    "other_name",
    "expired",
    "too_early",
    "not_allowed",
    "replayed",
    "bad_arguments",
    "busy",
    "failed",
)


class Refusal(Exception):
    """Why a command is not executed: one word of REASONS, and a line for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Command:
    """A command whose signature was verified."""

    device: str
    name: str
    id: str  # repeated in the answer
    seq: int  # the sender's clock in ns when the command was made; used once
    expires_utc_ns: int
    answer_to: str  # topic; empty = the MQTT 5 response topic
    args: Dict[str, Any]


def canonical(record: Dict[str, Any]) -> bytes:
    """Return the canonical form of a record."""
    return json.dumps(
        record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def sign(record: Dict[str, Any], key: Ed25519PrivateKey, prefix: bytes = PREFIX) -> bytes:
    """Return a record with its signature, in canonical form."""
    signature = key.sign(prefix + canonical(record)).hex()
    return canonical({**record, "signature": signature})


def verified(record: Dict[str, Any], key: Ed25519PublicKey, prefix: bytes = PREFIX) -> bool:
    """Whether the signature of a record is by this key."""
    rest = {name: value for name, value in record.items() if name != "signature"}
    try:
        signature = bytes.fromhex(record["signature"])
        if signature.hex() != record["signature"]:  # fromhex takes spaces and capitals, too
            return False
        key.verify(signature, prefix + canonical(rest))
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
    return True


def parse(body: bytes, key: Ed25519PublicKey) -> Command:
    """Read a command and verify its signature.

    Args:
        body: from the network, so it may be anything.
        key: the operator's.

    Raises:
        Refusal: malformed or foreign.
    """
    record = read(body)
    if set(record) != set(FIELDS) or record["schema"] != SCHEMA:
        raise Refusal("malformed", f"expected exactly the fields of {SCHEMA}")
    for name, kind in FIELDS.items():
        if type(record[name]) is not kind:
            raise Refusal("malformed", f"{name}: expected {kind.__name__}")
    if not verified(record, key):
        raise Refusal("foreign", "not signed with the key of this box's operator")
    fields = {n: v for n, v in record.items() if n not in ("schema", "signature")}
    return Command(**fields)


def read(body: bytes) -> Dict[str, Any]:
    """Read a record in canonical form.

    Raises:
        Refusal: malformed.
    """
    if len(body) > MAX_BYTES:
        raise Refusal("malformed", f"{len(body)} bytes; at most {MAX_BYTES}")
    try:
        record = json.loads(body.decode("ascii"), parse_float=_no, parse_constant=_no)
        if isinstance(record, dict) and canonical(record) == bytes(body):
            return record
    except (ValueError, RecursionError, DataError):
        pass
    raise Refusal("malformed", "not a JSON object in canonical form (command.json tells which)")


def _no(text: str) -> NoReturn:
    raise DataError(f"{text[:20]}: numbers must be whole")


def answer_topic(command: Optional[Command], device: str, property_topic: str) -> str:
    """Return the topic of an answer; "" = no answer.

    The signed field has precedence over the packet's property. Only topics under this box's own
    `answer/` are accepted, so that a stranger cannot make the box publish elsewhere.

    Args:
        command: None if it could not be read.
        device: this box.
        property_topic: the MQTT 5 response topic; empty = none.
    """
    start = f"{ROOT}/{device}/answer/"
    wanted = [command.answer_to if command is not None else "", property_topic]
    fits = (w for w in wanted if w.startswith(start) and name_problem(w[len(start) :]) is None)
    return next(fits, "")
