"""What `make test` does before it tests: Debian packages, and which Python runs what."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Dict, List

import pytest

from tests.ends import between_ends

TESTS = Path(__file__).resolve().parents[1]
TOOLS = (
    *("bash", "sh", "cat", "awk", "sort", "grep", "tail", "mktemp", "rm", "touch", "dirname"),
    "nproc",
)


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """A PATH that holds what every Debian has and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        place = shutil.which(name)
        assert place
        (folder / name).symlink_to(place)
    return folder


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def bash(path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(path), *words],
        env={
            "HOME": "/dev/null",
            **environment,
        },  # root would make another folder that is not there
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


# Debian's packages ---------------------------------------------------------------------------


def test_everything_is_there_once_make_test_runs() -> None:
    done = bash(TESTS / "system.sh", "test", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_who_is_not_root_gets_the_one_command(bin_: Path) -> None:
    script(bin_ / "id", "echo 1000")
    script(bin_ / "apt-get", f"touch {bin_}/called")
    done = bash(TESTS / "system.sh", "test", PATH=str(bin_))
    assert (done.returncode, done.stdout) == (69, "")
    assert len(done.stderr.splitlines()) == 1
    head = "missing Debian packages: sudo apt install "
    assert done.stderr.startswith(head)
    assert {"g++", "shellcheck", "openssl", "ffmpeg"} <= set(done.stderr[len(head) :].split())
    assert not (bin_ / "called").exists()


def test_root_has_them_installed(bin_: Path) -> None:
    script(bin_ / "id", "echo 0")
    script(bin_ / "apt-get", f'echo "$@" >>{bin_}/called')
    done = bash(TESTS / "system.sh", "check", PATH=str(bin_))
    assert done.returncode == 0, done.stderr
    update, install = (bin_ / "called").read_text(encoding="utf-8").splitlines()
    assert update.startswith("update")
    assert install.startswith("install --yes ")
    assert "shellcheck" in install.split()
    assert "g++" not in install, "make check needs none"


def test_a_system_without_apt_is_told(bin_: Path) -> None:
    done = bash(TESTS / "system.sh", "check", PATH=str(bin_))
    assert done.returncode == 69
    assert "there is no apt-get here" in done.stderr


# Pythons -------------------------------------------------------------------------------------

PYTHON = """[ "$1" = -c ] && { echo %s; exit; }
echo "ran $*"; echo "$EDGE_PYTHONS"; exit %d"""


BETWEEN = "tests/edge --ends, but for the mark one_python"


def interpreters(folder: Path, bin_: Path, own: str, others: Dict[str, int]) -> List[str]:
    """A copy of run.sh beside interpreters that only say what they are asked; gives its lines."""
    (folder / "tests").mkdir()
    shutil.copy(TESTS / "run.sh", folder / "tests")
    (folder / "setup.py").touch()
    script(folder / ".venv/bin/python", PYTHON % (own, 0))
    for version, code in others.items():
        script(bin_ / f"python{version}", PYTHON % (version, 0))
        script(folder / f".venv-{version}/bin/python", PYTHON % (version, code))
        (folder / f".venv-{version}/.made").touch()
    system = str(script(folder / "system", PYTHON % (own, 0)))
    done = bash(folder / "tests/run.sh", PATH=str(bin_), SYSTEM_PYTHON=system)
    return [*done.stdout.splitlines(), f"code {done.returncode}"]


def test_each_python_is_named_and_one_that_is_not_there_loudly(tmp_path: Path, bin_: Path) -> None:
    lines = interpreters(tmp_path, bin_, "3.12", {"3.8": 0})
    first, second = (i for i, line in enumerate(lines) if line.startswith("ran -m pytest"))
    assert lines[first + 1] == "Python 3.12: all tests: this run"
    assert lines[first + 2] == "Python 3.8: tests/edge: next"
    loud = "NOT RUN: there is no python3.10 on this machine"
    assert lines[first + 3] == f"Python 3.10: {BETWEEN}: {loud}"
    assert lines[second].endswith(" tests/edge -p no:cacheprovider"), "the oldest runs them all"
    assert lines[second + 1] == "Python 3.12: all tests: passed"
    assert lines[second + 2] == "Python 3.8: tests/edge: this run"
    assert lines[-1] == "code 0"


def test_those_between_leave_out_what_is_the_same_everywhere(tmp_path: Path, bin_: Path) -> None:
    lines = interpreters(tmp_path, bin_, "3.12", {"3.10": 0})
    last = [line for line in lines if line.startswith("ran -m pytest")][-1]
    assert last.endswith(" --ends -m not one_python")


def test_a_python_that_fails_ends_it(tmp_path: Path, bin_: Path) -> None:
    lines = interpreters(tmp_path, bin_, "3.11", {"3.8": 1, "3.10": 0})
    assert lines[-1] == "code 1"
    assert sum(line.startswith("ran -m pytest") for line in lines) == 2


def test_a_python_that_makes_no_environment_is_loud(tmp_path: Path, bin_: Path) -> None:
    script(
        bin_ / "python3.8", '[ "$1" = -c ] && { echo 3.8; exit; }; echo "no ensurepip" >&2; exit 1'
    )
    lines = interpreters(tmp_path, bin_, "3.11", {})
    told = next(line for line in lines if line.startswith("Python 3.8"))
    assert "NOT RUN" in told
    assert told.endswith("makes no environment: no ensurepip")


def test_ends_are_the_first_and_the_last_set_of_each_test() -> None:
    names = ["a.py::one", *(f"a.py::many[{i}]" for i in range(5)), "a.py::two[x]", "a.py::two[y]"]
    items = [SimpleNamespace(nodeid=name) for name in names]
    assert [i.nodeid for i in between_ends(items)] == [f"a.py::many[{i}]" for i in (1, 2, 3)]
