"""One connection to a broker by paho-mqtt 2, MQTT 5 or 3.1.1."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import ssl
import struct
import threading
from typing import Any, Callable, Dict, Optional, cast

from paho.mqtt.client import Client, MQTTv5, MQTTv311, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties  # type: ignore[attr-defined]
from paho.mqtt.reasoncodes import ReasonCode

from edge import codec
from edge.messages import Incoming, Message
from edge.publish import SinkOptions, _tls
from edge.publish._address import Broker
from edge.publish._backoff import requested_keepalive_s
from edge.publish._connection import SUCCESS, Packet, explain
from edge.publish._inbox import Acknowledged, Connected, ConsumerAcknowledged, Disconnected
from edge.publish._outgoing import MAX_BYTES, WINDOW
from edge.publish._protocol import ProtocolChoice

log = logging.getLogger(__name__)

SEND_BUFFER_BYTES = 2**18  # of the socket: a larger one would only make live frames older
CONNECT_S = 5.0  # for TCP to connect
CLOSE_S = 1.0  # for DISCONNECT to be sent
# The largest packet that we take: commands and acknowledgements are far smaller. MQTT 5 brokers are
# told, so they drop what is larger; with 3.1.1 such a packet ends the connection.
MOST_BYTES_IN = 2**20
ACK_ROOM = 10_000  # acknowledgements of consumers that may wait in the inbox
# What paho 2.0 and 2.1 raise for bytes that are not MQTT.
UNREADABLE = (MQTTException, struct.error, LookupError, ValueError, TypeError, AssertionError)


def new_client(
    broker: Broker, version: str, client_id: str, limit_s: float, kind: type = Client
) -> Any:
    """Make a paho client for a broker; it does not connect.

    Args:
        broker: a checked address.
        version: of MQTT, "5" or "3.1.1".
        client_id: the broker ends an older connection of the same identifier.
        limit_s: for TCP to connect.
        kind: Client, or a subclass of it.
    """
    v5 = version == "5"
    client = kind(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if v5 else True,
        protocol=MQTTv5 if v5 else MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = limit_s
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.tls is not None:
        client.tls_set_context(broker.tls)
    return client


class _Client(Client):
    unreadable: Callable[[Exception], None]

    def _sock_recv(self, bufsize: int) -> bytes:
        """Refuse a packet that is too large before Python allocates its length."""
        if bufsize > MOST_BYTES_IN:
            raise ValueError(f"a packet of {bufsize} bytes; {MOST_BYTES_IN} are allowed")
        return bytes(super()._sock_recv(bufsize))

    def _check_keepalive(self) -> None:
        """Ping once the broker has accepted us; until then the sender limits the waiting."""
        if self.is_connected():
            super()._check_keepalive()

    def loop_forever(self, *args: Any, **named: Any) -> Any:
        """Run paho's thread; bytes that it cannot read end the connection, not the program."""
        try:
            return super().loop_forever(*args, **named)
        except UNREADABLE as error:
            self.unreadable(error)


