"""The newest message of each topic, and the latest events, for any number of browsers.

Producers never wait for a browser, and nothing is queued for one. A browser that is slow misses
frames. Memory is bounded: topics, events and the size of a message have limits.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Deque, Dict, List, Optional, Tuple

from edge import codec
from edge.errors import DataError
from tools.mqtt.subscriber import Received

log = logging.getLogger(__name__)

MAX_TOPICS = 2000
MAX_EVENTS = 500
MAX_BYTES = 4 << 20  # of one message
MAX_EVENT_BYTES = 64 << 10  # without the poses before it
GONE = b"null"  # a retained message that was deleted
LATEST = ("frame", "scene", "state", "status", "metrics")


@dataclass(eq=False)
class Entry:
    """The newest message of a topic, as JSON from the first use on."""

    topic: str
    version: int
    message: Optional[Received] = None
    body: Optional[bytes] = None

    def line(self) -> bytes:
        """The message for server-sent events; empty if it cannot be read."""
        if self.body is None and self.message is not None:
            self.body = as_json(self.message)
        return b"data: %s %s\n\n" % (self.topic.encode(), self.body) if self.body else b""


@dataclass
class Cursor:
    """What one browser has got so far."""

    version: int = 0
    event: int = 0


@dataclass
class _Log:
    """The latest events; one that was delivered twice is kept once."""

    entries: Deque[Tuple[int, bytes]]
    seen: OrderedDict[Tuple[str, str, int], None] = field(default_factory=OrderedDict)
    count: int = 0

    def add(self, topic: str, record: Dict[str, Any]) -> bool:
        key = (topic, str(record["boot_id"]), int(record["seq"]))
        if key in self.seen:
            return False
        self.seen[key] = None
        if len(self.seen) > 4 * (self.entries.maxlen or 0):
            self.seen.popitem(last=False)
        shown = {name: value for name, value in record.items() if name != "preroll"}
        body = codec.to_json(shown)
        if len(body) > MAX_EVENT_BYTES:
            raise ValueError(f"an event of {len(body)} bytes")
        self.count += 1
        self.entries.append((self.count, topic.encode() + b" " + body))
        return True


class Board:
    """Messages on their way from one producer to browsers; may be used by many threads.

    Args:
        max_events: this many of the latest are kept.

    Attributes:
        unreadable: messages that could not be decoded, or were too many or too large.
    """

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._changed = threading.Condition()
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # the newest is last
        self._events = _Log(deque(maxlen=max_events))
        self._version = 0
        self.unreadable = 0

    def take(self, message: Received) -> None:
        """Keep a message of a device; what is not for the page is ignored."""
        kind = message.kind
        if kind not in LATEST and kind != "event":
            return
        if len(message.body) > MAX_BYTES or not _plain(message.topic):
            self._refuse(f"{message.topic!a}: {len(message.body)} bytes")
        elif kind == "event":
            self._take_event(message)
        elif message.body:
            self._put(message.topic, message=message)
        elif message.topic in self._entries:
            self._put(message.topic, body=GONE)

    def _take_event(self, message: Received) -> None:
        try:
            self.event(message.topic, message.record())
        except (DataError, KeyError, TypeError, ValueError) as error:
            self._refuse(f"{message.topic}: {error}")

    def event(self, topic: str, record: Dict[str, Any]) -> None:
        """Add an event to the log, unless it is there already.

        Raises:
            KeyError, TypeError, ValueError: it breaks the contract.
        """
        if not _plain(topic):
            raise ValueError("a topic with a space")
        with self._changed:
            if self._events.add(topic, record):
                self._changed.notify_all()

    def put(self, name: str, record: Dict[str, Any]) -> None:
        """Tell the page something of the viewer itself, under a name that is no topic."""
        self._put(name, body=json.dumps(record, separators=(",", ":")).encode())

    def _put(
        self, topic: str, message: Optional[Received] = None, body: Optional[bytes] = None
    ) -> None:
        with self._changed:
            if topic not in self._entries and len(self._entries) >= MAX_TOPICS:
                self._refuse(f"{topic}: more than {MAX_TOPICS} topics")
                return
            self._version += 1
            self._entries[topic] = Entry(topic, self._version, message, body)
            self._entries.move_to_end(topic)
            self._changed.notify_all()

    def _refuse(self, why: str) -> None:
        self.unreadable += 1
        if self.unreadable == 1:
            log.warning("a message is not shown: %s; further ones are not reported", why)

    def news(self, cursor: Cursor, wait_s: float) -> bytes:
        """What changed since the cursor, which moves; empty if nothing did for `wait_s`.

        Returns:
            Server-sent events, `data: TOPIC JSON`: of each topic the newest message only.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._version > cursor.version or self._events.count > cursor.event, wait_s
            )
            entries = self._newer(cursor.version)
            events = [line for number, line in self._events.entries if number > cursor.event]
            cursor.version, cursor.event = self._version, self._events.count
        # Events come last: the page must know what it shows before.
        return b"".join(self._lines(entries) + [b"data: %s\n\n" % line for line in events])

    def _newer(self, version: int) -> List[Entry]:
        found = []
        for entry in reversed(self._entries.values()):
            if entry.version <= version:
                break
            found.append(entry)
        return found[::-1]

    def _lines(self, entries: List[Entry]) -> List[bytes]:
        """Decoded without the lock: a large frame must not keep the producer waiting."""
        lines = [entry.line() for entry in entries]
        if not all(lines):
            self._refuse(next(e.topic for e, line in zip(entries, lines) if not line))
        return lines


def _plain(topic: str) -> bool:
    """Whether a topic can stand in a line: without spaces, control characters and line ends."""
    return topic.isprintable() and " " not in topic


def as_json(message: Received) -> bytes:
    """The message as JSON on one line; empty if it cannot be decoded."""
    whole = message.content_type == codec.JSON and b"\n" not in message.body
    if whole and b"\r" not in message.body:
        return message.body  # the page parses it, and counts it if it cannot
    try:
        return codec.to_json(message.record())
    except (DataError, TypeError, ValueError):
        return b""
