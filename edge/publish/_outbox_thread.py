"""The thread that owns an outbox: neither the loop nor the network ever waits for the disk.

What comes in while a commit runs is the next commit: bursts share an fsync, a single event waits
for no other. When the disk fails, events are kept in memory and the disk is tried again.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import time
from typing import Any, Callable, Dict, List

from edge.messages import Message
from edge.outbox.sqlite_file import Losses
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
from edge.publish import Counters
from edge.publish._notes import Fetch, Loaded, Moved, Stored
from edge.publish._outbox_in_use import Box, Settings
from edge.structures import PoseEvent

log = logging.getLogger(__name__)

ROOM = 4096  # events on their way from the loop to the disk
FETCH_ROWS = 64
LINGER_S = 0.05  # acknowledgements alone are in no hurry: a kill means a duplicate, no loss
TELL_S = 10.0  # between two events about losses
SELF = "outbox_"  # kinds of events about the outbox itself


class _Done:
    """A row may go."""

    def __init__(self, row_id: int, token: str) -> None:
        self.row_id, self.token = row_id, token


class _Park:
    """A row is left out until the next start."""

    def __init__(self, row: Row, reason: str) -> None:
        self.row, self.reason = row, reason


class _Close:
    """Commit what came before, and end."""


class Store:
    """Everything but `run` may be called from any thread and never blocks.

    Args:
        name: the broker, for people.
        settings: where and how.
        notes: of the sender.
        counters: what became of events.
        tell: publishes an event about ourselves.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        notes: queue.Queue[Any],
        counters: Counters,
        tell: Callable[[PoseEvent], None],
    ) -> None:
        self.connected = False  # the sender says so: losses are told when somebody may listen
        self._name, self._settings, self._notes = name, settings, notes
        self._counters, self._tell = counters, tell
        self._queue: queue.Queue[Any] = queue.Queue()
        self._given = self._taken = 0  # the loop writes the first, this thread the second
        self._over = 0  # given up by the loop for want of ROOM; the loop writes it
        self._over_seen = 0
        self._stored = self._parked = 0
        self._box = Box(name, settings, counters, lambda: notes.put(Moved()))
        self._tell_due_s = 0.0
        self._closed = False

    @property
    def durable(self) -> bool:
        """Whether events survive us at the moment."""
        return self._box.durable

    @property
    def waiting(self) -> int:
        """Events not yet acknowledged and not parked."""
        return self._given - self._taken + self._box.waiting

    @property
    def settled(self) -> bool:
        """Whether everything given is stored."""
        return self._given == self._taken

    def give(self, message: Message) -> None:
        """Take an event from the loop."""
        if self._given - self._taken >= ROOM:
            self._over += 1
            self._counters.add("dropped")
            return
        self._given += 1
        self._queue.put(message)

    def done(self, row_id: int, token: str) -> None:
        """It was acknowledged."""
        self._queue.put(_Done(row_id, token))

    def park(self, row: Row, reason: str) -> None:
        """It cannot be delivered; say so and let the others pass."""
        self._queue.put(_Park(row, reason))

    def fetch(self, wish: Fetch) -> None:
        """Ask for rows; the answer is a note."""
        self._queue.put(wish)

    def close(self) -> None:
        """Have the thread end."""
        self._queue.put(_Close())

    # The thread ------------------------------------------------------------------------------

    def run(self) -> None:
        """Until closed."""
        self._box.open()
        self._report()
        while not self._closed:
            self.turn()
        self._leave()

    def turn(self) -> None:
        """Take what there is, in one commit, then answer wishes."""
        batch = self._gather()
        self._box.return_to_disk()
        messages = [b for b in batch if isinstance(b, Message)]
        token = self._box.token
        done = [b.row_id for b in batch if isinstance(b, _Done) and b.token == token]
        if messages or done:
            self._keep(messages, done)
        for request in batch:
            if isinstance(request, Fetch):
                self._serve(request)
            elif isinstance(request, _Park):
                self._set_aside(request)
            elif isinstance(request, _Close):
                self._closed = True
        self._tell_losses()
        self._report()

    def _gather(self) -> List[Any]:
        batch: List[Any] = []
        size, linger_s = 0, 0.0
        while len(batch) < BATCH_ROWS and size < BATCH_BYTES - MAX_BODY_BYTES:
            try:
                batch.append(self._queue.get(timeout=linger_s if batch else TELL_S))
            except queue.Empty:
                break
            waits = all(isinstance(b, _Done) for b in batch)
            linger_s = LINGER_S if waits else 0.0
            if isinstance(batch[-1], Message):
                size += len(batch[-1].body)
        return batch

    def _keep(self, messages: List[Message], done: List[int]) -> None:
        puts = [self._entry(m) for m in messages if self._fits(m)]
        rows = self._box.commit(puts, done, self._losses_after(messages))
        self._stored += len(rows)
        if rows:
            self._notes.put(Stored(rows))
        self._taken += len(messages)  # last: whoever sees it finds the rows among the notes

    def _entry(self, message: Message) -> Entry:
        return Entry(message.topic, message.body, self._priority(message.topic.split("/")[-1]))

    def _priority(self, kind: str) -> int:
        if kind in self._settings.urgent or kind.startswith(SELF):
            return URGENT
        return MINOR if kind in self._settings.minor else NORMAL

    def _fits(self, message: Message) -> bool:
        size = len(message.body)
        if size > MAX_BODY_BYTES:
            self._counters.add("refused")
            self._say_parked(message.topic, size, f"events have at most {MAX_BODY_BYTES} bytes")
        return size <= MAX_BODY_BYTES

    def _losses_after(self, messages: List[Message]) -> Losses:
        """What is still to be told when these are stored: some of them may tell it."""
        losses, over = self._box.losses, self._over
        if over > self._over_seen:
            losses = dataclasses.replace(losses, evicted=losses.evicted + over - self._over_seen)
            self._over_seen = over
        for message in messages:
            data = message.payload.get("data", {})
            if data.get("sink") != self._name:
                continue
            if message.topic.endswith("/outbox_loss"):
                losses = dataclasses.replace(losses, told=data["total"])
            elif message.topic.endswith("/outbox_reset"):
                losses = dataclasses.replace(losses, reset=None)
        return losses

    # Requests --------------------------------------------------------------------------------

    def _serve(self, wish: Fetch) -> None:
        rows = self._box.read(wish, FETCH_ROWS)
        if rows is not None:
            self._notes.put(Loaded(wish, rows))

    def _set_aside(self, request: _Park) -> None:
        self._box.park(request.row)
        self._say_parked(request.row.topic, len(request.row.body), request.reason)

    def _say_parked(self, topic: str, size: int, reason: str) -> None:
        self._parked += 1
        if not topic.rsplit("/", 1)[-1].startswith(SELF):  # or we would go on for ever
            self._tell_event("outbox_parked", {"topic": topic, "bytes": size, "reason": reason})

    def _tell_losses(self) -> None:
        now_s = time.monotonic()
        if not self.connected or now_s < self._tell_due_s:
            return
        losses = self._box.losses
        if losses.reset:
            self._tell_event("outbox_reset", losses.reset)
        if losses.evicted > losses.told:
            lost = {"lost": losses.evicted - losses.told, "total": losses.evicted}
            self._tell_event("outbox_loss", lost)
        if losses.reset or losses.evicted > losses.told:
            self._tell_due_s = now_s + TELL_S

    def _tell_event(self, kind: str, data: Dict[str, Any]) -> None:
        data = {"sink": self._name, **data}
        self._tell(PoseEvent(kind, "device", -1, time.monotonic_ns(), 1.0, data))

    def _report(self) -> None:
        self._counters.outbox = {
            "durable": self.durable,
            "stored": self._stored,
            "parked": self._parked,
            "lost": self._box.losses.evicted,
            "resets": self._box.resets,
        }

    def _leave(self) -> None:
        left = self._box.waiting
        if left and self.durable:
            log.info("%s: %d events wait on disk for the next start", self._name, left)
        elif left:
            self._counters.add("dropped", left)
            log.warning("%s: %d events were not delivered", self._name, left)
        self._box.close()
