"""Power cuts while a box is changed: a bundle, its name and key, the package.

After each cut the box must come back by itself, with the old or the new. The same command, said
again, must then end as it would have without the cut.
"""

from __future__ import annotations

import json
import random
import shlex
import shutil
import time
from pathlib import Path
from typing import List, Tuple

from tests.vm.machine import Machine
from tests.vm.newer import newer_package
from tests.vm.trial import GOLDEN, Trial, property_of, tools

ROUNDS = 5
MODELS = ("twobox", "standing")
SPARE_BYTES = 24 << 20  # makes the unpacking long enough to be cut
MORE = """\
[trust]
key_file = "credential:operator.pub"
[bundle]
enabled = true
confirm_frames = 4
"""
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y /root/newer.deb"


def begin(trial: Trial) -> Tuple[Machine, random.Random]:
    """A box with a certificate, and moments for its cuts."""
    machine = trial.machine()
    trial.provision(machine)
    trial.settings(machine)
    return machine, random.Random(11)


def cut_in(machine: Machine, command: str, whole_s: float, chance: random.Random) -> float:
    """Begin a command, cut the power within its time, power on; gives the time of that."""
    machine.sh(f"sync; systemd-run -q --no-block --unit=change sh -c {shlex.quote(command)}")
    time.sleep(chance.uniform(0.0, whole_s))
    machine.cut()
    begun_s = time.monotonic()
    machine.start()
    return begun_s


def timed(machine: Machine, command: str) -> float:
    """Run a command to its end; gives the seconds."""
    begun_s = time.monotonic()
    machine.sh(command)
    return time.monotonic() - begun_s


def bundle(trial: Trial) -> None:
    """`edge-tools bundle install`: the old or the new bundle is in use, whole."""
    machine, chance = begin(trial)
    workstation = trial.place / "bundles"
    shutil.copytree(GOLDEN, workstation / "engines")
    (workstation / "engines/standing/spare.cache").write_bytes(chance.randbytes(SPARE_BYTES))
    tools(workstation, "keygen operator")
    tools(workstation, "sign --models engines --key operator.key")
    machine.put(workstation / "operator.pub", "/etc/edge/credentials/operator.pub")
    machine.put(workstation / "operator.pub", "/var/tmp/operator.pub")
    machine.put(workstation / "engines", "/root/signed")
    machine.sh("cp -r /root/signed/* /var/lib/edge/engines && chown -R edge: /var/lib/edge/engines")
    trial.settings(machine, more=MORE)
    machine.sh("edge provision && systemctl daemon-reload")
    trial.restart(machine)
    whole_s = timed(machine, carry(machine, workstation, 1))
    use(trial, machine, 1)
    seconds: List[float] = []
    fresh = 0
    for version in range(2, 2 + (trial.rounds or ROUNDS)):
        command = carry(machine, workstation, version)
        begun_s = cut_in(machine, command, whole_s, chance)
        seconds.append(trial.online(machine, begun_s))
        now = version_in_use(machine)
        trial.check(now in (version - 1, version), f"version {now}, not {version} or before")
        fresh += now == version
        trial.say(f"cut {len(seconds)}: online after {seconds[-1]:.0f} s with version {now}")
        if now != version:
            machine.sh(command)
        use(trial, machine, version)
    count = len(seconds)
    note = f"{fresh} had the new bundle after the cut; the others took it when told again"
    what = "power cut during `edge-tools bundle install`, then online"
    trial.row(what, *seconds, tried=count, held=count, note=note)


def carry(machine: Machine, workstation: Path, version: int) -> str:
    """Make a bundle and copy it to the box; gives the command that installs it."""
    name = f"{version}.bundle"
    models = " ".join(MODELS)
    words = f"bundle make {models} --key operator.key --version {version} --out {name}"
    tools(workstation, words)
    machine.put(workstation / name, f"/var/tmp/{name}")
    machine.sh("chmod 644 /var/tmp/*.bundle /var/tmp/operator.pub")
    machine.sh(f"rm -f /var/tmp/{version - 1}.bundle")
    install = f"edge-tools bundle install /var/tmp/{name} --state /var/lib/edge/state"
    return f"cd /; runuser -u edge -- {install} --key /var/tmp/operator.pub"


