"""BOX.md word for word on a copy of this machine: broker, box, networks, signed networks, 4 GiB.

All its command lines are run in their order, except those that need systemd as the first process.
Nothing is downloaded: archives come from the cache of the tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from edge.recipe import load_recipe
from tests.service import machine_copy
from tests.service.debian import ROOT, here, run
from tools.fetch.by_name import ensure_model
from tools.fetch.cache import cached_archive
from tools.fetch.sources import archive_of_weights

NETWORKS = ("hybrid", "blazepose")
BOX, BROKER = "/root/box", "/root/broker-machine"
MEMORY_KB = 4 << 20  # a box of 4 GiB
SKIPPED = ("make install", "systemctl ", "journalctl ", "#")
# What the unit gives the service: systemd.exec(5).
SERVICE = """
set -eu
place=/run/credentials/edge.service
drop_in=/etc/systemd/system/edge.service.d/10-credentials.conf
mkdir -p $place
for line in $(sed -n 's/^LoadCredential=//p' $drop_in); do
  install -o edge -m 400 "${line#*:}" "$place/${line%%:*}"
done
chown edge $place
chmod 500 $place
ulimit -v "$1"
exec runuser -u edge -- env HOME=/var/lib/edge/state STATE_DIRECTORY=/var/lib/edge/state \\
  CREDENTIALS_DIRECTORY=$place edge run --config /etc/edge/edge.toml --max-frames "$2"
"""

pytestmark = pytest.mark.long


def blocks() -> Dict[str, List[str]]:
    """The command lines of BOX.md by where they are to be run."""
    text = (ROOT / "systemd/BOX.md").read_text("utf-8")
    found = re.findall(r"<!-- (on .*?) -->\n```sh\n(.*?)```", text, re.DOTALL)
    whole = {where: lines.replace("\\\n", "").splitlines() for where, lines in found}
    return {where: [line for line in lines if line] for where, lines in whole.items()}


PAGE = blocks()


class Walk:
    """Runs lines of the page on the machine, in the folders of the box and of the broker."""

    def __init__(self, machine: machine_copy.Run) -> None:
        self.machine = machine

    def sh(self, line: str, place: str = "/") -> Any:
        return self.machine("bash", "-c", f"cd {place} && {line}")

    def do(self, line: str, place: str, *codes: int) -> str:
        """Run a line that must end with 0, or with one of these codes; gives its output."""
        done = self.sh(line, place)
        assert done.returncode in (codes or (0,)), f"$ {line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return str(done.stdout + done.stderr)

    def serve(self, frames: int) -> Any:
        """The service as its unit runs it, in the memory of a small box."""
        return self.machine("sh", "-c", SERVICE, "sh", MEMORY_KB, frames)


@pytest.fixture(scope="module")
def walk(machine: machine_copy.Run, packages: Dict[str, Path]) -> Iterator[Walk]:
    done = machine("dpkg", "--install", packages[here()])
    assert done.returncode == 0, done.stdout + done.stderr
    walk = Walk(machine)
    walk.do("sh /usr/lib/edge/setup", "/")
    walk.do(f"mkdir -p {BOX} {BROKER} && chmod 700 /root", "/")
    walk.do(f"cp -r /usr/share/doc/edge-pose/broker {BROKER}/", "/")
    walk.do("ip link set lo up; echo '127.0.0.1 broker.local' >>/etc/hosts", "/")
    for name in NETWORKS:  # downloaded, or fetched by other tests before
        for network in load_recipe(ensure_model(name, quiet=True)).networks.values():
            assert network.weights is not None
            archive = cached_archive(archive_of_weights(network.weights), quiet=True)
            walk.do(f"install -o edge {archive} /var/cache/edge/", "/")
    yield walk
    walk.sh("pkill -F /run/mosquitto-test.pid")


def lines(where: str) -> List[str]:
    return [line for line in PAGE[where] if not line.startswith(SKIPPED)]


def test_every_block_is_known() -> None:
    """A new block of the page must be walked here, too."""
    assert sorted(PAGE) == [
        "on a workstation",
        "on the box",
        "on the box: its own cameras, engines and recordings",
        "on the box: signed networks",
        "on the broker",
    ]
    text = (ROOT / "systemd/BOX.md").read_text("utf-8")
    assert text.count("```sh") == len(PAGE)


def test_the_page_from_a_broker_to_a_provisioned_box(walk: Walk) -> None:
    """Broker and box, each with what the other gave it."""
    start = "sed -i 's/^per_listener/pid_file \\/run\\/mosquitto-test.pid\\n&/' "
    start += "/etc/mosquitto/conf.d/edge.conf; mosquitto -d -c /etc/mosquitto/conf.d/edge.conf"
    asked: List[str] = []
    for line in lines("on the broker"):
        if "device.csr" in line:
            asked.append(line.partition("#")[0])
        else:
            walk.do(line.replace("systemctl restart mosquitto", f"{{ {start}; }}"), BROKER)
    walk.do(f"cp {BROKER}/authority/ca.crt {BOX}/", "/")
    for line in lines("on the box"):
        if "--certificate" in line:  # "let the authority sign /etc/edge/device.csr"
            walk.do("cp /etc/edge/device.csr .", BROKER)
            walk.do(asked[0], BROKER)
            walk.do(f"cp authority/hall.crt {BOX}/", BROKER)
        told = walk.do(line, BOX, *([0, 69] if line.startswith("edge doctor") else [0]))
        if line.startswith("edge doctor"):
            for name in NETWORKS:
                assert f"   ok  model {name}: /var/lib/edge/engines/{name}\n" in told, told
    assert "systemctl daemon-reload" in told or "configuration" in told


def settings(walk: Walk) -> None:
    """A camera that is there, a recording, and a second sink that the test can read."""
    source = "synthetic://walk?width=320\\&height=240\\&fps=10"
    change = f's#^source = .*#source = "{source}"#; s#^sinks = .*#sinks = ["mqtts://broker.local", '
    walk.do(f"""sed -i '{change}"jsonl:-"]#' /etc/edge/edge.toml""", "/")
    walk.do("""printf '[record]\\nmax_mb = 16\\n' >>/etc/edge/edge.toml""", "/")


def test_a_provisioned_box_of_4_gib_serves(walk: Walk) -> None:
    """Its key, its certificate and its networks, under the unit's environment, at a real broker."""
    settings(walk)
    done = walk.serve(20)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('/cam0/frame"') == 20
    place = f"{BROKER}/authority"
    uri = f"mqtts://broker.local?ca_file={place}/ca.crt"
    uri += f"&cert_file={place}/dashboard.crt&key_file={place}/dashboard.key"
    heard = walk.sh(f"timeout 20 edge-tools listen '{uri}' --json")
    assert '"poses/v1/hall/status"' in heard.stdout or '"hall"' in heard.stdout, heard.stderr


