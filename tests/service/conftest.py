"""The Debian packages, and a copy of this machine to install one in."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Dict, Iterator

import pytest

from tests.service import machine_copy
from tests.service.debian import OTHER, WHEELS, here, python_here, run


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """For this machine's own Python, and for a Jetson's oldest on the other machine.

    All workers of a run share one build.
    """
    WHEELS.mkdir(parents=True, exist_ok=True)
    # Another worker may want them at the same time: setuptools builds in the source's own folder.
    with (WHEELS / ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if "PYTEST_XDIST_WORKER" not in os.environ:
            return _made(tmp_path_factory.mktemp("deb"))
        made = tmp_path_factory.getbasetemp().parent / "deb.json"  # the folder of all workers
        if not made.exists():
            paths = {arch: str(path) for arch, path in _made(made.parent / "deb").items()}
            made.write_text(json.dumps(paths), encoding="utf-8")
        return {
            arch: Path(path) for arch, path in json.loads(made.read_text(encoding="utf-8")).items()
        }


def _made(out: Path) -> Dict[str, Path]:
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


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[machine_copy.Run]:
    """Commands as root on a copy of this machine, or in a container on the container itself."""
    try:
        with machine_copy.machine_copy(tmp_path_factory.mktemp("machine")) as run_there:
            yield run_there
        return
    except PermissionError:
        pass
    try:
        run_there = machine_copy.own_root()
    except PermissionError as reason:
        pytest.skip(f"the package was not installed: {reason}")
    yield run_there
    run_there("dpkg", "--purge", "edge-pose")
