"""Keeps a broker connection alive and decides what goes over it; knows no MQTT library.

One thread owns everything in here. The loop and the library's callbacks only put notes into a
queue, so neither ever waits for the other or for the network.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any, Callable, Dict, Iterator, Optional

from edge.messages import Message
from edge.publish import Counters
from edge.publish import _notes as link
from edge.publish._backlog import Backlog
from edge.publish._backoff import Pace
from edge.publish._notes import Answer, Close, Link, Packet, Up
from edge.publish._outbox_thread import Store
from edge.publish._volatile import Live, Retained

log = logging.getLogger(__name__)

LIVE_ROOM = 256  # live frames on their way from the loop to the sender
LIVE_BYTES = 2**20  # live frames that the connection holds and has not written
WINDOW = 20  # acknowledged messages under way at once
MAX_BYTES = 2**28 - 1  # MQTT 5 section 2.1.4: the largest remaining length
HEAD_BYTES = 128  # more than packet header and our properties take beside topic and body
ANSWER_S = 5.0  # a broker that takes the connection but does not answer it
GOODBYE_S = 0.5  # of the time to leave, kept for the goodbye
POLL_S = 0.05  # while leaving


class Sender:
    """The state of one broker.

    Live frames (QoS 0) are dropped unless connected; of retained messages the newest of each topic
    is kept and told at every connection; events go to the outbox and come back when they are safe.

    Args:
        name: the broker, for people.
        dial: makes a link that puts its notes into the queue given.
        counters: what became of the messages.
        pause_max_s: longest wait between two tries.
        store: the outbox's thread, which puts its notes into the same queue.
        backlog: what of the outbox is sent when.
        notes: that queue.
        answer_topic: where consumers answer events; empty = the broker's word is enough.
    """

    def __init__(
        self,
        name: str,
        dial: Callable[[queue.Queue[Any]], Link],
        counters: Counters,
        pause_max_s: float,
        store: Store,
        backlog: Backlog,
        notes: queue.Queue[Any],
        answer_topic: str = "",
    ) -> None:
        self.up = False
        self.decided = threading.Event()  # the first try has an outcome
        self._name, self._dial, self._counters = name, dial, counters
        self._store, self._backlog, self._notes = store, backlog, notes
        self._given = self._taken = 0  # the loop writes the first, the sender the second
        self._retained, self._live = Retained(), Live()
        self._link: Optional[Link] = None
        self._limits = (WINDOW, MAX_BYTES)
        self._pace, self._answer_topic = Pace(pause_max_s), answer_topic
        self._closing_s: Optional[float] = None
        self._said: Dict[str, str] = {}

    def give(self, message: Message) -> None:
        """Take a message from the loop; never blocks."""
        if message.qos and not message.retain:
            self._store.give(message)
            return
        if (message.qos == 0 and not self.up) or self._given - self._taken >= LIVE_ROOM:
            self._counters.add("dropped")
            return
        self._given += 1
        self._notes.put(message)

    def close(self, deadline_s: float) -> None:
        """Ask the thread to finish by then."""
        self._notes.put(Close(deadline_s))

    def run(self) -> None:
        """The thread: until closed."""
        while not self._finished():
            self.turn()
        self._leave()

    def turn(self) -> None:
        """Wait until there is something to do, and do it."""
        self._connect()
        for note in self._read_notes():
            self._take(note)
        if self.up:
            if self._pace.steady:
                self._backlog.trust()
            self._backlog.tick()
            self._send()

    # Connection ------------------------------------------------------------------------------

    def _connect(self) -> None:
        if self.up or time.monotonic() < self._pace.due_s:
            return
        if self._link is not None:
            self._lost("connected, but the broker does not answer")
            return
        dialled = self._dial(self._notes)
        try:
            dialled.open()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._lost(f"cannot connect: {reason}")
        else:
            self._link, self._pace.due_s = dialled, time.monotonic() + ANSWER_S

    def _lost(self, reason: str) -> None:
        self._pace.lost(self.up, self.up and self._blame())
        # mosquitto 2.0.11 closes without the reason "session taken over" when a namesake comes.
        namesake = "; do two boxes share the device name?" if self._pace.flapping else ""
        again = f"{namesake}; trying again, live frames are dropped, events wait"
        self._say("link", f"{reason}{again}")
        if self._link is not None:
            self._link.hang_up()
        self._link, self.up = None, False
        self._store.connected = False
        self._counters.add("dropped", self._live.clear())
        self._retained.under_way.clear()
        self.decided.set()

    def _blame(self) -> bool:
        """Whether an event may be the reason; one that surely is is parked."""
        row = self._backlog.lost(well=self._retained.told)
        if row is not None:
            self._counters.add("refused")
            self._say(row.topic, f"{row.topic}: the broker closes on it; set aside")
        return row is not None or self._backlog.suspicious

    def _connected(self, note: Up) -> None:
        log.info("%s: connected", self._name)
        self._said.clear()
        self._limits = (min(WINDOW, note.window), note.max_bytes)
        self._retained.tell_all()
        self._pace.connected()
        self.up = self._store.connected = True
        self.decided.set()

    # Notes -----------------------------------------------------------------------------------

    def _read_notes(self) -> Iterator[Any]:
        """The notes there are, a bounded number; waits for the first until something is due."""
        due_s = self._backlog.due_s() if self.up else [self._pace.due_s]
        if self.up and self._backlog.suspicious:
            due_s.append(self._pace.steady_s)
        if self._closing_s is not None:
            due_s.append(min(self._closing_s, time.monotonic() + POLL_S))
        timeout_s = max(0.0, min(due_s) - time.monotonic()) if due_s else None
        try:
            yield self._notes.get(timeout=timeout_s)
            for _ in range(LIVE_ROOM):
                yield self._notes.get_nowait()
        except queue.Empty:
            return

    def _take(self, note: Any) -> None:
        if isinstance(note, Message):
            self._taken += 1
            self._sort(note)
        elif isinstance(note, Close):
            self._closing_s = note.deadline_s
        elif isinstance(note, link.Stored):
            self._backlog.stored(note.rows, self.up)
        elif isinstance(note, link.Loaded):
            self._backlog.loaded(note)
        elif isinstance(note, link.Moved):
            self._backlog.moved()
        elif note.link is not self._link:
            return  # from a connection that was given up
        elif isinstance(note, Up):
            self._connected(note)
        elif isinstance(note, link.Down):
            self._lost(note.reason)
        elif isinstance(note, link.Heard):
            self._counters.add("sent", self._backlog.answered(note.correlation))
        else:
            self._answered(note)

    def _sort(self, message: Message) -> None:
        if message.retain:
            self._retained.add(message)
        elif self.up and self._live.bytes < LIVE_BYTES:
            packet = Packet.of(message)
            if self._fits(packet) and self._link:
                self._live.sent(self._link.publish(packet), len(packet.body))
        else:
            self._counters.add("dropped")

    def _answered(self, note: Answer) -> None:
        topic = self._retained.under_way.pop(note.packet, None)
        if topic is None and not self._live.done(note.packet):
            self._event_answered(note)
            return
        self._counters.add("refused" if note.refusal else "sent")
        if note.refusal:
            self._say(topic or "", f"{topic}: refused: {note.refusal}")

    def _event_answered(self, note: Answer) -> None:
        found = self._backlog.acknowledged(note.packet, note.code, note.refusal)
        if found is None:
            return
        topic, delivered = found[0].topic, found[1]
        self._counters.add("sent", delivered)
        if note.code in link.FINAL:
            self._counters.add("refused")
            self._say(topic, f"{topic}: refused: {note.refusal}; set aside until a restart")
        elif note.code != link.TAKEN:
            why = note.refusal or "nobody has subscribed"
            self._say(topic, f"{topic}: {why}; its events wait")

    # Sending ---------------------------------------------------------------------------------

    def _send(self) -> None:
        """The birth before the events; when closing the goodbye after them."""
        if self._closing_s is None:
            self._send_retained()
        self._send_events()
        if self._closing_s is not None and self._time_for_goodbye(self._closing_s):
            self._send_retained()

    def _time_for_goodbye(self, closing_s: float) -> bool:
        done = self._backlog.idle and self._store.settled
        return done or time.monotonic() >= closing_s - GOODBYE_S

    def _send_retained(self) -> None:
        while self._room() and self._link:
            message = self._retained.next()
            if message is None:
                return
            packet = Packet.of(message)
            if self._fits(packet):
                self._retained.under_way[self._link.publish(packet)] = packet.topic

    def _send_events(self) -> None:
        while self._room() and self._link:
            found = self._backlog.next()
            if found is None:
                break
            row, late = found
            packet = link.event_packet(row, late, self._answer_topic)
            if self._fits(packet):
                self._backlog.sent(self._link.publish(packet), row)
            else:
                self._backlog.park(row, f"the broker takes only {self._limits[1]} bytes")
        self._backlog.tick()

    def _room(self) -> bool:
        return self._backlog.under_way + len(self._retained.under_way) < self._limits[0]

    def _fits(self, packet: Packet) -> bool:
        """A packet above the broker's limit would end the connection, again and again."""
        size = packet.size + HEAD_BYTES
        if size <= self._limits[1]:
            return True
        self._counters.add("refused")
        limit = self._limits[1]
        self._say(packet.topic, f"{packet.topic}: {size} bytes, the broker takes only {limit}")
        return False

    def _say(self, about: str, text: str) -> None:
        """One line, once, until it changes or the connection is back."""
        if self._said.get(about) != text:
            self._said[about] = text
            log.warning("%s: %s", self._name, text)

    # The end ---------------------------------------------------------------------------------

    def _finished(self) -> bool:
        if self._closing_s is None:
            return False
        return self._idle(self._closing_s) or time.monotonic() >= self._closing_s

    def _idle(self, closing_s: float) -> bool:
        if not self.up:
            return self._store.settled and (self._store.durable or not self._store.waiting)
        return self._time_for_goodbye(closing_s) and self._retained.told and not len(self._live)

    def _leave(self) -> None:
        polite = self.up and self._retained.told and not self._backlog.under_way
        self.up = self._store.connected = False
        if self._link is not None:
            self._link.leave() if polite else self._link.hang_up()
            self._link = None