class PahoConnection:
    """One paho client for one connection: a new client carries nothing over from the last one.

    paho holds its locks while it calls back, so the callbacks only put items into the inbox.

    Args:
        broker: a checked address.
        options: see SinkOptions.
        inbox: of the sender.
        ack_topic: see Sender.
        publish_answer: publishes the answer to an incoming command.
        choice: of the version of MQTT; it is told what the broker answers.
    """

    def __init__(
        self,
        broker: Broker,
        options: SinkOptions,
        inbox: queue.Queue[Any],
        ack_topic: str = "",
        publish_answer: Callable[[Message], None] = lambda message: None,
        choice: Optional[ProtocolChoice] = None,
    ) -> None:
        self._broker = broker
        self._listen = options.listen
        self._ack_topic = ack_topic
        self._publish_answer = publish_answer
        self._choice = choice or ProtocolChoice(broker.settings.protocol)
        self._version = self._choice.next
        self._v5 = self._version == "5"
        self._inbox = inbox
        self._closed = threading.Event()
        self._answered = False
        self._leaving = ""  # why the connection is not used although the broker accepted it
        name = f"edge-{options.device}"
        self._client = new_client(broker, self._version, name, CONNECT_S, _Client)
        self._client.max_inflight_messages_set(WINDOW)
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
        keepalive_s = requested_keepalive_s(self._broker.settings.keepalive_s)
        try:
            self._client.connect(host, port, keepalive_s, **self._of_version_5())
        except (ssl.SSLError, ConnectionResetError) as error:
            if self._broker.tls is None:
                raise
            raise OSError(_tls.explain(error, host, self._broker.settings)) from error
        raw = self._socket()
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()

    def _of_version_5(self) -> Dict[str, Any]:
        if not self._v5:
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MOST_BYTES_IN
        return {"clean_start": True, "properties": properties}

    def publish(self, packet: Packet) -> int:
        """Queue a packet in paho; returns its number."""
        properties = self._properties(packet)
        sent = self._client.publish(
            packet.topic, packet.body, packet.qos, packet.retain, properties
        )
        return int(sent.mid)

    def disconnect(self) -> None:
        """Send DISCONNECT and close: the broker forgets our last will."""
        self._client.disconnect()
        self._closed.wait(CLOSE_S)
        self.abort()

    def abort(self) -> None:
        """Close the socket under paho: callbacks stop, and its thread ends."""
        if not self._answered:
            self._answered = True
            self._choice.unanswered(self._version)
        # loop_stop() would wait for packets under way, and fails if the thread ends meanwhile.
        raw = self._socket()
        if raw is not None:
            with contextlib.suppress(OSError):  # closed already
                # Not SSLSocket.shutdown: it drops the TLS state that paho's thread still uses.
                socket.socket.shutdown(raw, socket.SHUT_RDWR)
        self._client.unreadable = lambda error: None
        # The callbacks refer to us: without them the client is freed now, not by the next garbage
        # collection.
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
        self._answered = True
        if reason.is_failure:
            other = self._choice.refused(self._version, reason.value)
            why = other or f"the broker refused us: {explain(reason)}"
            self._inbox.put(Disconnected(self, why, soon=bool(other)))
            return
        self._leaving = self._choice.accepted(self._version)
        if self._leaving:
            client.disconnect()
            return
        told = self._choice.to_tell(self._version)
        if told:
            log.warning("%s: %s", self._broker.name, told)
        topics = [*self._listen, *([self._ack_topic] if self._ack_topic else [])]
        if topics:
            client.subscribe([(topic, 1) for topic in topics])
        window = getattr(properties, "ReceiveMaximum", None) or WINDOW
        max_bytes = getattr(properties, "MaximumPacketSize", None) or MAX_BYTES
        self._inbox.put(Connected(self, window, max_bytes, self._version))

    def _on_subscribe(self, client: Any, data: Any, packet: int, codes: Any, more: Any) -> None:
        for reason in (code for code in codes if code.is_failure):
            log.warning(
                "%s: does not let us hear commands or answers: %s",
                self._broker.name,
                explain(reason),
            )

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        self._closed.set()
        if self._leaving:
            self._inbox.put(Disconnected(self, self._leaving, soon=True))
        elif flags.is_disconnect_packet_from_server:
            self._inbox.put(Disconnected(self, f"the broker sent us away: {explain(reason)}"))
        elif self._answered:
            self._inbox.put(Disconnected(self, "the connection is lost"))
        else:
            self._answered = True
            why, soon = self._choice.unanswered(self._version)
            if self._broker.tls is not None and not soon:
                why = f"{_tls.explain_closed(self._broker.settings)}; or {why}"
            self._inbox.put(Disconnected(self, why, soon))

    def _on_unreadable(self, error: Exception) -> None:
        log.debug("%s: bytes that are not MQTT", self._broker.name, exc_info=error)
        self._inbox.put(
            Disconnected(self, f"what answers is no MQTT broker, or a broken one ({error!r})")
        )

    def _on_publish(
        self, client: Any, userdata: Any, packet: int, reason: Optional[ReasonCode], properties: Any
    ) -> None:
        code = reason.value if reason is not None else SUCCESS
        refused = reason is not None and reason.is_failure
        self._inbox.put(Acknowledged(self, packet, code, explain(reason) if refused else ""))

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        properties = getattr(message, "properties", None)
        correlation = bytes(getattr(properties, "CorrelationData", None) or b"")
        if message.topic == self._ack_topic:
            if self._inbox.qsize() < ACK_ROOM:  # a flood must not fill the memory
                self._inbox.put(ConsumerAcknowledged(self, correlation))
            return
        response_topic = str(getattr(properties, "ResponseTopic", None) or "")
        incoming = Incoming(
            message.topic, message.payload, response_topic, correlation, self._publish_answer
        )
        for topic, take in self._listen.items():
            if topic_matches_sub(topic, message.topic):
                take(incoming)
