"""What is lost beyond the cap, or by damage, is told."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.promises.box_process import BoxProcess, Consumer, lost
from tests.waiting import until

NOBODY = "mqtt://127.0.0.1:1"


def stored_and_killed(box: BoxProcess, count: int) -> None:
    until(lambda: box.status().get("stored", 0) == count, "storing")
    box.kill()


def deliver(box: BoxProcess, uri: str, consumer: Consumer) -> None:
    """The next run, with a broker."""
    box.order["config"]["publish"]["sinks"] = [uri]
    box.start(count=1, linger=False, drain_s=240)
    until(lambda: not box.alive, "the end")
    until(lambda: consumer.got, "events")


def test_losses_beyond_the_cap_are_counted_and_told(
    boxes: Any, broker: Any, soak: bool, figures: Any
) -> None:
    """P4: when the outbox is full, the counter and outbox_loss events say how many were given up,
    exactly; the urgent ones are still there.
    """
    count = 60_000 if soak else 12_000
    with Consumer(broker.port) as consumer:
        box = boxes(uri=NOBODY, outbox={"max_mb": 4}, count=count, rate_hz=1500, linger=True)
        stored_and_killed(box, count)
        deliver(box, broker.uri, consumer)
        until(lambda: total(consumer) == len(lost(box, consumer)), "the account", every_s=0.2)
        gone = lost(box, consumer)
        counted = box.status()["outbox"]["lost"]
    figures(
        "P4", what="cap", stored=count + 1, lost=len(gone), told=total(consumer), counted=counted
    )
    assert 0 < len(gone) == counted
    boot = gone[0][0]
    assert gone == [(boot, n) for n in range(len(gone))], "the oldest"


def total(consumer: Consumer) -> int:
    """What the events say was lost, ever."""
    return max((r["data"]["total"] for r in consumer.of("outbox_loss")), default=0)


def damage(path: Path, how: str, chance: random.Random) -> None:
    size = path.stat().st_size
    if how == "cut":
        os.truncate(str(path), size * chance.randrange(1, 8) // 8)
    elif how == "gone":
        path.unlink()
    elif how == "empty":
        os.truncate(str(path), 0)
    else:
        rows = [found.start() for found in re.finditer(b"event/wave", path.read_bytes())]
        with path.open("r+b") as file:
            for _ in range(1 if how == "byte" else 30):
                file.seek(chance.choice(rows))
                file.write(bytes([chance.randrange(256)]) * (1 if how == "byte" else 300))


@pytest.mark.parametrize("how", ["byte", "pages", "cut", "gone", "empty"])
def test_losses_by_damage_are_told(
    boxes: Any, broker: Any, soak: bool, figures: Any, how: str
) -> None:
    """P4: after damage to the file the box starts, delivers what can be read, and tells at least
    as many as are lost; nothing wrong is ever delivered.
    """
    total = worst = 0
    for turn in range(20 if soak else 2):
        chance = random.Random(f"{how}{turn}")
        with Consumer(broker.port) as consumer:
            box = boxes(uri=NOBODY, outbox={"max_mb": 4}, count=3000, rate_hz=6000, linger=True)
            stored_and_killed(box, 3000)
            damage(box.outbox, how, chance)
            deliver(box, broker.uri, consumer)
            until(lambda c=consumer, b=box: told(c) >= len(lost(b, c)), "the account", every_s=0.2)  # type: ignore[misc]
            gone = len(lost(box, consumer))
            total, worst = total + gone, max(worst, told(consumer) - gone)
            assert all(r["data"].get("pad", "x" * 200) == "x" * 200 for r in consumer.records)
        for path in (box.folder / "ledger", *box.folder.glob("outbox.db*")):
            path.unlink()
    figures("P4", what=f"damage: {how}", trials=turn + 1, lost=total, told_too_many_at_most=worst)


def told(consumer: Consumer) -> int:
    return sum(r["data"]["lost"] for r in consumer.of("outbox_reset"))
