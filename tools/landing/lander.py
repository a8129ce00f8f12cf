"""The lander's subscription: what came is held until it is on the disk, then acknowledged."""

from __future__ import annotations

import collections
import contextlib
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, Deque, Dict, List, Optional, Set

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.errors import DataError
from edge.messages import ROOT
from edge.publish._address import Broker
from tools.landing.heat import Heat
from tools.landing.rows import Key, event_row, heartbeat_row, key_of, refused_row
from tools.mqtt.subscriber import Listener, Received

TOPICS = (f"{ROOT}/+/+/event/#", f"{ROOT}/+/metrics")
FRAMES = f"{ROOT}/+/+/frame"
IN_FLIGHT = 1000  # messages that the broker may send before one is acknowledged
SESSION_S = 7 * 24 * 3600  # the broker keeps events for a lander that is away for so long
HEARTBEAT_S = 60.0
ROOM_S = 1.0  # between two looks whether there is room for more
_REMEMBERED = 20_000  # keys of rows that were landed last; 2 MB


@dataclass
class Arrived:
    """A message that waits for its acknowledgement."""

    received: Received
    connection: int  # number of the connection that brought it
    mid: int
    qos: int
    answer_to: Optional[str] = None  # topic of the box that waits for `ack = "consumer"`
    correlation: bytes = b""


@dataclass
class Batch:
    """Messages, and the rows that they become."""

    arrived: List[Arrived]
    rows: List[Dict[str, Any]]
    refused: List[Dict[str, Any]]
    repeated: int  # messages that were landed before


class Lander(Listener):
    """Collects events and heartbeats of all boxes; a context manager.

    The session is persistent, so the broker keeps what comes while nobody is here. Nothing is
    acknowledged before `acknowledge`.

    Args:
        broker: a checked address.
        client_id: names the session; only one lander may have it.
        heat: counts where people stand, from frames; None = frames are not asked for.
    """

    def __init__(self, broker: Broker, client_id: str, heat: Optional[Heat] = None) -> None:
        self._heat = heat
        self._client_id = client_id
        self._connection = 0
        self._arrived: Deque[Arrived] = collections.deque()
        self._most = 0
        self._enough, self._room = threading.Event(), threading.Event()
        self._closing = False
        self._known: Set[Key] = set()
        self._order: Deque[Key] = collections.deque()
        self._alive_ns: Dict[str, int] = {}
        super().__init__(broker, [*TOPICS, FRAMES] if heat else TOPICS)

    def _new_client(self) -> Client:
        return Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            clean_session=None if self.v5 else False,
            protocol=MQTTv5 if self.v5 else MQTTv311,
            manual_ack=True,
        )

    def _connect(self, client: Client) -> None:
        self._closing = False
        if not self.v5:
            client.connect(self._broker.host, self._broker.port)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        properties.ReceiveMaximum = IN_FLIGHT
        client.connect(
            self._broker.host, self._broker.port, clean_start=False, properties=properties
        )

    def close(self) -> None:
        """Disconnect from the broker, which keeps what is not acknowledged."""
        self._closing = True
        self._room.set()
        super().close()

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        self._connection += 1
        super()._on_connect(client, data, flags, reason, more)

    def received(self, message: Any) -> None:
        """Queue the message. Its place in the flight is free only after `acknowledge`."""
        topic = message.topic  # paho decodes it at each look
        if self._heat is not None and Received(topic, b"").kind == "frame":
            self._count(message)
            return
        properties = getattr(message, "properties", None)
        arrived = Arrived(
            Received(topic, message.payload, getattr(properties, "ContentType", None)),
            self._connection,
            message.mid,
            message.qos,
            getattr(properties, "ResponseTopic", None),
            getattr(properties, "CorrelationData", b""),
        )
        self._arrived.append(arrived)
        if len(self._arrived) >= self._most:
            self._enough.set()
        # mosquitto 2.0 sends a long backlog at once, whatever IN_FLIGHT says; so TCP makes it wait,
        # but not before the first batch: the answer to `subscribe` comes after the backlog.
        while self._most and len(self._arrived) >= IN_FLIGHT and not self._closing:
            self._room.clear()
            self._room.wait(ROOM_S)

    def _count(self, message: Any) -> None:
        """Count a frame. It is acknowledged at once: a lost one costs half a second of a count."""
        if self._heat is not None and self._heat.wants(message.topic):
            kind = getattr(getattr(message, "properties", None), "ContentType", None)
            with contextlib.suppress(DataError):  # a foreign message is nobody's place
                self._heat.take(Received(message.topic, message.payload, kind).record())
        if message.qos:
            self._client.ack(message.mid, message.qos)

    def batch(self, wait_s: float, most: int) -> Batch:
        """What came within a time, or earlier if it is much."""
        # Not woken for each message: that would cost as much as the rest of the work.
        self._most = most
        self._enough.clear()
        if len(self._arrived) < most:
            self._enough.wait(wait_s)
        arrived = [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
        self._room.set()
        found = Batch(arrived, [], [], 0)
        for one in arrived:
            self._read(one.received, found)
        if self._heat is not None:
            found.rows += self._heat.rows(time.time_ns())
        return found

    def _read(self, message: Received, found: Batch) -> None:
        """Make a row of a message, unless it was landed before."""
        now_ns = time.time_ns()
        try:
            if message.kind == "metrics":
                row = heartbeat_row(message.record(), now_ns)
                if now_ns - self._alive_ns.get(row["device"], 0) < HEARTBEAT_S * 1e9:
                    return
                self._alive_ns[row["device"]] = now_ns
            else:
                row = event_row(message.topic, message.record(), now_ns)
        except DataError as error:
            found.refused.append(refused_row(message.topic, message.body, str(error), now_ns))
            return
        topic, boot_id, seq = key_of(row)
        key = (sys.intern(topic), sys.intern(boot_id), seq)
        if key in self._known:
            found.repeated += 1
            return
        self._remember(key)
        found.rows.append(row)

    def acknowledge(self, batch: Batch) -> None:
        """Tell boxes and broker that a batch is on the disk."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for one in batch.arrived:
            if one.answer_to:
                # QoS 0 costs half, and paho has written the properties when it returns. A box whose
                # answer is lost with its connection sends the event again, and is answered again.
                properties.CorrelationData = one.correlation
                self._client.publish(one.answer_to, b"", qos=0, properties=properties)
            # The number of a message means another one after a new connection. The broker sends
            # what was not acknowledged again.
            if one.qos and one.connection == self._connection:
                self._client.ack(one.mid, one.qos)

    def _remember(self, key: Key) -> None:
        self._known.add(key)
        self._order.append(key)
        if len(self._order) > _REMEMBERED:
            self._known.discard(self._order.popleft())
