"""A network that swallows everything without a word."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import time
from pathlib import Path
from typing import Any, Callable, List, Set, Tuple

import pytest

from tests.promises.box_process import BoxProcess, Consumer
from tests.promises.silence import Namespace, Proxy
from tests.waiting import Slowness, until

KEEPALIVE_S = 5


def partitions(box: BoxProcess, network: Any, rounds: int) -> Tuple[List[float], List[float]]:
    """Cut and heal; for each how long until it was noticed, and until it was connected again."""
    chance = random.Random(6)
    noticed_s, back_s = [], []
    for _ in range(rounds):
        until(lambda: box.status().get("ok") and box.status()["sent"] > 50, "the connection")
        time.sleep(chance.uniform(0.0, KEEPALIVE_S))
        network.silent(True)
        noticed_s.append(until(lambda: not box.status()["ok"], "the notice"))
        time.sleep(1.0)
        network.silent(False)
        back_s.append(until(lambda: box.status()["ok"], "the connection after it"))
    return noticed_s, back_s


def missing(box: BoxProcess, got: Set[Tuple[str, int]]) -> int:
    wanted = {(boot, n) for boot, count in box.ledger().items() for n in range(count)}
    return len(wanted - got)


def run(
    boxes: Any,
    network: Any,
    rounds: int,
    received: Callable[[], Set[Tuple[str, int]]],
    figures: Any,
    slowness: Slowness,
) -> None:
    box = boxes(uri=network.uri, mqtt={"keepalive_s": KEEPALIVE_S}, rate_hz=100, drain_s=60)
    noticed_s, back_s = partitions(box, network, rounds)
    box.finish()
    until(lambda: missing(box, received()) == 0, "the rest")
    figures(
        "P6",
        by=network.kind,
        keepalive_s=KEEPALIVE_S,
        rounds=rounds,
        noticed_s=[round(f(noticed_s), 1) for f in (min, statistics.median, max)],
        promised_s=1.6 * KEEPALIVE_S,
        connected_after_healing_s=[round(f(back_s), 1) for f in (min, statistics.median, max)],
        stored=sum(box.ledger().values()),
        lost=missing(box, received()),
    )
    assert missing(box, received()) == 0
    assert max(noticed_s) <= 1.6 * KEEPALIVE_S * slowness.worst, "promised"


def networks() -> List[str]:
    """Namespaces want root; without it the proxy has to do."""
    root = os.geteuid() == 0 and shutil.which("ip")
    return ["namespaces", "proxy"] if root else ["proxy"]


@pytest.mark.parametrize("kind", networks())
def test_a_silent_partition_is_noticed_and_nothing_is_lost(
    boxes: Any,
    broker: Any,
    tmp_path: Path,
    soak: bool,
    figures: Any,
    slowness: Slowness,
    kind: str,
) -> None:
    """P6: a silent partition is noticed within 1.6 x keepalive; nothing is lost after healing."""
    rounds = 10 if soak else 2
    if kind == "namespaces":
        with Namespace(tmp_path) as network:
            run(
                boxes,
                network,
                rounds,
                lambda: {
                    (r["boot_id"], r["data"]["n"]) for r in network.records() if "n" in r["data"]
                },
                figures,
                slowness,
            )
        return
    with Consumer(broker.port) as consumer:
        proxy = Proxy(broker.port)
        run(boxes, proxy, rounds, lambda: set(consumer.got), figures, slowness)
        proxy.close()
