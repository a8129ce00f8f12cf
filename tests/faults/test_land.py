"""`edge-tools land`: kills of lander and broker lose nothing, and nothing counts twice."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.errors import NoInputError
from edge.publish import Publisher
from edge.publish._address import parse
from edge.settings.publishing import Mqtt, Outbox
from tests.faults.mqtt_consumer import config, event
from tests.waiting import GIVE_UP_S, until
from tools.__main__ import main
from tools.landing import lander, tables
from tools.mqtt.broker import Broker


def start(uri: str, folder: Path, *more: str) -> Any:
    """A lander that has subscribed."""
    command = [sys.executable, "-m", "tools", "land", uri, str(folder), "--client-id", "lander"]
    child = subprocess.Popen([*command, *more], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline().startswith(b"landing in "), "it ended at once"
    return child


def end(child: Any) -> None:
    child.kill()
    child.communicate()


def numbers(folder: Path) -> List[int]:
    try:
        database = tables.open_events(folder)
    except NoInputError:
        return []
    rows = database.execute("SELECT data FROM events WHERE kind <> 'heartbeat'")
    return sorted(json.loads(data)["number"] for (data,) in rows.fetchall())


def test_kills_of_lander_broker_and_join_lose_no_event(broker: Any, tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    outbox = Outbox(path=str(tmp_path / "outbox.db"), ack="consumer", max_mb=4, answer_s=0.5)
    publisher = Publisher(dataclasses.replace(config(broker.uri), outbox=outbox))
    child, sent = start(broker.uri, folder, "--every", "0.2"), 0
    try:
        for killed in ("lander", "broker", "lander", "nothing"):
            for _ in range(30):
                publisher.event(event(sent))
                sent += 1
            _until_landed(folder, sent - 30)
            if killed == "broker":
                broker.stop(signal.SIGKILL)
                broker.start()
            elif killed == "lander":
                end(child)
                child = start(broker.uri, folder, "--every", "0.2")
            tables.join(folder, 0, quiet=True)
        until(lambda: publisher.report()[0]["waiting"] == 0, "answers to the box")
        _until_landed(folder, sent - 1)
        child.terminate()
        assert child.wait(GIVE_UP_S) == 0
    finally:
        end(child)
        publisher.close(1.0)
    assert numbers(folder) == list(range(sent)), "each once"


def test_a_backlog_waits_at_the_broker_not_in_memory() -> None:
    sender = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    wanted, got = 3 * lander.IN_FLIGHT, 0
    with Broker("mosquitto", extra=["max_queued_messages 0"]) as broker:
        sender.connect("127.0.0.1", broker.port)
        sender.loop_start()
        with lander.Lander(parse(broker.uri, Mqtt()), "lander") as one:
            assert one.batch(0.0, 500).arrived == []
            for number in range(wanted):
                info = sender.publish("poses/v1/box/cam/event/zone", str(number), 1)
            info.wait_for_publish(GIVE_UP_S)
            while got < wanted - lander.IN_FLIGHT:
                until(lambda: len(one._arrived) == lander.IN_FLIGHT, "a full hand")
                batch = one.batch(0.0, 500)
                one.acknowledge(batch)
                got += len(batch.arrived)
            until(lambda: len(one._arrived) == lander.IN_FLIGHT, "a full hand")
        sender.loop_stop()


def _until_landed(folder: Path, more_than: int) -> None:
    until(lambda: len(numbers(folder)) > more_than, "landing")


def test_a_full_disk_acknowledges_nothing_and_what_is_no_event_is_kept(
    broker: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "landing"
    (folder / "landed").mkdir(parents=True)
    sender = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    sender.connect("127.0.0.1", broker.port)
    sender.loop_start()
    day = folder / "landed" / "day=2026-11-30"
    day.write_text("in the way, as a disk that refuses", encoding="utf-8")
    child = start(broker.uri, folder, "--every", "0.2")
    try:
        body = {"device": "box", "camera": "cam", "kind": "zone", "boot_id": "0" * 16, "seq": 1}
        body.update(t_utc_ns=1_796_040_000 * 10**9, person=1, score=50, data={"number": 0})
        sender.publish("poses/v1/box/cam/event/zone", json.dumps(body), 1)
        sender.publish("poses/v1/box/cam/event/zone", b"\xff no event", 1)
        sender.publish("poses/v1/other/cam/event/zone", json.dumps(body), 1)
        until(
            lambda: b"nothing is acknowledged" in child.stdout.readline(), "the line that says so"
        )
        assert numbers(folder) == []
        day.unlink()
        until(lambda: numbers(folder) == [0], "the event after the disk works")
        until(lambda: len(_refused(folder)) == 2, "what was refused")
    finally:
        end(child)
        sender.loop_stop()
    whys = sorted(row["why"] for row in _refused(folder))
    assert "than its topic" in whys[-1]


def _refused(folder: Path) -> List[Any]:
    texts = [f.read_text(encoding="utf-8") for f in (folder / "refused").glob("*.jsonl")]
    lines = [line for text in texts for line in text.splitlines()]
    return [row for row in map(json.loads, lines) if "/event/" in row["topic"]]


def test_the_fleet_demo_ends_with_a_page(tmp_path: Path, capfd: Any) -> None:
    lines = []
    for step in range(4):
        head = {"device": "demo", "camera": "door", "boot_id": "0" * 16, "seq": step}
        head.update(t_utc_ns=10**18 + step * 10**9, t_mono_ns=step * 10**9)
        frame = {**head, "size": [640, 480], "people": [{"box": [0, 0, 900, 4000]}]}
        lines.append({"topic": "poses/v1/demo/door/frame", "payload": frame})
        data = {"action": "leave", "dwell_s": 4.0}
        event = {**head, "kind": "presence", "person": step, "score": 50, "data": data}
        lines.append({"topic": "poses/v1/demo/door/event/presence", "payload": event})
    messages = tmp_path / "messages.jsonl"
    messages.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["fleet-demo", "--messages", str(messages), "--out", str(out), "--boxes", "2"]
    assert main(arguments) == 0
    said = capfd.readouterr().out
    assert "simulated: 2 boxes" in said
    assert "events of 2 boxes, 0 alarms" in said
    page = (out / "fleet.html").read_text("utf-8")
    assert "Where people stood" in page
    messages.write_text(json.dumps(lines[0]) + "\n", encoding="utf-8")
    assert main(arguments) == 66
    assert "holds no event; `make demo` makes one" in capfd.readouterr().err
