"""Recordings that are too old go; chosen frames are erased, whole or not at all."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge import durable
from edge.errors import ConfigError, NoInputError, TempError
from edge.messages import Builder, Clock
from edge.recording import erase, retention
from edge.recording.erase import Choice
from edge.recording.record import RecordedFrame, pack, unpack
from edge.recording.retention import DAY_NS, Keeper
from edge.recording.ring import Recorder, Ring, read_segment
from edge.service.recordings import recordings
from edge.settings import config
from edge.settings.sections import Record, State
from edge.structures import Frame, Poses
from tests.waiting import until
from tools import recordings as tool
from tools.__main__ import main

NOW_NS = 1_800_000_000 * 10**9
EMPTY = Poses.empty(17, "coco17")


def write(folder: Path, frames: Any, name: str = "run", close: bool = True) -> Ring:
    """A segment of (camera, UTC ns) frames."""
    ring = Ring(folder, 1 << 20, lambda: b'{"boot_id": "b", "config": "", "numbers": {}}')
    ring.begin()
    for index, (camera, t_ns) in enumerate(frames):
        ring.write("P", pack(RecordedFrame(camera, index, 5, t_ns - 5, (64, 48), EMPTY)))
    if close:
        ring.close()
    return ring


def left(folder: Path) -> List[Any]:
    """(camera, UTC ns) of all frames."""
    return [
        (frame.camera, frame.t_ns + frame.offset_ns)
        for path in sorted(folder.glob("*.poses"))
        for kind, payload in read_segment(path)
        if kind == "P"
        for frame in [unpack(payload)]
    ]


def gaps(folder: Path) -> List[int]:
    return [
        json.loads(payload)["frames"]
        for path in sorted(folder.glob("*.poses"))
        for kind, payload in read_segment(path)
        if kind == "G"
    ]


MIXED = [("door", 10), ("hall", 11), ("door", 12), ("door", 13), ("hall", 14)]


@pytest.mark.parametrize(
    ("choice", "kept", "missing"),
    [
        (Choice(frozenset({"door"})), [("hall", 11), ("hall", 14)], [1, 2]),
        (Choice(after_ns=13), MIXED[:3], [2]),
        (Choice(before_ns=12), MIXED[2:], [2]),
        (Choice(after_ns=11, before_ns=13), [MIXED[0], *MIXED[3:]], [2]),
        (Choice(frozenset({"hall"}), before_ns=14), [MIXED[0], *MIXED[2:]], [1]),
        (Choice(frozenset({"nobody"})), MIXED, []),
        (Choice(), [], []),
    ],
)
def test_chosen_frames_go_and_the_others_stay_in_order(
    tmp_path: Path, choice: Choice, kept: Any, missing: List[int]
) -> None:
    write(tmp_path, MIXED)
    (path,) = erase.segments(tmp_path)
    before = path.read_bytes()
    assert erase.erase(path, choice, dry=True) == len(MIXED) - len(kept)
    assert path.read_bytes() == before, "a dry run changes nothing"
    assert erase.erase(path, choice) == len(MIXED) - len(kept)
    assert left(tmp_path) == kept
    assert gaps(tmp_path) == missing
    if kept:
        assert next(iter(read_segment(path)))[0] == "H"
        assert path.stat().st_mode & 0o777 == 0o600
        assert erase.summary(path).missing == sum(missing)
    assert erase.erase(path, choice) == 0 if kept else not path.exists()


@pytest.mark.parametrize("step", ["write_all", "fsync", "rename", "open"])
def test_an_erasure_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write(tmp_path, MIXED)
    (path,) = erase.segments(tmp_path)
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    target: Dict[str, Any] = {
        "write_all": (erase, "_add"),
        "fsync": (os, "fsync"),
        "rename": (Path, "replace"),
        "open": (durable, "_create"),
    }
    monkeypatch.setattr(*target[step], fail)
    with pytest.raises(TempError, match="No space left"):
        erase.erase(path, Choice(frozenset({"door"})))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "nothing is left beside it"


def test_a_running_recorder_goes_on_in_a_new_segment(tmp_path: Path) -> None:
    ring = write(tmp_path, MIXED, close=False)
    (path,) = erase.segments(tmp_path)
    assert erase.erase(path, Choice(frozenset({"door"}))) == 3
    ring.write("P", pack(RecordedFrame("door", 9, 5, 95, (64, 48), EMPTY)))
    ring.write("P", pack(RecordedFrame("door", 10, 5, 96, (64, 48), EMPTY)))
    ring.close()
    assert left(tmp_path) == [("hall", 11), ("hall", 14), ("door", 100), ("door", 101)]
    assert len(erase.segments(tmp_path)) == 2


def test_a_removed_segment_is_noticed_too(tmp_path: Path) -> None:
    ring = write(tmp_path, MIXED, close=False)
    erase.segments(tmp_path)[0].unlink()
    ring.write("P", pack(RecordedFrame("door", 9, 5, 95, (64, 48), EMPTY)))
    ring.close()
    assert left(tmp_path) == [("door", 100)]


def test_frames_that_are_recorded_during_an_erasure_are_kept(tmp_path: Path) -> None:
    """A recorder writes as fast as it can while another thread erases again and again."""
    count = 100
    builder = Builder("box", clock=Clock(lambda: NOW_NS, lambda: 0))
    recorder = Recorder(tmp_path, 8 << 20, builder, config.Config, True)
    image = np.zeros((48, 64, 3), np.uint8)
    done = threading.Event()

    def record() -> None:
        for i in range(count):
            for camera in ("door", "hall"):
                frame = Frame(image, i, i, camera)
                builder.frame(frame, EMPTY)
                recorder([frame], [EMPTY])
        done.set()

    writer = threading.Thread(target=record)
    writer.start()
    erased, over = 0, False
    while not over:
        over = done.is_set()
        for path in erase.segments(tmp_path):
            erased += erase.erase(path, Choice(frozenset({"hall"})))
    writer.join()
    recorder.close()
    for path in erase.segments(tmp_path):
        erased += erase.erase(path, Choice(frozenset({"hall"})))
    assert erased == count
    assert [t for _, t in left(tmp_path)] == [NOW_NS + i for i in range(count)]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, MIXED)
    (path,) = erase.segments(tmp_path)
    link = tmp_path / "z.poses"
    link.symlink_to(path)
    with pytest.raises(TempError):
        erase.erase(link, Choice())
    assert path.exists()


def test_old_segments_go_and_young_ones_stay(tmp_path: Path) -> None:
    for days in (9, 5, 1):
        write(tmp_path, [("door", NOW_NS - days * DAY_NS), ("door", NOW_NS)])
    leftover = tmp_path / ".x.poses.new"
    leftover.write_bytes(b"half a segment")
    os.utime(leftover, ns=(NOW_NS - DAY_NS, NOW_NS - DAY_NS))
    (tmp_path / "notes.txt").write_text("not ours", encoding="utf-8")
    Keeper(tmp_path, 6 * DAY_NS, lambda: NOW_NS).look()
    assert [NOW_NS - t for _, t in left(tmp_path)] == [5 * DAY_NS, 0, DAY_NS, 0]
    assert not leftover.exists()
    assert (tmp_path / "notes.txt").exists()
    Keeper(tmp_path, 6 * DAY_NS, lambda: NOW_NS - 99 * DAY_NS).look()
    assert len(erase.segments(tmp_path)) == 2, "a clock that is behind removes nothing"
    Keeper(tmp_path / "none", DAY_NS).look()


def test_a_segment_without_frames_ages_by_its_file(tmp_path: Path) -> None:
    write(tmp_path, [])
    (path,) = erase.segments(tmp_path)
    assert retention.began_utc_ns(path) == path.stat().st_mtime_ns
    path.write_bytes(b"")  # killed as it began
    os.utime(path, ns=(NOW_NS, NOW_NS))
    Keeper(tmp_path, DAY_NS, lambda: NOW_NS + DAY_NS + 1).look()
    assert not path.exists()


def test_what_cannot_be_removed_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, [("door", 5)])

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    keeper = Keeper(tmp_path, DAY_NS, lambda: NOW_NS)
    keeper.look()
    keeper.look()
    assert caplog.text.count("Read-only file system") == 1


def test_a_segment_ends_well_within_the_allowed_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("edge.recording.ring.time.monotonic", lambda: now[0])
    ring = Ring(tmp_path, 1 << 20, lambda: b"{}", max_age_s=80.0)
    ring.begin()
    now[0] = 10.0
    assert not ring.due()
    now[0] = 10.1
    assert ring.due()
    ring.close()


def test_retention_works_while_recording_is_off(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(folder, [("door", 5)])
    settings = config.Config(state=State(str(tmp_path)), record=Record(max_days=1.0))
    (extra,) = recordings(settings)
    extra.attach(None)  # type: ignore[arg-type]
    until(lambda: not erase.segments(folder))
    extra.close()
    both = config.Config(state=State(str(tmp_path)), record=Record(max_mb=1, max_days=1.0))
    assert len(recordings(both)) == 2
    with pytest.raises(ConfigError, match=r"record\.max_days needs a folder"):
        recordings(config.Config(record=Record(max_days=1.0)))


def test_the_command_lists_and_erases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, [(camera, NOW_NS + t) for camera, t in MIXED])
    assert main(["recordings", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "door:3 hall:2" in shown
    assert "2027-01-15T08:00:00 to 2027-01-15T08:00:00" in shown
    assert main(["recordings", str(tmp_path), "--erase", "--camera", "hall", "--dry-run"]) == 0
    assert "2 frames of 1 segments would be erased" in capsys.readouterr().out
    assert main(["recordings", str(tmp_path), "--erase", "--camera", "hall"]) == 0
    assert "2 frames of 1 segments erased" in capsys.readouterr().out
    assert main(["recordings", str(tmp_path), "--list", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["frames"], record["missing"]) == ({"door": 3}, 2)
    before = "2027-01-15T08:00:01Z"
    assert main(["recordings", str(tmp_path), "--erase", "--before", before, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["erased"].values()) == [3]
    assert left(tmp_path) == []
    assert main(["recordings", str(tmp_path), "--erase", "--all"]) == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--erase"], "choose frames"),
        (["--erase", "--all", "--camera", "x"], "exclude each other"),
        (["--camera", "x"], "choose for --erase"),
        (["--erase", "--before", "yesterday"], "is no time"),
    ],
)
def test_a_wrong_command_line_erases_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: List[str], why: str
) -> None:
    write(tmp_path, MIXED)
    assert main(["recordings", str(tmp_path), *arguments]) == ConfigError.exit_code
    assert why in capsys.readouterr().err
    assert left(tmp_path) == MIXED
    assert main(["recordings", str(tmp_path / "none")]) == NoInputError.exit_code


def test_times_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.recordings.time.time_ns", lambda: NOW_NS)
    assert tool.utc_ns("1970-01-02T00:00:00+00:00", "") == DAY_NS
    assert tool.utc_ns("1970-01-02T01:00+01:00", "") == DAY_NS
    assert tool.utc_ns("7d", "") == NOW_NS - 7 * DAY_NS
    assert tool.utc_ns("1.5h", "") == NOW_NS - 5400 * 10**9
    assert tool.utc_ns(None, "") is None
