"""Memory over many reloads of the real networks."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from tests.promises.test_p08_memory import resident
from tests.promises.whole_daemon import Daemon, settings, toml
from tests.waiting import GIVE_UP_S, until
from tools.fetch.by_name import ensure_model

MOST_GROWTH_MB = 80.0  # the old networks are there until the new ones are in use
WARM = 4  # reloads until every thread has executed every network

pytestmark = pytest.mark.long


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What the daemon tells systemd; a log leaves out lines that repeat."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(GIVE_UP_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def wait_for(listener: socket.socket, *words: str) -> None:
    said = ""
    while not all(word in said for word in words):
        said = listener.recv(4096).decode()


def table(folder: Path, nth: int, prefer: str) -> Dict[str, Any]:
    """Every configuration needs the networks anew, and the camera too."""
    models = ensure_model("yolov4-tiny", quiet=True).parent
    assert ensure_model("blazepose", quiet=True).parent == models
    source = f"synthetic://walk?people=2&width=640&height=480&fps={5 + nth % 3}"
    return settings(
        folder,
        ["jsonl:/dev/null"],
        cameras=[{"source": source, "name": "door"}],
        models={"dir": str(models)},
        detect={"model": "yolov4-tiny", "min_score": 0.3 + 0.001 * (nth % 7)},
        pose={"model": "blazepose"},
        runtime={"prefer": prefer},
    )


@pytest.mark.parametrize(("prefer", "short"), [("onnx", 16), ("openvino", 6)])
def test_memory_does_not_grow_with_reloads(
    tmp_path: Path, soak: bool, figures: Any, told: socket.socket, prefer: str, short: int
) -> None:
    """P8: after the first reloads, memory grows by at most 80 MB over 200 more.

    glibc used to keep what the weights of replaced networks had taken: it grew by 250 MB in 15.
    The short form has 16 reloads after the first ones, or 6.
    """
    sizes: List[float] = []
    with Daemon(tmp_path, table(tmp_path, 0, prefer)) as daemon:
        assert daemon.process is not None
        wait_for(told, "READY=1")
        until(lambda: "door: ok" in daemon.text(), "the camera")
        for nth in range(1, WARM + (200 if soak else short) + 1):
            daemon.config.write_text(toml(table(tmp_path, nth, prefer)), encoding="utf-8")
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(told, "READY=1", "STATUS=reloaded: detect")
            sizes.append(resident(daemon.process.pid) / 1e6)
        assert daemon.stop() == 0
    growth = max(sizes[-5:]) - max(sizes[:WARM])
    figures(
        f"P8 {prefer}", reloads=len(sizes), growth_mb=round(growth, 1), most_mb=round(max(sizes), 1)
    )
    assert growth < MOST_GROWTH_MB, f"{sizes}"
