"""Everything that strangers can write, fed to what reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

HERE = Path(__file__).resolve().parent
SHARES: Dict[str, float] = {  # of all inputs
    "config": 0.2,
    "command": 0.3,
    "ack": 0.25,
    "model.toml": 0.15,
    "onnx": 0.07,
    "video": 0.03,
}
ALL = 1_000_000  # EDGE_FUZZ chooses another number
SHORT = {"config": 150, "command": 400, "ack": 2000, "model.toml": 150, "onnx": 200, "video": 100}
SILENCE_S = 300.0  # an input that takes longer hangs


def inputs(target: str, soak: bool) -> int:
    total = int(os.environ.get("EDGE_FUZZ", ALL if soak else 0))
    return max(1, round(total * SHARES[target])) if total else SHORT[target]


def work(target: str, first: int, count: int, folder: Path) -> str:
    """The last lines of a worker; it must not die, hang, or raise anything of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / "fuzz_worker.py"), target, str(first), str(count)]
    done = subprocess.run(
        [*command, str(folder)],
        capture_output=True,
        check=False,
        timeout=SILENCE_S + count * 1.0,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    told = done.stdout.decode("utf-8", "replace").strip().splitlines()[-3:]
    last = "\n".join([*told, *done.stderr.decode("utf-8", "replace").splitlines()[-12:]])
    assert done.returncode == 0, f"{target}: ended with {done.returncode} after input {last}"
    return told[-1]


@pytest.mark.parametrize("target", sorted(SHARES))
def test_no_input_crashes_anything(target: str, tmp_path: Path, soak: bool, figures: Any) -> None:
    """P12: no crash and no traceback over 1 000 000 fuzzed inputs (short form: 3000).

    Parsers that are not Python run in the same kind of process as the others: a death of it is
    told with the number of the input, from which the input can be made again.
    """
    count, step, refused = inputs(target, soak), 5000, 0
    for first in range(0, count, step):
        last = work(target, first, min(step, count - first), tmp_path / "work")
        assert last.startswith("done ")
        refused += int(last.split()[1])
    figures("P12", target=target, inputs=count, refused=refused, crashes=0, tracebacks=0)
    assert (refused > 0) == (target not in ("ack", "command")), "those two answer, never raise"
    assert refused < count, "some of it is good"


def test_a_crash_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P12: the watch over the workers does see deaths and tracebacks."""
    script = tmp_path / "fuzz_worker.py"
    for line in ("import os; print(7, flush=True); os.kill(os.getpid(), 11)", "raise KeyError(7)"):
        script.write_text(line, encoding="utf-8")
        monkeypatch.setattr(sys.modules[__name__], "HERE", tmp_path)
        with pytest.raises(AssertionError, match=r"ended with (-11|1) after input"):
            work("config", 0, 1, tmp_path)
