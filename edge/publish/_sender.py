"""Keeps a broker connection alive and decides what goes over it; knows no MQTT library.

One thread owns everything in here. The loop and the library's callbacks only put notes into a
queue, so neither ever waits for the other or for the network.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from typing import Any, Callable, Dict, Iterator, Optional

from edge.messages import Message
from edge.publish import Counters
from edge.publish._backlog import Backlog
from edge.publish._link import Answer, Close, Down, Link, Up

log = logging.getLogger(__name__)

LIVE_ROOM = 256  # live frames on their way from the loop to the sender
LIVE_BYTES = 2**20  # live frames that the connection holds and has not written
EVENT_ROOM = 1000
WINDOW = 20  # acknowledged messages under way at once
MAX_BYTES = 2**28 - 1  # MQTT 5 section 2.1.4: the largest remaining length
HEAD_BYTES = 64  # more than packet header and our properties take beside topic and body
ANSWER_S = 5.0  # a broker that takes the connection but does not answer it
PAUSE_S = 0.5  # before the first new try, doubled each time
STEADY_S = 5.0  # a connection that lived so long was a good one
BRIEF = 3  # so many that were not, one after the other, are no accident


class Sender:
    """The state of one broker.

    Live frames (QoS 0) are dropped unless connected; of retained messages the newest of each topic
    is kept and told at every connection; everything else waits in the backlog.

    Args:
        name: the broker, for people.
        dial: makes a link that puts its notes into the queue given.
        counters: what became of the messages.
        pause_max_s: longest wait between two tries.
    """

    def __init__(
        self,
        name: str,
        dial: Callable[[queue.SimpleQueue[Any]], Link],
        counters: Counters,
        pause_max_s: float,
    ) -> None:
        self.up = False
        self.decided = threading.Event()  # the first try has an outcome
        self._name, self._dial, self._counters = name, dial, counters
        self._notes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._given = self._taken = 0  # the loop writes the first, the sender the second
        self._backlog = Backlog(EVENT_ROOM)
        self._retained: Dict[str, Message] = {}  # newest of each topic
        self._untold: Dict[str, None] = {}  # topics in the order to tell them
        self._telling: Dict[int, str] = {}  # packet number -> topic
        self._live: Dict[int, int] = {}  # packet number -> bytes
        self._live_bytes = 0
        self._link: Optional[Link] = None
        self._limits = (WINDOW, MAX_BYTES)
        self._due_s = self._up_since_s = time.monotonic()
        self._brief = 0
        self._pause_s, self._pause_max_s = PAUSE_S, pause_max_s
        self._closing_s: Optional[float] = None
        self._said: Dict[str, str] = {}

    @property
    def waiting(self) -> int:
        """Events not yet taken by the broker; an estimate when read from another thread."""
        return len(self._backlog) + self._given - self._taken

    def give(self, message: Message) -> None:
        """Take a message from the loop; never blocks."""
        room = EVENT_ROOM if message.qos else LIVE_ROOM
        if (message.qos == 0 and not self.up) or self._given - self._taken >= room:
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
            self._send()

    # Connection ------------------------------------------------------------------------------

    def _connect(self) -> None:
        if self.up or time.monotonic() < self._due_s:
            return
        if self._link is not None:
            self._lost("connected, but the broker does not answer")
            return
        link = self._dial(self._notes)
        try:
            link.open()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._lost(f"cannot connect: {reason}")
        else:
            self._link, self._due_s = link, time.monotonic() + ANSWER_S

    def _lost(self, reason: str) -> None:
        now_s = time.monotonic()
        steady = self.up and now_s - self._up_since_s > STEADY_S
        self._brief = 0 if steady else self._brief + self.up
        # mosquitto 2.0.11 closes without the reason "session taken over" when a namesake comes.
        namesake = "; do two boxes share the device name?" if self._brief >= BRIEF else ""
        again = f"{namesake}; trying again, live frames are dropped, events wait"
        self._say("link", f"{reason}{again}")
        if self._link is not None:
            self._link.hang_up()
        self._pause_s = PAUSE_S if steady else min(self._pause_s * 2, self._pause_max_s)
        self._due_s = now_s + self._pause_s * random.uniform(0.7, 1.0)
        self._link, self.up = None, False
        self._backlog.again()
        self._counters.add("dropped", len(self._live))
        self._live.clear()
        self._telling.clear()
        self._live_bytes = 0
        self.decided.set()

    def _connected(self, note: Up) -> None:
        log.info("%s: connected", self._name)
        self._said.clear()
        self._limits = (min(WINDOW, note.window), note.max_bytes)
        self._untold = dict.fromkeys(self._retained)
        self._up_since_s = time.monotonic()
        self.up = True
        self.decided.set()

    # Notes -----------------------------------------------------------------------------------

    def _read_notes(self) -> Iterator[Any]:
        """The notes there are, a bounded number; waits for the first until something is due."""
        due_s = [] if self.up else [self._due_s]
        due_s += [] if self._closing_s is None else [self._closing_s]
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
        elif note.link is not self._link:
            return  # from a connection that was given up
        elif isinstance(note, Up):
            self._connected(note)
        elif isinstance(note, Down):
            self._lost(note.reason)
        else:
            self._answered(note)

    def _sort(self, message: Message) -> None:
        if message.retain:
            self._retained[message.topic] = message
            self._untold[message.topic] = None
        elif message.qos:
            gone = self._backlog.add(message)
            self._counters.add("dropped", gone)
            if gone:
                self._say("room", f"{EVENT_ROOM} events wait; the oldest are dropped")
        elif self.up and self._live_bytes < LIVE_BYTES:
            self._send_live(message)
        else:
            self._counters.add("dropped")

    def _answered(self, note: Answer) -> None:
        topic = self._telling.pop(note.packet, None)
        size = self._live.pop(note.packet, None) if topic is None else None
        event = self._backlog.done(note.packet) if size is None else None
        self._live_bytes -= size or 0
        topic = topic or (event.topic if event else "")
        self._counters.add("refused" if note.refusal else "sent")
        if note.refusal:
            self._say(topic, f"{topic}: refused: {note.refusal}")

    # Sending ---------------------------------------------------------------------------------

    def _send(self) -> None:
        """The birth before the events; when closing the goodbye after them."""
        if self._closing_s is None:
            self._send_retained()
        self._send_events()
        if self._closing_s is not None and not len(self._backlog):
            self._send_retained()

    def _send_retained(self) -> None:
        while self._untold and self._room():
            topic = next(iter(self._untold))
            del self._untold[topic]
            if self._fits(self._retained[topic]) and self._link:
                self._telling[self._link.publish(self._retained[topic])] = topic

    def _send_events(self) -> None:
        while self._room():
            message = self._backlog.next()
            if message is None:
                return
            if self._fits(message) and self._link:
                self._backlog.sent(self._link.publish(message), message)

    def _send_live(self, message: Message) -> None:
        if self._fits(message) and self._link:
            size = len(message.body)
            self._live[self._link.publish(message)] = size
            self._live_bytes += size

    def _room(self) -> bool:
        return self._backlog.under_way + len(self._telling) < self._limits[0]

    def _fits(self, message: Message) -> bool:
        """A packet above the broker's limit would end the connection, again and again."""
        size = len(message.body) + len(message.topic) + HEAD_BYTES
        if size <= self._limits[1]:
            return True
        self._counters.add("refused")
        limit = self._limits[1]
        self._say(message.topic, f"{message.topic}: {size} bytes, the broker takes only {limit}")
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
        return self._idle() or time.monotonic() >= self._closing_s

    def _idle(self) -> bool:
        if not self.up:
            return not len(self._backlog)
        return not (len(self._backlog) or self._untold or self._telling or self._live)

    def _leave(self) -> None:
        polite = self.up and self._idle()
        left = self._backlog.clear()
        if left:
            self._counters.add("dropped", left)
            log.warning("%s: %d events were not delivered", self._name, left)
        self.up = False
        if self._link is not None:
            self._link.leave() if polite else self._link.hang_up()
            self._link = None