def test_commands_of_a_box_run_as_its_user(walk: Walk) -> None:
    for line in lines("on the box: its own cameras, engines and recordings"):
        if line.startswith("CAMERA="):
            camera = "CAMERA='synthetic://walk?width=320&height=240&fps=20'"
        elif "# on a Jetson" in line:
            told = walk.do(line, BOX, 66, 69)
            assert told.startswith("edge-tools: ")
            assert len(told.splitlines()) == 1
        else:
            assert walk.do(f"{camera}\n{line}", BOX)
    told = walk.do("edge-tools get hybrid", BOX, 78)
    assert "runuser -u edge -- edge-tools get hybrid" in told
    walk.do("runuser -u edge -- edge-tools get hybrid", BOX)
    told = walk.do("edge-tools quantize blazepose", BOX, 69)
    assert "on a workstation" in told
    verify = "runuser -u edge -- edge-tools verify blazepose --set own --file"
    walk.do(f"{verify} body=/var/lib/edge/engines/blazepose/body.onnx", BOX)
    walk.do("edge-tools engine-info /var/lib/edge/engines/blazepose/body.onnx", BOX)
    walk.do("edge-tools build blazepose --dry-run", BOX)


@pytest.fixture
def workstation(tmp_path: Path) -> Path:
    """A folder with what `get` would bring there."""
    for name in NETWORKS:
        shutil.copytree(
            ensure_model(name, quiet=True),
            tmp_path / "engines" / name,
            ignore=shutil.ignore_patterns("*.int8*", ".*"),
        )
    return tmp_path


def test_signed_networks_serve_and_an_altered_one_is_refused(walk: Walk, workstation: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in lines("on a workstation"):
        done = run("bash", "-c", f"cd {workstation} && {line}", PATH=path)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}\n{done.stderr}"
    walk.do(f"cp {workstation}/networks.tar {workstation}/operator.pub {BOX}/", "/")
    for line in lines("on the box: signed networks"):
        told = walk.do(line, BOX, *([0, 69] if line.startswith("edge doctor") else [0]))
        if line.startswith("edge doctor"):
            for name in NETWORKS:
                assert f"   ok  model {name}: /var/lib/edge/engines/{name}, signed\n" in told, told
    done = walk.serve(20)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('/cam0/frame"') == 20
    status = next(li for li in done.stdout.splitlines() if '/hall/status"' in li)
    assert json.loads(status)
    walk.do("echo >>/var/lib/edge/engines/blazepose/hand.onnx", "/")
    done = walk.serve(20)
    assert done.returncode == 65, done.stderr
    assert "hand.onnx" in done.stderr
