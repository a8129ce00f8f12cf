"""A recording for the page: positions, parts, events, states, and recordings that are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from edge.errors import DataError, NoInputError
from edge.recording.ring import MAGIC
from tests.tools.viewer.moving import lines, record, write_lines
from tools.viewer.board import Cursor
from tools.viewer.replay import MAX_PAUSE_S, Position, Replay


def read(path: Path) -> Tuple[Replay, Dict[str, Any], List[Dict[str, Any]]]:
    """A recording that was read as a whole: itself, what the page is told of it, its events."""
    with Replay(path) as replay:
        replay._thread.join()
    told = [(topic, json.loads(body)) for topic, body in lines(replay.board.news(Cursor(), 0))]
    return replay, dict(told)["replay"], [body for topic, body in told if "/event/" in topic]


def part(replay: Replay, at_s: float) -> Dict[str, Any]:
    return json.loads(replay.chunk(at_s))


def every_part(replay: Replay) -> List[Dict[str, Any]]:
    parts = [part(replay, 0)]
    while not parts[-1]["last"]:
        parts.append(part(replay, parts[-1]["to"]))
        assert parts[-1]["from"] == parts[-2]["to"]
    return parts


def frames(found: Dict[str, Any]) -> List[Any]:
    return [row for row in found["messages"] if row[1].endswith("/frame")]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("box"), 6.0)


def test_every_frame_is_in_one_part_at_its_time(recording: Path) -> None:
    replay, told, _ = read(recording)
    assert (told["done"], told["problem"], told["share"]) == (True, "", 1.0)
    assert told["to_s"] == pytest.approx(5.9)
    rows = [row for found in every_part(replay) for row in frames(found)]
    assert len(rows) == 2 * 60
    for i, (at_s, topic, payload) in enumerate(rows):
        assert at_s == pytest.approx(i // 2 / 10, abs=2e-3)
        assert topic == f"poses/v1/hall/{'door' if i % 2 == 0 else 'yard'}/frame"
        assert payload["t_mono_ns"] == int((100 + i // 2 / 10) * 1e9)
        assert len(payload["people"][0]["keypoints"]) == 3 * 133


def test_frames_of_a_part_keep_the_contract(recording: Path, contract: Any) -> None:
    replay, _, _ = read(recording)
    for _, topic, payload in part(replay, 2.5)["messages"]:
        contract(topic, payload)


def test_parts_are_found_from_any_position(recording: Path) -> None:
    replay, _, _ = read(recording)
    for at_s in (-5.0, 0.0, 0.999, 1.0, 3.7, 5.9, 1e9):
        found = part(replay, at_s)
        inside = min(max(at_s, 0.0), 5.9)
        assert found["from"] - 2e-3 <= inside <= found["to"]
        assert found["to"] - found["from"] < 2
    assert part(replay, 5.9)["last"]
    assert not part(replay, 3)["last"]


def test_events_are_those_of_the_rules_with_their_positions(recording: Path) -> None:
    _, _, events = read(recording)
    assert {(e["camera"], e["data"]["action"]) for e in events} >= {
        ("door", "enter"),
        ("door", "leave"),
        ("yard", "enter"),
    }
    for event in events:
        assert event["at_s"] == pytest.approx((event["t_mono_ns"] - 100e9) * 1e-9, abs=0.2)


def test_a_part_begins_with_what_the_rules_knew_then(recording: Path) -> None:
    replay, _, _ = read(recording)
    inside = {}
    for at_s in (1.05, 3.05):  # a part begins before
        rows = [row for row in part(replay, at_s)["messages"] if row[1].endswith("door/state")]
        assert rows[0][0] <= at_s
        assert rows[0][2]["rules"]["mat"]["outlines"][0]["points"][2] == [3200, 4800]
        inside[at_s] = rows[0][2]["zones"]["mat"]
    assert inside == {1.05: 0, 3.05: 1}, "the person walks into the left half"


def test_runs_of_other_clocks_follow_each_other(tmp_path: Path) -> None:
    """The monotonic time of the second run is before that of the first one."""
    folder = record(tmp_path, 2.0, start_s=5000.0)
    record(tmp_path, 2.0, start_s=10.0)
    assert len(list(folder.glob("*.poses"))) == 2
    replay, told, events = read(folder)
    assert told["to_s"] == pytest.approx(1.9 + MAX_PAUSE_S + 1.9)
    rows = [row for found in every_part(replay) for row in frames(found)]
    assert len(rows) == 80
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert len({event["boot_id"] for event in events}) == 2


def test_cameras_of_one_step_do_not_stretch_the_time() -> None:
    position = Position()
    for i in range(100):
        position.move(i * 100_000_000)
        position.move(i * 100_000_000 - 30_000_000)
    assert position.at_s == pytest.approx(9.9)


def test_a_pause_is_short_however_long_it_was() -> None:
    position = Position()
    for t_s in (0, 1, 1000, 1001, 3):
        position.move(int(t_s * 1e9))
    assert position.at_s == 1 + MAX_PAUSE_S + 1 + MAX_PAUSE_S


def test_a_segment_that_was_removed_meanwhile_gives_an_empty_part(
    tmp_path: Path, caplog: Any
) -> None:
    folder = record(tmp_path, 2.0)
    replay, _, _ = read(folder)
    for path in folder.iterdir():
        path.unlink()
    assert frames(part(replay, 0.5)) == []
    assert "No such file" in caplog.text


def test_a_torn_end_costs_what_was_torn(tmp_path: Path) -> None:
    folder = record(tmp_path, 3.0)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    replay, told, _ = read(folder)
    assert told["problem"] == ""
    assert sum(len(frames(found)) for found in every_part(replay)) == 59


def test_an_empty_recording_is_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "1-0.poses").write_bytes(MAGIC)
    replay, told, events = read(tmp_path)
    assert (told["to_s"], told["done"], events) == (0, True, [])
    assert part(replay, 3) == {"from": 0, "to": 0, "last": True, "messages": []}


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"contains no recording; set \[record\]"):
        Replay(tmp_path)
    with pytest.raises(NoInputError):
        Replay(tmp_path / "none.jsonl")
    for name, error in (("a.poses", "not a recording"), ("a.jsonl", "not a file of messages")):
        (tmp_path / name).write_text("something else\n" * 9, encoding="utf-8")
        with pytest.raises(DataError, match=error):
            Replay(tmp_path / name)


@pytest.mark.parametrize("folder", [False, True])
def test_a_file_of_messages_is_a_recording(tmp_path: Path, folder: bool) -> None:
    path = write_lines(tmp_path / "messages.jsonl")
    replay, told, events = read(tmp_path if folder else path)
    assert told["to_s"] == pytest.approx(4.9)
    assert [event["at_s"] for event in events] == [2.0]
    assert sum(len(frames(found)) for found in every_part(replay)) == 50
    for at_s, word in ((0.5, "ok"), (4.0, "stalled")):
        rows = [row for row in part(replay, at_s)["messages"] if row[1].endswith("/state")]
        assert [row[2]["state"] for row in rows] == [word]


def test_broken_lines_are_counted_and_the_rest_is_shown(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "messages.jsonl")
    good = path.read_text(encoding="utf-8").splitlines()
    bad = [
        *("{", "[]", "null", '{"topic": 3, "payload": {}}', '{"topic": "x"}'),
        '{"topic": "poses/v1/hall/door/frame", "payload": []}',
        '{"topic": "poses/v1/hall/door/frame", "payload": {}}',
        '{"topic": "poses/v1/hall/do\\u000aor/event/fall", "payload": {"boot_id": "", "seq": 1}}',
        '{"topic": "poses/v1/hall/door/event/fall", "payload": {"seq": "x"}}',
    ]
    path.write_text("\n".join(good[:10] + bad + good[10:]) + '\n{"topic": "poses', encoding="utf-8")
    replay, told, events = read(path)
    assert told["notes"] == ["8 lines are no messages"]
    assert len(events) == 1
    assert sum(len(frames(found)) for found in every_part(replay)) >= 40


def test_it_can_be_watched_while_it_is_read(recording: Path) -> None:
    """The page gets what is read so far."""
    replay, _, _ = read(recording)
    marks = replay._marks
    replay._marks, replay._position.at_s = marks[:3], marks[2].at_s + 0.5
    found = part(replay, 99)
    assert found["last"]
    assert found["from"] == pytest.approx(marks[2].at_s, abs=1e-3)
    assert len(frames(found)) in (10, 12)
