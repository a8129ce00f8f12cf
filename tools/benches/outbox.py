"""Rate of events: to disk, and through a real mosquitto to 1 and to 200 subscribers."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, List, Tuple

from edge.errors import UnavailableError
from edge.outbox.store import Entry, Outbox
from edge.publish import Publisher
from edge.settings import config
from edge.structures import PoseEvent
from tools.benches import Row, row
from tools.benches._subscribers import Subscribers
from tools.mqtt.broker import Broker, mosquitto

# 400 bytes, the usual size of an event.
BODY = b'{"schema":"pose/1","kind":"fall"' + b" " * 366 + b"}"
MAX_BYTES = 16 * 2**20
SINGLE, BURST, THROUGH = 100, 100, 1000
SUBSCRIBERS = 200


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Rates in events per second. A larger rate is better, so these rows have no goal."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        rows = _disk(Path(folder), rounds)
        if mosquitto() is None:
            raise UnavailableError(
                "bench outbox: mosquitto is not installed: apt install mosquitto"
            )
        with Broker("mosquitto", extra=["max_queued_messages 0"]) as broker:
            rows += _through(Path(folder), broker, rounds)
    return rows


def _disk(folder: Path, rounds: int) -> List[Row]:
    box = Outbox(folder / "outbox.db", MAX_BYTES, "bench")
    single, burst, size = [], [], []
    for _ in range(rounds):
        written = _written()
        single.append(_rate(lambda: _one_by_one(box), SINGLE))
        size.append((_written() - written) / SINGLE / 1e3)
        burst.append(_rate(lambda: box.commit([Entry("t", BODY)] * BURST), BURST))
        box.commit([], [r.id for r in box.after(0, 2**62, 10**6)])
    box.close()
    return [
        row("outbox: puts one by one, each with its fsync", single, "/s"),
        row("outbox: puts in bursts of 100", burst, "/s"),
        row("outbox: written for one event of 400 bytes", size, "kB"),
    ]


def _one_by_one(box: Outbox) -> None:
    for _ in range(SINGLE):
        box.commit([Entry("t", BODY)])


def _rate(work: Callable[[], Any], count: int) -> float:
    start_s = time.perf_counter()
    work()
    return count / (time.perf_counter() - start_s)


def _written() -> int:
    """Bytes that this process has passed to write calls, as the kernel counts them."""
    found = re.search(r"wchar: (\d+)", Path("/proc/self/io").read_text(encoding="utf-8"))
    return int(found.group(1)) if found else 0


def _through(folder: Path, broker: Broker, rounds: int) -> List[Row]:
    table = {"publish": {"sinks": [broker.uri]}, "outbox": {"path": str(folder / "through.db")}}
    publisher = Publisher(config.complete(config.build(config.Config, table)))
    few = max(3, rounds // 3)
    try:
        with Subscribers(broker.port, 1) as one:
            _ready(publisher, one)
            rates = [_burst(publisher, one, 1)[0] for _ in range(few)]
            delays = [_single_ms(publisher, one) for _ in range(20 * few)]
        with Subscribers(broker.port, SUBSCRIBERS) as many:
            _ready(publisher, many, SUBSCRIBERS)
            bursts = [_burst(publisher, many, SUBSCRIBERS) for _ in range(few)]
    finally:
        publisher.close(1.0)
    return [
        row("outbox: rule to subscriber through disk and broker", delays, "ms"),
        row("outbox: events end to end, 1 subscriber", rates, "/s"),
        row("outbox: events end to end, 200 subscribers", [r for r, _ in bursts], "/s"),
        row("outbox: deliveries to 200 subscribers", [d for _, d in bursts], "/s"),
    ]


def _give(publisher: Publisher, count: int) -> None:
    for i in range(count):
        publisher.event(PoseEvent("fall", "cam0", 1, time.monotonic_ns(), 1.0, {"n": i}))


def _ready(publisher: Publisher, subscribers: Subscribers, size: int = 1) -> None:
    _give(publisher, 1)
    if not subscribers.wait(size):
        raise UnavailableError("bench outbox: the broker delivers no event")


def _burst(publisher: Publisher, subscribers: Subscribers, size: int) -> Tuple[float, float]:
    """Events and deliveries per second in a burst."""
    before = subscribers.received
    start_s = time.perf_counter()
    _give(publisher, THROUGH)
    if not subscribers.wait(before + THROUGH * size):
        raise UnavailableError("bench outbox: the broker has lost events")
    took_s = time.perf_counter() - start_s
    return THROUGH / took_s, THROUGH * size / took_s


def _single_ms(publisher: Publisher, subscribers: Subscribers) -> float:
    before = subscribers.received
    start_s = time.perf_counter()
    _give(publisher, 1)
    subscribers.wait(before + 1)
    return (time.perf_counter() - start_s) * 1e3
