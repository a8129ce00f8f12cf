"""A disk with 0 free blocks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.promises.box_process import HERE, ROOT, Consumer
from tests.waiting import GIVE_UP_S, until


def run(folder: Path, uri: str, filesystem: str, *counts: int) -> Dict[str, Any]:
    """Mounting needs root, ours or that of a user namespace; the mount ends with the process."""
    inside = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    command = [*inside, sys.executable, str(HERE / "full_disk.py"), str(folder), uri]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FILESYSTEM": filesystem}
    done = subprocess.run(
        [*command, *map(str, counts)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def filesystems() -> List[str]:
    loop = os.geteuid() == 0 and shutil.which("mkfs.ext4") and Path("/dev/loop-control").exists()
    return ["tmpfs", "ext4"] if loop else ["tmpfs"]


@pytest.mark.parametrize("filesystem", filesystems())
def test_nothing_is_lost_and_restarts_are_clean_without_a_free_block(
    tmp_path: Path, broker: Any, soak: bool, figures: Any, filesystem: str
) -> None:
    """P3: with 0 free blocks on the disk nothing is lost up to the byte cap, after a kill -9 and
    after a close, and beyond the cap every loss is counted.
    """
    count, beyond = (3000, 30000) if soak else (800, 0)
    with Consumer(broker.port) as consumer:
        told = run(tmp_path, broker.uri, filesystem, count, beyond)
        final = told["drained"]["outbox"]
        arrived = len(consumer.got)
        if not beyond:
            until(lambda: len(consumer.got) == 2 * count, "all of them")
            arrived = len(consumer.got)
        else:
            until(lambda: len(consumer.got) == 2 * count + beyond - final["lost"], "the rest")
            arrived = len(consumer.got)
    figures(
        "P3",
        filesystem=filesystem,
        stored=2 * count + beyond,
        arrived=arrived,
        lost_and_counted=final["lost"],
        free_blocks=told["killed"]["free"],
        durable=final["durable"],
        resets=final["resets"],
    )
    for name in ("killed", "closed", "beyond", "drained"):
        assert told[name]["free"] == 0, name
        assert told[name]["outbox"]["durable"], name
        assert told[name]["outbox"]["resets"] == 0, name
    for name in ("killed", "closed"):
        assert told[name]["outbox"]["lost"] == 0, "below the cap nothing is given up"
    assert (final["lost"] > 0) == (beyond > 0)
