"""Landed rows: what is refused, that files are whole, that tables hold each event once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from edge.errors import DataError
from tools.__main__ import main
from tools.landing import report, tables
from tools.landing.folder import write
from tools.landing.heat import COLUMNS, ROWS, Heat
from tools.landing.rows import event_row, heartbeat_row

NOON_NS = 1_796_040_000 * 10**9  # 2026-11-30 12:00 UTC
SECOND_NS = 10**9


def event(seq: int = 0, kind: str = "presence", at_s: float = 0.0, **more: Any) -> Dict[str, Any]:
    data = {"action": "leave", "people": 0, "dwell_s": 10.0 + seq, "entered_as": 1}
    record = {
        "schema": "pose/1",
        "device": "hall",
        "camera": "door",
        "boot_id": "0" * 16,
        "seq": seq,
        "t_utc_ns": NOON_NS + round(at_s * SECOND_NS),
        "t_mono_ns": 5,
        "kind": kind,
        "person": seq % 3,
        "score": 90,
        "level": "info",
        "why": "",
        "data": data,
    }
    return {**record, **more}


def row(record: Dict[str, Any], landed: int = 0) -> Dict[str, Any]:
    topic = f"poses/v1/{record['device']}/{record['camera']}/event/{record['kind']}"
    return event_row(topic, record, landed)


@pytest.mark.parametrize(
    "changed",
    [
        {"device": "../etc"},
        {"seq": "1"},
        {"seq": True},
        {"t_utc_ns": -1},
        {"t_utc_ns": 10**30},
        {"data": 5},
        {"boot_id": None},
        {"data": {"dwell_s": "long"}},
        {"data": {"dwell_s": float("inf")}},
        {"seq": 2**70},
        {"why": "\ud800"},
    ],
)
def test_what_is_no_event_is_refused(changed: Dict[str, Any]) -> None:
    with pytest.raises(DataError):
        row({**event(), **changed})


def test_an_event_of_another_topic_is_refused() -> None:
    with pytest.raises(DataError, match="than its topic"):
        event_row("poses/v1/other/door/event/presence", event(), 0)
    missing = event()
    del missing["boot_id"]
    with pytest.raises(DataError, match="boot_id"):
        row(missing)


def test_tables_hold_each_event_once_joined_or_not(tmp_path: Path, capsys: Any) -> None:
    some = [row(event(i, at_s=i)) for i in range(20)]
    write(tmp_path, some[:12], [], "1")
    write(tmp_path, some[8:], [], "2")  # four of them once more
    before = _rows(tmp_path)
    assert main(["fleet", "join", str(tmp_path), "--older", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"tables": 1, "files": 2, "rows": 20}
    assert not list((tmp_path / "landed").rglob("*.jsonl"))
    write(tmp_path, some[5:9], [], "3")  # and again, after they were joined
    write(tmp_path, [row(event(50, at_s=24 * 3600))], [], "4")  # the next day
    assert len(before) == 20
    assert _rows(tmp_path) == sorted([*before, ("hall", 50, NOON_NS + 24 * 3600 * SECOND_NS)])
    assert main(["fleet", "join", str(tmp_path), "--older", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 21
    assert len(_rows(tmp_path)) == 21
    assert len(_rows(tmp_path, first="2026-12-01")) == 1


def _rows(folder: Path, **days: str) -> List[Any]:
    database = tables.open_events(folder, **days)
    found: List[Any] = database.execute("SELECT device, seq, t_utc_ns FROM events").fetchall()
    return sorted(found)


def test_a_join_that_was_killed_before_it_removed_files_joins_them_once_more(
    tmp_path: Path, monkeypatch: Any
) -> None:
    write(tmp_path, [row(event(i)) for i in range(5)], [], "1")

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tables, "sync_dir", killed)  # after the table is in place
        with pytest.raises(KeyboardInterrupt):
            tables.join(tmp_path, 0, quiet=True)
    assert len(list((tmp_path / "landed").rglob("*.jsonl"))) == 1
    assert len(list((tmp_path / "events").rglob("*.parquet"))) == 1
    assert len(_rows(tmp_path)) == 5
    assert tables.join(tmp_path, 0, quiet=True).rows == 5


def test_young_files_and_hidden_ones_are_left(tmp_path: Path) -> None:
    write(tmp_path, [row(event())], [], "1")
    place = next((tmp_path / "landed").rglob("*.jsonl")).parent
    torn, old = place / ".2.jsonl.new", place / ".3.jsonl.new"
    torn.write_text('{"half', encoding="utf-8")
    old.write_text('{"half', encoding="utf-8")
    os.utime(old, (0, 0))
    assert tables.join(tmp_path, 3600, quiet=True).tables == 0
    assert torn.exists()
    assert not old.exists(), "the leftover of a kill"
    assert len(_rows(tmp_path)) == 1


def test_errors_are_one_line(tmp_path: Path, capsys: Any) -> None:
    assert main(["fleet", "report", str(tmp_path)]) == 66
    assert "is no landing folder; `edge-tools land` makes one" in capsys.readouterr().err
    write(tmp_path, [row(event())], [], "1")
    assert main(["fleet", "report", str(tmp_path), "--first", "yesterday"]) == 78
    assert "--first: use a day such as 2026-11-30" in capsys.readouterr().err
    assert main(["fleet", "report", str(tmp_path), "--first", "2030-01-01"]) == 66
    assert "holds no event of these days" in capsys.readouterr().err
    next((tmp_path / "landed").rglob("*.jsonl")).write_text("no json\n", encoding="utf-8")
    assert main(["fleet", "join", str(tmp_path), "--older", "0"]) == 65
    said = capsys.readouterr().err
    assert "set the file that is named aside" in said
    assert "Traceback" not in said


def test_the_report_counts_what_was_landed(tmp_path: Path, capsys: Any) -> None:
    some = [row(event(i, at_s=60 * i)) for i in range(10)]
    fall = event(0, "fall", 30, level="alarm", why="down fast")
    fall["data"] = {"action": "fall", "down_s": 0.0, "tilt_deg": 80.0}
    zone = event(0, "zone", 40)
    zone["data"] = {"zone": "door", "action": "leave", "people": 0, "dwell_s": 90.0}
    metrics = {"device": "ward", "boot_id": "1" * 16, "seq": 3, "t_utc_ns": NOON_NS}
    beats = [
        heartbeat_row({**metrics, "seq": i, "t_utc_ns": NOON_NS + i * 3600 * SECOND_NS}, 0)
        for i in range(2)
    ]
    write(tmp_path, [*some, row(fall), row(zone), *beats], [], "1")
    out = tmp_path / "page.html"
    arguments = ["fleet", "report", str(tmp_path), "--utc-offset", "2", "--out", str(out), "--json"]
    assert main(arguments) == 0
    made = json.loads(capsys.readouterr().out)
    over = made["overview"]
    assert (over["events"], over["alarms"], over["falls"], over["devices"]) == (12, 1, 1, 2)
    assert over["first"] == "2026-11-30 14:00"
    (place,) = made["places"]
    assert (place["events"], place["tracks"], place["median_stay_s"]) == (12, 3, 14.5)
    assert made["zones"][0] == {
        "device": "hall",
        "camera": "door",
        "zone": "door",
        "entered": 0,
        "stayed_min": 1.5,
        "median_stay_s": 90.0,
    }
    assert made["hours"] == [{"device": "hall", "hour": 14, "events": 12, "entered": 0}]
    assert made["silences"] == [{"device": "ward", "since": "2026-11-30 14:00", "minutes": 60.0}]
    assert made["alarms"][0]["why"] == "down fast"
    text = out.read_text("utf-8")
    assert "down fast" in text
    assert "://" not in text.replace("http://www.w3.org", ""), "nothing from outside"


def test_where_people_stood_becomes_a_row_a_minute(tmp_path: Path) -> None:
    heat = Heat()
    frame = {"device": "hall", "camera": "door", "size": [640, 360], "t_utc_ns": NOON_NS}
    person = {"box": [3100, 100, 3300, 3590]}  # 0.1 px: the foot is in the middle, at the bottom
    for step in range(5):
        at = {**frame, "t_utc_ns": NOON_NS + step * SECOND_NS // 2, "people": [person]}
        heat.take(at)
    heat.take({**frame, "t_utc_ns": NOON_NS + 59 * SECOND_NS, "people": [person]})
    assert heat.rows(NOON_NS + 60 * SECOND_NS) == [], "the minute may not be over at every camera"
    (made,) = heat.rows(NOON_NS + 180 * SECOND_NS)
    data = json.loads(made["data"])
    assert data["cells"] == [[(ROWS - 1) * COLUMNS + COLUMNS // 2, 4.0]], "a gap counts 2 s"
    assert heat.rows(NOON_NS + 240 * SECOND_NS) == []
    write(tmp_path, [made], [], "1")
    grid = report.make(tables.open_events(tmp_path), 0).heat["hall / door"]
    assert grid[ROWS - 1][COLUMNS // 2] == 4.0
    assert sum(map(sum, grid)) == 4.0
    with pytest.raises(DataError):
        heat.take({**frame, "size": [0, 0], "people": [person]})
    with pytest.raises(DataError):
        heat.take({**frame, "device": "..", "people": []})


def test_a_camera_s_frames_are_looked_at_twice_a_second() -> None:
    heat = Heat()
    assert heat.wants("a")
    assert not heat.wants("a")
    assert heat.wants("b")
