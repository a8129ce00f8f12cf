"""The disk is full, and the clock is wrong at boot."""

from __future__ import annotations

import time

from tests.vm.machine import Machine
from tests.vm.trial import Trial, property_of

MORE = """\
[[rules]]
kind = "presence"
enter_s = 0.0
leave_s = 0.3
"""


def disk(trial: Trial) -> None:
    """A full disk under the running program, then a restart on the full disk.

    systemd moves a clock of 1970 forward to the day of its own release; `date` moves it back.
    """
    machine = trial.machine(clock="1970-01-02T00:00:00")
    year = int(machine.out("date +%Y"))
    trial.check(year < time.gmtime().tm_year, f"the machine's year is {year}")
    machine.sh("systemctl stop edge; date -s 1970-01-02 && test $(date +%Y) = 1970")
    trial.provision(machine)
    trial.settings(machine, more=MORE)
    clock(trial, machine, year)
    full(trial, machine)


def clock(trial: Trial, machine: Machine, year: int) -> None:
    """TLS refuses certificates of the future; the box must come online once the clock is right."""
    begun_s = time.monotonic()
    machine.sh("systemctl restart edge")
    old = property_of(machine, "MainPID")
    machine.until(lambda: said(machine, "broker.local"), "a word on the broker")
    trial.check(not trial.listener.online_since(begun_s), "TLS took a certificate of the future")
    begun_s = time.monotonic()
    machine.sh(f"date -s @{int(time.time())}")
    took_s = trial.online(machine, begun_s)
    trial.check(old == property_of(machine, "MainPID"), "the step of the clock ended the program")
    note = f"at boot systemd made {year} of it"
    trial.row("clock at 1970 at boot, stepped to today, then online", took_s, note=note)
    last_s = time.monotonic()
    machine.until(lambda: trial.listener.since(last_s, "/metrics"), "metrics after the step")
    metrics = trial.listener.since(last_s, "/metrics")[0]
    trial.check(abs(metrics["t_utc_ns"] - time.time_ns()) < 600e9, f"the old time: {metrics}")


def said(machine: Machine, what: str) -> bool:
    """Whether the service's journal has a text."""
    words = f"journalctl -u edge --no-pager | grep -qi {what!r}"
    return machine.sh(words, check=False).returncode == 0


def full(trial: Trial, machine: Machine) -> None:
    """Fill the disk to the last block, watch events, restart, free it again."""
    old = property_of(machine, "MainPID")
    machine.sh("dd if=/dev/zero of=/var/lib/edge/full bs=1M 2>/dev/null; sync", check=False)
    machine.sh("test $(df --output=avail / | tail -n 1) = 0")
    begun_s = time.monotonic()
    machine.until(lambda: trial.listener.since(begun_s, "/event/"), "an event on a full disk")
    trial.row("disk full: events still flow", time.monotonic() - begun_s)
    trial.check(old == property_of(machine, "MainPID"), "a full disk ended the program")
    trial.row("restart on a full disk, then online", trial.restart(machine))
    machine.sh("rm /var/lib/edge/full")
    begun_s = time.monotonic()
    machine.until(lambda: trial.listener.since(begun_s, "/event/"), "an event after the disk")
    trial.row("disk freed: events flow", time.monotonic() - begun_s)
