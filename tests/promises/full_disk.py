"""An outbox on a disk without a free block. Arguments: folder, broker URI, events in each phase.

Mounts a small disk (tmpfs; ext4 on a loop device with FILESYSTEM=ext4) at folder/disk, so it needs
root, of a user namespace at least. Each phase is a process that ends as told; says one JSON object.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

from edge.publish import Publisher
from edge.settings import config
from edge.structures import PoseEvent
from tests.waiting import until

FOLDER, URI, COUNT = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
DISK = FOLDER / "disk"
BLOCK = b"\xff" * 4096


def mount() -> None:
    DISK.mkdir(exist_ok=True)
    if os.environ.get("FILESYSTEM") == "ext4":
        image = FOLDER / "image"
        with image.open("wb") as file:
            file.truncate(24 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(DISK)], check=True)
    else:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(DISK)], check=True)


def fill() -> None:
    handle = os.open(str(DISK / "hog"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while True:
            os.write(handle, BLOCK)
    except OSError:
        os.fsync(handle)


def free_blocks() -> int:
    return os.statvfs(str(DISK)).f_bavail


def phase(name: str, first: int, count: int, uri: str, end: str, **more: Any) -> Dict[str, Any]:
    """A run that gives `count` events and ends by kill -9, in order, or when all is delivered."""
    child = os.fork()
    if child == 0:
        publisher = open_publisher(uri)
        sink: Any = publisher.sinks[0]
        until(lambda: sink.counters.outbox["durable"] or name == "no room")
        for n in range(first, first + count):
            publisher.event(PoseEvent("wave", "cam0", 1, 0, 1.0, {"n": n, "pad": "x" * 300}))
        until(lambda: sink._outbox.settled)
        if end == "drained":
            until(lambda: publisher.report()[0]["waiting"] == 0)
        report = {**publisher.report()[0], "boot": publisher.build.boot_id, "free": free_blocks()}
        (FOLDER / name).write_text(json.dumps(report), encoding="utf-8")
        if end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        publisher.close(2.0)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    wanted = signal.SIGKILL if end == "killed" else 0
    assert os.WTERMSIG(status) == wanted if end == "killed" else status == 0, (name, status)
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def open_publisher(uri: str) -> Publisher:
    table = {
        "device": "box",
        "publish": {"sinks": [uri]},
        "mqtt": {"reconnect_max_s": 0.2},
        "outbox": {"path": str(DISK / "outbox.db"), "max_mb": 4},
    }
    return Publisher(config.complete(config.build(config.Config, table)))


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    mount()
    try:
        nobody = "mqtt://127.0.0.1:1"
        told = {"reserved": phase("reserved", 0, 0, nobody, "closed")}
        fill()
        told["killed"] = phase("killed", 0, COUNT, nobody, "killed")
        told["closed"] = phase("closed", COUNT, COUNT, nobody, "closed")
        told["beyond"] = phase("beyond", 2 * COUNT, int(sys.argv[4]), nobody, "killed")
        told["drained"] = phase("drained", 0, 0, URI, "drained")
        print(json.dumps(told), flush=True)  # noqa: T201
    finally:
        subprocess.run(["umount", "-l", str(DISK)], check=False)


if __name__ == "__main__":
    main()
