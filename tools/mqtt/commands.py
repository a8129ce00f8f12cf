"""Signed commands to a box, and their answers."""

from __future__ import annotations

import json
import queue
import secrets
import time
from typing import Any, Dict, Optional

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.commands.record import ANSWER_PREFIX, ANSWER_SCHEMA, SCHEMA, verified
from edge.errors import DataError, TempError
from edge.messages import ROOT
from edge.publish._address import Broker
from tools.mqtt.subscriber import Listener


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
