"""What becomes of an answer that nobody can take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import GIVE_UP_S

ROOT = Path(__file__).resolve().parents[3]


def through(shell: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The program, its standard output as the shell leaves it."""
    command = ["sh", "-c", f'"$@" {shell}', "sh", sys.executable, "-m", "edge", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.parametrize("words", ["run --print-config", "doctor", "doctor --json", "--version"])
def test_a_closed_standard_output_is_no_error(words: str) -> None:
    done = through(">&-", *words.split())
    assert done.returncode == (0 if "doctor" not in words else through("", "doctor").returncode)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["run --print-config", "doctor --json"])
def test_a_full_disk_is_one_line(words: str) -> None:
    done = through(">/dev/full", *words.split())
    told = "edge: standard output: No space left on device; make room\n"
    assert (done.returncode, done.stderr) == (75, told)


def test_a_reader_that_has_gone_is_not_told_of() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        command = [sys.executable, "-m", "edge", "run", "--print-config"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        direct = subprocess.run(
            command, env=environment, stdout=pipe, stderr=subprocess.PIPE, check=False
        )
    assert (direct.returncode, direct.stderr) == (141, b"")
