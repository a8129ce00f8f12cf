"""What the sender and an MQTT library say to each other; knows neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.messages import Message


class Link(Protocol):
    """One connection, used once; the library's side of it."""

    def open(self) -> None:
        """Connect; the answer comes as Up or Down. Raises OSError or ValueError."""

    def publish(self, message: Message) -> int:
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
    refusal: str  # empty = taken


@dataclass(frozen=True)
class Close:
    """Send what is waiting until then, and leave."""

    deadline_s: float  # monotonic
