"""Poses on disk: what goes in comes out, whatever tears, breaks or fills up meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edge.errors import DataError, NoInputError
from edge.messages import Builder
from edge.recording.record import HEAD, RecordedFrame, pack, unpack
from edge.recording.ring import MAGIC, Recorder, Ring, read_segment
from edge.settings import config
from edge.structures import Frame, Poses
from tests.waiting import GIVE_UP_S


def crowd(n: int = 2, k: int = 17, seed: int = 0) -> Poses:
    rng = np.random.default_rng(seed)
    return Poses(
        rng.random((n, k, 2), np.float32) * 640,
        rng.random((n, k), np.float32),
        rng.random((n, 4), np.float32),
        np.arange(n),
        rng.random(n, np.float32),
        "coco17",
    )


def same(a: Poses, b: Poses) -> bool:
    names = ("keypoints", "scores", "boxes", "ids", "person_scores")
    return a.skeleton == b.skeleton and all(
        getattr(a, n).tobytes() == getattr(b, n).tobytes() for n in names
    )


@settings(max_examples=60)
@given(
    n=st.integers(0, 4),
    k=st.integers(0, 20),
    t_ns=st.integers(-(2**63), 2**63 - 1),
    offset_ns=st.integers(-(2**63), 2**63 - 1),
    data=st.data(),
)
def test_every_bit_of_poses_survives(
    n: int, k: int, t_ns: int, offset_ns: int, data: st.DataObject
) -> None:
    def floats(*shape: int) -> Any:
        return data.draw(npst.arrays(np.float32, shape, elements=st.floats(width=32)))

    poses = Poses(floats(n, k, 2), floats(n, k), floats(n, 4), np.arange(n), floats(n), "coco17")
    told = RecordedFrame("door", 7, t_ns, offset_ns, (640, 480), poses)
    back = unpack(pack(told))
    assert same(back.poses, poses)
    assert (back.camera, back.index, back.t_ns, back.offset_ns, back.size) == (
        "door",
        7,
        t_ns,
        offset_ns,
        (640, 480),
    )


@given(st.binary(max_size=200))
@example(HEAD.pack(0, 0, 0, 640, 480, 2**32 - 1, 2**32 - 1, 0, 0))
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(DataError):
        unpack(payload)


def ring(folder: Path, max_bytes: int = 1 << 20) -> Ring:
    return Ring(folder, max_bytes, lambda: b"{}")


def segments(folder: Path) -> List[Path]:
    return sorted(folder.glob("*.poses"))


def test_ring_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    here = ring(tmp_path, 80_000)
    for i in range(200):
        here.write("P", i.to_bytes(4, "little") + bytes(1000))
        assert sum(p.stat().st_size for p in segments(tmp_path)) <= 80_000
    here.close()
    got = [
        int.from_bytes(p[:4], "little")
        for s in segments(tmp_path)
        for kind, p in read_segment(s)
        if kind == "P"
    ]
    assert got == list(range(got[0], 200)), "in order, without a hole, up to the last"
    assert len(got) > 50
    for segment in segments(tmp_path):
        assert next(iter(read_segment(segment)))[0] == "H"


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(cut=0, flip=False)
@example(cut=len(MAGIC) - 1, flip=False)
@example(cut=len(MAGIC) - 1, flip=True)
@given(cut=st.integers(0, 3000), flip=st.booleans())
def test_torn_or_changed_anywhere_gives_whole_records_only(
    tmp_path: Path, cut: int, flip: bool
) -> None:
    for old in segments(tmp_path):
        old.unlink()
    here = ring(tmp_path)
    payloads = [bytes([i]) * (i * 7 % 300) for i in range(20)]
    for payload in payloads:
        here.write("P", payload)
    here.close()
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    at = min(cut, len(data) - 1)
    if flip:
        data[at] ^= 0x55
        path.write_bytes(data)
    else:
        path.write_bytes(data[:at])
    if flip and at < len(MAGIC):
        with pytest.raises(DataError, match="not a recording"):
            list(read_segment(path))
        return
    got = [payload for kind, payload in read_segment(path) if kind == "P"]
    assert got == payloads[: len(got)], "nothing that was not written"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NoInputError):
        list(read_segment(tmp_path / "none"))


def step(recorder: Recorder, builder: Builder, i: int, n: int = 2) -> Poses:
    image = np.zeros((48, 64, 3), np.uint8)
    frame, poses = Frame(image, i, 1000 + i, "door"), crowd(n, seed=i)
    builder.frame(frame, poses)
    recorder([frame], [poses])
    return poses


def test_recorder_writes_what_the_rules_saw(tmp_path: Path) -> None:
    builder, use = Builder("hall"), config.Config()
    recorder = Recorder(tmp_path, 1 << 22, builder, lambda: use, True)
    want = [step(recorder, builder, i, i % 3) for i in range(50)]
    recorder.close()
    (path,) = segments(tmp_path)
    kinds = list(read_segment(path))
    head = json.loads(kinds[0][1])
    assert head["boot_id"] == builder.boot_id
    assert head["numbers"] == {}, "the run begins here"
    got = [unpack(payload) for kind, payload in kinds if kind == "P"]
    assert len(got) == 50
    assert all(same(a, b.poses) for a, b in zip(want, got))
    assert (
        got[0].offset_ns == builder.offset_ns("door")
        or abs(got[0].offset_ns - builder.offset_ns("door")) < 10**9
    )
    assert path.stat().st_mode & 0o077 == 0


def test_a_slow_disk_leaves_a_gap_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, write = threading.Event(), Ring.write

    def slow(self: Ring, kind: str, payload: bytes) -> None:
        gate.wait(GIVE_UP_S)
        write(self, kind, payload)

    monkeypatch.setattr(Ring, "write", slow)
    builder, use = Builder("hall"), config.Config()
    recorder = Recorder(tmp_path, 1 << 22, builder, lambda: use, False)
    for i in range(1000):
        step(recorder, builder, i, 1)
    gate.set()
    end = time.monotonic() + GIVE_UP_S
    while not recorder._queue.empty() and time.monotonic() < end:
        time.sleep(0.01)
    step(recorder, builder, 1000, 1)
    recorder.close()
    kinds = [(kind, payload) for s in segments(tmp_path) for kind, payload in read_segment(s)]
    kept = sum(kind == "P" for kind, _ in kinds)
    missing = sum(json.loads(payload)["frames"] for kind, payload in kinds if kind == "G")
    assert missing > 500
    assert kept + missing == 1001, "each frame is there or told of"


def test_a_full_disk_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    builder, use = Builder("hall"), config.Config()
    recorder = Recorder(tmp_path, 1 << 22, builder, lambda: use, True)
    real = os.write

    def full(handle: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for i in range(20):
        step(recorder, builder, i)
    end = time.monotonic() + GIVE_UP_S
    while not recorder._queue.empty() and time.monotonic() < end:
        time.sleep(0.01)
    monkeypatch.setattr(os, "write", real)
    recorder.close()
    assert sum("No space left" in line for line in caplog.messages) == 1, "said once"


@pytest.mark.parametrize("room", [0, 5, 30, 2000, 5000, 20_000])
def test_a_disk_that_was_full_costs_what_did_not_fit_and_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    builder, use, left = Builder("hall"), config.Config(), [room]
    real = os.write

    def filling(handle: int, data: Any) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        done = real(handle, data[: left[0]])
        left[0] -= done
        return done

    recorder = Recorder(tmp_path, 1 << 22, builder, lambda: use, True)
    monkeypatch.setattr(os, "write", filling)
    for i in range(60):
        step(recorder, builder, i)
    end = time.monotonic() + GIVE_UP_S
    while not recorder._queue.empty() and time.monotonic() < end:
        time.sleep(0.01)
    monkeypatch.setattr(os, "write", real)
    for i in range(60, 80):
        step(recorder, builder, i)
    recorder.close()
    runs = [list(read_segment(s)) for s in segments(tmp_path)]
    assert {records[0][0] for records in runs} == {"H"}, "each segment can be replayed"
    kinds = [record for records in runs for record in records]
    kept = [unpack(payload).index for kind, payload in kinds if kind == "P"]
    missing = sum(json.loads(payload)["frames"] for kind, payload in kinds if kind == "G")
    assert missing
    assert kept[-19:] == list(range(61, 80)), "all that came once there was room"
    assert len(kept) + missing == 80, "each frame is there or told of"


def test_a_clock_that_was_put_back_does_not_make_the_newest_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run, now_ns in enumerate((2 * 10**18, 10**18)):
        monkeypatch.setattr(time, "time_ns", lambda now_ns=now_ns: now_ns)
        here = ring(tmp_path, 80_000)
        for _ in range(200):
            here.write("P", bytes([run]) * 1000)
        here.close()
    (tmp_path / "my own.poses").touch()
    Ring(tmp_path, 80_000, lambda: b"{}")
    got = [p[0] for s in segments(tmp_path) for kind, p in read_segment(s) if kind == "P"]
    assert set(got) == {1}, "the later run, all the ring"
    assert len(got) > 50


CHILD = """
import sys; from pathlib import Path; from edge.recording.ring import Ring
ring = Ring(Path(sys.argv[1]), 1 << 22, lambda: b"{}"); i = 0
while True:
    ring.write("P", i.to_bytes(8, "little") * 40); i += 1
    sys.stdout.write(f"{i}\\n"); sys.stdout.flush()
"""


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[3])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        encoding="utf-8",
    )
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if int(line) >= 500:
                break
        os.kill(child.pid, signal.SIGKILL)
        done = int(line)
    got = [p for s in segments(tmp_path) for kind, p in read_segment(s) if kind == "P"]
    assert len(got) >= done
    assert all(payload == i.to_bytes(8, "little") * 40 for i, payload in enumerate(got))


def test_another_configuration_begins_a_segment(tmp_path: Path) -> None:
    builder, used = Builder("hall"), [config.Config()]
    recorder = Recorder(tmp_path, 1 << 22, builder, lambda: used[0], True)
    step(recorder, builder, 0)
    used[0] = config.Config(device="hall")
    step(recorder, builder, 1)
    recorder.close()
    heads = [json.loads(next(iter(read_segment(s)))[1]) for s in segments(tmp_path)]
    assert [h["config"].splitlines()[0].split("  #")[0] for h in heads] == [
        'device = "edge"',
        'device = "hall"',
    ]
    assert heads[1]["numbers"] == {"poses/v1/hall/door/frame": 1}
