"""What is sent on the present connection, and in which order."""

from __future__ import annotations

import dataclasses
from typing import Callable, Optional

from edge.messages import Message
from edge.outbox.store import Row
from edge.publish import _connection
from edge.publish._ack_watch import AckWatch
from edge.publish._backlog import Backlog
from edge.publish._connection import Connection, Packet
from edge.publish._counters import Counters
from edge.publish._inbox import Acknowledged, Connected
from edge.publish._live_frames import LiveFrames
from edge.publish._retained import Retained

LIVE_BYTES = 2**20  # live frames that the connection has queued and not written
WINDOW = 20  # QoS 1 packets under way at once
MAX_BYTES = 2**28 - 1  # MQTT 5 section 2.1.4: the largest remaining length
HEAD_BYTES = 128  # more than packet header and our properties take beside topic and body


class Outgoing:
    """Live frames, retained messages and events of one broker.

    Args:
        counters: of the sink.
        backlog: which event is sent when.
        ack_topic: where consumers acknowledge events; empty = the broker's word is enough.
        log_once: logs a line about a subject.
        clock: monotonic seconds, for acknowledgements.
    """

    def __init__(
        self,
        counters: Counters,
        backlog: Backlog,
        ack_topic: str,
        log_once: Callable[[str, str], None],
        clock: Callable[[], float],
    ) -> None:
        self.retained, self.live, self.watch = Retained(), LiveFrames(), AckWatch(clock)
        self._counters, self._backlog, self._ack_topic = counters, backlog, ack_topic
        self._log_once = log_once
        self._window, self._max_bytes = WINDOW, MAX_BYTES
        self._connection: Optional[Connection] = None

    def connected(self, note: Connected) -> None:
        """There is a new connection: every retained message is sent again."""
        self._connection = note.connection
        self._window, self._max_bytes = min(WINDOW, note.window), note.max_bytes
        self.retained.resend_all()

    def lost(self) -> None:
        """The connection is over."""
        self._connection = None
        self._counters.add("dropped", self.live.clear())
        self.retained.under_way.clear()
        self.watch.clear()

    def take(self, message: Message) -> None:
        """Send a live frame, or keep a retained message for `send_retained`."""
        if message.retain:
            self.retained.add(message)
        elif self._connection is not None and self.live.bytes < LIVE_BYTES:
            packet = Packet.of(message)
            if self._fits(packet):
                self.live.sent(self._connection.publish(packet), len(packet.body))
        else:
            self._counters.add("dropped")

    def acknowledged(self, note: Acknowledged) -> bool:
        """The broker has answered a packet; returns whether it was no event."""
        self.watch.acknowledged(note.packet)
        topic = self.retained.under_way.pop(note.packet, None)
        if topic is None and not self.live.done(note.packet):
            return False
        self._counters.add("refused" if note.refusal else "sent")
        if note.refusal:
            what = topic or "a live frame"
            self._log_once(what, f"{what}: refused: {note.refusal}")
        return True

    def silent(self) -> str:
        """Return the topic of a packet that is not acknowledged for too long; "" = none."""
        packet = self.watch.silent()
        if packet is None:
            return ""
        row = self._backlog.silent(packet)
        return row.topic if row else self.retained.under_way.get(packet, "a message")

    def send_retained(self, goodbye: bool = False) -> None:
        """Send retained messages while there is room.

        Args:
            goodbye: events that are not acknowledged fill the window, and there is no more time:
                messages that find no room are sent with QoS 0, which needs none.
        """
        while self._connection and (goodbye or self._has_room()):
            message = self.retained.next()
            if message is None:
                return
            packet = Packet.of(message)
            if not self._fits(packet):
                continue
            if not self._has_room():
                packet = dataclasses.replace(packet, qos=0)
            number = self._connection.publish(packet)
            self.retained.under_way[number] = packet.topic
            self.watch.sent(number)

    def send_events(self) -> None:
        """Send events while there is room."""
        while self._connection and self._has_room():
            found = self._backlog.next()
            if found is None:
                break
            row, late = found
            packet = _connection.event_packet(row, late, self._ack_topic)
            if self._fits(packet):
                self._send_event(self._connection, packet, row)
            else:
                self._backlog.park(row, f"the broker takes only {self._max_bytes} bytes")
        self._backlog.tick()

    def _send_event(self, connection: Connection, packet: Packet, row: Row) -> None:
        try:
            number = connection.publish(packet)
        except ValueError as error:  # a topic of a file that somebody else has written
            self._counters.add("refused")
            self._backlog.park(row, f"MQTT cannot send it: {error}")
        else:
            self._backlog.sent(number, row)
            self.watch.sent(number)

    def _has_room(self) -> bool:
        return self._backlog.under_way + len(self.retained.under_way) < self._window

    def _fits(self, packet: Packet) -> bool:
        """Whether the broker takes a packet of this size; a larger one ends the connection."""
        size = packet.size + HEAD_BYTES
        if size <= self._max_bytes:
            return True
        self._counters.add("refused")
        text = f"{packet.topic}: {size} bytes, the broker takes only {self._max_bytes}"
        self._log_once(packet.topic, text)
        return False
