"""kill -9 of the program under load."""

from __future__ import annotations

import random
import time
from typing import Any, List

import pytest

from tests.promises.box_process import Consumer, duplicates, lost, spread
from tests.waiting import until

CAMERAS = [
    {"source": "synthetic://stand?width=160&height=120&fps=20&people=1", "name": f"cam{i}"}
    for i in range(2)
]


@pytest.mark.parametrize("ack", ["broker", "consumer"])
def test_kill_9_of_the_box_loses_no_event(
    boxes: Any, broker: Any, soak: bool, figures: Any, ack: str
) -> None:
    """P1: no event that was stored is lost over 100 kill -9 of the program under load.

    The loop runs on two synthetic cameras and gives about 200 events a second.
    """
    kills, chance = (100 if soak else 5), random.Random(1)
    back_s: List[float] = []
    with Consumer(broker.port, answers=ack == "consumer") as consumer:
        box = boxes(uri=broker.uri, cameras=CAMERAS, per_frame=5, drain_s=60, outbox={"ack": ack})
        for _ in range(kills):
            until(lambda: box.status().get("stored", 0) > 20, "events")
            time.sleep(chance.uniform(0.0, 0.6))
            box.kill()
            box.start()
            back_s.append(consumer.new_run_s())
        until(lambda: box.status().get("stored", 0) > 20, "events")
        box.finish()
        until(lambda: not lost(box, consumer), "the rest", every_s=0.2)
        stored = box.ledger()
    figures(
        "P1",
        ack=ack,
        kills=kills,
        stored=sum(stored.values()),
        lost=len(lost(box, consumer)),
        duplicates=duplicates(consumer),
        first_event_after_s=spread(back_s),
    )
    assert len(stored) == kills + 1
    assert lost(box, consumer) == []
