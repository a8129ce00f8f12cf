"""Keep a broker connected and decide what is sent to it; knows no MQTT library.

One thread owns everything in here. The loop, the MQTT library and the outbox's thread only put
things into its inbox, so none of them waits for another or for the network.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any, Callable, Dict, Iterator, Optional

from edge.messages import Message
from edge.publish import _connection, _inbox
from edge.publish._backlog import Backlog
from edge.publish._backoff import Backoff
from edge.publish._connection import Connection
from edge.publish._counters import Counters
from edge.publish._outbox_thread import OutboxThread
from edge.publish._outgoing import Outgoing

log = logging.getLogger(__name__)

LIVE_ROOM = 256  # live frames on their way from the loop to the sender
ANSWER_S = 10.0  # for a broker to answer CONNECT; doubled while it does not
ANSWER_MAX_S = 60.0
GOODBYE_S = 0.5  # of the time to close, kept for the last status and DISCONNECT
POLL_S = 0.05  # while closing


class Sender:
    """The connection to one broker.

    Live frames (QoS 0) are dropped while there is no connection. The newest retained message of
    each topic is sent after every connect. Events are sent once the outbox has stored them.

    Args:
        name: the broker, for log lines.
        dial: makes a connection that reports to the inbox.
        counters: of the sink.
        pause_max_s: longest pause between two tries to connect.
        outbox: the outbox's thread, which reports to the same inbox.
        backlog: which event is sent when.
        inbox: see edge.publish._inbox.
        ack_topic: where consumers acknowledge events; empty = the broker's word is enough.
        clock: monotonic seconds, for acknowledgements.
        peer: what the other side is, for log lines.
    """

    def __init__(
        self,
        name: str,
        dial: Callable[[queue.Queue[Any]], Connection],
        counters: Counters,
        pause_max_s: float,
        outbox: OutboxThread,
        backlog: Backlog,
        inbox: queue.Queue[Any],
        ack_topic: str = "",
        clock: Callable[[], float] = time.monotonic,
        peer: str = "broker",
    ) -> None:
        self.connected = False
        self.first_try_done = threading.Event()  # set with success or failure
        self._name, self._dial, self._counters, self._peer = name, dial, counters, peer
        self._outbox, self._backlog, self._inbox = outbox, backlog, inbox
        self._given = self._taken = 0  # messages; the loop writes the first, the sender the second
        self._out = Outgoing(counters, backlog, ack_topic, self._log_once, clock)
        self._connection: Optional[Connection] = None
        self._backoff, self._answer_s = Backoff(pause_max_s), ANSWER_S
        self._close_at_s: Optional[float] = None  # monotonic
        self._logged: Dict[str, str] = {}  # subject -> last line

    def put(self, message: Message) -> None:
        """Take a message from the loop; never blocks."""
        if message.qos and not message.retain:
            self._outbox.put(message)
            return
        if (message.qos == 0 and not self.connected) or self._given - self._taken >= LIVE_ROOM:
            self._counters.add("dropped")
            return
        self._given += 1
        self._inbox.put(message)

    def close(self, deadline_s: float) -> None:
        """Ask the thread to end by this monotonic time."""
        self._inbox.put(_inbox.CloseRequest(deadline_s))

    def run(self) -> None:
        """Serve the broker until `close`; called by the thread."""
        while not self._finished():
            self.step()
        self._leave()

    def step(self) -> None:
        """Wait until there is something to do, and do it."""
        self._connect()
        for item in self._read_inbox():
            self._handle(item)
        if self.connected:
            if self._backoff.steady:
                self._backlog.steady()
            self._backlog.tick()
            self._send()
            self._give_up_silent()

    # Connection ------------------------------------------------------------------------------

    def _connect(self) -> None:
        if self.connected or time.monotonic() < self._backoff.due_s:
            return
        if self._connection is not None:
            self._answer_s = min(self._answer_s * 2, ANSWER_MAX_S)
            self._on_lost(f"connected, but the {self._peer} does not answer")
            return
        connection = self._dial(self._inbox)
        try:
            connection.open()
        except (OSError, ValueError) as error:
            self._on_lost(f"cannot connect: {getattr(error, 'strerror', None) or error}")
        else:
            self._connection, self._backoff.due_s = connection, time.monotonic() + self._answer_s

    def _on_lost(self, reason: str, blameless: bool = False) -> None:
        self._backoff.lost(self.connected, self.connected and self._suspect_events(blameless))
        # mosquitto 2.0.11 gives no reason code if another client with this name connects.
        shared = self._backoff.flapping and self._peer == "broker"
        namesake = "; do two boxes share the device name?" if shared else ""
        live = "live frames are dropped, " if self._peer == "broker" else ""
        again = f"{namesake}; trying again, {live}events wait"
        self._log_once("connection", f"{reason}{again}")
        self._forget_connection()
        self.first_try_done.set()

    def _on_other_version(self, reason: str) -> None:
        """The try has ended, and the next one speaks another version of MQTT."""
        self._backoff.next_differs()
        self._log_once("version", reason)
        self._forget_connection()

    def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.abort()
        self._connection, self.connected = None, False
        self._outbox.connected = False
        self._out.lost()

    def _suspect_events(self, blameless: bool) -> bool:
        """Whether an event may have ended the connection; an event that certainly did is parked."""
        if blameless:
            self._backlog.connection_refused()
            return self._backlog.one_by_one
        row = self._backlog.connection_lost(others_accepted=self._out.retained.all_sent)
        if row is not None:
            self._counters.add("refused")
            self._log_once(row.topic, f"{row.topic}: the {self._peer} closes on it; set aside")
        return row is not None or self._backlog.one_by_one

    def _give_up_silent(self) -> None:
        """End a connection whose broker answers pings and does not acknowledge."""
        limit_s = self._out.watch.limit_s
        topic = self._out.silent()
        if topic:
            self._on_lost(
                f"connected, but {topic} is not acknowledged within {limit_s:.0f} s; is the "
                f"{self._peer} overloaded, or its disk full?"
            )

    def _on_connected(self, note: _inbox.Connected) -> None:
        mqtt = "MQTT " * (self._peer == "broker")
        log.info("%s: connected, %s%s", self._name, mqtt, note.version)
        self._logged.clear()
        self._out.connected(note)
        self._backoff.connected()
        self.connected = self._outbox.connected = True
        self.first_try_done.set()

    # Inbox -----------------------------------------------------------------------------------

    def _read_inbox(self) -> Iterator[Any]:
        """Yield a bounded number of items; wait for the first one until something is due."""
        due_s = self._backlog.due_s() if self.connected else [self._backoff.due_s]
        if self.connected:
            due_s += self._out.watch.due_s()
            due_s += [self._backoff.steady_s] if self._backlog.waits_for_steady else []
        if self._close_at_s is not None:
            due_s.append(min(self._close_at_s, time.monotonic() + POLL_S))
        timeout_s = max(0.0, min(due_s) - time.monotonic()) if due_s else None
        try:
            yield self._inbox.get(timeout=timeout_s)
            for _ in range(LIVE_ROOM):
                yield self._inbox.get_nowait()
        except queue.Empty:
            return

    def _handle(self, item: Any) -> None:
        if isinstance(item, Message):
            self._taken += 1
            self._out.take(item)
        elif isinstance(item, _inbox.CloseRequest):
            self._close_at_s = item.deadline_s
        elif isinstance(item, _inbox.RowsStored):
            self._backlog.stored(item.rows, self.connected)
        elif isinstance(item, _inbox.RowsFetched):
            self._backlog.fetched(item)
        elif isinstance(item, _inbox.OutboxReplaced):
            self._backlog.outbox_replaced()
        elif item.connection is not self._connection:  # an earlier one
            return
        elif isinstance(item, _inbox.Connected):
            self._on_connected(item)
        elif isinstance(item, _inbox.Disconnected):
            if item.soon:
                self._on_other_version(item.reason)
            else:
                self._on_lost(item.reason, item.blameless)
        elif isinstance(item, _inbox.ConsumerAcknowledged):
            self._counters.add("sent", self._backlog.consumer_acknowledged(item.correlation))
        elif not self._out.acknowledged(item):
            self._on_event_acknowledged(item)

    def _on_event_acknowledged(self, note: _inbox.Acknowledged) -> None:
        found = self._backlog.acknowledged(note.packet, note.code, note.refusal)
        if found is None:
            return
        topic = found[0].topic
        self._counters.add("sent", found[1])
        if note.code in _connection.FINAL_REFUSALS:
            self._counters.add("refused")
            self._log_once(
                topic, f"{topic}: refused: {note.refusal}; set aside, tried again from time to time"
            )
        elif note.code != _connection.SUCCESS:
            why = note.refusal or "nobody has subscribed"
            self._log_once(topic, f"{topic}: {why}; its events wait")

    # Sending ---------------------------------------------------------------------------------

    def _send(self) -> None:
        """Send retained messages before events; while closing, after them."""
        if self._close_at_s is None:
            self._out.send_retained()
        self._out.send_events()
        if self._close_at_s is not None and self._time_for_goodbye(self._close_at_s):
            self._out.send_retained(goodbye=True)

    def _time_for_goodbye(self, close_at_s: float) -> bool:
        done = self._backlog.idle and self._outbox.settled
        return done or time.monotonic() >= close_at_s - GOODBYE_S

    def _log_once(self, about: str, text: str) -> None:
        """Log a line unless it is the last one about this subject since the last connect."""
        if self._logged.get(about) != text:
            self._logged[about] = text
            log.warning("%s: %s", self._name, text)

    # The end ---------------------------------------------------------------------------------

    def _finished(self) -> bool:
        if self._close_at_s is None:
            return False
        return self._idle(self._close_at_s) or time.monotonic() >= self._close_at_s

    def _idle(self, close_at_s: float) -> bool:
        if not self.connected:
            return self._outbox.settled and (self._outbox.durable or not self._outbox.waiting)
        done = self._out.retained.all_sent and not len(self._out.live)
        return done and self._time_for_goodbye(close_at_s)

    def _leave(self) -> None:
        all_done = self.connected and self._out.retained.all_sent
        self.connected = self._outbox.connected = False
        if self._connection is not None:
            self._connection.disconnect() if all_done else self._connection.abort()
            self._connection = None
