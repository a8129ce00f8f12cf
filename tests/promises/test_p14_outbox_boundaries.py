"""SIGKILL and power cuts at every call with which an outbox changes a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.promises.box_process import HERE, ROOT
from tests.promises.preload import compiled


def test_the_outbox_is_old_or_new_wherever_it_is_killed(
    tmp_path: Path, soak: bool, figures: Any
) -> None:
    """P14: killed before, or in the middle of, or with the power cut at any write, fsync, truncate,
    unlink or rename, an outbox opens again, and each commit is there wholly or not at all.

    In the short form, of the thousands of writes with which room is reserved only some are tried.
    """
    library = compiled(tmp_path, "kill_at")
    shared = Path("/dev/shm")
    memory = str(shared) if os.access(str(shared), os.W_OK) else None
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(library)}
    with tempfile.TemporaryDirectory(prefix="boundaries-", dir=memory) as folder:
        command = [sys.executable, str(HERE / "kill_outbox.py"), folder, str(library)]
        done = subprocess.run(
            [*command, "full" if soak else "short"],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    figures(
        "P14",
        part="outbox",
        **{
            name: f"{s['kills']} kills at {s['boundaries']} boundaries, {len(s['broken'])} broken"
            for name, s in told.items()
        },
    )
    for name, scenario in told.items():
        assert scenario["kills"] > 0, name
        assert scenario["broken"] == [], name
