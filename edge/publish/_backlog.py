"""Which event of the outbox is sent next, which are under way, and which have to wait.

There are two queues: events that have just been stored, and events read from the outbox in the
order of their ids (after an outage or a restart). They take turns, so that an alarm does not wait
behind a day of old events. Each queue keeps its order.

If nobody accepts the events of a topic, the whole topic is held, and one of its events is tried
from time to time; other topics are sent meanwhile. The sender's thread owns all of this.
"""

from __future__ import annotations

import time
from typing import Callable, Iterator, List, Optional, Tuple

from edge.outbox.store import Row
from edge.publish._connection import FINAL_REFUSALS, NO_SUBSCRIBERS, SUCCESS, read_correlation
from edge.publish._inbox import EventStore, FetchRequest, RowsFetched
from edge.publish._live_order import LiveOrder
from edge.publish._parked import ParkedRetry
from edge.publish._row_reader import RowReader
from edge.publish._send_queues import PAUSE_MAX_S, PAUSE_S, HeldTopics, SendQueues
from edge.publish._suspects import STRIKES, Suspects
from edge.publish._unanswered import Unanswered
from edge.publish._under_way import UnderWay

FRESH_ROOM = 256  # newly stored events in memory; further ones are read from the outbox later
ANSWERS = 256  # events that may wait for a consumer at once


