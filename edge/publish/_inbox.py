"""What other threads put into the inbox of a sender's thread (edge.publish._sender).

The MQTT library reports about its connection, the outbox's thread about rows. A Message in the
inbox comes from the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Protocol, Tuple

from edge.outbox.store import Row
from edge.publish._connection import SUCCESS, Connection

# From the MQTT library --------------------------------------------------------------------------


@dataclass(frozen=True)
class Connected:
    """The broker accepted the connection."""

    connection: Connection
    window: int  # QoS 1 packets that the broker accepts without an acknowledgement
    max_bytes: int  # of one packet
    version: str = "5"  # of MQTT, or the name of another protocol


@dataclass(frozen=True)
class Disconnected:
    """The broker refused the connection, or the connection is lost."""

    connection: Connection
    reason: str
    soon: bool = False  # the next try differs, so it must not wait long
    blameless: bool = False  # no event can be the cause


@dataclass(frozen=True)
class Acknowledged:
    """The broker acknowledged a packet (QoS 1), or the library has written it (QoS 0)."""

    connection: Connection
    packet: int
    code: int = SUCCESS
    refusal: str = ""  # the code in words; empty = accepted


@dataclass(frozen=True)
class ConsumerAcknowledged:
    """A consumer acknowledged an event."""

    connection: Connection
    correlation: bytes


# From the sink ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CloseRequest:
    """Send what is waiting, then disconnect."""

    deadline_s: float  # monotonic


# To and from the outbox's thread ----------------------------------------------------------------


class EventStore(Protocol):
    """The requests that a sender makes to the outbox's thread; none of them blocks."""

    def remove(self, row_id: int, token: str) -> None:
        """Remove a delivered event."""

    def park(self, row: Row, reason: str) -> None:
        """Set aside an event that cannot be delivered."""

    def unpark(self, row: Row) -> None:
        """Let a parked event wait again."""

    def fetch(self, request: FetchRequest) -> None:
        """Read rows; a RowsFetched follows."""


@dataclass(frozen=True)
class RowsStored:
    """Events are stored and may be sent."""

    rows: List[Row]


@dataclass(frozen=True)
class FetchRequest:
    """The sender's request for rows of the outbox; it comes back in a RowsFetched.

    Rows between two ids, or (with `only`) the oldest row of one topic, or (with `parked`) the next
    parked row.
    """

    generation: int  # of the sender's view of the outbox
    cursor: int = 0  # ids above it ...
    below: int = 2**63 - 1  # ... and below this
    without: Tuple[str, ...] = ()  # topics left out
    only: str = ""  # topic
    skip: Tuple[int, ...] = ()  # ids of that topic left out
    parked: bool = False


@dataclass(frozen=True)
class RowsFetched:
    """The answer to a request; no rows = there are no more."""

    request: FetchRequest
    rows: List[Row]


@dataclass(frozen=True)
class OutboxReplaced:
    """Another outbox is in use: row ids and tokens known so far are no longer valid."""
