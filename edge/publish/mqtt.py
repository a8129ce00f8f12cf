"""mqtt://[user@]host[:1883] and mqtts://[user@]host[:8883], MQTT 5 or 3.1.1, by paho-mqtt 2."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import Any, Callable, Optional, cast

from paho.mqtt.client import Client, MQTTv5, MQTTv311, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties  # type: ignore[attr-defined]
from paho.mqtt.reasoncodes import ReasonCode

from edge import codec
from edge.errors import ConfigError
from edge.messages import ROOT, Incoming, Message
from edge.publish import Counters, SinkOptions, _tls
from edge.publish._address import Broker, parse
from edge.publish._backlog import Backlog
from edge.publish._backoff import ping_s
from edge.publish._notes import TAKEN, Answer, Down, Heard, Packet, Up, explain
from edge.publish._outbox_in_use import Settings, outbox_file
from edge.publish._outbox_thread import Store
from edge.publish._ready import lateness
from edge.publish._sender import ANSWER_S, MAX_BYTES, WINDOW, Sender

log = logging.getLogger(__name__)

SEND_BUFFER_BYTES = 2**18  # live frames older than this many bytes are worth nothing
GOODBYE_S = 1.0
HEARD_ROOM = 10_000
# What paho 2.0 and 2.1 raise over bytes that are no MQTT.
UNREADABLE = (MQTTException, struct.error, LookupError, ValueError, TypeError, AssertionError)


def open_sink(uri: str, options: SinkOptions) -> MqttSink:
    """Start connecting to a broker; whether it is there shows later and stops nobody.

    Raises:
        ConfigError, NoInputError, DataError: the address or a file of it cannot be used.
    """
    broker = check(uri, options)
    return MqttSink(broker, options, outbox_file(broker, options))


def check(uri: str, options: SinkOptions) -> Broker:
    """Whether `open_sink` would accept the address; raises the same errors."""
    broker = parse(uri, options.mqtt)
    if options.outbox.ack == "consumer" and broker.settings.protocol != "5":
        raise ConfigError(f'sink {broker.name}: outbox.ack = "consumer" needs mqtt.protocol = "5"')
    folder = Path(options.outbox.path).parent
    if options.outbox.path and not folder.is_dir():
        raise ConfigError(f"outbox.path: {folder}: no such folder; create it")
    return broker


class MqttSink:
    """Messages to one broker; the work is the sender's."""

    reader_left = False  # a broker may come back

    def __init__(self, broker: Broker, options: SinkOptions, path: Optional[Path]) -> None:
        self.name = broker.name
        self.counters = Counters()
        self.counters.outbox = {"durable": False, "stored": 0, "parked": 0, "lost": 0, "resets": 0}
        # No SimpleQueue: in Python 3.8 one can wait for ever when its time-out ends as it looks.
        notes: queue.Queue[Any] = queue.Queue()
        outbox = options.outbox
        settings = Settings(path, outbox.max_mb * 2**20, options.run, outbox.urgent, outbox.minor)
        self._store = Store(broker.name, settings, notes, self.counters, options.tell)
        to_consumer = outbox.ack == "consumer"
        answer_topic = f"{ROOT}/{options.device}/ack" if to_consumer else ""

        def dial(notes: queue.Queue[Any]) -> Connection:
            return Connection(broker, options, notes, answer_topic, self)

        self._sender = Sender(
            broker.name,
            dial,
            self.counters,
            broker.settings.reconnect_max_s,
            self._store,
            Backlog(self._store, lateness(options.run), outbox.answer_s if to_consumer else None),
            notes,
            answer_topic,
        )
        self._disk = threading.Thread(target=self._store.run, name="outbox", daemon=True)
        self._disk.start()
        self._thread = threading.Thread(target=self._sender.run, name="mqtt", daemon=True)
        self._thread.start()
        if options.lossless:
            # A recording must not be half over when the broker has answered.
            self._sender.decided.wait(ANSWER_S)

    @property
    def ok(self) -> bool:
        """Whether the broker is connected."""
        return self._sender.up

    @property
    def waiting(self) -> int:
        """Events that are not acknowledged yet."""
        return self._store.waiting

    def __call__(self, message: Message) -> None:
        """Take a message; never blocks."""
        self._sender.give(message)

    def close(self, timeout_s: float) -> None:
        """Send what is waiting, for at most so long, and say goodbye."""
        self._sender.close(time.monotonic() + timeout_s)
        self._thread.join(timeout_s + GOODBYE_S)
        self._store.close()
        self._disk.join(GOODBYE_S)


class _Client(Client):
    unreadable: Callable[[Exception], None]

    def loop_forever(self, *args: Any, **named: Any) -> Any:
        """Run paho's thread: what it cannot read ends the connection, not the program."""
        try:
            return super().loop_forever(*args, **named)
        except UNREADABLE as error:
            self.unreadable(error)


