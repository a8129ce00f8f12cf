"""The wall clock steps by a day, either way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.promises.box_process import Consumer, lost
from tests.promises.preload import compiled
from tests.waiting import until

DAY_S = 86_400
CAMERAS = [{"source": "synthetic://stand?width=160&height=120&fps=20&people=1", "name": "cam0"}]


def test_clock_steps_change_the_utc_field_and_nothing_else(
    boxes: Any, broker: Any, tmp_path: Path, soak: bool, figures: Any
) -> None:
    """P7: steps of a day either way: no restart, no reconnect, no loss, sane latencies; only
    t_utc_ns follows.
    """
    steps = (DAY_S, 0, -DAY_S, 0, -DAY_S, DAY_S) * (10 if soak else 1)
    offset = tmp_path / "offset"
    offset.write_text("0", encoding="utf-8")
    environment = {"LD_PRELOAD": str(compiled(tmp_path, "clock_step")), "CLOCK_OFFSET": str(offset)}
    with Consumer(broker.port) as consumer:
        box = boxes(
            uri=broker.uri,
            cameras=CAMERAS,
            drain_s=30,
            environment=environment,
            outbox={"ack": "broker"},
        )
        until(lambda: consumer.of("wave"), "events")
        first = box.status()["boot"]
        for seconds in steps:
            offset.write_text(str(seconds), encoding="utf-8")
            seen = len(consumer.records)
            until(lambda n=seen: len(consumer.records) > n + 50, "events after the step")  # type: ignore[misc]
            told_s = consumer.records[-1]["t_utc_ns"] / 1e9
            assert abs(told_s - time.time() - seconds) < 60, "the UTC field follows"
        status = box.status()
        box.finish()
        until(lambda: not lost(box, consumer), "the rest", every_s=0.2)
    mono = [r["t_mono_ns"] for r in consumer.of("wave")]
    connects = broker.log.read_text(encoding="utf-8").count("as edge-box")
    figures(
        "P7",
        steps=len(steps),
        events=len(consumer.got),
        lost=len(lost(box, consumer)),
        connections=connects,
        restarts=len(box.ledger()) - 1,
        latency_ms=status["latency"],
    )
    assert status["boot"] == first
    assert connects == 1
    assert lost(box, consumer) == []
    assert mono == sorted(mono), "the monotonic field never steps"
    assert not any(r.get("historical") for r in consumer.records), "nothing seems late"
    assert 0 <= status["latency"]["p50"] <= status["latency"]["p99"] < 60_000
