"""Disks of the machine, kept under a name of what they are made of.

Three layers, each remade only if its own content changed: Debian's archive (base.sh), a bare disk
(root.sh), a disk with our package. The archive takes minutes, the others half a minute each.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("VM_CACHE", ROOT / "out" / "vm")).absolute()
# Everything that the package is made of.
PACKAGE = ("edge", "tools", "systemd", "engines", "setup.py", "pyproject.toml", "NOTICE")
PYTHON = "3.11"  # Debian 12's


@dataclass(frozen=True)
class Image:
    """Files of one machine."""

    folder: Path  # kernel, initramfs, key of the login
    bare: Path  # disk without our package
    box: Path  # disk with it
    package: Path


def digest(paths: Iterable[Path], *words: str) -> str:
    """Name of a content: 12 hexadecimal digits over names and bytes of files."""
    total = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        total.update(f"\0{path.name}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def sources() -> List[Path]:
    """The package's files: what git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PACKAGE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = sorted(filter(None, done.stdout.decode().split("\0")))
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def build() -> Image:
    """Make what is missing; needs root, mmdebstrap, e2fsprogs, and a network the first time."""
    if platform.machine() != "x86_64":
        raise SystemExit("make vm: this machine is not x86-64; the image is")
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / f"base-{digest([HERE / 'base.sh'])}.tar"
    if not archive.exists():
        run("sh", str(HERE / "base.sh"), str(archive))
    folder = CACHE / f"bare-{digest([HERE / 'base.sh', HERE / 'root.sh'])}"
    if not folder.exists():
        run("sh", str(HERE / "root.sh"), "bare", str(archive), str(folder))
    name = digest([HERE / "base.sh", HERE / "root.sh", *sources()])
    package = CACHE / f"package-{name}.deb"
    if not package.exists():
        make_package(package)
    box = folder / f"box-{name}.raw"
    if not box.exists():
        forget(folder, package)
        run("sh", str(HERE / "root.sh"), "box", str(folder), str(package), str(box))
    return Image(folder, folder / "bare.raw", box, package)


def make_package(place: Path) -> None:
    """Our package for the image's Python, as `make deb` makes it."""
    out = CACHE / "deb"
    run("make", "-s", "deb", "ARCH=amd64", f"PYTHONS={PYTHON}", f"OUT={out}", "FOREIGN=1")
    made = max((out / "deb").glob("*_amd64.deb"), key=lambda path: path.stat().st_mtime)
    made.replace(place)


def forget(folder: Path, package: Path) -> None:
    """Remove disks and packages of older content: each disk is 2 GB."""
    for old in [*folder.glob("box-*.raw"), *CACHE.glob("package-*.deb")]:
        if old != package:
            old.unlink()


def run(*words: str) -> None:
    """Run one step; its output is the user's."""
    print(f"vm: {' '.join(words)}", flush=True)
    subprocess.run(words, cwd=ROOT, check=True)
