"""What of the outbox is to be sent next, what is under way, and what has to wait.

Two lanes: events that have just been stored, and those read from the outbox in the order of their
ids (after an outage or a restart). They take turns, so that an alarm never stands behind a day of
history. Live events keep their order, and so do those marked historical. A topic whose events
nobody takes is held back, all of it, and one of its events is tried from time to time; the others
pass. Owned by the sender's thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Protocol, Set, Tuple

from edge.outbox.store import Row
from edge.publish._notes import FINAL, NOBODY, TAKEN, Fetch, Loaded, read_correlation
from edge.publish._ready import PAUSE_MAX_S, PAUSE_S, Held, Lanes

FRESH_ROOM = 256  # newly stored events in memory; more are read from the outbox again
ANSWERS = 256  # events that wait for a consumer at once
SUSPECT_S = 3.0  # a connection that ends so soon after an event was sent alone ...
STRIKES = 3  # ... so often in a row, ends because of it
FOR_EVER = 2**63 - 1


class Shelf(Protocol):
    """What the outbox's thread does for us (edge.publish._outbox_thread)."""

    def done(self, row_id: int, token: str) -> None:
        """A row may go."""

    def park(self, row: Row, reason: str) -> None:
        """A row cannot be delivered."""

    def fetch(self, wish: Fetch) -> None:
        """Rows are wanted."""


@dataclass
class _UnderWay:
    row: Row
    since_s: float
    answered: bool = False  # before the broker acknowledged it