def version_in_use(machine: Machine) -> int:
    """Of the bundle; a state that cannot be read fails the case."""
    return int(json.loads(machine.out("cat /var/lib/edge/state/bundles/state.json"))["version"])


def use(trial: Trial, machine: Machine, version: int) -> None:
    """Restart with the bundle, and wait until it is confirmed."""
    trial.restart(machine)

    def confirmed() -> bool:
        state = json.loads(machine.out("cat /var/lib/edge/state/bundles/state.json"))
        return bool(state["version"] == version and state["confirmed"])

    machine.until(confirmed, f"bundle {version} confirmed")


def provision(trial: Trial) -> None:
    """`edge provision` with a new name and key, then with the certificate."""
    machine, chance = begin(trial)
    whole_s = timed(machine, "edge provision --device first --new-key")
    certify(trial, machine)
    trial.restart(machine)
    asked: List[float] = []
    given: List[float] = []
    for number in range(trial.rounds or ROUNDS):
        command = f"edge provision --device name{number}"
        begun_s = cut_in(machine, f"{command} --new-key", whole_s, chance)
        asked.append(running(machine, begun_s))
        trial.say(f"cut {number + 1}: runs after {asked[-1]:.0f} s")
        machine.sh(command)
        sign(trial, machine)
        command = "edge provision --certificate /root/hall.crt"
        begun_s = cut_in(machine, command, whole_s, chance)
        given.append(running(machine, begun_s))
        machine.sh(f"{command} && systemctl daemon-reload")
        trial.restart(machine)
        trial.say(f"and runs after {given[-1]:.0f} s; online with its new name")
    what = "power cut during `edge provision {}`: the service runs; then the same again: online"
    for words, seconds in (("--device --new-key", asked), ("--certificate", given)):
        trial.row(what.format(words), *seconds, tried=len(seconds), held=len(seconds))


def sign(trial: Trial, machine: Machine) -> None:
    """Let the authority sign the box's present request."""
    machine.put(trial.broker.sign(machine.out("cat /etc/edge/device.csr") + "\n"), "/root/hall.crt")
    machine.sh("sync")


def certify(trial: Trial, machine: Machine) -> None:
    sign(trial, machine)
    machine.sh("edge provision --certificate /root/hall.crt && systemctl daemon-reload")


def running(machine: Machine, begun_s: float) -> float:
    """Wait until the service runs after a boot; gives the seconds."""
    machine.await_login()
    machine.until(lambda: property_of(machine, "ActiveState") == "active", "the service runs")
    return time.monotonic() - begun_s


def upgrade(trial: Trial) -> None:
    """`apt-get install` of a newer package: its wheel has another name, as that of a release."""
    machine, chance = begin(trial)
    bring(trial, machine, 1)
    begun_s = time.monotonic()
    machine.sh(INSTALL)
    trial.online(machine, begun_s)
    whole_s = time.monotonic() - begun_s
    seconds: List[float] = []
    for number in range(2, 2 + (trial.rounds or ROUNDS)):
        version = bring(trial, machine, number)
        begun_s = cut_in(machine, INSTALL, whole_s, chance)
        seconds.append(trial.online(machine, begun_s))
        machine.await_login()
        state = machine.out("dpkg-query -W -f '${Status} ${Version}' edge-pose")
        runs = machine.out("edge --version")
        trial.say(f"cut {len(seconds)}: online after {seconds[-1]:.0f} s; {state}; {runs}")
        begun_s = time.monotonic()
        machine.sh(f"dpkg --configure -a; {INSTALL}")
        trial.online(machine, begun_s)
        runs = machine.out("edge --version")
        trial.check(runs.endswith(version), f"{runs}, not {version}")
    count = len(seconds)
    what = "power cut during the upgrade of the package, then online"
    trial.row(what, *seconds, tried=count, held=count, note=f"an upgrade takes {whole_s:.0f} s")


def bring(trial: Trial, machine: Machine, number: int) -> str:
    """Make a newer package and copy it to the box; gives its version."""
    path, version = newer_package(trial.image.package, number, trial.place)
    machine.put(path, "/root/newer.deb")
    path.unlink()
    return version
