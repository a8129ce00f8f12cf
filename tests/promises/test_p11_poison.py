"""Messages that a broker will never take."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from tests.promises.box_process import BoxProcess, Consumer, spread
from tests.waiting import Slowness, until
from tools.mqtt.broker import Broker

OTHERS = 20


def poisoned(kind: str, protocol: str) -> Broker:
    broker = Broker("mosquitto")
    if kind == "too large":
        broker.extra = ["max_packet_size 20000"]  # told to MQTT 5; 3.1.1 is cut off on the spot
    else:
        rules = (
            "read #",
            "write poses/v1/box/status",
            "write poses/v1/box/+/event/wave",
            "write poses/v1/box/+/event/outbox_parked",
        )
        (broker.folder / "acl").write_text(
            "".join(f"topic {rule}\n" for rule in rules), encoding="utf-8"
        )
        broker.extra = [f"acl_file {broker.folder / 'acl'}"]
    return broker


def firsts(consumer: Consumer) -> List[Dict[str, Any]]:
    """The others, each as it came first; the first run gave the poison only."""
    waves = [r for r in reversed(consumer.of("wave")) if len(r["data"]["pad"]) < 1000]
    return list({(r["boot_id"], r["seq"]): r for r in waves}.values())


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [("too large", "5"), ("too large", "3.1.1"), ("forbidden", "5")],
)
def test_poison_delays_nobody_for_long(
    boxes: Any, figures: Any, soak: bool, slowness: Slowness, kind: str, protocol: str
) -> None:
    """P11: a message the broker refuses for ever delays the others by 10 s at most, is set aside
    and reported; also after a restart.
    """
    rounds = 10 if soak else 2
    with poisoned(kind, protocol) as broker, Consumer(broker.port) as consumer:
        poison = {"pad": 50_000} if kind == "too large" else {"kind": "secret"}  # type: ignore[dict-item]
        box: BoxProcess = boxes(
            uri=broker.uri, mqtt={"protocol": protocol}, count=1, linger=True, **poison
        )
        until(lambda: box.status().get("stored", 0) >= 1, "the poison")
        for turn in range(rounds):
            box.kill()
            box.start(pad=10, kind="wave", count=OTHERS, linger=True)
            want = OTHERS * (turn + 1)
            until(lambda n=want: len(firsts(consumer)) >= n, "the others")  # type: ignore[misc]
            until(lambda: box.status().get("outbox", {}).get("parked"), "setting it aside")
        until(lambda: len(consumer.of("outbox_parked")) >= 1, "the report")
        report = consumer.of("outbox_parked")[-1]["data"]
        assert all(r["kind"] != "secret" for r in consumer.records)
        until(lambda: box.status()["waiting"] == 0, "the rest")
        status = box.status()
        box.kill()
    # One clock on one machine: from the rule to the first arrival at the consumer.
    late_s = [(r["arrived_ns"] - r["t_mono_ns"]) / 1e9 for r in firsts(consumer)]
    figures(
        "P11",
        what=kind,
        protocol=protocol,
        rounds=rounds,
        events=len(late_s),
        delay_of_others_s=spread(late_s),
    )
    assert report["topic"].startswith("poses/v1/box/cam0/event/")
    assert status["outbox"]["parked"] == 1
    assert max(late_s) < 10 * slowness.worst, "promised"
