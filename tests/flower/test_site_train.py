"""A site's training command for the app of Flower, with the real network: `make flower-test`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

import numpy as np
import pytest

from tests.tools.training.training_cases import drawn
from tools.fetch.by_name import ensure_model

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "examples/fleet/flower/site_train.py"
HEAD_WEIGHTS = 1626448  # as in the app's pyproject.toml

pytestmark = pytest.mark.soak


def command(labels: Path) -> List[str]:
    """A site's training command: two small steps."""
    words = [sys.executable, str(COMMAND), "--labels", str(labels), "--steps", "2"]
    words += ["--models", str(ensure_model("blazepose").parent)]
    return [*words, "--more", f"--hold --threads 1 --batch 2 --reference {labels}"]


def test_a_site_moves_the_head_from_the_step_of_all(tmp_path: Path) -> None:
    words = command(drawn(tmp_path / "labels", recordings=("a", "b", "c")))
    np.save(tmp_path / "step.npy", np.full(HEAD_WEIGHTS, 1e-5, np.float32))
    done = subprocess.run(
        [*words, str(tmp_path / "step.npy"), str(tmp_path / "moved.npy")],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    moved = np.load(tmp_path / "moved.npy")
    assert moved.shape == (HEAD_WEIGHTS,)
    assert 0 < np.abs(moved).max() < 0.01
    assert int(done.stdout.split()[-1]) > 0
    app = (COMMAND.parent / "pyproject.toml").read_text("utf-8")
    assert f"weights = {HEAD_WEIGHTS} " in app
