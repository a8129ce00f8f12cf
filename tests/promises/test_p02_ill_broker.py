"""A broker that is there and ill: it never acknowledges, or closes at every event, for a while."""

from __future__ import annotations

import json
import time
from typing import Any, Set

from tests.faults.hand_broker import HandBroker
from tests.promises.box_process import BoxProcess
from tests.waiting import until


def numbers(broker: HandBroker) -> Set[int]:
    """The numbers of the events of the box that the broker took."""
    records = map(json.loads, broker.bodies("/event/wave"))
    return {record["data"]["n"] for record in records}


def ill(broker: HandBroker, how: str) -> None:
    broker.takes = lambda topic, qos: how if "/event/" in topic else "ack"


def well(broker: HandBroker) -> None:
    broker.takes = lambda topic, qos: "ack"


def wait_for_connections(broker: HandBroker, count: int) -> None:
    until(lambda: len(broker.accepted) >= count, "a new connection", every_s=0.1)


def test_a_broker_that_never_acknowledges_is_noticed_and_loses_nothing(
    boxes: Any, soak: bool, figures: Any
) -> None:
    """P2: a broker that answers pings and states and acknowledges no event is noticed within
    40 s, by a line and a new connection; every event arrives once it acknowledges.
    """
    outages = 3 if soak else 1  # the limit doubles: 30, 60, 120 s
    short = {} if soak else {"edge.publish._ack_watch:ACK_S": 3.0}
    noticed_s = []
    with HandBroker() as broker:
        ill(broker, "ignore")
        box: BoxProcess = boxes(
            uri=broker.uri, mqtt={"keepalive_s": 5}, rate_hz=20, count=0, constants=short
        )
        until(lambda: box.status().get("stored", 0) >= 20, "events")
        for turn in range(outages):
            start_s = time.monotonic()
            wait_for_connections(broker, turn + 2)
            noticed_s.append(round(time.monotonic() - start_s, 1))
        assert f"is not acknowledged within {30 if soak else 3} s" in box.log.read_text(
            encoding="utf-8"
        )
        well(broker)
        want_events = box.status()["given"]
        wanted = set(range(want_events))
        until(lambda: numbers(broker) >= wanted, "every event", every_s=0.1)
        assert not box.status()["outbox"]["parked"]
    figures("P2", what="no PUBACK", noticed_s=noticed_s, events=want_events, lost=0)


def test_events_set_aside_by_an_ill_broker_arrive_without_a_restart(
    boxes: Any, soak: bool, figures: Any
) -> None:
    """P2: a broker that closes the connection at every event for a while gets all events once it
    is well, without a restart of the box.
    """
    ill_s, count = (60, 400) if soak else (0, 40)
    short = {} if soak else {"edge.publish._parked:FIRST_S": 1.0}
    with HandBroker() as broker:
        ill(broker, "close")
        start_s = time.monotonic()
        box: BoxProcess = boxes(
            uri=broker.uri, rate_hz=20, count=count, linger=True, constants=short
        )
        until(lambda: box.status().get("outbox", {}).get("parked", 0) >= 2, "events set aside")
        until(lambda: time.monotonic() - start_s >= ill_s, "the time", every_s=0.1)
        parked = box.status()["outbox"]["parked"]
        well(broker)
        well_s = time.monotonic()
        until(lambda: numbers(broker) == set(range(count)), "every event", every_s=0.1)
        took_s = round(time.monotonic() - well_s, 1)
    figures("P2", what="closes at events", parked=parked, events=count, lost=0, took_s=took_s)