class Connection:
    """One paho client for one connection: a new one each time carries nothing over.

    paho calls back with its locks held, so callbacks only put notes.
    """

    def __init__(
        self,
        broker: Broker,
        options: SinkOptions,
        notes: queue.Queue[Any],
        answer_topic: str = "",
        publish: Callable[[Message], None] = lambda message: None,
    ) -> None:
        self._broker = broker
        self._listen = options.listen
        self._answer_topic = answer_topic
        self._give = publish
        self._v5 = broker.settings.protocol == "5"
        self._notes = notes
        self._gone = threading.Event()
        self._entered = False
        self._client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"edge-{options.device}",
            clean_session=None if self._v5 else True,
            protocol=MQTTv5 if self._v5 else MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.max_inflight_messages_set(WINDOW)
        self._client.connect_timeout = ANSWER_S
        if broker.user is not None:
            self._client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            self._client.tls_set_context(broker.tls)
        if options.will is not None:
            will = options.will
            properties = self._properties(Packet.of(will), PacketTypes.WILLMESSAGE)
            self._client.will_set(will.topic, will.body, will.qos, will.retain, properties)
        self._client.unreadable = self._on_unreadable
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    def open(self) -> None:
        """Connect and start paho's thread."""
        host, port = self._broker.host, self._broker.port
        keepalive_s = ping_s(self._broker.settings.keepalive_s)
        clean = {"clean_start": True} if self._v5 else {}
        try:
            self._client.connect(host, port, keepalive_s, **clean)  # type: ignore[arg-type]
        except (ssl.SSLError, ConnectionResetError) as error:
            if self._broker.tls is None:
                raise
            raise OSError(_tls.explain(error, host, self._broker.settings)) from error
        raw = self._socket()
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()

    def publish(self, packet: Packet) -> int:
        """Queue a packet in paho; returns its number."""
        properties = self._properties(packet)
        sent = self._client.publish(
            packet.topic, packet.body, packet.qos, packet.retain, properties
        )
        return int(sent.mid)

    def leave(self) -> None:
        """DISCONNECT: the broker forgets our will."""
        self._client.disconnect()
        self._gone.wait(GOODBYE_S)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the socket under paho: callbacks cease, its thread ends whatever is in flight."""
        # loop_stop() would wait for what is in flight, and fails when the thread ends meanwhile.
        raw = self._socket()
        if raw is not None:
            with contextlib.suppress(OSError):  # closed already
                # The plain shutdown: that of a TLS socket would pull its state from paho's thread.
                socket.socket.shutdown(raw, socket.SHUT_RDWR)
        self._client.unreadable = lambda error: None
        # Without its callbacks it goes now, sockets and all, not when Python looks for garbage.
        for name in ("connect", "disconnect", "subscribe", "publish", "message"):
            setattr(self._client, f"on_{name}", None)

    def _socket(self) -> Optional[socket.socket]:
        return cast(Optional[socket.socket], self._client.socket())

    def _properties(self, packet: Packet, kind: int = PacketTypes.PUBLISH) -> Optional[Properties]:
        if not self._v5:
            return None
        properties = Properties(kind)  # type: ignore[no-untyped-call]
        properties.ContentType = packet.content_type
        properties.PayloadFormatIndicator = int(packet.content_type == codec.JSON)
        if packet.expiry_s:
            properties.MessageExpiryInterval = packet.expiry_s
        if packet.response_topic:
            properties.ResponseTopic = packet.response_topic
        if packet.correlation:
            properties.CorrelationData = packet.correlation
        return properties

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self._notes.put(Down(self, f"the broker refused us: {explain(reason)}"))
            return
        self._entered = True
        topics = [*self._listen, *([self._answer_topic] if self._answer_topic else [])]
        if topics:
            client.subscribe([(topic, 1) for topic in topics])
        window = getattr(properties, "ReceiveMaximum", None) or WINDOW
        max_bytes = getattr(properties, "MaximumPacketSize", None) or MAX_BYTES
        self._notes.put(Up(self, window, max_bytes))

    def _on_subscribe(self, client: Any, data: Any, packet: int, codes: Any, more: Any) -> None:
        for reason in (code for code in codes if code.is_failure):
            told = f"does not let us hear commands or answers: {explain(reason)}"
            log.warning("%s: %s", self._broker.name, told)

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        self._gone.set()
        told = flags.is_disconnect_packet_from_server
        why = f"the broker sent us away: {explain(reason)}" if told else "the connection is lost"
        if self._broker.tls is not None and not (told or self._entered):
            why = _tls.hung_up(self._broker.settings)
        self._notes.put(Down(self, why))

    def _on_unreadable(self, error: Exception) -> None:
        log.debug("%s: not understood", self._broker.name, exc_info=error)
        self._notes.put(Down(self, f"what answers is no MQTT broker, or a broken one ({error!r})"))

    def _on_publish(
        self, client: Any, userdata: Any, packet: int, reason: Optional[ReasonCode], properties: Any
    ) -> None:
        code = reason.value if reason is not None else TAKEN
        refused = reason is not None and reason.is_failure
        self._notes.put(Answer(self, packet, code, explain(reason) if refused else ""))

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        properties = getattr(message, "properties", None)
        correlation = bytes(getattr(properties, "CorrelationData", None) or b"")
        if message.topic == self._answer_topic:
            if self._notes.qsize() < HEARD_ROOM:  # a flood of answers is not worth our memory
                self._notes.put(Heard(self, correlation))
            return
        response_topic = str(getattr(properties, "ResponseTopic", None) or "")
        came = Incoming(message.topic, message.payload, response_topic, correlation, self._give)
        for topic, take in self._listen.items():
            if topic_matches_sub(topic, message.topic):
                take(came)
