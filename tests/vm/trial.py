"""What a case is given: machines, the broker, and the rows of the table that it fills."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from tests.vm.host import Broker, Listener
from tests.vm.image import ROOT, Image
from tests.vm.machine import Disk, Failed, Machine

GOLDEN = ROOT / "tests/edge/golden/models"
# Two people walk in and out of the picture; the two tiny networks of the tests see them.
SETTINGS = """\
device = "hall"
[[cameras]]
name = "cam0"
source = "{source}"
[models]
dir = "/var/lib/edge/engines"
[detect]
model = "twobox"
[pose]
model = "standing"
[publish]
sinks = [{sinks}]
metrics_s = 2.0
{more}
"""
TLS = """\
[mqtt]
ca_file = "credential:ca.crt"
cert_file = "credential:device.crt"
key_file = "credential:device.key"
"""
SYNTHETIC = "synthetic://walk?width=320&height=240&fps=4"


@dataclass
class Row:
    """One line of the table."""

    fault: str
    tried: int = 1
    held: int = 1  # of those
    lost: Optional[int] = None  # None = nothing can be lost here
    seconds: List[float] = field(default_factory=list)  # to recover
    note: str = ""


@dataclass
class Trial:
    """One case while it runs."""

    name: str
    image: Image
    place: Path
    broker: Broker
    listener: Listener
    rounds: int = 0  # of cases that repeat a fault; 0 = the case's own number
    rows: List[Row] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {self.name}: {text}", flush=True)

    def row(self, fault: str, *seconds: float, **more: Any) -> None:
        """Add a line to the table, and say it."""
        row = Row(fault, seconds=[round(s, 1) for s in seconds], **more)
        self.rows.append(row)
        facts = {k: v for k, v in asdict(row).items() if k != "fault" and v not in ("", None, [])}
        self.say(f"{fault}: {facts}")

    def check(self, true: Any, what: str) -> None:
        """Raise Failed unless something holds."""
        if not true:
            raise Failed(what)

    def machine(self, installed: bool = True, **more: Any) -> Machine:
        """A machine of this case with a fresh disk, booted; it is gone when the case ends."""
        below = self.image.box if installed else self.image.bare
        disk = Disk(below, self.place / f"{self.name}-{len(self.rows)}" / "disk.qcow2")
        machine = Machine(self.image, disk, **more)
        self.stack.callback(machine.close)
        self.say(f"boots with {machine.memory_mb} MB under {machine.accel}")
        self.say(f"login after {machine.boot():.0f} s")
        return machine

    def provision(self, machine: Machine, sink: bool = True) -> None:
        """Give the box its name and certificate, as BOX.md does, with the tiny networks."""
        machine.sh("systemctl stop edge; systemctl start edge-setup")
        machine.put(self.broker.authority / "ca.crt", "/root/ca.crt")
        machine.sh("edge provision --device hall --broker mqtts://broker.local --ca /root/ca.crt")
        machine.put(
            self.broker.sign(machine.out("cat /etc/edge/device.csr") + "\n"), "/root/hall.crt"
        )
        machine.sh("edge provision --certificate /root/hall.crt && systemctl daemon-reload")
        machine.put(GOLDEN, "/root/golden")
        machine.sh(
            "cp -r /root/golden/* /var/lib/edge/engines/ && chown -R edge: /var/lib/edge/engines"
        )

    def settings(self, machine: Machine, source: str = SYNTHETIC, more: str = "") -> None:
        """Write a configuration with one camera; the broker is BOX.md's."""
        text = SETTINGS.format(source=source, sinks='"mqtts://broker.local"', more=TLS + more)
        machine.write("/etc/edge/edge.toml", text)

    def online(self, machine: Machine, begun_s: float) -> float:
        """Wait until the box is online at the broker; gives the seconds since a time."""
        machine.until(lambda: self.listener.online_since(begun_s), "online at the broker", 0.2)
        return time.monotonic() - begun_s

    def restart(self, machine: Machine) -> float:
        """Restart the service and wait for it at the broker; gives the seconds."""
        begun_s = time.monotonic()
        machine.sh("systemctl restart edge")
        return self.online(machine, begun_s)


Case = Callable[[Trial], None]


def tools(folder: Path, words: str) -> None:
    """Run a command of edge-tools on this machine, in a folder."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    line = f"{sys.executable} -m tools {words}"
    subprocess.run(["sh", "-c", line], cwd=folder, check=True, env=environment)


def property_of(machine: Machine, name: str) -> str:
    """A property of the service."""
    return machine.out(f"systemctl show edge --value -p {name}")


def back(machine: Machine, old: str) -> bool:
    """Whether the service runs under another process than the old one and is ready."""
    facts: Dict[str, str] = {}
    for line in machine.out("systemctl show edge -p MainPID -p ActiveState").splitlines():
        name, _, facts[name] = line.partition("=")
    return facts["MainPID"] not in ("0", old) and facts["ActiveState"] == "active"
