"""The sink of lines: what it writes, and that no disk, pipe or reader can hurt the loop."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from edge import codec
from edge.errors import ConfigError
from edge.messages import Message
from edge.publish import SinkOptions, open_sink, parse
from edge.publish.jsonl import LIVE_ROOM, ROOM, JsonlSink
from tests.waiting import GIVE_UP_S, until

PLAIN = SinkOptions()
PATIENT = SinkOptions(lossless=True)
ROOT = Path(__file__).resolve().parents[3]


def message(seq: int, qos: int = 0, size: int = 1) -> Message:
    kind = "event" if qos else "frame"
    return Message(f"t/{kind}", kind, {"seq": seq, "pad": "x" * size}, qos=qos)


def lines(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def pipe() -> Iterator[Tuple[int, int]]:
    """(read end, write end); the sink closes the write end."""
    ends = os.pipe()
    yield ends
    os.close(ends[0])


@pytest.mark.parametrize("form", ["jsonl:{}", "jsonl://{}"])
def test_a_line_is_what_mqtt_would_carry(tmp_path: Path, form: str) -> None:
    path = tmp_path / "out.jsonl"
    sink = open_sink(form.format(path), PLAIN)
    given = [message(0), message(1, qos=1)]
    for one in given:
        sink(one)
    sink.close(5)
    assert lines(path) == [{"topic": m.topic, "payload": json.loads(m.body)} for m in given]
    assert sink.counters.report() == {"sent": 2, "dropped": 0, "refused": 0}
    for line, one in zip(path.read_bytes().splitlines(), given):
        assert one.body in line, "the very bytes"


def test_a_cbor_frame_is_written_as_json_and_says_so(tmp_path: Path) -> None:
    sink = open_sink(f"jsonl:{tmp_path}/o", PLAIN)
    sink(Message("t", "frame", {"n": 1}, content_type=codec.CBOR))
    sink.close(5)
    assert lines(tmp_path / "o") == [
        {"topic": "t", "content_type": "application/cbor", "payload": {"n": 1}}
    ]


def test_lines_are_added_after_those_of_a_run_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "o"
    path.write_bytes(b'{"topic": "t", "payl')
    sink = open_sink(f"jsonl:{path}", PLAIN)
    sink(message(5))
    sink.close(5)
    first, second = path.read_bytes().splitlines()
    assert first == b'{"topic": "t", "payl'
    assert json.loads(second)["payload"]["seq"] == 5


TO_STANDARD_OUTPUT = (
    "from edge.publish import open_sink, SinkOptions\n"
    "from edge.messages import Message\n"
    "s = open_sink('jsonl:-', SinkOptions())\n"
    "s(Message('t', 'frame', {'a': 1})); s.close(5)\n"
)


def to(stdout: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", TO_STANDARD_OUTPUT]
    return subprocess.run(
        command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, check=True, timeout=GIVE_UP_S
    )


def test_standard_output_carries_lines_only() -> None:
    assert to(subprocess.PIPE).stdout == b'{"topic": "t", "payload": {"a":1}}\n'


@pytest.mark.parametrize("before", [b"", b"of another program\n", b"of another pro"])
def test_standard_output_may_be_a_file_that_others_wrote(tmp_path: Path, before: bytes) -> None:
    """As in `edge run >> FILE`: it can be written, not read."""
    path = tmp_path / "all.log"
    path.write_bytes(before)
    with path.open("ab") as shared:
        assert to(shared).stderr == b""
    assert path.read_bytes() == before + b'{"topic": "t", "payload": {"a":1}}\n'


@pytest.mark.parametrize(
    ("tail", "line"),
    [("no/o", "No such file or directory"), ("", "Is a directory"), ("f/o", "Not a directory")],
)
def test_a_path_that_cannot_be_written_is_an_error_at_the_start(
    tmp_path: Path, tail: str, line: str
) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(ConfigError, match=line):
        open_sink(f"jsonl:{tmp_path}/{tail}", PLAIN)


@pytest.mark.parametrize("uri", ["jsonl:", "jsonl://", "jsonl:a\0b"])
def test_an_address_without_a_path(uri: str) -> None:
    for use in (parse, open_sink):
        with pytest.raises(ConfigError, match="jsonl:- for standard output"):
            use(uri, PLAIN)


def test_parse_opens_nothing(tmp_path: Path) -> None:
    parse(f"jsonl:{tmp_path}/o")
    assert not (tmp_path / "o").exists()


def test_a_full_disk_is_told_once_and_counted(caplog: Any) -> None:
    sink = open_sink("jsonl:/dev/full", PLAIN)
    for i in range(50):
        sink(message(i))
    sink.close(5)
    assert sink.counters.report() == {"sent": 0, "dropped": 50, "refused": 0}
    assert not sink.ok
    told = [r.getMessage() for r in caplog.records if sink.name in r.getMessage()]
    assert told == ["jsonl:/dev/full: No space left on device; its messages are dropped"]


FULL_THEN_FREE = """
import logging, resource, sys, time
from edge.messages import Message
from edge.publish import SinkOptions, open_sink
logging.basicConfig(format="%(message)s")
sink = open_sink("jsonl:" + sys.argv[1], SinkOptions())
def give(n):
    before = sum(sink.counters.report().values())
    for i in range(n):
        sink(Message("t", "frame", {"pad": "x" * 70}))
    while sum(sink.counters.report().values()) < before + n:
        time.sleep(0.005)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
