"""A newer version of our package: the same program, but its wheel has another name and version."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Tuple


def newer_package(package: Path, number: int, place: Path) -> Tuple[Path, str]:
    """Make the package of version OLD.number; gives its path and its version."""
    tree = place / "newer"
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    text = control.read_text("utf-8")
    old = re.findall(r"^Version: (.*)$", text, re.MULTILINE)[0]
    new = f"{old}.{number}"
    control.write_text(text.replace(f"Version: {old}\n", f"Version: {new}\n"), "utf-8")
    wheel = next((tree / "usr/lib/edge/wheels").glob(f"edge_pose-{old}-*.whl"))
    newer_wheel(wheel, old, new)
    subprocess.run(["rm", str(tree / "DEBIAN/md5sums")], check=True)
    made = place / f"newer-{number}.deb"
    words = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(made)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return made, new


def newer_wheel(wheel: Path, old: str, new: str) -> None:
    """Replace a wheel by one of another version; pip does not compare hashes of its RECORD."""
    made = wheel.with_name(wheel.name.replace(f"-{old}-", f"-{new}-"))
    changes = {
        "METADATA": (f"\nVersion: {old}\n", f"\nVersion: {new}\n"),
        "RECORD": (f"edge_pose-{old}.", f"edge_pose-{new}."),
        "__init__.py": (f'"{old}"', f'"{new}"'),
    }
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(made, "w") as after:
        for info in before.infolist():
            data = before.read(info)
            name = info.filename.replace(f"edge_pose-{old}.", f"edge_pose-{new}.")
            if name == "edge/__init__.py" or ".dist-info/" in name:
                text, into = changes.get(Path(name).name, ("", ""))
                data = data.replace(text.encode(), into.encode()) if text else data
            after.writestr(name, data, zipfile.ZIP_DEFLATED)
    wheel.unlink()
