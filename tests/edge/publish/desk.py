"""A sender and an outbox, stepped by hand against a connection that only remembers."""

from __future__ import annotations

import json
import queue
import time
from typing import Any, List, Optional

from edge.messages import Message
from edge.publish._backlog import Backlog
from edge.publish._connection import Packet
from edge.publish._counters import Counters
from edge.publish._fallback_outbox import OutboxSettings
from edge.publish._inbox import Acknowledged, Connected
from edge.publish._outbox_thread import OutboxThread
from edge.publish._outgoing import MAX_BYTES, WINDOW
from edge.publish._send_queues import late_in_run
from edge.publish._sender import Sender
from edge.structures import PoseEvent


class Connection:
    """Takes everything, answers nothing by itself."""

    def __init__(self, inbox: Any, error: Optional[Exception] = None) -> None:
        self.inbox, self.error = inbox, error
        self.sent: List[Packet] = []
        self.ended = ""

    def open(self) -> None:
        if self.error:
            raise self.error

    def publish(self, packet: Packet) -> int:
        self.sent.append(packet)
        return len(self.sent)

    def disconnect(self) -> None:
        self.ended = "left"

    def abort(self) -> None:
        self.ended = "hung up"

    def seqs(self) -> List[Any]:
        return [json.loads(p.body)["seq"] for p in self.sent]


class Desk:
    """A sender and an outbox, stepped by hand, and short words for what may happen to them."""

    def __init__(self, errors: Optional[List[Exception]] = None, consumer: bool = False) -> None:
        self.links: List[Connection] = []
        self.errors = errors or []
        self.counters = Counters()
        self.inbox: Any = queue.Queue()
        self.told: List[PoseEvent] = []
        settings = OutboxSettings(None, 4 * 2**20, "run", ["fall"], [])
        self.store = OutboxThread(
            "mqtt://b:1", settings, self.inbox, self.counters, self.told.append
        )
        self.store._outbox.open()
        self.now_s = 1000.0
        answer_s = 5.0 if consumer else None
        self.backlog = Backlog(self.store, late_in_run("run"), answer_s, lambda: self.now_s)
        self.sender = Sender(
            "mqtt://b:1",
            self.dial,
            self.counters,
            30.0,
            self.store,
            self.backlog,
            self.inbox,
            "d/ack" if consumer else "",
            lambda: self.now_s,
        )

    def settle(self) -> None:
        """Let both threads' work be done until nothing is left to do."""
        while not (self.store._queue.empty() and self.inbox.empty()):
            while not self.store._queue.empty():
                self.store.step()
            while not self.inbox.empty():
                self.sender.step()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        if self.sender.connected:
            self.backlog.tick()
            self.settle()
            self.sender._send()
            self.settle()

    def pass_time(self, seconds: float) -> None:
        """Let time pass on a connection that has lasted."""
        self.now_s += seconds
        self.backlog.steady()
        self.backlog.tick()
        self.settle()
        self.sender._give_up_silent()
        self.settle()
        if self.sender.connected:
            self.sender._send()
            self.settle()

    def dial(self, inbox: queue.Queue[Any]) -> Connection:
        self.links.append(Connection(inbox, self.errors.pop(0) if self.errors else None))
        return self.links[-1]

    @property
    def link(self) -> Connection:
        return self.links[-1]

    def give(self, *messages: Message) -> None:
        for message in messages:
            self.sender.put(message)
        self.settle()

    def note(self, *inbox: Any) -> None:
        for note in inbox:
            self.inbox.put(note)
        self.settle()

    def connect(self, window: int = WINDOW, max_bytes: int = MAX_BYTES) -> None:
        if self.sender._connection is None:
            self.sender._backoff.due_s = time.monotonic()
            self.sender._connect()
        self.note(Connected(self.link, window, max_bytes))

    def answer(self, *packets: int, refusal: str = "") -> None:
        code = 0x87 if refusal else 0
        self.note(*(Acknowledged(self.link, p, code, refusal) for p in packets))

    def close(self, after_s: float = 0.0) -> None:
        self.sender.close(time.monotonic() + after_s)
        self.sender.run()
        self.store.close()
        self.settle()
        self.store._finish()

    @property
    def counts(self) -> List[int]:
        report = self.counters.report()
        return [report[name] for name in ("sent", "dropped", "refused")]  # sent, dropped, refused


def event(seq: int, size: int = 0) -> Message:
    return Message("d/event/fall", "event", {"seq": seq, "pad": "x" * size}, qos=1)


def live(seq: int, size: int = 0) -> Message:
    return Message("d/frame", "frame", {"seq": seq, "pad": "x" * size})


def state(seq: Any, topic: str = "d/state") -> Message:
    return Message(topic, "state", {"seq": seq}, qos=1, retain=True)
