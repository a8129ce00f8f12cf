"""The lander at 200 events a second: what it takes, and ten kills each of it, broker and `join`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Set, Tuple

import pyarrow.parquet as parquet
import pytest

from tests.faults.test_land import end, start
from tests.promises.simulated_boxes import Key, SimulatedBoxes
from tests.waiting import GIVE_UP_S, until

RATE_HZ, SECONDS, KILLS = 200.0, 600.0, 10
ALONE_S = 120.0
BOXES, CAMERAS = 20, 4
MOST_MB = 60.0
TICKS = os.sysconf("SC_CLK_TCK")

pytestmark = pytest.mark.soak


def cost(pid: int) -> Tuple[float, float]:
    """Seconds of a core and most megabytes of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / TICKS, int(peak.split()[1]) / 1024


def join(folder: Path) -> Any:
    """A run of `fleet join` that takes all files."""
    command = [sys.executable, "-m", "tools", "fleet", "join", str(folder), "--older", "0"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def joined(folder: Path) -> None:
    run = join(folder)
    said = run.communicate(timeout=GIVE_UP_S)[1]
    assert run.returncode == 0, said


def recount(folder: Path) -> Tuple[int, Set[Key]]:
    """Rows of events in the tables and their keys, read without the program's own SQL."""
    rows = 0
    keys: Set[Key] = set()
    for path in (folder / "events").glob("day=*/device=*/events.parquet"):
        names = ["device", "camera", "kind", "boot_id", "seq"]
        table = parquet.ParquetFile(path).read(names).to_pydict()
        rows += len(table["seq"])
        keys.update(zip(*(table[name] for name in names)))
    return rows, keys


def reached(boxes: SimulatedBoxes, events: int) -> bool:
    """Whether so many events were made."""
    return len(boxes.given) >= events


def settled(boxes: SimulatedBoxes) -> bool:
    """Whether all is sent and answered; what waits is sent again."""
    if not boxes.sending:
        boxes.repeat()
    return not boxes.sending and not boxes.unanswered


def test_the_lander_is_small(broker: Any, tmp_path: Path, figures: Callable[..., None]) -> None:
    """`core` shall be at most .05; it is only told, because it depends on what else runs."""
    child = start(broker.uri, tmp_path / "landing")
    try:
        with SimulatedBoxes(broker.port, BOXES, CAMERAS, RATE_HZ, ALONE_S) as boxes:
            until(lambda: len(boxes.given) > ALONE_S / 10 * RATE_HZ, "events", every_s=0.2)
            first, (begun_s, _) = len(boxes.given), cost(child.pid)
            until(lambda: len(boxes.given) > ALONE_S * 0.9 * RATE_HZ, "events", every_s=0.2)
            last, (spent_s, _) = len(boxes.given), cost(child.pid)
            until(lambda: settled(boxes), "answers", every_s=0.5)
            _, peak_mb = cost(child.pid)
    finally:
        end(child)
    joined(tmp_path / "landing")
    rows, keys = recount(tmp_path / "landing")
    core = (spent_s - begun_s) / (last - first) * RATE_HZ
    figures(
        "lander",
        events=len(boxes.given),
        messages=boxes.messages,
        core=round(core, 4),
        peak_mb=round(peak_mb, 1),
    )
    assert keys == boxes.given
    assert rows == len(keys)
    assert peak_mb < MOST_MB


def test_ten_kills_of_each_lose_nothing(
    broker: Any, tmp_path: Path, figures: Callable[..., None]
) -> None:
    folder, chance = tmp_path / "landing", random.Random(3)
    order = ["lander", "broker", "join"] * KILLS
    chance.shuffle(order)
    killed: Dict[str, int] = dict.fromkeys(order, 0)
    child, peaks = start(broker.uri, folder), []
    try:
        with SimulatedBoxes(broker.port, BOXES, CAMERAS, RATE_HZ, SECONDS) as boxes:
            for number, what in enumerate(order):
                due_s = (number + chance.uniform(0.5, 1.0)) * SECONDS / (len(order) + 1)
                due = round(due_s * RATE_HZ)
                until(partial(reached, boxes, due), "events", every_s=0.2)
                if what == "lander":
                    peaks.append(cost(child.pid)[1])
                    end(child)
                    time.sleep(chance.uniform(0, 2))
                    child = start(broker.uri, folder)
                elif what == "broker":
                    broker.stop(signal.SIGKILL)
                    time.sleep(chance.uniform(0, 2))
                    broker.start()
                else:
                    killed_join(folder, chance)
                killed[what] += 1
            until(lambda: settled(boxes), "answers", every_s=0.5)
            peaks.append(cost(child.pid)[1])
    finally:
        end(child)
    joined(folder)
    rows, keys = recount(folder)
    given = boxes.given
    figures(
        "lander",
        kills=killed,
        events=len(given),
        messages=boxes.messages,
        lost=len(given - keys),
        double=rows - len(keys),
        foreign=len(keys - given),
        peak_mb=round(max(peaks), 1),
    )
    assert len(given) == RATE_HZ * SECONDS
    assert keys == given
    assert rows == len(keys)


def killed_join(folder: Path, chance: random.Random) -> None:
    """Kill a `join` after some of its tables, or while it starts; never after its end."""
    for _ in range(100):
        before = landed(folder)
        run, share = join(folder), chance.random()

        def far(run: Any = run, before: Set[str] = before, share: float = share) -> bool:
            left = len(before & landed(folder))
            return run.poll() is not None or left <= share * len(before)

        until(far, "join", every_s=0.1)
        run.kill()
        run.communicate()
        if run.returncode == -signal.SIGKILL:
            return
    raise AssertionError("join was always faster")


def landed(folder: Path) -> Set[str]:
    """Names of the landed files."""
    places = (folder / "landed").glob("day=*/device=*")
    return {f"{place.name}/{path.name}" for place in places for path in place.iterdir()}
