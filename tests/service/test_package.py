"""The Debian packages: for both machines, no error of lintian, installed without a network."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest

from edge import __version__
from tests.service import machine_copy
from tests.service.debian import OTHER, ROOT, here, python_here, run

MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}

pytestmark = pytest.mark.long


def names(package: Path) -> List[str]:
    listing = run("dpkg-deb", "--contents", package).stdout.splitlines()
    return [line.split(maxsplit=5)[5][1:] for line in listing]


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_a_package_is_for_its_machine_and_complete(packages: Dict[str, Path], arch: str) -> None:
    package = packages[arch]
    assert package.name.endswith(f"_{arch}.deb")
    field = run("dpkg-deb", "--field", package, "Architecture", "Depends").stdout
    assert f"Architecture: {arch}\n" in field
    assert "python3-venv" in field
    files = names(package)
    native = [n for n in files if re.search(r"-(manylinux|linux)", n)]
    assert len(native) >= 5
    assert all(n.endswith(f"_{MACHINE[arch]}.whl") for n in native)
    wheels = {Path(n).name.partition("-")[0] for n in files if n.endswith(".whl")}
    assert wheels >= {
        "edge_pose",
        "numpy",
        "onnxruntime",
        "cryptography",
        "cbor2",
        "paho_mqtt",
        "lark",
        "tomlkit",
        "onnx",
        "tflite",
        "tqdm",
    }
    for wanted in (
        "/usr/lib/systemd/system/edge.service",
        "/usr/lib/udev/rules.d/70-edge.rules",
        "/usr/share/doc/edge-pose/broker/acl",
        "/etc/edge/edge.toml",
    ):
        assert wanted in files
    assert not [n for n in files if n.startswith(("/etc/systemd", "/usr/lib/edge/venv"))]
    listing = run("dpkg-deb", "--contents", package).stdout.splitlines()
    assert {line.split()[1] for line in listing} == {"root/root"}


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_lintian_finds_no_error(packages: Dict[str, Path], arch: str, tmp_path: Path) -> None:
    assert shutil.which("lintian"), "this test needs lintian: apt install lintian"
    command = ("lintian", "--allow-root", "--fail-on", "error", packages[arch])
    done = run(*command, TMPDIR=str(tmp_path))  # it leaves files there
    assert done.returncode == 0, done.stdout


def test_every_file_is_listed_with_its_sum(packages: Dict[str, Path], tmp_path: Path) -> None:
    """Every file is in md5sums, so that `dpkg --verify` sees a change."""
    package = packages[here()]
    run("dpkg-deb", "--extract", package, tmp_path / "tree")
    run("dpkg-deb", "--control", package, tmp_path / "control")
    lines = (tmp_path / "control/md5sums").read_text(encoding="utf-8").splitlines()
    sums = {name: md5 for md5, name in (line.split("  ", 1) for line in lines)}
    real = {
        p.relative_to(tmp_path / "tree").as_posix(): p
        for p in (tmp_path / "tree").rglob("*")
        if p.is_file()
    }
    assert set(sums) == set(real)
    small = {n: p for n, p in real.items() if p.suffix != ".whl"}
    assert {n: hashlib.md5(p.read_bytes()).hexdigest() for n, p in small.items()} == {
        n: sums[n] for n in small
    }
    assert (tmp_path / "control/conffiles").read_text(encoding="utf-8") == "/etc/edge/edge.toml\n"


def test_depends_on_the_pythons_that_have_wheels(packages: Dict[str, Path]) -> None:
    here_, minor = python_here(), int(python_here().partition(".")[2])
    for arch, wanted in (
        (here(), f"python3 (>= {here_}~), python3 (<< 3.{minor + 1}~), python{here_}, "),
        (OTHER[here()], "python3 (>= 3.8~), python3 (<< 3.9~), python3.8, "),
    ):
        depends = run("dpkg-deb", "--field", packages[arch], "Depends").stdout
        assert depends.startswith(wanted), depends


def stand_ins(folder: Path, *versions: str) -> Path:
    """Wheels of a name and a version only."""
    for version in versions:
        (folder / version).mkdir(parents=True)
        for name in ("numpy", "onnxruntime", "cryptography", "onnx", "tflite", "tqdm", "pip"):
            _stand_in(folder / version, name)
    _stand_in(folder, "edge_pose")
    return folder


def _stand_in(folder: Path, name: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}-1.dist-info/METADATA", f"Name: {name}\nVersion: 1\n")


def test_a_package_for_several_pythons_names_each(tmp_path: Path) -> None:
    wheels = stand_ins(tmp_path / "wheels", "3.8", "3.12", "3.10", "3.7")
    arguments = (OTHER[here()], wheels, tmp_path, "3.8", "3.10", "3.12")
    done = run("sh", "systemd/deb/build.sh", *arguments)
    assert done.returncode == 0, done.stderr
    package = Path(done.stdout.strip())
    depends = run("dpkg-deb", "--field", package, "Depends").stdout
    assert depends.startswith(
        "python3 (>= 3.8~), python3 (<< 3.13~), python3.8 | python3.10 | python3.12, python3-venv"
    )
    folders = {Path(n).parent.name for n in names(package) if n.endswith(".whl")}
    assert folders == {"wheels", "3.8", "3.10", "3.12"}
    assert run("dpkg-deb", "--field", package, "Version").stdout.strip() == __version__
    bill = json.loads(package.with_suffix(".cdx.json").read_text(encoding="utf-8"))
    listed = {(c["name"], c.get("version")) for c in bill["components"]}
    assert {("numpy", "1"), ("pip", "1"), ("python3-venv", None), ("systemd", None)} <= listed
    assert "/usr/share/doc/edge-pose/sbom.cdx.json" in names(package)


def test_what_could_not_be_configured_here_is_not_built(tmp_path: Path) -> None:
    build = ("sh", "systemd/deb/build.sh", here(), stand_ins(tmp_path / "wheels", "3.7"), tmp_path)
    done = run(*build)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"no wheels for Python {python_here()}, so this machine could not" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert run(*build, FOREIGN="1").returncode == 0, "another machine may"
    (tmp_path / "wheels/3.7/pip-1-py3-none-any.whl").unlink()
    done = run(*build, FOREIGN="1")
    assert (done.returncode, done.stdout) == (66, "")
    assert "no wheel 3.7/pip" in done.stderr


@pytest.mark.parametrize(
    ("words", "pythons"),
    [((), "HERE"), (("ARCH=arm64",), "JETPACK"), (("PYTHONS=3.9",), "3.9")],
)
def test_make_builds_for_this_distribution_or_for_jetpack(words: Any, pythons: str) -> None:
    done = run("make", "--dry-run", "--no-print-directory", "deb", *words, MAKEFLAGS="")
    line = next(li for li in done.stdout.splitlines() if "deb/build.sh" in li)
    jetpack = {"3.8", "3.10", "3.12"} | ({python_here()} if here() == "arm64" else set())
    named = {"HERE": jetpack if here() == "arm64" else {python_here()}, "JETPACK": jetpack}
    assert set(line.partition("out/deb ")[2].split()) == named.get(pythons, {pythons})


CONFIG = """
device = "hall"
[[cameras]]
name = "door"
source = "synthetic://walk?width=320&height=240&frames=20&rate=max"
[models]
dir = "{models}"
[detect]
model = "twobox"
[pose]
model = "standing"
[publish]
sinks = ["jsonl:-"]
"""


def test_it_installs_runs_and_leaves_nothing(
    packages: Dict[str, Path], machine: machine_copy.Run
) -> None:
    """Without a network: install, again, first boot, run, remove, purge."""
    before = machine_copy.files(machine)
    for _ in range(2):
        done = machine("dpkg", "--install", packages[here()])
        assert done.returncode == 0, done.stdout + done.stderr
    status = machine("dpkg-query", "--show", "--showformat", "${Status}", "edge-pose").stdout
    assert status == "install ok installed"
    assert machine("dpkg", "--verify", "edge-pose").stdout == ""
    assert machine("edge", "--version").stdout == f"edge {__version__}\n"
    wanted = "/etc/systemd/system/multi-user.target.wants/edge.service"
    assert machine("test", "-L", wanted).returncode == 0, "it starts at boot"
    boots(machine)
    runs(machine)
    assert machine("dpkg", "--remove", "edge-pose").returncode == 0
    assert machine("test", "-e", "/etc/edge/edge.toml").returncode == 0, "settings stay"
    assert machine("test", "-e", "/usr/lib/edge/venv").returncode == 1
    assert machine("dpkg", "--purge", "edge-pose").returncode == 0
    left = set(machine_copy.files(machine)) - set(before)
    accounts = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/.pwd.lock")
    assert not [n for n in left if not n.startswith(("/var/lib/dpkg/", *accounts))], left


def boots(machine: machine_copy.Run) -> None:
    """The first boot makes the user and a key that the user cannot read."""
    done = machine("sh", "/usr/lib/edge/setup")
    assert done.returncode == 0, done.stderr
    assert machine("id", "--name", "--user", "edge").stdout == "edge\n"
    key = "/etc/edge/credentials/device.key"
    assert "PRIVATE KEY" in machine("cat", key).stdout, "cryptography works in there"
    assert machine("runuser", "-u", "edge", "--", "cat", key).returncode != 0


def runs(machine: machine_copy.Run) -> None:
    """With the distribution's OpenCV and a NumPy of the package's that suits it."""
    text = CONFIG.format(models=ROOT / "tests/edge/golden/models")
    assert machine("tee", "/etc/edge/edge.toml", given=text).returncode == 0
    done = machine("edge", "run", "--config", "/etc/edge/edge.toml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('/door/frame"') == 20
    code = "import numpy, orjson, cv2; print(numpy.__file__, cv2.__file__)"
    numpy, cv2 = machine("/usr/lib/edge/venv/bin/python", "-c", code).stdout.split()
    assert numpy.startswith("/usr/lib/edge/venv/")
    assert cv2.startswith("/usr/lib/python3/")
