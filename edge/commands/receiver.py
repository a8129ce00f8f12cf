"""Receive signed commands: check, execute and answer each one.

A command comes over poses/v1/<device>/cmd/<name>. It is executed if the operator's key signed it
for this box and this name, if it has not expired and was not executed before, and if the
configuration allows its name. Every other command is answered with one reason, and counted. The box
signs its answers with a key that it made itself.
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
from edge.commands.replay_window import ReplayWindow
from edge.errors import ConfigError, EdgeError, TempError
from edge.keys.trust import load_key, read_once
from edge.messages import Incoming, Message
from edge.settings.config import Config

log = logging.getLogger(__name__)

NAMES = ("restart", "reload", "rate", "snapshot", "calibrate-record", "update", "session")
ROOM = 32  # commands that may wait
KEY_BYTES = 32


@dataclass(frozen=True)
class CommandResult:
    """What a handler returns."""

    result: Dict[str, Any] = field(default_factory=dict)  # whole numbers and texts only
    then: Callable[[], None] = lambda: None  # called after the answer is sent


Handler = Callable[[Mapping[str, Any]], CommandResult]


class CommandReceiver:
    """Executes commands one by one in its own thread.

    Args:
        config: the allowed commands, the key, and the state directory.
        handlers: one for each name; a handler raises Refusal or EdgeError to refuse.
        boot_id: of this run.
        wall_ns: the clock for expiry.

    Raises:
        EdgeError: no key, no state directory, or an unknown name is allowed.
    """

    def __init__(
        self,
        config: Config,
        handlers: Mapping[str, Handler],
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
        self._handlers = dict(handlers)
        self._key = operator_key(config)
        self._answer_key = answer_key(folder / "answer.key")
        self._window = ReplayWindow(
            folder / "obeyed.json", wall_ns, witness=folder.with_name("commands.obeyed")
        )
        self.counts: Dict[str, int] = {"obeyed": 0, **dict.fromkeys(REASONS, 0)}
        self._queue: queue.SimpleQueue[Optional[Incoming]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._thread.start()

    def receive(self, incoming: Incoming) -> None:
        """Queue a message; never blocks. Called by the MQTT library's thread."""
        if self._queue.qsize() < ROOM:
            self._queue.put(incoming)
        else:
            self.counts["busy"] += 1

    def close(self, timeout_s: float = 2.0) -> None:
        """Finish the present command, then end the thread."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            incoming = self._queue.get()
            if incoming is None:
                return
            self.handle(incoming)

    def handle(self, incoming: Incoming) -> None:
        """Execute or refuse one command, and answer."""
        command: Optional[Command] = None
        outcome = CommandResult()
        state, reason, detail = "done", "", ""
        try:
            command = parse(incoming.body, self._key)
            self._check(command, incoming)
            outcome = self._execute(command)
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

    def _check(self, command: Command, incoming: Incoming) -> None:
        """Check everything that needs no handler; raises Refusal."""
        if command.device != self._device:
            raise Refusal("other_device", f"it is for {command.device[:32]!r}")
        if command.name != incoming.topic.rpartition("/")[2]:
            raise Refusal("other_name", f"its name is {command.name[:32]!r}, its topic has another")
        now_ns = self._wall_ns()
        if command.expires_utc_ns <= now_ns:
            raise Refusal("expired", "it has expired; compare the clocks of sender and box")
        if command.expires_utc_ns - now_ns > self._max_age_ns:
            longest_s = self._max_age_ns // 10**9
            raise Refusal("too_early", f"it expires later than {longest_s} s from now")
        if command.name not in self._allow or command.name not in self._handlers:
            raise Refusal("not_allowed", f"commands.allow has no {command.name[:32]!r}")
        if command.name == "snapshot" and not answer_topic(command, self._device, ""):
            raise Refusal("bad_arguments", "answer_to: needed: pictures go only to a signed topic")
        if self._window.used(command.seq):
            raise Refusal("replayed", "its number was used, or is too old")

    def _execute(self, command: Command) -> CommandResult:
        """Store the number first: then a command that is cut short is not executed twice."""
        try:
            self._window.add(command.seq)
            return self._handlers[command.name](command.args)
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
            # QoS 0: only a client that waits for it needs it; it is never stored in the outbox.
            incoming.answer(Message(topic, "answer", record, correlation=incoming.correlation))

    def _signed(self, said: Dict[str, Any]) -> Dict[str, Any]:
        record: Dict[str, Any] = codec.plain(said, "answer")  # as readers will see it
        public = self._answer_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        record["key"] = public.hex()
        record["signature"] = self._answer_key.sign(ANSWER_PREFIX + canonical(record)).hex()
        return record


def check(config: Config) -> None:
    """Check the [commands] section.

    Raises:
        ConfigError: an unknown name is allowed, or there is no key.
    """
    for i, name in enumerate(config.commands.allow):
        if name not in NAMES:
            there = ", ".join(NAMES)
            raise ConfigError(f"commands.allow[{i}]: no command {name!r}; there are: {there}")
    if config.commands.allow and not (config.commands.key_file or config.trust.key_file):
        raise ConfigError("commands.key_file: is empty; `edge-tools keygen` makes a key pair")


def operator_key(config: Config) -> Ed25519PublicKey:
    """Load the public key that commands are verified with."""
    return load_key(Path(config.commands.key_file or config.trust.key_file))


def answer_key(path: Path) -> Ed25519PrivateKey:
    """Load the key that signs answers; it is made at the first start.

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
