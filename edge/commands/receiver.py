"""Signed commands from a broker, off by default: who asks is checked, what was done is answered.

A command comes over poses/v1/<device>/cmd/<name>. It is obeyed when it is signed with the
operator's key for this box and this name, has not expired, was never obeyed before, and the
configuration allows its name. Whatever is not is answered with one reason, and counted. Answers are
signed with a key that the box makes for itself.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge import codec, durable
from edge.commands.record import (
    ANSWER_PREFIX,
    ANSWER_SCHEMA,
    REASONS,
    Command,
    Refusal,
    answer_topic,
    canonical,
    parse,
)
from edge.commands.replay_window import Memory
from edge.errors import ConfigError, EdgeError, TempError
from edge.keys.trust import load_key, read_once
from edge.messages import Incoming, Message
from edge.settings.config import Config

log = logging.getLogger(__name__)

NAMES = ("restart", "reload", "rate", "snapshot", "calibrate-record", "update")
ROOM = 32  # commands that may wait: more is a flood
KEY_BYTES = 32


@dataclass(frozen=True)
class Outcome:
    """What a deed gives back."""

    result: Dict[str, Any] = field(default_factory=dict)  # whole numbers and texts
    then: Callable[[], None] = lambda: None  # after the answer is on its way


Deed = Callable[[Mapping[str, Any]], Outcome]


class Commands:
    """Checks, does and answers, one after the other, in a thread of its own.

    Args:
        config: who may command what.
        deeds: what each name does; raises Refusal or EdgeError when it cannot.
        boot_id: of this run.
        wall_ns: the clock of expiry.

    Raises:
        EdgeError: no key, no state directory, or names that are none.
    """

    def __init__(
        self,
        config: Config,
        deeds: Mapping[str, Deed],
        boot_id: str,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        check(config)
        folder = durable.make_dir(
            durable.state_dir(config.state.dir, "commands.allow") / "commands"
        )
        self._device, self._boot_id, self._wall_ns = config.device, boot_id, wall_ns
        self._allow = frozenset(config.commands.allow)
        self._max_age_ns = config.commands.max_age_s * 10**9
        self._deeds = dict(deeds)
        self._key = operator_key(config)
        self._own = own_key(folder / "answer.key")
        self._memory = Memory(folder / "obeyed.json", wall_ns)
        self.counts: Dict[str, int] = {"obeyed": 0, **dict.fromkeys(REASONS, 0)}
        self._queue: queue.SimpleQueue[Optional[Incoming]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._thread.start()

    def receive(self, incoming: Incoming) -> None:
        """Take a publication; never blocks, for the library's thread."""
        if self._queue.qsize() < ROOM:
            self._queue.put(incoming)
        else:
            self.counts["busy"] += 1

    def close(self, timeout_s: float = 2.0) -> None:
        """Finish what is under way."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            incoming = self._queue.get()
            if incoming is None:
                return
            self.handle(incoming)

    def handle(self, incoming: Incoming) -> None:
        """Obey or refuse one publication, and answer."""
        command: Optional[Command] = None
        outcome = Outcome()
        state, reason, detail = "done", "", ""
        try:
            command = parse(incoming.body, self._key)
            self._admit(command, incoming)
            outcome = self._obey(command)
            self.counts["obeyed"] += 1
        except Refusal as refusal:
            state, reason, detail = "refused", refusal.reason, refusal.detail
            self.counts[reason] += 1
        log.info("command %r: %s %s", incoming.topic, state, detail)  # a topic may hold line ends
        self._answer(
            command,
            incoming,
            {
                "state": state,
                "reason": reason,
                "detail": detail[:300],
                "result": outcome.result,
            },
        )
        outcome.then()

    def _admit(self, command: Command, incoming: Incoming) -> None:
        """Everything that can be known before anything is done."""
        if command.device != self._device:
            raise Refusal("other_device", f"it is for {command.device[:32]!r}")
        if command.name != incoming.topic.rpartition("/")[2]:
            raise Refusal("other_name", f"it says {command.name[:32]!r}, its topic does not")
        now_ns = self._wall_ns()
        if command.expires_utc_ns <= now_ns:
            raise Refusal("expired", "it expired; is the clock of one of us wrong?")
        if command.expires_utc_ns - now_ns > self._max_age_ns:
            longest_s = self._max_age_ns // 10**9
            raise Refusal("too_early", f"it lives longer than {longest_s} s from now on")
        if command.name not in self._allow or command.name not in self._deeds:
            raise Refusal("not_allowed", f"commands.allow has no {command.name[:32]!r}")
        if command.name == "snapshot" and not answer_topic(command, self._device, ""):
            raise Refusal("bad_arguments", "answer_to: a picture goes only where that is signed")
        if self._memory.known(command.seq):
            raise Refusal("replayed", "its number was used, or newer ones were")

    def _obey(self, command: Command) -> Outcome:
        """Remember first: a command that is cut short is not done twice."""
        try:
            self._memory.add(command.seq)
            return self._deeds[command.name](command.args)
        except ConfigError as error:
            raise Refusal("bad_arguments", str(error)) from error
        except TempError as error:
            raise Refusal("busy", str(error)) from error
        except EdgeError as error:
            raise Refusal("failed", str(error)) from error

    def _answer(self, command: Optional[Command], incoming: Incoming, said: Dict[str, Any]) -> None:
        topic = answer_topic(command, self._device, incoming.response_topic)
        if topic:
            record = self._signed(
                {
                    "schema": ANSWER_SCHEMA,
                    "device": self._device,
                    "boot_id": self._boot_id,
                    "name": command.name if command else "",
                    "id": command.id if command else "",
                    "t_utc_ns": self._wall_ns(),
                    **said,
                }
            )
            # QoS 0: an answer is for who waits for it; it is never written to the outbox.
            incoming.answer(Message(topic, "answer", record, correlation=incoming.correlation))

    def _signed(self, said: Dict[str, Any]) -> Dict[str, Any]:
        record: Dict[str, Any] = codec.plain(said, "answer")  # as every reader will see it
        public = self._own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        record["key"] = public.hex()
        record["signature"] = self._own.sign(ANSWER_PREFIX + canonical(record)).hex()
        return record


def check(config: Config) -> None:
    """Whether the section makes sense.

    Raises:
        ConfigError: names that are none, or no key.
    """
    for i, name in enumerate(config.commands.allow):
        if name not in NAMES:
            there = ", ".join(NAMES)
            raise ConfigError(f"commands.allow[{i}]: no command {name!r}; there are: {there}")
    if config.commands.allow and not (config.commands.key_file or config.trust.key_file):
        raise ConfigError("commands.key_file: is empty; `edge-tools keygen` makes a key pair")


def operator_key(config: Config) -> Ed25519PublicKey:
    """The public key of who may command."""
    return load_key(Path(config.commands.key_file or config.trust.key_file))


def own_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs this box's answers, made at the first start.

    Raises:
        EdgeError: it cannot be read or made.
    """
    if path.exists():
        data = read_once(path, 4096)
        if len(data) != KEY_BYTES:
            raise ConfigError(f"{path}: damaged; remove it, and a new one is made")
        return Ed25519PrivateKey.from_private_bytes(data)
    data = os.urandom(KEY_BYTES)
    durable.save(path, data)
    return Ed25519PrivateKey.from_private_bytes(data)
