"""examples/consumer.py: an event stays in the box until it is in the consumer's ledger."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, List

from edge.publish import Publisher
from edge.settings.publishing import Outbox
from tests.faults.mqtt_consumer import config, event
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def start(port: int, ledger: Path) -> Any:
    command = [sys.executable, str(ROOT / "examples/consumer.py"), f"127.0.0.1:{port}", str(ledger)]
    return subprocess.Popen(command)


def numbers(ledger: Path) -> List[int]:
    lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
    return [json.loads(line)["event"]["data"]["number"] for line in lines]


def test_the_example_consumer_answers_what_is_in_its_ledger(broker: Any, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    outbox = Outbox(path=str(tmp_path / "outbox.db"), ack="consumer", max_mb=4, answer_s=0.5)
    settings = dataclasses.replace(config(broker.uri), outbox=outbox)
    publisher = Publisher(settings)
    for i in range(20):
        publisher.event(event(i))
    until(lambda: publisher.report()[0]["waiting"] == 20, "storing")
    child = start(broker.port, ledger)
    try:
        until(lambda: publisher.report()[0]["waiting"] == 0, "answers")
        child.kill()
        child.wait()
        for i in range(20, 40):
            publisher.event(event(i))
        child = start(broker.port, ledger)
        until(lambda: len(numbers(ledger)) == 40, "the rest")
        until(lambda: publisher.report()[0]["waiting"] == 0, "answers")
    finally:
        child.kill()
        child.wait()
        publisher.close(1.0)
    assert sorted(numbers(ledger)) == list(range(40)), "each once"
    assert publisher.report()[0]["outbox"]["durable"] is True


def test_a_torn_line_of_the_ledger_is_stored_again(broker: Any, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    whole = json.dumps({"key": ["t", "0" * 16, 1], "event": {"data": {"number": 99}}}) + "\n"
    ledger.write_text(whole + '{"key": ["t", "00', encoding="utf-8")
    outbox = Outbox(path=str(tmp_path / "outbox.db"), ack="consumer", max_mb=4, answer_s=0.5)
    publisher = Publisher(dataclasses.replace(config(broker.uri), outbox=outbox))
    publisher.event(event(5))
    child = start(broker.port, ledger)
    try:
        until(lambda: publisher.report()[0]["waiting"] == 0, "the acknowledgement")
    finally:
        child.kill()
        child.wait()
        publisher.close(1.0)
    assert numbers(ledger) == [99, 5]
