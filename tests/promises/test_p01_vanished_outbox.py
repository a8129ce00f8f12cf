"""The outbox's file is taken away while the box runs without a broker."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.promises.box_process import BoxProcess, Consumer, lost
from tests.waiting import until

NOBODY = "mqtt://127.0.0.1:1"


def take_away(folder: Path, how: str) -> None:
    if how == "file":
        (folder / "outbox.db").unlink()
    elif how == "folder":
        shutil.rmtree(str(folder))
    elif how == "replaced":
        (folder / "other").write_bytes(b"junk" * 10_000)
        (folder / "other").replace(folder / "outbox.db")
    else:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def mounted(folder: Path) -> bool:
    """Mount a file system at a folder; False = only root may, so the folder is enough."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def wait_for_stored(box: BoxProcess, count: int) -> None:
    until(lambda: box.status().get("stored", 0) >= count, "events")


def wait_for_resets(box: BoxProcess, count: int) -> None:
    until(lambda: box.status()["outbox"]["resets"] >= count, "noticing it")


@pytest.mark.parametrize("how", ["file", "folder", "replaced", "unmounted"])
def test_events_stored_before_and_after_the_file_is_gone_arrive(
    boxes: Any, broker: Any, tmp_path: Path, soak: bool, figures: Any, how: str
) -> None:
    """P1: an outbox that is removed, replaced or unmounted under the running daemon costs no
    stored event, and is told.
    """
    folder = tmp_path / "state"
    folder.mkdir()
    if how == "unmounted" and not mounted(folder):
        how = "folder"
    rounds = 5 if soak else 1
    path = {"path": str(folder / "outbox.db")}
    with Consumer(broker.port) as consumer:
        box: BoxProcess = boxes(uri=NOBODY, outbox=path, rate_hz=100, count=0)
        for turn in range(rounds):
            wait_for_stored(box, 300 * (2 * turn + 1))
            take_away(folder, how if turn == 0 or how != "unmounted" else "folder")
            wait_for_resets(box, turn + 1)
            wait_for_stored(box, box.status()["stored"] + 300)
            assert box.status()["outbox"]["durable"]
        box.kill()
        stored = sum(box.ledger().values())
        box.order["config"]["publish"]["sinks"] = [broker.uri]
        box.start(count=1, drain_s=240)
        until(lambda: not box.alive, "the end")
        until(lambda: consumer.of("outbox_reset"), "the report")
        until(lambda: not lost(box, consumer), "every event")
    figures("P1", what=f"outbox {how}", rounds=rounds, stored=stored, lost=0)
    assert "go on in a new file" in box.log.read_text(encoding="utf-8")
    assert consumer.of("outbox_reset")[0]["data"]["lost"] == 0
