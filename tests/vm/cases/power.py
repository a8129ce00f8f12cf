"""Power cuts while events flow with `ack = "consumer"`: none that was stored may be lost."""

from __future__ import annotations

import random
import time
from typing import Any, Dict, List, Set, Tuple

from tests.vm.host import Ledger
from tests.vm.machine import Machine
from tests.vm.trial import Trial

ROUNDS = 50
SECONDS = (4.0, 20.0)  # between `online` and the cut
MORE = """\
[outbox]
ack = "consumer"
[[rules]]
kind = "presence"
enter_s = 0.0
leave_s = 0.3
"""


def power(trial: Trial) -> None:
    machine = trial.machine()
    trial.provision(machine)
    trial.settings(machine, more=MORE)
    machine.sh("sync")
    chance = random.Random(5)
    ledger = Ledger(trial.broker, trial.place / "ledger.jsonl")
    trial.stack.callback(ledger.stop)
    stored: Dict[str, int] = {}
    recovered_s: List[float] = []
    trial.restart(machine)
    for number in range(trial.rounds or ROUNDS):
        answered = number % 2 == 0  # else every event waits in the outbox
        (ledger.start if answered else ledger.stop)()
        begun_s = time.monotonic()
        time.sleep(chance.uniform(*SECONDS))
        machine.cut()
        ledger.stop()
        note(stored, trial.listener.since(begun_s, "/metrics"))
        begun_s = time.monotonic()
        machine.start()
        recovered_s.append(trial.online(machine, begun_s))
        trial.say(f"cut {number + 1}: online after {recovered_s[-1]:.0f} s, stored {stored}")
    lost = settle(trial, machine, ledger, stored)
    count = len(recovered_s)
    total = sum(map(len, ledger.numbers().values()))
    trial.row(
        "power cut while events flow, then online",
        *recovered_s,
        tried=count,
        held=count,
        lost=lost,
        note=f"{total} events at the consumer, which was away in every second round",
    )
    trial.check(not lost, f"{lost} stored events were lost")


def note(stored: Dict[str, int], messages: List[Dict[str, Any]]) -> None:
    """Remember how many events each run has stored, from its metrics."""
    for message in messages:
        count = int(message["sinks"][0]["outbox"]["stored"])
        stored[message["boot_id"]] = max(count, stored.get(message["boot_id"], 0))


def settle(trial: Trial, machine: Machine, ledger: Ledger, stored: Dict[str, int]) -> int:
    """Wait until the consumer has every stored event, or no more comes; gives those that lack."""
    ledger.start()
    last, quiet_s = -1, time.monotonic()

    def done() -> bool:
        nonlocal last, quiet_s
        count = sum(map(len, ledger.numbers().values()))
        if count != last:
            last, quiet_s = count, time.monotonic()
        return not missing(ledger.numbers(), stored) or time.monotonic() > quiet_s + 60.0

    machine.until(done, "the events of all runs")
    return missing(ledger.numbers(), stored)


def missing(numbers: Dict[str, Set[Tuple[str, int]]], stored: Dict[str, int]) -> int:
    """Events that lack: gaps before the last number of a run, and fewer than its metrics said."""
    lack = 0
    for boot, count in stored.items():
        there = numbers.get(boot, set())
        last = {topic: max(n for name, n in there if name == topic) for topic, _ in there}
        whole = {(topic, number) for topic, most in last.items() for number in range(most + 1)}
        lack += max(len(whole), count) - len(there)
    return lack
