"""A subscription at a broker, and the messages that devices publish there."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import time
from types import TracebackType
from typing import Any, Dict, Iterator, Optional, Sequence, Type, TypeVar

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from edge import codec
from edge.errors import UnavailableError
from edge.messages import ROOT
from edge.publish import _tls
from edge.publish._address import Broker
from tools.mqtt.login import HINT

READY_S = 20.0
CLOSED = (
    "the broker closed the connection before it answered: is the port one for TLS (mqtts://) or "
    f"websockets? does it want a certificate ({HINT})?"
)
UNSUPPORTED = "the broker does not speak this version of MQTT: ?protocol=3.1.1 or ?protocol=5"
_L = TypeVar("_L", bound="Listener")


class Received:
    """A received message. Its record is decoded on request."""

    def __init__(self, topic: str, body: bytes, content_type: Optional[str] = None) -> None:
        self.topic, self.body = topic, body
        # MQTT 3.1.1 has no content types. No CBOR map of this project begins with the byte of {.
        self.content_type = content_type or (codec.JSON if body[:1] == b"{" else codec.CBOR)
        self.arrival_ns = time.monotonic_ns()

    @property
    def kind(self) -> str:
        """The kind by topic (status, frame, scene, event, state, metrics); "" for a foreign one."""
        levels = self.topic.split("/")[2:]
        if len(levels) == 4:
            if levels[1] == "scene" and levels[3] == "frame":
                return "scene"
            return "event" if levels[2] == "event" else ""
        return levels[-1] if len(levels) in (2, 3) else ""

    def record(self) -> Dict[str, Any]:
        """The decoded message. Raises DataError if it cannot be decoded."""
        return codec.read(self.body, self.content_type)


class Listener:
    """A subscription at a broker; a context manager.

    Args:
        broker: a checked address.
        topics: the topic filters.

    Raises:
        UnavailableError: on entering: the broker cannot be reached, or refuses.
    """

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        self._broker = broker
        self.topics = topics
        self.v5 = broker.settings.protocol != "3.1.1"
        # Not a SimpleQueue: on Python 3.8 its timeout can be missed.
        self._ready: queue.Queue[str] = queue.Queue()
        self._client = self._make_client()

    def received(self, message: Any) -> None:
        """Handle a message of paho, in paho's thread."""
        raise NotImplementedError

    def linked(self, problem: str) -> None:
        """Handle a change of the connection, in paho's thread.

        Args:
            problem: why no messages come; "" = they come.
        """

    def __enter__(self: _L) -> _L:
        problem = self._subscribe()
        if problem in (CLOSED, UNSUPPORTED) and self._broker.settings.protocol == "auto":
            self.close()
            self.v5 = False
            self._client = self._make_client()
            problem = self._subscribe()
        if problem:
            self.close()
            raise UnavailableError(f"{self._broker.name}: {problem}")
        return self

    def _subscribe(self) -> str:
        """Connect and subscribe; returns what went wrong, "" = nothing."""
        host, settings = self._broker.host, self._broker.settings
        self._ready = queue.Queue()  # what an earlier connection said is over
        try:
            self._connect(self._client)
        except OSError as error:
            if self._broker.tls is not None and isinstance(error, ssl.SSLError):
                return f"{_tls.explain(error, host, settings)} ({HINT})"
            return error.strerror or str(error)
        self._client.loop_start()
        try:
            return self._ready.get(timeout=READY_S)
        except queue.Empty:
            return "connected, but the broker does not answer"

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect from the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _new_client(self) -> Client:
        version = MQTTv5 if self.v5 else MQTTv311
        return Client(CallbackAPIVersion.VERSION2, protocol=version)

    def _connect(self, client: Client) -> None:
        client.connect(self._broker.host, self._broker.port)

    def _make_client(self) -> Client:
        broker, client = self._broker, self._new_client()
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.reconnect_delay_set(1, 5)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if not reason.is_failure:
            client.subscribe([(topic, 1) for topic in self.topics])
            return
        refused = f"refused: {reason} (code {reason.value}); {HINT}"
        self._answer(UNSUPPORTED if reason.value == 0x84 else refused)

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if self._ready.empty():  # read by `_subscribe` alone, once
            self._ready.put(CLOSED)
        self.linked(str(reason))

    def _on_subscribe(self, client: Any, data: Any, mid: int, reasons: Any, more: Any) -> None:
        failed = [f"{t}: {r}" for t, r in zip(self.topics, reasons) if r.is_failure]
        self._answer(failed[0] if failed else "")

    def _answer(self, problem: str) -> None:
        self._ready.put(problem)
        self.linked(problem)

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        _acknowledge(client.socket())
        self.received(message)


def _acknowledge(raw: Optional[socket.socket]) -> None:
    """Tell the broker's TCP at once that data came.

    mosquitto leaves Nagle's algorithm on: it holds a message back while an earlier one is not
    acknowledged, and Linux would acknowledge 40 ms late. Linux forgets this option after a while.
    """
    if raw is not None and hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):  # paho reports a broken connection itself
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Subscriber(Listener):
    """The messages of one device, or of all, in order of arrival.

    Args:
        uri: address of the broker.
        device: its name; "+" = every device.
    """

    def __init__(self, broker: Broker, device: str = "+") -> None:
        super().__init__(broker, [f"{ROOT}/{device}/#"])
        self._messages: queue.Queue[Received] = queue.Queue()

    def messages(self, wait_s: float) -> Iterator[Optional[Received]]:
        """The messages as they arrive, without end; None if none came within `wait_s`."""
        while True:
            try:
                yield self._messages.get(timeout=wait_s)
            except queue.Empty:
                yield None

    def received(self, message: Any) -> None:
        """Queue the message for `messages`."""
        kind = getattr(getattr(message, "properties", None), "ContentType", None)
        self._messages.put(Received(message.topic, message.payload, kind))
