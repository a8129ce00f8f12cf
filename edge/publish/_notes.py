"""What the sender, an MQTT library and the outbox's thread say to each other; knows no library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Protocol, Tuple

from edge import codec
from edge.messages import Message
from edge.outbox.store import Row

# PUBACK reason codes, MQTT 5 section 3.4.2.1.
TAKEN = 0x00
NOBODY = 0x10  # no matching subscribers: counts as success there, not here
FINAL = frozenset((0x87, 0x90, 0x99))  # not authorized, topic name invalid, payload invalid

HINTS = {  # CONNACK and DISCONNECT reason codes, MQTT 5 section 2.4
    0x86: "check the user and mqtt.password_file",
    0x87: "check the user, mqtt.password_file and the broker's access list",
    0x84: 'the broker does not speak this version; try mqtt.protocol = "3.1.1"',
    0x8E: "another client has the same name; do two boxes share the device name?",
    0x95: "the message is larger than the broker allows",
}


@dataclass(frozen=True)
class Packet:
    """One publication as it goes out."""

    topic: str
    body: bytes
    qos: int = 0
    retain: bool = False
    expiry_s: int = 0
    content_type: str = codec.JSON
    response_topic: str = ""  # where an answer is wanted; empty = none
    correlation: bytes = b""

    @staticmethod
    def of(message: Message) -> Packet:
        """A message of ours."""
        m = message
        return Packet(
            m.topic, m.body, m.qos, m.retain, m.expiry_s, m.content_type, correlation=m.correlation
        )

    @property
    def size(self) -> int:
        """Bytes, without head and properties."""
        return len(self.body) + len(self.topic) + len(self.response_topic)


class Link(Protocol):
    """One connection, used once; the library's side of it."""

    def open(self) -> None:
        """Connect; the answer comes as Up or Down. Raises OSError or ValueError."""

    def publish(self, packet: Packet) -> int:
        """Hand over; returns the packet number of the Answer to come. Never blocks."""

    def leave(self) -> None:
        """Say goodbye and close."""

    def hang_up(self) -> None:
        """Close without a word: the broker tells our last will."""


@dataclass(frozen=True)
class Up:
    """The broker has let us in."""

    link: Link
    window: int  # acknowledged messages it takes at once
    max_bytes: int  # of one packet


@dataclass(frozen=True)
class Down:
    """It has not, or the connection is gone."""

    link: Link
    reason: str


@dataclass(frozen=True)
class Answer:
    """A packet was acknowledged (QoS 1) or written (QoS 0)."""

    link: Link
    packet: int
    code: int = TAKEN
    refusal: str = ""  # the code in words; empty = taken


@dataclass(frozen=True)
class Heard:
    """A consumer has answered an event."""

    link: Link
    correlation: bytes


@dataclass(frozen=True)
class Close:
    """Send what is waiting until then, and leave."""

    deadline_s: float  # monotonic


@dataclass(frozen=True)
class Stored:
    """These events are safe now and may be sent."""

    rows: List[Row]


@dataclass(frozen=True)
class Fetch:
    """A wish for rows that wait in the outbox."""

    turn: int  # comes back with them
    cursor: int = 0
    below: int = 2**63 - 1
    without: Tuple[str, ...] = ()  # topics
    only: str = ""  # the oldest of this topic alone ...
    skip: Tuple[int, ...] = ()  # ... that is none of these


@dataclass(frozen=True)
class Loaded:
    """The answer to a wish; empty = there are no more."""

    wish: Fetch
    rows: List[Row]


@dataclass(frozen=True)
class Moved:
    """Another outbox is in use: what was known of rows holds no more."""


def event_packet(row: Row, late: bool, answer_topic: str) -> Packet:
    """An event as it goes out; with a topic for answers when a consumer has to give one."""
    body = b'{"historical":true,' + row.body[1:] if late else row.body
    if not answer_topic:
        return Packet(row.topic, body, qos=1)
    return Packet(row.topic, body, qos=1, response_topic=answer_topic, correlation=correlation(row))


def correlation(row: Row) -> bytes:
    """What an answer to this event must carry; cannot be guessed without having seen it."""
    return f"{row.token}-{row.id}".encode("ascii")


def read_correlation(data: bytes) -> Tuple[str, int]:
    """Token and id; ("", 0) when it is nothing of ours, whatever it is."""
    token, mark, digits = data[:64].partition(b"-")
    if not (mark and token.isalnum() and digits.isdigit() and len(digits) <= 18):
        return "", 0
    return token.decode("ascii"), int(digits)


def explain(reason: Any) -> str:
    """A reason code in words, with what to do about it."""
    hint = HINTS.get(reason.value)
    return f"{reason} (code {reason.value})" + (f"; {hint}" if hint else "")
