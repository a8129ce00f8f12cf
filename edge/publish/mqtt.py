"""mqtt://[user@]host[:1883] and mqtts://[user@]host[:8883], MQTT 5 or 3.1.1, by paho-mqtt 2."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import Any, Optional, cast

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge import codec
from edge.messages import Message
from edge.publish import Counters, SinkOptions
from edge.publish._address import Broker, parse
from edge.publish._link import Answer, Down, Up
from edge.publish._sender import ANSWER_S, MAX_BYTES, WINDOW, Sender

SEND_BUFFER_BYTES = 2**18  # live frames older than this many bytes are worth nothing
GOODBYE_S = 1.0
HINTS = {  # CONNACK and DISCONNECT reason codes, MQTT 5 section 2.4
    0x86: "check the user and mqtt.password_file",
    0x87: "check the user, mqtt.password_file and the broker's access list",
    0x84: 'the broker does not speak this version; try mqtt.protocol = "3.1.1"',
    0x8E: "another client has the same name; do two boxes share the device name?",
    0x95: "the message is larger than the broker allows",
}


def open_sink(uri: str, options: SinkOptions) -> MqttSink:
    """Start connecting to a broker; whether it is there shows later and stops nobody.

    Raises:
        ConfigError, NoInputError, DataError: the address or a file of it cannot be used.
    """
    return MqttSink(parse(uri, options.mqtt), options)


def check(uri: str, options: SinkOptions) -> None:
    """Whether `open_sink` would accept the address; raises the same errors."""
    parse(uri, options.mqtt)


class MqttSink:
    """Messages to one broker; the work is the sender's."""

    def __init__(self, broker: Broker, options: SinkOptions) -> None:
        self.name = broker.name
        self.counters = Counters()

        def dial(notes: queue.SimpleQueue[Any]) -> Connection:
            return Connection(broker, options, notes)

        pause_max_s = broker.settings.reconnect_max_s
        self._sender = Sender(broker.name, dial, self.counters, pause_max_s)
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
        """Events that the broker has not taken yet."""
        return self._sender.waiting

    def __call__(self, message: Message) -> None:
        """Take a message; never blocks."""
        self._sender.give(message)

    def close(self, timeout_s: float) -> None:
        """Send what is waiting, for at most so long, and say goodbye."""
        self._sender.close(time.monotonic() + timeout_s)
        self._thread.join(timeout_s + GOODBYE_S)


class Connection:
    """One paho client for one connection: a new one each time carries nothing over.

    paho calls back with its locks held, so callbacks only put notes.
    """

    def __init__(self, broker: Broker, options: SinkOptions, notes: queue.SimpleQueue[Any]) -> None:
        self._broker = broker
        self._v5 = broker.settings.protocol == "5"
        self._notes = notes
        self._gone = threading.Event()
        self._client = Client(
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
            self._client.will_set(will.topic, will.body, will.qos, will.retain)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish

    def open(self) -> None:
        """Connect and start paho's thread."""
        host, port = self._broker.host, self._broker.port
        keepalive_s = self._broker.settings.keepalive_s
        if self._v5:
            self._client.connect(host, port, keepalive_s, clean_start=True)
        else:
            self._client.connect(host, port, keepalive_s)
        raw = self._socket()
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()

    def publish(self, message: Message) -> int:
        """Queue a message in paho; returns its packet number."""
        properties = self._properties(message) if self._v5 else None
        sent = self._client.publish(
            message.topic, message.body, message.qos, message.retain, properties
        )
        return int(sent.mid)

    def leave(self) -> None:
        """DISCONNECT: the broker forgets our will."""
        self._client.disconnect()
        self._gone.wait(GOODBYE_S)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the socket under paho, which then ends its thread whatever is in flight.

        loop_stop() would wait for what is in flight, and fails when the thread ends meanwhile.
        """
        raw = self._socket()
        if raw is not None:
            with contextlib.suppress(OSError):  # closed already
                # The plain shutdown: that of a TLS socket would pull its state from paho's thread.
                socket.socket.shutdown(raw, socket.SHUT_RDWR)

    def _socket(self) -> Optional[socket.socket]:
        return cast(Optional[socket.socket], self._client.socket())

    def _properties(self, message: Message) -> Properties:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = message.content_type
        properties.PayloadFormatIndicator = int(message.content_type == codec.JSON)
        if message.expiry_s:
            properties.MessageExpiryInterval = message.expiry_s
        return properties

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self._notes.put(Down(self, f"the broker refused us: {explain(reason)}"))
            return
        window = getattr(properties, "ReceiveMaximum", None) or WINDOW
        max_bytes = getattr(properties, "MaximumPacketSize", None) or MAX_BYTES
        self._notes.put(Up(self, window, max_bytes))

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        self._gone.set()
        told = flags.is_disconnect_packet_from_server
        why = f"the broker sent us away: {explain(reason)}" if told else "the connection is lost"
        self._notes.put(Down(self, why))

    def _on_publish(
        self, client: Any, userdata: Any, packet: int, reason: Optional[ReasonCode], properties: Any
    ) -> None:
        refused = reason is not None and reason.is_failure
        self._notes.put(Answer(self, packet, explain(reason) if refused else ""))


def explain(reason: Any) -> str:
    """A reason code in words, with what to do about it."""
    hint = HINTS.get(reason.value)
    return f"{reason} (code {reason.value})" + (f"; {hint}" if hint else "")
