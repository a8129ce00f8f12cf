"""One camera hangs or dies, in the whole program and with real RTSP servers; the others go on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import numpy as np
import pytest

from tests import rtsp_process
from tests.promises.box_process import spread
from tests.promises.whole_daemon import Daemon, settings
from tests.rtsp_process import RtspServer
from tests.waiting import Slowness, until

FLAGGED_S, BACK_S = 5.0, 10.0
PAUSE_S = 3.0  # capture.stall_s: waiting for the broken camera would last at least so long


class Watch:
    """What the program says of its cameras, from a file it writes; each line is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._told: Dict[str, List[Dict[str, Any]]] = {}

    def of(self, camera: str, kind: str) -> List[Dict[str, Any]]:
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole = file.read().rpartition(b"\n")[0]
        self._offset += len(whole) + bool(whole)
        for line in whole.splitlines():
            message = json.loads(line)
            kept = {k: message["payload"].get(k) for k in ("t_mono_ns", "state")}
            self._told.setdefault(message["topic"], []).append(kept)
        return self._told.get(f"poses/v1/hall/{camera}/{kind}", [])

    def state(self, camera: str) -> str:
        states = self.of(camera, "state")
        return states[-1]["state"] if states else ""

    def first(self, camera: str, kind: str, since_ns: int, state: str = "") -> float:
        """Seconds from an instant to the first message after it; inf when there is none."""
        for one in self.of(camera, kind):
            if one["t_mono_ns"] > since_ns and state in ("", one.get("state")):
                return (one["t_mono_ns"] - since_ns) / 1e9
        return float("inf")


@pytest.fixture
def cameras() -> Iterator[List[RtspServer]]:
    rtsp_process.install()
    servers = [RtspServer(False), RtspServer(False)]
    yield servers
    for server in servers:
        server.kill()


def outage(watch: Watch, begin: Callable[[], Any], end: Callable[[], Any], for_s: float) -> Any:
    """Break one camera for so long; gives seconds until it was flagged, and until it was back."""
    begun_ns = time.monotonic_ns()
    begin()
    until(lambda: watch.first("door", "state", begun_ns, "stalled") < 1e9, "the flag")
    flagged_s = watch.first("door", "state", begun_ns, "stalled")
    time.sleep(max(0.0, for_s - (time.monotonic_ns() - begun_ns) / 1e9))
    assert watch.state("door") == "stalled"
    ended_ns = time.monotonic_ns()
    end()
    until(lambda: watch.first("door", "frame", ended_ns) < 1e9, "frames again")
    until(lambda: watch.state("door") == "ok", "its good state")
    return flagged_s, watch.first("door", "frame", ended_ns)


def test_a_stalled_camera_is_flagged_and_comes_back(
    cameras: List[RtspServer], tmp_path: Path, soak: bool, figures: Any, slowness: Slowness
) -> None:
    """P5: flagged within 5 s, frames within 10 s of its return, the others never pause."""
    door, gate = cameras
    table = settings(
        tmp_path,
        [f"jsonl:{tmp_path / 'out'}"],
        cameras=[
            {"name": "door", "source": door.url},
            {"name": "gate", "source": gate.url},
            {"name": "walk", "source": "synthetic://walk?width=160&height=120&fps=10"},
        ],
    )
    watch = Watch(tmp_path / "out")
    rounds, for_s = (10, 45.0) if soak else (1, 7.0)
    measured = []
    with Daemon(tmp_path, table) as daemon:
        until((tmp_path / "out").exists, "the output")
        until(lambda: watch.of("door", "frame") and watch.of("gate", "frame"), "both cameras")
        begun_ns = time.monotonic_ns()
        for _ in range(rounds):
            measured.append(
                outage(
                    watch,
                    lambda: door.signal(signal.SIGSTOP),
                    lambda: door.signal(signal.SIGCONT),
                    for_s,
                )
            )
            measured.append(outage(watch, door.kill, door.start, for_s))
        assert daemon.stop() == 0
    flagged, back = np.array(measured).T
    pauses = {}
    for name in ("gate", "walk"):
        times = [f["t_mono_ns"] for f in watch.of(name, "frame") if f["t_mono_ns"] > begun_ns]
        pauses[name] = float(np.diff(times).max() / 1e9)
        assert "stalled" not in {s["state"] for s in watch.of(name, "state")}
    figures(
        "P5",
        outages=len(measured),
        flagged_s=spread(flagged),
        hung_back_s=spread(back[::2]),
        killed_back_s=spread(back[1::2]),
        longest_pause_of_others_s=pauses,
    )
    assert flagged.max() <= FLAGGED_S * slowness.worst
    assert back.max() <= BACK_S * slowness.worst
    assert max(pauses.values()) <= PAUSE_S * slowness.worst