class Backlog:
    """The events of one broker.

    Args:
        shelf: the outbox's thread.
        late: whether a row told now is history.
        answer_s: with a level of `consumer`, how long an answer may take; None = the broker's
            acknowledgement is enough.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        shelf: Shelf,
        late: Callable[[Row], bool],
        answer_s: Optional[float] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shelf, self._late = shelf, late
        self._answer_s, self._clock = answer_s, clock
        self._lanes = Lanes()
        self._top = FOR_EVER  # ids from here on came by `stored`; those below are read again
        self._last = 0  # highest id seen
        self._token = ""  # of the rows seen
        self._cursor = 0
        self._more = True  # the outbox may have rows between cursor and top
        self._wish: Optional[Fetch] = None  # under way to the outbox
        self._turn = 0
        self._gone: Set[int] = set()  # acknowledged since that wish
        self._unacked: Dict[int, _UnderWay] = {}  # by packet number
        self._unanswered: Dict[int, _UnderWay] = {}  # by row id
        self._held = Held()
        self._suspects: Set[int] = set()
        self._strikes: Dict[int, int] = {}

    # Rows in --------------------------------------------------------------------------------

    def stored(self, rows: List[Row], up: bool) -> None:
        """Rows were stored; kept in memory while there is room and a connection."""
        self._last = rows[-1].id
        if not up or len(self._lanes.fresh) + len(rows) > FRESH_ROOM:
            self._read_again()
            return
        self._token = rows[-1].token
        self._top = min(self._top, rows[0].id)
        self._lanes.fresh.extend(r for r in rows if r.topic not in self._held)

    def loaded(self, note: Loaded) -> None:
        """Rows were read."""
        if note.wish.only:
            self._probe(note)
            return
        if note.wish is not self._wish:
            return  # asked before something changed
        self._wish = None
        self._more = bool(note.rows)
        if note.rows:
            self._cursor, self._token = note.rows[-1].id, note.rows[-1].token
            self._last = max(self._last, self._cursor)
        else:
            self._lanes.history = bool(self._lanes.old) and self._lanes.history
        self._lanes.old.extend(self._new(note.rows))

    def _new(self, rows: List[Row]) -> Iterator[Row]:
        busy = set(self._busy()) | self._gone
        return (r for r in rows if r.id not in busy and r.id < self._top)

    def _probe(self, note: Loaded) -> None:
        if not note.rows:
            self._held.drop(note.wish.only)
        elif note.wish.turn == self._turn:
            self._lanes.probes.extend(r for r in note.rows if r.id not in set(self._busy()))

    def again(self) -> None:
        """Another connection or another outbox: everything unacknowledged is read again."""
        self._unacked.clear()
        self._unanswered.clear()
        self._held.clear()
        self._read_again()

    def moved(self) -> None:
        """Another outbox: numbers begin anew."""
        self._last, self._top = 0, FOR_EVER
        self._strikes.clear()
        self._suspects.clear()
        self.again()

    def _release(self) -> None:
        """Somebody listens again: what was held goes out in the order it came."""
        self._held.clear()
        self._read_again()

    def _read_again(self) -> None:
        self._lanes.clear()
        self._cursor, self._more, self._wish = 0, True, None
        self._top = self._last + 1 if self._last else FOR_EVER
        self._turn += 1

    # Rows out -------------------------------------------------------------------------------

    @property
    def under_way(self) -> int:
        """Events sent and not yet acknowledged by the broker."""
        return len(self._unacked)

    @property
    def idle(self) -> bool:
        """Nothing is under way and nothing can be sent now."""
        return not (self._unacked or self._unanswered or self._more or self._lanes.any)

    def next(self) -> Optional[Tuple[Row, bool]]:
        """What to send now and whether it is history; follow with `sent` or `park`."""
        if self._suspects and self._unacked:
            return None  # after a lost connection one by one, to see which of them it was
        if len(self._unanswered) >= ANSWERS:
            return None
        while True:
            probe = bool(self._lanes.probes)
            found = self._lanes.take(self._late, self._more)
            if found is None or probe or found[0].topic not in self._held:
                return found

    def sent(self, packet: int, row: Row) -> None:
        """It is under way under this number."""
        self._unacked[packet] = _UnderWay(row, self._clock())

    def park(self, row: Row, reason: str) -> None:
        """It cannot be delivered."""
        self._suspects.discard(row.id)
        self._gone.add(row.id)
        self._shelf.park(row, reason)

    def _busy(self) -> Iterator[int]:
        yield from (u.row.id for u in self._unacked.values())
        yield from self._unanswered
        yield from (r.id for r in self._lanes.probes)
        yield from (r.id for r in self._lanes.fresh)

    # Answers --------------------------------------------------------------------------------

    def acknowledged(self, packet: int, code: int, reason: str) -> Optional[Tuple[Row, bool]]:
        """The broker has answered.

        Returns:
            The row and whether it was delivered; None when the number is none of ours.
        """
        found = self._unacked.pop(packet, None)
        if found is None:
            return None
        row = found.row
        self._suspects.discard(row.id)
        self._strikes.pop(row.id, None)
        if found.answered:
            return row, False
        if code in FINAL:
            self.park(row, reason)
        elif code != TAKEN:
            self._held.hold(row.topic, self._clock(), PAUSE_S if code == NOBODY else PAUSE_MAX_S)
        elif self._answer_s is None:
            self._finish(row.id, row.token, row.topic)
        else:
            self._unanswered[row.id] = _UnderWay(row, self._clock())
        return row, code == TAKEN and self._answer_s is None

    def answered(self, correlation: bytes) -> bool:
        """A consumer says that it has an event; tells whether it was one that waited."""
        token, row_id = read_correlation(correlation)
        if not token or token != self._token:
            return False
        early = next((u for u in self._unacked.values() if u.row.id == row_id), None)
        known = self._unanswered.pop(row_id, None) or early
        if early is not None:
            early.answered = True
        self._finish(row_id, token, known.row.topic if known else "")
        if known is None and self._held.topics:
            self._release()  # late, after we asked again: so somebody is there
        return known is not None

    def _finish(self, row_id: int, token: str, topic: str) -> None:
        self._gone.add(row_id)
        self._shelf.done(row_id, token)
        if topic in self._held:
            self._release()

    # Time -----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Ask for rows, try what is held, ask again what was not answered."""
        now_s = self._clock()
        self._expire(now_s)
        for topic in self._held.due(now_s):
            self._shelf.fetch(Fetch(self._turn, only=topic, skip=tuple(self._topic(topic))))
        low = len(self._lanes.old) < FRESH_ROOM // 8
        if self._more and self._wish is None and low:
            self._gone.clear()
            self._wish = Fetch(self._turn, self._cursor, self._top, self._held.topics)
            self._shelf.fetch(self._wish)

    def due_s(self) -> List[float]:
        """When `tick` has something to do, in monotonic seconds."""
        due = self._held.due_s()
        if self._unanswered and self._answer_s is not None:
            due.append(next(iter(self._unanswered.values())).since_s + self._answer_s)
        return due

    def _expire(self, now_s: float) -> None:
        """An event nobody answered gives way to others; its topic is tried ever more rarely."""
        if self._answer_s is None:
            return
        late: List[Row] = []
        for waiting in self._unanswered.values():  # in the order of sending
            if now_s - waiting.since_s < self._answer_s:
                break
            late.append(waiting.row)
        for row in late:
            del self._unanswered[row.id]
        for topic in {row.topic for row in late}:
            self._held.unanswered(topic, now_s, min(PAUSE_S, self._answer_s))

    def _topic(self, topic: str) -> Iterator[int]:
        under = [*self._unacked.values(), *self._unanswered.values()]
        return (u.row.id for u in under if u.row.topic == topic)

    # The end of a connection ------------------------------------------------------------------

    def lost(self, well: bool = True) -> Optional[Row]:
        """The connection is gone; returns an event that is to blame for it, parked now.

        A broker that closes the connection over a message it finds too large does not say which.
        So after a loss they are sent one by one, and one that ends STRIKES connections in a row,
        each time alone, at once, and while all else was taken (`well`), is it.
        """
        under_way = list(self._unacked.values())
        blamed = None
        if well and len(under_way) == 1 and self._clock() - under_way[0].since_s < SUSPECT_S:
            row = under_way[0].row
            self._strikes[row.id] = self._strikes.get(row.id, 0) + 1
            blamed = row if self._strikes[row.id] >= STRIKES else None
        self._suspects = {u.row.id for u in under_way}
        if blamed is not None:
            self.park(blamed, f"ended {STRIKES} connections")
        self.again()
        return blamed

    @property
    def suspicious(self) -> bool:
        """Whether events go one by one."""
        return bool(self._suspects)

    def trust(self) -> None:
        """The connection holds: nobody is suspected any more."""
        self._suspects.clear()
        self._strikes.clear()