give(20)
print(sink.counters.report(), sink.ok)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
give(3)
sink.close(5)
print(sink.counters.report(), sink.ok)
"""


def test_a_disk_that_fills_in_the_middle_of_a_line_leaves_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "o"
    done = subprocess.run(
        [sys.executable, "-c", FULL_THEN_FREE, str(path)],
        cwd=ROOT,
        check=True,
        timeout=GIVE_UP_S,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    size = len('{"topic": "t", "payload": {"pad":"' + "x" * 70 + '"}}\n')
    fit = 1000 // size
    assert 1000 % size, "the limit must fall into a line"
    assert done.stdout.splitlines() == [
        f"{{'sent': {fit}, 'dropped': {20 - fit}, 'refused': 0}} False",
        f"{{'sent': {fit + 3}, 'dropped': {20 - fit}, 'refused': 0}} True",
    ]
    assert done.stderr.splitlines() == [
        f"jsonl:{path}: File too large; its messages are dropped",
        f"jsonl:{path}: can be written again",
    ]
    assert [line["payload"]["pad"] for line in lines(path)] == ["x" * 70] * (fit + 3)


def test_nor_a_hole_in_a_file_that_is_standard_output(tmp_path: Path) -> None:
    """As in `edge run > FILE`, where the next line goes to a place that the system remembers."""
    path = tmp_path / "o"
    script = FULL_THEN_FREE.replace("print(", "logging.info(")
    with path.open("wb") as stdout:
        command = [sys.executable, "-c", script, "-"]
        subprocess.run(command, cwd=ROOT, check=True, timeout=GIVE_UP_S, stdout=stdout)
    assert {line["payload"]["pad"] for line in lines(path)} == {"x" * 70}


def test_standard_output_may_be_closed() -> None:
    """As in `edge run >&-`."""
    command = ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, TO_STANDARD_OUTPUT]
    done = subprocess.run(
        command, cwd=ROOT, timeout=GIVE_UP_S, capture_output=True, text=True, encoding="utf-8"
    )
    last = done.stderr.splitlines()[-1]
    assert last == "edge.errors.ConfigError: sink jsonl:-: standard output is closed"


def test_a_pipe_that_never_waits_loses_nothing(pipe: Tuple[int, int]) -> None:
    """Whoever shares our standard output may have set it so."""
    os.set_blocking(pipe[1], False)
    sink = JsonlSink(pipe[1], "p", PLAIN)
    for i in range(9):
        sink(message(i, size=2**15))
    got = b""
    while got.count(b"\n") < 9 and select.select([pipe[0]], [], [], 10)[0]:
        got += os.read(pipe[0], 2**16)
    sink.close(20)
    assert [json.loads(line)["payload"]["seq"] for line in got.splitlines()] == list(range(9))
    assert sink.counters.report() == {"sent": 9, "dropped": 0, "refused": 0}


def test_a_reader_that_goes_away_is_told_once(pipe: Tuple[int, int], caplog: Any) -> None:
    sink = JsonlSink(pipe[1], "standard output", PLAIN)
    sink(message(0))
    assert json.loads(os.read(pipe[0], 4096))["payload"]["seq"] == 0
    spare = os.dup(pipe[0])
    os.close(pipe[0])
    os.close(spare)
    for i in range(9):
        sink(message(i))
    sink.close(5)
    os.dup2(os.open(os.devnull, os.O_RDONLY), pipe[0])
    assert sink.counters.report() == {"sent": 1, "dropped": 9, "refused": 0}
    told = [r.getMessage() for r in caplog.records if sink.name in r.getMessage()]
    assert told == ["jsonl:standard output: its reader is gone; its messages are dropped"]


def test_a_reader_that_stops_reading_never_holds_the_loop(
    pipe: Tuple[int, int], caplog: Any
) -> None:
    sink = JsonlSink(pipe[1], "p", PLAIN)
    large = 2**16  # the pipe holds no more than one
    for i in range(3):
        sink(message(i, size=large))
    until(lambda: sink.waiting == 2)  # the first is being written, and will be
    for i in range(LIVE_ROOM * 2):
        sink(message(i))
    frames_kept = sink.waiting
    assert frames_kept <= LIVE_ROOM
    for i in range(ROOM * 2):
        sink(message(i, qos=1))
    assert sink.waiting == ROOM, "events find room above the frames"
    sink.close(0.05)
    assert sink.counters.sent == 0
    assert sink.counters.dropped >= 2 * LIVE_ROOM - frames_kept + 2 * ROOM
    assert "were not written" in caplog.text
    sink(message(0))
    sink.close(0.05)


def test_a_flood_of_frames_leaves_room_for_events(pipe: Tuple[int, int]) -> None:
    sink = JsonlSink(pipe[1], "p", PLAIN)
    for i in range(2000):
        sink(message(i, size=2**16))
    frames_dropped = sink.counters.dropped
    assert frames_dropped > 1000
    for i in range(300):
        sink(message(i, qos=1))
    assert sink.counters.dropped == frames_dropped, "no event is dropped"
    sink.close(0.05)


def test_a_recording_waits_for_its_writer_and_loses_nothing(pipe: Tuple[int, int]) -> None:
    sink = JsonlSink(pipe[1], "p", PATIENT)
    got: List[int] = []

    def read() -> None:
        with os.fdopen(os.dup(pipe[0])) as stream:
            for line in stream:
                got.append(json.loads(line)["payload"]["seq"])
                if len(got) % 100 == 0:
                    time.sleep(0.01)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(ROOM * 4):
        sink(message(i, size=200))
    sink.close(20)
    reader.join(GIVE_UP_S)
    assert got == list(range(ROOM * 4))
    assert sink.counters.report() == {"sent": ROOM * 4, "dropped": 0, "refused": 0}


def test_a_waiting_recording_can_be_stopped(pipe: Tuple[int, int]) -> None:
    asked = threading.Event()
    sink = JsonlSink(pipe[1], "p", SinkOptions(lossless=True, stop=asked.is_set))
    done = threading.Event()

    def loop() -> None:
        for i in range(ROOM + 50):
            sink(message(i, size=2**16))
        done.set()

    threading.Thread(target=loop, daemon=True).start()
    until(lambda: sink.waiting == ROOM)
    assert not done.is_set()
    asked.set()
    assert done.wait(GIVE_UP_S)
    assert sink.counters.dropped > 0
    sink.close(0.0)


def test_a_busy_log_is_not_written_from_the_loop(tmp_path: Path) -> None:
    """Encoding and writing happen in the sink's thread: the call only hands over."""
    seen: List[str] = []

    class Spy(Message):
        @property
        def json(self) -> bytes:  # type: ignore[override]
            seen.append(threading.current_thread().name)
            return b"{}"

    sink = open_sink(f"jsonl:{tmp_path}/o", PLAIN)
    sink(Spy("t", "frame", {}))
    sink.close(5)
    assert seen == ["jsonl"]
