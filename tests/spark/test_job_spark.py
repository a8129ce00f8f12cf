"""The job of examples/fleet against DuckDB, killed once, with a late row: `make spark-test`.

The job runs on the Python of .venv-spark, which has PySpark; this test only starts it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import timezone
from pathlib import Path
from typing import Any, Dict, List

import duckdb
import pytest

from tests.tools.test_landing import NOON_NS, SECOND_NS, event, row
from tests.waiting import GIVE_UP_S, until
from tools.landing import minutes, tables
from tools.landing.folder import write
from tools.landing.rows import heartbeat_row

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "examples/fleet/job_spark.py"
PYTHON = ROOT / ".venv-spark/bin/python"
COLUMNS = ("minute", "device", "camera", "events", "tracks", "falls", "dwell_s")
KINDS = (("presence", "enter"), ("presence", "leave"), ("fall", "fall"), ("fall", "recover"))
BOXES, CAMERAS, EACH, EVERY_S = 3, 2, 60, 12  # EACH: events of a camera

pytestmark = pytest.mark.soak


def landed(first: int, last: int) -> List[Dict[str, Any]]:
    """Rows of events number first to last of each camera; a seventh of them comes twice."""
    rows = []
    for number in range(first, last):
        for box in range(BOXES):
            for camera in range(CAMERAS):
                kind, action = KINDS[(number + box) % 4]
                data = {"action": action, "people": 0, "entered_as": 1}
                if action == "leave":
                    data["dwell_s"] = 0.25 * number
                names = {"device": f"box{box}", "camera": f"cam{camera}", "kind": kind}
                record = event(number, at_s=EVERY_S * number + box, **names)
                one = row({**record, "data": data, "person": number % 5})
                rows += [one] * (1 + (number % 7 == 0))
    return rows


def heartbeats(at_s: float) -> List[Dict[str, Any]]:
    """What moves the watermark past the last event."""
    record = {"boot_id": "0" * 16, "seq": round(at_s), "t_utc_ns": NOON_NS + at_s * SECOND_NS}
    return [heartbeat_row({**record, "device": f"box{i}"}, 0) for i in range(BOXES)]


def table(folder: Path) -> List[Any]:
    """DuckDB's rows."""
    found = minutes.table(tables.open_events(folder))
    return [tuple(one[name] for name in COLUMNS) for one in found]


def read(files: List[str]) -> List[Any]:
    """Rows of Parquet files that Spark wrote."""
    sql = f"SELECT {', '.join(COLUMNS)} FROM read_parquet(?) ORDER BY ALL"
    rows = duckdb.execute(sql, [files]).fetchall()
    # Spark's time is one of UTC by its own mark; DuckDB's table has it without a mark.
    return [(r[0].astimezone(timezone.utc).replace(tzinfo=None), *r[1:]) for r in rows]


def committed(out: Path) -> List[str]:
    """Files of the stream's table by its own list."""
    found: Dict[str, None] = {}
    logs = (out / "_spark_metadata").glob("[0-9]*")
    for log in sorted(logs, key=lambda f: int(f.name.partition(".")[0])):
        for line in log.read_text("utf-8").splitlines()[1:]:
            found[json.loads(line)["path"].replace("file://", "")] = None
    return list(found)


class Job:
    """A run of the job, in a process group of its own: Python and Java."""

    def __init__(self, place: Path, *words: Any) -> None:
        self.log = place / "job.log"
        command = [str(PYTHON), str(JOB), *map(str, words), "--cores", "1"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=place, start_new_session=True
            )

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(GIVE_UP_S)

    def end(self) -> None:
        assert self.process.wait(GIVE_UP_S) == 0, self.log.read_text("utf-8")

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


def test_spark_and_duckdb_agree_row_for_row(tmp_path: Path) -> None:
    folder, out, whole = tmp_path / "land", tmp_path / "stream", tmp_path / "batch"
    write(folder, landed(0, EACH // 2), [], "1")
    with Job(tmp_path, "stream", folder / "landed", out) as job:

        def answered() -> bool:
            assert job.process.poll() is None, job.log.read_text("utf-8")
            return (tmp_path / "stream.checkpoint/commits/1").exists()

        # Spark takes a row for late by the watermark of the batch before, so one batch moves the
        # watermark, and after a second one, without rows, the first minutes are closed.
        until(answered, "the second batch of the stream", every_s=0.1)
        job.kill()
    # Some of the first half once more, the second half, and what moves the watermark.
    write(folder, landed(EACH // 2 - 10, EACH) + heartbeats(EVERY_S * EACH + 600), [], "2")
    on_time = table(folder)
    late = row(event(900, at_s=2, kind="fall", device="box0", camera="cam0", historical=True))
    write(folder, [late], [], "3")
    with Job(tmp_path, "stream", folder / "landed", out, "--once") as job:
        job.end()
    found = read(committed(out))
    assert len(found) == len({r[:3] for r in found}), "a minute twice"
    assert found == on_time
    with Job(tmp_path, "batch", folder / "landed", whole) as job:
        job.end()
    assert read([str(f) for f in whole.rglob("*.parquet")]) == table(folder) != on_time