class Backlog:
    """The events of one broker.

    Args:
        store: the outbox's thread.
        late: whether a row is late if it is sent now.
        answer_s: how long a consumer may take to acknowledge; None = the broker's word is enough.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: EventStore,
        late: Callable[[Row], bool],
        answer_s: Optional[float] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._late = store, late
        self._answer_s, self._clock = answer_s, clock
        self._queues = SendQueues()
        self._token = ""  # of the outbox of these rows
        self._reader = RowReader()
        self._unacked = UnderWay()
        self._unanswered = Unanswered(answer_s or 0.0)
        self._held = HeldTopics()
        self._live_order, self._suspects, self._retry = LiveOrder(), Suspects(), ParkedRetry()

    # Rows in --------------------------------------------------------------------------------

    def stored(self, rows: List[Row], up: bool) -> None:
        """Queue rows that were stored, or leave them to a later fetch.

        Args:
            rows: at least one, in the order of ids.
            up: whether there is a connection.
        """
        self._reader.stored(rows)
        if not up or len(self._queues.fresh) + len(rows) > FRESH_ROOM:
            self._fetch_again()
            return
        self._token = rows[-1].token
        self._reader.fresh(rows)
        self._queues.fresh.extend(r for r in rows if r.topic not in self._held)

    def fetched(self, answer: RowsFetched) -> None:
        """Queue rows that were read from the outbox."""
        if answer.request.only:
            self._queue_probe(answer)
            return
        if answer.request.parked:
            self._retry.fetched(answer.request, answer.rows, self._clock())
            return
        rows = self._reader.fetched(answer, set(self._busy()))
        if rows is None:
            return
        if answer.rows:
            self._token = answer.rows[-1].token
        elif not self._queues.old:
            self._queues.old_is_historical = False
        self._queues.old.extend(rows)

    def _queue_probe(self, answer: RowsFetched) -> None:
        if not answer.rows:
            self._held.drop(answer.request.only)
        elif answer.request.generation == self._reader.generation:
            busy = set(self._busy())
            self._queues.probes.extend(r for r in answer.rows if r.id not in busy)

    def restart(self) -> None:
        """There is a new connection or outbox: read everything unacknowledged again."""
        self._unacked.clear()
        self._unanswered.clear()
        self._held.clear()
        self._fetch_again()

    def outbox_replaced(self) -> None:
        """Start again with another outbox, whose ids begin at 1."""
        self._reader.replaced()
        self._live_order.clear()
        self._suspects.clear()
        self._retry = ParkedRetry()
        self.restart()

    def _release_held(self) -> None:
        self._held.clear()
        self._fetch_again()

    def _fetch_again(self) -> None:
        self._queues.clear()
        self._reader.again()

    # Rows out -------------------------------------------------------------------------------

    @property
    def under_way(self) -> int:
        """Number of events sent and not yet acknowledged by the broker."""
        return len(self._unacked)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing can be sent now."""
        return not (self._unacked or self._unanswered or self._reader.more or self._queues.any)

    def next(self) -> Optional[Tuple[Row, bool]]:
        """Take the next event; the caller then calls `sent` or `park`.

        Returns:
            The row, and whether it is marked historical; None if no event may be sent now.
        """
        if self._unacked and (self._suspects or self._retry.row):
            return None  # one by one after a lost connection, to find the event that ended it
        if self._retry.row:
            self._retry.under_way = True
            return self._retry.row, True
        if len(self._unanswered) >= ANSWERS:
            return None
        while True:
            probe = bool(self._queues.probes)
            found = self._queues.take(self._late, self._reader.more)
            if found is None:
                return None
            if probe or found[0].topic not in self._held:
                return found[0], self._live_order.historical(*found)

    def sent(self, packet: int, row: Row) -> None:
        """An event was sent under this packet number."""
        self._unacked.add(packet, row, self._clock())

    def park(self, row: Row, reason: str) -> None:
        """Set aside an event that cannot be delivered."""
        self._suspects.cleared(row.id)
        self._live_order.finished(row.id)
        if self._retry.is_trying(row.id):
            self._retry.answered(accepted=False)
            return
        self._reader.finished(row.id)
        self._store.park(row, reason)
        self._retry.parked()

    def _busy(self) -> Iterator[int]:
        """Ids of rows that are under way or queued and must not be queued twice."""
        yield from (u.row.id for u in self._unacked)
        yield from (row.id for row in self._unanswered)
        yield from (r.id for r in self._queues.probes)
        yield from (r.id for r in self._queues.fresh)

    # Acknowledgements -------------------------------------------------------------------------

    def acknowledged(self, packet: int, code: int, reason: str) -> Optional[Tuple[Row, bool]]:
        """The broker has acknowledged or refused a packet.

        Args:
            packet: its number.
            code: MQTT 5 reason code.
            reason: the code in words.

        Returns:
            The row, and whether it is delivered; None if the packet is no event.
        """
        found = self._unacked.answered(packet)
        if found is None:
            return None
        row = found.row
        self._suspects.cleared(row.id)
        if self._retry.is_trying(row.id) and code not in FINAL_REFUSALS:
            self._retry.answered(accepted=True)
            self._store.unpark(row)
        if found.consumer_acknowledged:
            return row, False
        if code in FINAL_REFUSALS:
            self.park(row, reason)
        elif code != SUCCESS:
            pause_s = PAUSE_S if code == NO_SUBSCRIBERS else PAUSE_MAX_S
            self._held.hold(row.topic, self._clock(), pause_s)
        elif self._answer_s is None:
            self._finish(row.id, row.token, row.topic)
        else:
            self._unanswered.add(row, self._clock())
        return row, code == SUCCESS and self._answer_s is None

    def consumer_acknowledged(self, correlation: bytes) -> bool:
        """A consumer has acknowledged an event; `correlation` may be anything.

        Returns:
            Whether it is an event that was waiting for this.
        """
        token, row_id = read_correlation(correlation)
        if not token or token != self._token:
            return False
        row = self._unanswered.pop(row_id) or self._unacked.answered_by_consumer(row_id)
        self._finish(row_id, token, row.topic if row else "")
        if row is None and self._held.topics:
            self._release_held()  # the time was over, but there is a consumer
        return row is not None

    def _finish(self, row_id: int, token: str, topic: str) -> None:
        self._reader.finished(row_id)
        self._live_order.finished(row_id)
        self._store.remove(row_id, token)
        if topic in self._held:
            self._release_held()

    def tick(self) -> None:
        """Fetch rows, try held topics, and give up waiting for consumers that took too long."""
        now_s = self._clock()
        for topic in self._unanswered.expire(now_s):
            self._held.unanswered(topic, now_s, min(PAUSE_S, self._answer_s or PAUSE_S))
        for topic in self._held.due(now_s):
            skip = self._unacked.ids(topic) + [r.id for r in self._unanswered if r.topic == topic]
            request = FetchRequest(self._reader.generation, only=topic, skip=tuple(skip))
            self._store.fetch(request)
        wanted = self._retry.wanted(now_s, self._reader.generation)
        if wanted is not None:
            self._store.fetch(wanted)
        if len(self._queues.old) < FRESH_ROOM // 8:
            wanted = self._reader.request(self._held.topics)
            if wanted is not None:
                self._store.fetch(wanted)

    def due_s(self) -> List[float]:
        """When `tick` has something to do, in monotonic seconds."""
        return self._held.due_s() + self._unanswered.due_s() + self._retry.due_s()

    def connection_lost(self, others_accepted: bool = True) -> Optional[Row]:
        """The connection has ended; everything unacknowledged is sent again.

        They are sent one by one; an event that ends connections is parked (see _suspects).

        Args:
            others_accepted: whether the broker had acknowledged all other messages.

        Returns:
            The event that was parked; None if there is none.
        """
        now_s = self._clock()
        tried = self._retry.row.id if self._retry.row else 0
        self._retry.connection_lost()
        under_way = [(u.row, now_s - u.since_s) for u in self._unacked if u.row.id != tried]
        cause = self._suspects.connection_lost(under_way, others_accepted)
        if cause is not None:
            self.park(cause, f"ended {STRIKES} connections")
        self.restart()
        return cause

    def connection_refused(self) -> None:
        """The connection has ended for a reason that lies in no event; all are sent again."""
        self._retry.connection_lost()
        self.restart()

    @property
    def one_by_one(self) -> bool:
        """Whether events are sent one by one, because one of them may end connections."""
        return bool(self._suspects)

    @property
    def waits_for_steady(self) -> bool:
        """Whether something changes once the connection has lasted."""
        return self.one_by_one or self._retry.waits_for_steady

    def steady(self) -> None:
        """The connection has lasted: no event is the cause of the last loss."""
        self._suspects.clear()
        self._retry.steady(self._clock())

    def silent(self, packet: int) -> Optional[Row]:
        """The broker does not acknowledge a packet, and the connection is given up.

        Returns:
            The event, if it is one; it is parked if later events were acknowledged STRIKES times.
        """
        row, skipped = self._unacked.silent(packet)
        if row is not None and skipped:
            self.park(row, f"not acknowledged on {STRIKES} connections; later events were")
        return row
