"""A sink whose events wait in an outbox until a peer has acknowledged them."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path
from typing import Any, Callable, Optional

from edge.messages import Message
from edge.publish import SinkOptions
from edge.publish._backlog import Backlog
from edge.publish._connection import Connection
from edge.publish._counters import Counters
from edge.publish._fallback_outbox import OutboxSettings
from edge.publish._outbox_thread import OutboxThread
from edge.publish._send_queues import late_in_run
from edge.publish._sender import ANSWER_S, Sender

GOODBYE_S = 1.0


class EventSink:
    """Sends messages to one peer, with a thread for the network and one for the outbox.

    Args:
        name: the peer's address, for people.
        options: see SinkOptions.
        path: the outbox file; None = in memory.
        dial: makes a connection that reports to the inbox.
        pause_max_s: longest pause between two tries to connect.
        connect_s: time limit for a connection, for a run that must lose nothing.
        ack_topic: where consumers acknowledge events; empty = the peer's word is enough.
        peer: what the peer is, for people.
    """

    reader_left = False  # it may come back

    def __init__(
        self,
        name: str,
        options: SinkOptions,
        path: Optional[Path],
        dial: Callable[[queue.Queue[Any]], Connection],
        pause_max_s: float,
        connect_s: float,
        ack_topic: str = "",
        peer: str = "broker",
    ) -> None:
        self.name = name
        self.counters = Counters()
        self.counters.outbox = {"durable": False, "stored": 0, "parked": 0, "lost": 0, "resets": 0}
        # Not a SimpleQueue: in Python 3.8 its `get` can miss an item at its time-out and hang.
        inbox: queue.Queue[Any] = queue.Queue()
        outbox = options.outbox
        settings = OutboxSettings(
            path, outbox.max_mb * 2**20, options.run, outbox.urgent, outbox.minor
        )
        self._outbox = OutboxThread(name, settings, inbox, self.counters, options.publish_event)
        answer_s = outbox.answer_s if ack_topic else None
        backlog = Backlog(self._outbox, late_in_run(options.run), answer_s)
        self._sender = Sender(
            name,
            dial,
            self.counters,
            pause_max_s,
            self._outbox,
            backlog,
            inbox,
            ack_topic,
            peer=peer,
        )
        self._outbox_thread = threading.Thread(target=self._outbox.run, name="outbox", daemon=True)
        self._outbox_thread.start()
        self._thread = threading.Thread(target=self._sender.run, name=peer, daemon=True)
        self._thread.start()
        if options.lossless:  # or half of a recording is dropped before the peer has answered
            self._sender.first_try_done.wait(connect_s + 2 * ANSWER_S)

    @property
    def ok(self) -> bool:
        """Whether the peer is connected."""
        return self._sender.connected

    @property
    def waiting(self) -> int:
        """Number of events that are not acknowledged yet."""
        return self._outbox.waiting

    def __call__(self, message: Message) -> None:
        """Take a message; never blocks."""
        self._sender.put(message)

    def close(self, timeout_s: float) -> None:
        """Send what is waiting for at most this long, then disconnect."""
        self._sender.close(time.monotonic() + timeout_s)
        self._thread.join(timeout_s + GOODBYE_S)
        self._outbox.close()
        self._outbox_thread.join(GOODBYE_S)
