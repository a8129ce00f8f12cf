"""The Debian packages: for both machines, no error of lintian, complete without a network."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / "out/wheels-test"  # kept between runs
SYSTEM_PYTHON = "/usr/bin/python3"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
OTHER = {"amd64": "arm64", "arm64": "amd64"}
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}


def run(*command: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def here() -> str:
    return DEBIAN[os.uname().machine]


def python_here() -> str:
    code = 'import sys; print("%d.%d" % sys.version_info[:2])'
    return run(SYSTEM_PYTHON, "-c", code).stdout.strip()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """For this machine's own Python, and for a Jetson's oldest on the other machine."""
    out = tmp_path_factory.mktemp("deb")
    made = {}
    for arch, version in ((here(), python_here()), (OTHER[here()], "3.8")):
        done = run(
            "sh", "systemd/wheels.sh", WHEELS / arch, arch, version, BUILD_PYTHON=sys.executable
        )
        assert done.returncode == 0, done.stderr
        done = run("sh", "systemd/deb/build.sh", arch, WHEELS / arch, out)
        assert done.returncode == 0, done.stderr
        made[arch] = Path(done.stdout.strip())
    return made


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
        "tomlkit",
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
    sums = dict(
        reversed(line.split("  ", 1))
        for line in (tmp_path / "control/md5sums").read_text().splitlines()
    )
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
    assert (tmp_path / "control/conffiles").read_text() == "/etc/edge/edge.toml\n"


def test_the_environment_is_made_from_the_package_alone(
    packages: Dict[str, Path], tmp_path: Path
) -> None:
    run("dpkg-deb", "--extract", packages[here()], tmp_path)
    folder = tmp_path / "usr/lib/edge"
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}
    done = run("sh", folder / "make-venv", folder, **nowhere)
    assert done.returncode == 0, done.stderr
    edge = folder / "venv/bin/edge"
    assert run(edge, "--version").stdout.startswith("edge ")
    assert "include-system-site-packages = true" in (folder / "venv/pyvenv.cfg").read_text()
    done = run(edge, "provision", "--root", tmp_path, "--device", "hall")
    assert done.returncode == 0, done.stderr
    key = tmp_path / "etc/edge/credentials/device.key"
    assert "PRIVATE KEY" in key.read_text(), "cryptography works in there"
    modules = "numpy, onnxruntime, paho.mqtt.client, cbor2, orjson, tomlkit"
    code = f"import {modules}; print(numpy.__version__)"
    done = run(folder / "venv/bin/python", "-c", code)
    assert done.stdout.startswith("1."), done.stderr
    before = (folder / "venv/bin/edge").stat().st_mtime_ns
    assert run("sh", folder / "make-venv", folder, **nowhere).stdout == "", "nothing to do"
    assert (folder / "venv/bin/edge").stat().st_mtime_ns == before
