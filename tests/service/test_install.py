"""install, uninstall and the overlay, into folders: what they put there, twice, and take away."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Dict

import pytest

from tests.service.debian import python_here

ROOT = Path(__file__).resolve().parents[2]
SECRET = re.compile(rb"PRIVATE KEY|BEGIN CERTIFICATE|password\s*=\s*\S", re.IGNORECASE)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Stand-ins: what is in them is test_package's matter."""
    for name in ("3.8/numpy-1.whl", "3.10/numpy-1.whl", "edge_pose-0.whl"):
        path = tmp_path / "wheels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "wheels"


def script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(ROOT / "systemd" / name), *arguments]
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        encoding="utf-8",
    )


def tree(root: Path) -> Dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[name] = f"{path.stat().st_mode & 0o777:o} {hash(path.read_bytes())}"
    return found


def test_installed_twice_is_installed_once_and_uninstalled_is_nothing(
    tmp_path: Path, wheels: Path
) -> None:
    image = tmp_path / "image"
    done = script("install.sh", "install", str(wheels), DESTDIR=str(image))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    once = tree(image)
    assert script("install.sh", "install", str(wheels), DESTDIR=str(image)).returncode == 0
    assert tree(image) == once
    wants = "etc/systemd/system/multi-user.target.wants"
    assert once[f"{wants}/edge.service"] == "-> /usr/lib/systemd/system/edge.service"
    assert once["usr/lib/edge/make-venv"].startswith("755 ")
    assert once["usr/lib/systemd/system/edge.service"].startswith("644 ")
    assert "usr/lib/edge/wheels/3.10/numpy-1.whl" in once
    assert not [n for n in once if n.startswith("usr/lib/edge/venv")], "nothing is run for an image"
    for _ in range(2):
        done = script("install.sh", "uninstall", DESTDIR=str(image))
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        assert not list(image.iterdir()) if image.exists() else True


def test_what_a_person_changed_and_what_others_have_stays(tmp_path: Path, wheels: Path) -> None:
    image = tmp_path / "image"
    other = image / "usr/lib/systemd/system/other.service"
    other.parent.mkdir(parents=True)
    other.write_text("mine", encoding="utf-8")
    script("install.sh", "install", str(wheels), DESTDIR=str(image))
    settings = image / "etc/edge/edge.toml"
    settings.write_text('device = "hall"\n', encoding="utf-8")
    events = image / "var/lib/edge/state/outbox.db"
    events.parent.mkdir(parents=True)
    events.write_text("events", encoding="utf-8")
    script("install.sh", "install", str(wheels), DESTDIR=str(image))
    assert settings.read_text(encoding="utf-8") == 'device = "hall"\n'
    script("install.sh", "uninstall", DESTDIR=str(image))
    assert set(tree(image)) == {str(p.relative_to(image)) for p in (other, settings, events)}
    script("install.sh", "purge", DESTDIR=str(image))
    assert set(tree(image)) == {str(other.relative_to(image))}


