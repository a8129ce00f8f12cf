"""What the sender needs of an MQTT library: packets, reason codes, and one connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Tuple

from edge import codec
from edge.messages import Message
from edge.outbox.store import Row

# PUBACK reason codes, MQTT 5 section 3.4.2.1.
SUCCESS = 0x00
NO_SUBSCRIBERS = 0x10  # MQTT counts it as success; an event must reach somebody, so we do not
FINAL_REFUSALS = frozenset((0x87, 0x90, 0x99))  # not authorized, topic name or payload invalid

HINTS = {  # CONNACK and DISCONNECT reason codes, MQTT 5 section 2.4
    0x86: "check the user and mqtt.password_file",
    0x87: "check the user, mqtt.password_file and the broker's access list",
    0x84: 'the broker does not speak this version; try mqtt.protocol = "3.1.1"',
    0x8E: "another client has the same name; do two boxes share the device name?",
    0x95: "the message is larger than the broker allows",
}


@dataclass(frozen=True)
class Packet:
    """One MQTT PUBLISH."""

    topic: str
    body: bytes
    qos: int = 0
    retain: bool = False
    expiry_s: int = 0
    content_type: str = codec.JSON
    response_topic: str = ""  # where consumers acknowledge; empty = no acknowledgement is wanted
    correlation: bytes = b""

    @staticmethod
    def of(message: Message) -> Packet:
        """The packet of a message."""
        m = message
        return Packet(
            m.topic, m.body, m.qos, m.retain, m.expiry_s, m.content_type, correlation=m.correlation
        )

    @property
    def size(self) -> int:
        """Bytes of body and topics, without the packet's header and properties."""
        return len(self.body) + len(self.topic) + len(self.response_topic)


class Connection(Protocol):
    """One connection to a broker, used once. It reports to the inbox of the sender."""

    def open(self) -> None:
        """Connect; Connected or Disconnected follows in the inbox. Raises OSError or ValueError."""

    def publish(self, packet: Packet) -> int:
        """Queue a packet; never blocks.

        Returns:
            The packet number, which comes back in an Acknowledged.
        """

    def disconnect(self) -> None:
        """Send DISCONNECT and close: the broker forgets our last will."""

    def abort(self) -> None:
        """Close without DISCONNECT: the broker publishes our last will."""


def event_packet(row: Row, late: bool, ack_topic: str) -> Packet:
    """The packet of an event.

    Args:
        row: the event in the outbox.
        late: whether it is marked historical.
        ack_topic: where consumers acknowledge it; empty = the broker's acknowledgement is enough.
    """
    body = b'{"historical":true,' + row.body[1:] if late else row.body
    if not ack_topic:
        return Packet(row.topic, body, qos=1)
    return Packet(row.topic, body, qos=1, response_topic=ack_topic, correlation=correlation(row))


def correlation(row: Row) -> bytes:
    """The correlation data of an event; it contains the outbox's random token."""
    return f"{row.token}-{row.id}".encode("ascii")


def read_correlation(data: bytes) -> Tuple[str, int]:
    """Token and row id of correlation data; ("", 0) for data that `correlation` did not make."""
    token, mark, digits = data[:64].partition(b"-")
    if not (mark and token.isalnum() and digits.isdigit() and len(digits) <= 18):
        return "", 0
    return token.decode("ascii"), int(digits)


def explain(reason: Any) -> str:
    """An MQTT reason code in words, with the fix where one is known."""
    hint = HINTS.get(reason.value)
    return f"{reason} (code {reason.value})" + (f"; {hint}" if hint else "")
