"""kill -9 of the broker, and a long outage, with acknowledgement by the consumer."""

from __future__ import annotations

import random
import signal
import time
from typing import Any, List

from tests.promises.box_process import Consumer, duplicates, lost, ordered, spread
from tests.waiting import until


def test_kill_9_of_the_broker_and_an_outage_lose_no_event(
    boxes: Any, broker: Any, soak: bool, figures: Any
) -> None:
    """P2: with ack = consumer nothing is lost over 20 kill -9 of a broker that keeps nothing on
    disk, and over a long outage in which the box is killed, too.
    """
    kills, outage_s, chance = (20 if soak else 4), (120 if soak else 3), random.Random(2)
    back_s: List[float] = []
    with Consumer(broker.port, answers=True) as consumer:
        box = boxes(uri=broker.uri, outbox={"ack": "consumer", "max_mb": 32}, drain_s=120)
        for _ in range(kills):
            until(lambda: box.status().get("sent", 0) > 50, "delivery")
            time.sleep(chance.uniform(0.2, 1.5))
            broker.stop(signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 1.0))
            broker.start()
            back_s.append(consumer.next_s())
        broker.stop(signal.SIGKILL)
        time.sleep(outage_s / 2)
        box.kill()
        box.start()
        time.sleep(outage_s / 2)
        broker.start()
        start_s = time.monotonic()
        until(lambda: not lost(box, consumer), "the backlog", every_s=0.5)
        drained_s = time.monotonic() - start_s
        box.finish()
        until(lambda: not lost(box, consumer), "the rest", every_s=0.5)
        stored = sum(box.ledger().values())
    late = sum(1 for r in consumer.records if r.get("historical"))
    figures(
        "P2",
        kills=kills,
        outage_s=outage_s,
        stored=stored,
        lost=len(lost(box, consumer)),
        duplicates=duplicates(consumer),
        historical=late,
        first_event_after_s=spread(back_s),
        backlog_drained_s=round(drained_s, 1),
    )
    assert lost(box, consumer) == []
    assert late > 0
    assert ordered(consumer)
