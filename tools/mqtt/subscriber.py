"""A subscription at a broker, and the messages that devices publish there."""

from __future__ import annotations

import queue
import time
from types import TracebackType
from typing import Any, Dict, Iterator, Optional, Type, TypeVar

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from edge import codec
from edge.errors import UnavailableError
from edge.messages import ROOT
from edge.publish._address import Broker, parse
from edge.settings.config import Mqtt

READY_S = 5.0
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
        """The kind by topic (status, frame, event, state, metrics); "" for a foreign topic."""
        levels = self.topic.split("/")[2:]
        if len(levels) == 4:
            return "event" if levels[2] == "event" else ""
        return levels[-1] if len(levels) in (2, 3) else ""

    def record(self) -> Dict[str, Any]:
        """The decoded message. Raises DataError if it cannot be decoded."""
        return codec.read(self.body, self.content_type)


class Listener:
    """A subscription at a broker; a context manager.

    Args:
        uri: mqtt://[user@]host[:port], with options as in a sink's address.
        topic: the topic filter.

    Raises:
        UnavailableError: on entering: the broker cannot be reached, or refuses.
    """

    def __init__(self, uri: str, topic: str) -> None:
        self._broker: Broker = parse(uri, Mqtt())
        self.topic = topic
        self.v5 = self._broker.settings.protocol == "5"
        # Not a SimpleQueue: on Python 3.8 its timeout can be missed.
        self._ready: queue.Queue[str] = queue.Queue()
        self._client = self._make_client()

    def received(self, message: Any) -> None:
        """Handle a message of paho, in paho's thread."""
        raise NotImplementedError

    def __enter__(self: _L) -> _L:
        name = self._broker.name
        try:
            self._client.connect(self._broker.host, self._broker.port)
        except OSError as error:
            raise UnavailableError(f"{name}: {error.strerror or error}") from error
        self._client.loop_start()
        try:
            problem = self._ready.get(timeout=READY_S)
        except queue.Empty:
            problem = "connected, but the broker does not answer"
        if problem:
            self.close()
            raise UnavailableError(f"{name}: {problem}")
        return self

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

    def _make_client(self) -> Client:
        broker = self._broker
        version = MQTTv5 if self.v5 else MQTTv311
        client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.reconnect_delay_set(1, 5)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._ready.put(f"refused: {reason} (code {reason.value})")
        else:
            client.subscribe(self.topic, qos=1)

    def _on_subscribe(self, client: Any, data: Any, mid: int, reasons: Any, more: Any) -> None:
        failed = [str(r) for r in reasons if r.is_failure]
        self._ready.put(f"{self.topic}: {failed[0]}" if failed else "")

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        self.received(message)


class Subscriber(Listener):
    """The messages of one device, or of all, in order of arrival.

    Args:
        uri: address of the broker.
        device: its name; "+" = every device.
    """

    def __init__(self, uri: str, device: str = "+") -> None:
        super().__init__(uri, f"{ROOT}/{device}/#")
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
