"""systemd/BOX.md word for word: install, provision, signed networks, operation, upgrade, removal.

Other than on the page: a synthetic camera, the two tiny networks of the tests instead of those that
`edge-tools get` downloads, and no `journalctl -f`, which never ends.
"""

from __future__ import annotations

import shutil
import subprocess
import time

from tests.vm import page
from tests.vm.machine import Machine
from tests.vm.newer import newer_package
from tests.vm.trial import GOLDEN, SYNTHETIC, Trial, property_of, tools

PLACE = "/root/box"
NO_NETWORKS = 69  # `edge doctor` before the networks are there
EXPOSURE = {"edge": 1.7, "edge-setup": 3.0}


def box(trial: Trial) -> None:
    machine = trial.machine(installed=False)
    install(trial, machine)
    provision(trial, machine)
    networks(trial, machine)
    operate(trial, machine)
    security(trial, machine)
    upgrade(trial, machine)
    remove(trial, machine)


def install(trial: Trial, machine: Machine) -> None:
    machine.sh(f"mkdir {PLACE}")
    machine.put(trial.image.package, f"{PLACE}/edge-pose.deb")
    begun_s = time.monotonic()
    machine.sh(f"DEBIAN_FRONTEND=noninteractive apt-get install -y {PLACE}/edge-pose.deb")
    trial.row("package installed", time.monotonic() - begun_s)


def provision(trial: Trial, machine: Machine) -> None:
    """The page's block from `edge provision` on; the service starts once it has networks."""
    machine.put(trial.broker.authority / "ca.crt", f"{PLACE}/ca.crt")
    for line in page.blocks()["on the box"]:
        if "--certificate" in line:
            request = machine.out("cat /etc/edge/device.csr") + "\n"
            machine.put(trial.broker.sign(request), f"{PLACE}/hall.crt")
        if line.startswith(("make install", "runuser", "journalctl", "systemctl restart")):
            continue
        done = machine.sh(f"cd {PLACE} && {line}", check=False)
        allowed = (0, NO_NETWORKS) if line.startswith("edge doctor") else (0,)
        trial.check(done.returncode in allowed, f"$ {line}\n{done.stdout}{done.stderr}")
    trial.row("provisioned with a signed certificate")


def networks(trial: Trial, machine: Machine) -> None:
    """The page's two blocks about signed networks; the box is online at their end."""
    workstation = trial.place / "workstation"
    shutil.copytree(GOLDEN, workstation / "engines")
    for line in page.blocks()["on a workstation"]:
        program, _, words = line.partition(" ")
        if program != "edge-tools":
            subprocess.run(["sh", "-c", line], cwd=workstation, check=True)
        elif not words.startswith("get "):
            tools(workstation, words)
    for name in ("networks.tar", "operator.pub"):
        machine.put(workstation / name, f"{PLACE}/{name}")
    adjust(machine)
    begun_s = time.monotonic()
    for line in page.blocks()["on the box: signed networks"]:
        done = machine.sh(f"cd {PLACE} && {line}", check=False)
        trial.check(done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}")
    trial.row("signed networks, then online over TLS", trial.online(machine, begun_s))


def adjust(machine: Machine) -> None:
    """A camera and networks that this machine has, in the configuration that provision wrote."""
    source = SYNTHETIC.replace("&", "\\&")
    machine.sh(f"sed -i 's#^source = .*#source = \"{source}\"#' /etc/edge/edge.toml")
    for table, model in (("detect", "twobox"), ("pose", "standing")):
        machine.sh(f"printf '\\n[{table}]\\nmodel = \"{model}\"\\n' >>/etc/edge/edge.toml")


def operate(trial: Trial, machine: Machine) -> None:
    """Reload and restart."""
    process = property_of(machine, "MainPID")
    begun_s = time.monotonic()
    machine.sh("sed -i 's/fps=4/fps=5/' /etc/edge/edge.toml && systemctl reload edge")
    said = "journalctl -u edge --no-pager | grep -q 'reloaded: '"
    machine.until(lambda: machine.sh(said, check=False).returncode == 0, "a reload")
    trial.row("reload of a changed camera", time.monotonic() - begun_s)
    trial.check(
        process == machine.out("systemctl show edge --value -p MainPID"),
        "a reload ended the daemon",
    )
    machine.sh("echo 'camera = 1' >>/etc/edge/edge.toml")
    done = machine.sh("systemctl reload edge", check=False)
    trial.check(done.returncode, "a wrong configuration was reloaded")
    machine.sh("sed -i '$d' /etc/edge/edge.toml")
    trial.row("reload of a wrong configuration is refused")
    trial.row("restart, then online", trial.restart(machine))


def security(trial: Trial, machine: Machine) -> None:
    for unit, most in EXPOSURE.items():
        text = machine.out(f"systemd-analyze security --no-pager {unit} | tail -n 1")
        level = float(text.partition("service: ")[2].split()[0])
        trial.check(level <= most, f"{unit}: exposure {level}, at most {most}")
        trial.row(f"systemd-analyze security {unit}", note=f"{level}, at most {most}")


def upgrade(trial: Trial, machine: Machine) -> None:
    """A newer version of the package."""
    package, version = newer_package(trial.image.package, 1, trial.place)
    machine.put(package, f"{PLACE}/newer.deb")
    before = machine.out("cksum /etc/edge/edge.toml /etc/edge/credentials/*")
    begun_s = time.monotonic()
    machine.sh(f"DEBIAN_FRONTEND=noninteractive apt-get install -y {PLACE}/newer.deb")
    trial.row("package upgraded, then online", trial.online(machine, begun_s))
    runs = machine.out("edge --version")
    trial.check(runs.endswith(version), f"{runs} after the upgrade to {version}")
    after = machine.out("cksum /etc/edge/edge.toml /etc/edge/credentials/*")
    trial.check(before == after, f"an upgrade changed settings or keys: {before} {after}")


def remove(trial: Trial, machine: Machine) -> None:
    """Removal keeps settings and keys; a purge does not."""
    machine.sh("apt-get remove -y edge-pose")
    there = "test -e /etc/edge/edge.toml && test -e /etc/edge/credentials/device.key"
    machine.sh(f"{there} && ! test -e /usr/lib/edge/venv && ! systemctl is-active -q edge")
    trial.row("package removed; settings and keys stay")
    machine.sh("apt-get purge -y edge-pose && ! test -e /etc/edge && ! test -e /var/lib/edge")
    trial.row("package purged; nothing stays")
