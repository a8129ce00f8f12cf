"""The thread that owns an outbox: neither the loop nor the network waits for the disk.

Whatever arrives during a commit goes into the next commit, so bursts share one fsync and a single
event is stored at once.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List

from edge.messages import Message
from edge.outbox.state_row import Losses
from edge.outbox.store import (
    BATCH_BYTES,
    BATCH_ROWS,
    MAX_BODY_BYTES,
    MINOR,
    NORMAL,
    URGENT,
    Entry,
    Row,
)
from edge.publish._counters import Counters
from edge.publish._fallback_outbox import FallbackOutbox, OutboxSettings
from edge.publish._inbox import FetchRequest, OutboxReplaced, RowsFetched, RowsStored
from edge.structures import PoseEvent

log = logging.getLogger(__name__)

ROOM = 4096  # events on their way from the loop to the disk
FETCH_ROWS = 64
LINGER_S = 0.05  # removals alone can wait: after a kill an event comes twice, none is lost
REPORT_S = 10.0  # between two events about losses
LOOK_S = 2.0  # between two looks at the files while nothing happens
OWN_KINDS = "outbox_"  # how the kinds of events about the outbox itself begin


@dataclass(frozen=True)
class _Remove:
    row_id: int
    token: str


@dataclass(frozen=True)
class _Park:
    row: Row
    reason: str


@dataclass(frozen=True)
class _Unpark:
    row: Row


@dataclass(frozen=True)
class _Close:
    """Commit what came before, then end."""


class OutboxThread:
    """Stores, removes and reads events; any thread may call all but `run` and `step`.

    Args:
        name: the broker, for log lines and events.
        settings: where the outbox is and how events are ranked.
        inbox: of the sender; gets RowsStored, RowsFetched and OutboxReplaced.
        counters: of the sink.
        publish_event: publishes an event about the outbox itself.
    """

    def __init__(
        self,
        name: str,
        settings: OutboxSettings,
        inbox: queue.Queue[Any],
        counters: Counters,
        publish_event: Callable[[PoseEvent], None],
    ) -> None:
        self.connected = False  # set by the sender; losses are reported only while it is true
        self._name, self._settings, self._inbox = name, settings, inbox
        self._counters, self._publish_event = counters, publish_event
        self._queue: queue.Queue[Any] = queue.Queue()
        self._given = self._taken = 0  # events; the loop writes the first, this thread the second
        self._overflowed = 0  # events given up because ROOM was full; the loop writes it
        self._overflow_recorded = 0
        self._stored = self._parked = 0
        self._outbox = FallbackOutbox(name, settings, counters, lambda: inbox.put(OutboxReplaced()))
        self._report_due_s = 0.0
        self._closed = False

    @property
    def durable(self) -> bool:
        """Whether events are on disk at present."""
        return self._outbox.durable

    @property
    def waiting(self) -> int:
        """Number of events not acknowledged and not parked."""
        return self._given - self._taken + self._outbox.waiting

    @property
    def settled(self) -> bool:
        """Whether every event taken is stored or refused."""
        return self._given == self._taken

    def put(self, message: Message) -> None:
        """Take an event from the loop; it is dropped if ROOM events wait for the disk."""
        if self._given - self._taken >= ROOM:
            self._overflowed += 1
            self._counters.add("dropped")
            return
        self._given += 1
        self._queue.put(message)

    def remove(self, row_id: int, token: str) -> None:
        """Remove a delivered event of the outbox with this token."""
        self._queue.put(_Remove(row_id, token))

    def park(self, row: Row, reason: str) -> None:
        """Set aside an event that cannot be delivered, and publish an event that says so."""
        self._queue.put(_Park(row, reason))

    def unpark(self, row: Row) -> None:
        """Let a parked event wait again."""
        self._queue.put(_Unpark(row))

    def fetch(self, request: FetchRequest) -> None:
        """Read rows; a RowsFetched follows in the inbox."""
        self._queue.put(request)

    def close(self) -> None:
        """Commit what came before, then end the thread."""
        self._queue.put(_Close())

    # The thread ------------------------------------------------------------------------------

    def run(self) -> None:
        """Open the outbox and serve it until `close`."""
        self._outbox.open()
        self._update_counters()
        while not self._closed:
            self.step()
        self._finish()

    def step(self) -> None:
        """Take the queued requests: first one commit for all events and removals, then the rest."""
        batch = self._gather()
        self._outbox.return_to_disk()
        self._outbox.follow()
        messages = [b for b in batch if isinstance(b, Message)]
        token = self._outbox.token
        removed = [b.row_id for b in batch if isinstance(b, _Remove) and b.token == token]
        if messages or removed:
            self._commit(messages, removed)
            self._outbox.follow()  # before the rows count as stored
        for request in batch:
            if isinstance(request, FetchRequest):
                self._fetch_rows(request)
            elif isinstance(request, _Park):
                self._park_row(request)
            elif isinstance(request, _Unpark):
                self._outbox.unpark(request.row)
            elif isinstance(request, _Close):
                self._closed = True
        self._report_losses()
        self._update_counters()

    def _gather(self) -> List[Any]:
        batch: List[Any] = []
        size, linger_s = 0, 0.0
        while len(batch) < BATCH_ROWS and size < BATCH_BYTES - MAX_BODY_BYTES:
            try:
                batch.append(self._queue.get(timeout=linger_s if batch else LOOK_S))
            except queue.Empty:
                break
            only_removals = all(isinstance(b, _Remove) for b in batch)
            linger_s = LINGER_S if only_removals else 0.0
            if isinstance(batch[-1], Message):
                size += len(batch[-1].body)
        return batch

    def _commit(self, messages: List[Message], removed: List[int]) -> None:
        puts = [self._entry(m) for m in messages if self._fits(m)]
        rows = self._outbox.commit(puts, removed, self._losses_after(messages))
        self._stored += len(rows)
        if rows:
            self._inbox.put(RowsStored(rows))
        self._taken += len(messages)  # last: once it is seen, the rows are in the inbox

    def _entry(self, message: Message) -> Entry:
        return Entry(message.topic, message.body, self._priority(message.topic.split("/")[-1]))

    def _priority(self, kind: str) -> int:
        if kind in self._settings.urgent or kind.startswith(OWN_KINDS):
            return URGENT
        return MINOR if kind in self._settings.minor else NORMAL

    def _fits(self, message: Message) -> bool:
        size = len(message.body)
        if size > MAX_BODY_BYTES:
            self._counters.add("refused")
            self._report_parked(message.topic, size, f"events have at most {MAX_BODY_BYTES} bytes")
        return size <= MAX_BODY_BYTES

    def _losses_after(self, messages: List[Message]) -> Losses:
        """The losses to store with these messages; some of the messages may report losses."""
        losses, overflowed = self._outbox.losses, self._overflowed
        if overflowed > self._overflow_recorded:
            evicted = losses.evicted + overflowed - self._overflow_recorded
            losses = dataclasses.replace(losses, evicted=evicted)
            self._overflow_recorded = overflowed
        for message in messages:
            data = message.payload.get("data", {})
            if data.get("sink") != self._name:
                continue
            if message.topic.endswith("/outbox_loss"):
                losses = dataclasses.replace(losses, reported=data["total"])
            elif message.topic.endswith("/outbox_reset"):
                losses = dataclasses.replace(losses, reset=None)
        return losses

    # Requests --------------------------------------------------------------------------------

    def _fetch_rows(self, request: FetchRequest) -> None:
        rows = self._outbox.read(request, FETCH_ROWS)
        if rows is not None:
            self._inbox.put(RowsFetched(request, rows))

    def _park_row(self, request: _Park) -> None:
        self._outbox.park(request.row)
        self._report_parked(request.row.topic, len(request.row.body), request.reason)

    def _report_parked(self, topic: str, size: int, reason: str) -> None:
        self._parked += 1
        if not topic.rsplit("/", 1)[-1].startswith(OWN_KINDS):  # or the report is parked, and so on
            self._report_event("outbox_parked", {"topic": topic, "bytes": size, "reason": reason})

    def _report_losses(self) -> None:
        now_s = time.monotonic()
        if not self.connected or now_s < self._report_due_s:
            return
        losses = self._outbox.losses
        if losses.reset:
            self._report_event("outbox_reset", losses.reset)
        if losses.evicted > losses.reported:
            lost = {"lost": losses.evicted - losses.reported, "total": losses.evicted}
            self._report_event("outbox_loss", lost)
        if losses.reset or losses.evicted > losses.reported:
            self._report_due_s = now_s + REPORT_S

    def _report_event(self, kind: str, data: Dict[str, Any]) -> None:
        data = {"sink": self._name, **data}
        self._publish_event(PoseEvent(kind, "device", -1, time.monotonic_ns(), 1.0, data))

    def _update_counters(self) -> None:
        self._counters.outbox = {
            "durable": self.durable,
            "stored": self._stored,
            "parked": self._parked,
            "lost": self._outbox.losses.evicted,
            "resets": self._outbox.resets,
        }

    def _finish(self) -> None:
        left = self._outbox.waiting
        if left and self.durable:
            log.info("%s: %d events wait on disk for the next start", self._name, left)
        elif left:
            self._counters.add("dropped", left)
            log.warning("%s: %d events were not delivered", self._name, left)
        self._outbox.close()