def test_wheels_of_an_older_version_go(tmp_path: Path, wheels: Path) -> None:
    image = tmp_path / "image"
    script("install.sh", "install", str(wheels), DESTDIR=str(image))
    (wheels / "edge_pose-0.whl").rename(wheels / "edge_pose-1.whl")
    script("install.sh", "install", str(wheels), DESTDIR=str(image))
    there = {n for n in tree(image) if "edge_pose" in n}
    assert there == {"usr/lib/edge/wheels/edge_pose-1.whl"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("install", "/nowhere"), 66, "no wheels for Python any in /nowhere: make wheels"),
        (("instal",), 78, "usage: install.sh"),
        ((), 78, "usage: install.sh"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: str, code: int, words: str) -> None:
    done = script("install.sh", *arguments, DESTDIR=str(tmp_path / "image"))
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_overlay_holds_the_box_and_no_secret(tmp_path: Path, wheels: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("-----BEGIN CERT-----\n", encoding="utf-8")
    done = script(
        "overlay.sh", "arm64", str(wheels), str(tmp_path / "out"), BROKER="mqtts://b", CA=str(ca)
    )
    assert done.returncode == 0, done.stderr
    with tarfile.open(done.stdout.strip()) as archive:
        members = {m.name: m for m in archive.getmembers()}
        contents = {n: archive.extractfile(n).read() for n, m in members.items() if m.isfile()}  # type: ignore[union-attr]
    assert not [m for m in members.values() if m.isdir()], "the image's folders stay its own"
    assert {(m.uid, m.gid) for m in members.values()} == {(0, 0)}
    assert contents["etc/edge/provision.toml"] == b'broker = "mqtts://b"\n'
    assert "etc/edge/credentials/ca.crt" in contents
    assert "etc/systemd/system/multi-user.target.wants/edge-setup.service" in members
    assert "etc/machine-id" not in members
    scripts = {"usr/share/doc/edge-pose/broker/authority.sh"}  # speaks of keys, holds none
    assert [n for n, data in contents.items() if SECRET.search(data) and n not in scripts] == []


def test_the_overlay_refuses_a_secret_key(tmp_path: Path, wheels: Path) -> None:
    key = tmp_path / "ca.key"
    key.write_text("-----BEGIN EC PRIVATE KEY-----\n", encoding="utf-8")
    done = script("overlay.sh", "arm64", str(wheels), str(tmp_path / "out"), CA=str(key))
    assert done.returncode == 65
    assert "holds a secret key" in done.stderr
    assert not list((tmp_path / "out").rglob("*.tar.gz"))


def test_make_says_the_same(tmp_path: Path) -> None:
    """The targets are there and explain themselves."""
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    for target in ("install", "uninstall", "deb", "rootfs-overlay"):
        assert re.search(rf"make {target}\s+\w", done.stdout)


def test_a_python_without_wheels_is_told(tmp_path: Path) -> None:
    """make-venv refuses a Python that the package has no wheels for, in one line."""
    folder = tmp_path / "edge"
    (folder / "wheels/2.7").mkdir(parents=True)
    done = script("make-venv", str(folder))
    assert done.returncode == 69
    assert re.search(r"no wheels for Python 3\.\d+; there are some for 2\.7", done.stderr)
    assert not (folder / "venv").exists()


def test_an_environment_of_the_newest_wheels_is_written_before_its_stamp(
    tmp_path: Path,
) -> None:
    """A power cut must not leave a stamp that vouches for files which were never written."""
    stub = """case "$*" in
      "-m venv"*) for venv; do :; done; mkdir -p "$venv/bin"
        for name in python edge; do printf '#!/bin/sh\\n' >"$venv/bin/$name"; done
        chmod 755 "$venv"/bin/* ;;
      *) exec /usr/bin/python3 "$@" ;;
    esac"""
    sync = f'[ -e "{tmp_path}/edge/venv/.made" ]; echo "$* $?" >>"{tmp_path}/synced"'
    for name, text in (("stub", stub), ("sync", sync)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    place = tmp_path / "edge/wheels" / python_here()
    place.mkdir(parents=True)
    for wheel in ("pip-1.whl", "numpy-1.whl", "../edge_pose-0.9.whl", "../edge_pose-0.10.whl"):
        (place / wheel).touch()
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = script("make-venv", str(tmp_path / "edge"), PYTHON=str(tmp_path / "stub"), PATH=path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "edge/venv/.made").exists()
    assert (tmp_path / "synced").read_text("utf-8") == f"-f {tmp_path}/edge/venv 1\n"
    stamp = (tmp_path / "edge/venv/.made").read_text("utf-8")
    assert "/edge_pose-0.10.whl" in stamp
    assert "/edge_pose-0.9.whl" not in stamp, "a power cut in an upgrade left both"
