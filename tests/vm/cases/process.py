"""The program hangs, and memory runs out: a box of 2 GiB."""

from __future__ import annotations

import time

from tests.vm.machine import Machine
from tests.vm.trial import Trial, back, property_of

TIMES = 3


def process(trial: Trial) -> None:
    machine = trial.machine(memory_mb=2048)
    trial.provision(machine)
    trial.settings(machine)
    trial.row("2 GiB of memory: restart, then online", trial.restart(machine), note=used(machine))
    seconds = [stop(trial, machine) for _ in range(trial.rounds or TIMES)]
    trial.row("SIGSTOP: watchdog, trace, back", *seconds, tried=len(seconds), held=len(seconds))
    seconds = [out_of_memory(trial, machine) for _ in range(trial.rounds or TIMES)]
    trial.row("killed for memory, back", *seconds, tried=len(seconds), held=len(seconds))


def used(machine: Machine) -> str:
    """Memory of the service, as systemd counts it."""
    return f"the service has {int(property_of(machine, 'MemoryCurrent')) >> 20} MiB"


def stop(trial: Trial, machine: Machine) -> float:
    """Stop the program as a hang would; gives the seconds until it is online again."""
    old = property_of(machine, "MainPID")
    begun_s = time.monotonic()
    machine.sh(f"kill -STOP {old}")
    machine.until(lambda: back(machine, old), "a restart by the watchdog")
    took_s = trial.online(machine, begun_s)
    log = machine.out(f"journalctl -u edge --no-pager _PID={old} + _PID=1 | tail -n 200")
    trial.check("atchdog" in log, f"the journal does not name the watchdog: {log[-500:]}")
    log = machine.out(f"journalctl --no-pager _PID={old} | tail -n 200")
    trial.check("most recent call first" in log, f"no trace of the threads: {log[-500:]}")
    return took_s


def out_of_memory(trial: Trial, machine: Machine) -> float:
    """Lower the service's limit below what it has; gives the seconds until it is online again."""
    old = property_of(machine, "MainPID")
    before = kills(machine)
    begun_s = time.monotonic()
    machine.sh("systemctl set-property --runtime edge MemoryMax=24M", check=False)
    machine.until(lambda: kills(machine) > before, "a kill for memory")
    machine.sh("systemctl set-property --runtime edge MemoryMax=80%")
    machine.until(lambda: back(machine, old), "a restart after a kill for memory")
    return trial.online(machine, begun_s)


def kills(machine: Machine) -> int:
    """How many processes the kernel has killed for memory."""
    return int(machine.out("awk '$1 == \"oom_kill\" {print $2}' /proc/vmstat"))
