"""Decoder processes: real ones, against a camera written by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

import numpy as np
import pytest

from edge.capture import CaptureOptions, Ring, Source, open_source
from edge.capture._decoder import wire
from edge.capture._decoder.backlog import Backlog
from edge.capture._decoder.processes import Decoders, death
from edge.capture._decoder.redirects import MAX_CONNECTIONS
from edge.capture._decoder.shared import SharedFrames, piece
from edge.capture._decoder.video import RemoteVideo
from edge.capture._memory import PlainMemory
from edge.errors import DataError, EdgeError, TempError
from tests.rtsp_by_hand import HandCamera
from tests.waiting import until

OPTIONS = CaptureOptions(timeout_s=5.0)


@pytest.fixture
def camera() -> Iterator[Callable[..., HandCamera]]:
    made: List[HandCamera] = []

    def make(*arguments: object, **more: object) -> HandCamera:
        made.append(HandCamera(*arguments, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def pictures(source: Source, ring: Ring, count: int) -> List[np.ndarray]:
    """The next frames, as the loop takes them."""
    found: List[np.ndarray] = []
    while len(found) < count:
        slot = source.read(ring)
        assert slot is not None
        ring.publish(slot)
        taken = ring.take()
        assert taken is not None
        found.append(taken.image)
        ring.release(taken)
    return found


def pid_of(source: Source) -> int:
    pid = source._video._decoder.pid  # type: ignore[attr-defined]
    return int(pid)


def test_frames_come_through_shared_memory_without_a_copy(camera: Callable) -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[:, 160:] = (200, 100, 50)
    source, ring = open_source(camera(picture=picture).url, OPTIONS), Ring(3, live=True)
    found = pictures(source, ring, 20)
    assert ring.host_copies == 0
    assert len({id(f) for f in found}) <= 3, "the ring's own memory"
    assert all(piece(f)[0] for f in found)
    np.testing.assert_allclose(found[-1][120, 40], 0, atol=6)
    np.testing.assert_allclose(found[-1][120, 280], (200, 100, 50), atol=6)
    source.close()


def test_a_dead_decoder_is_one_line_and_leaves_no_process(camera: Callable) -> None:
    source, ring = open_source(camera().url, OPTIONS), Ring(3, live=True)
    pictures(source, ring, 2)
    os.kill(pid_of(source), signal.SIGSEGV)
    with pytest.raises(TempError, match=r"its decoder process died of SIGSEGV") as caught:
        pictures(source, ring, 100)
    assert "\n" not in str(caught.value)
    source.close()
    until(lambda: not Path(f"/proc/{pid_of(source)}").exists(), "its end")


def test_a_decoder_that_hangs_is_killed(camera: Callable) -> None:
    source, ring = open_source(camera().url, CaptureOptions(timeout_s=2.0)), Ring(3, live=True)
    pictures(source, ring, 2)
    os.kill(pid_of(source), signal.SIGSTOP)
    with pytest.raises(TempError, match="no more frames"):
        pictures(source, ring, 100)
    until(lambda: not Path(f"/proc/{pid_of(source)}").exists(), "its end")
    source.close()


def test_a_fork_server_that_died_is_started_again(camera: Callable) -> None:
    own = Decoders()
    first = own.start(64)
    server = own._server
    assert server is not None
    server.kill()
    server.wait()
    first.link.close()
    with pytest.raises(TempError, match="is the machine short of memory"):
        own.start(64)
    second = own.start(64)
    assert own.how_ended(first) == 0, "of another server"
    number, name = death(own.how_ended(second))
    assert (number, name) == (9, "SIGKILL")
    second.link.close()
    own.close()
    with pytest.raises(TempError):
        own.start(64)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("redirect", "redirects without end"),
        ("length", "announces an answer of 2000 MB"),
        ("header", "its answer has no end"),
    ],
)
def test_endless_answers_end_the_decoder(camera: Callable, fault: str, words: str) -> None:
    evil = camera(fault)
    with pytest.raises(TempError, match=words):
        open_source(evil.url, CaptureOptions(timeout_s=1.5))
    if fault == "redirect":  # the limit, and the connections whose log lines fill a page
        assert evil.connections <= MAX_CONNECTIONS + 4096 // 300


@pytest.mark.parametrize("later", [(160, 96), (64, 48)])
def test_a_change_of_resolution_is_told_and_followed(
    camera: Callable, later: Tuple[int, int]
) -> None:
    one = camera(h264=(96, 64))
    source, ring = open_source(one.url, OPTIONS), Ring(3, live=True)
    assert {p.shape for p in pictures(source, ring, 3)} == {(64, 96, 3)}
    one.h264 = later
    with pytest.raises(TempError, match=f"has changed to {later[0]}x{later[1]}"):
        pictures(source, ring, 200)
    source.close()
    source = open_source(one.url, OPTIONS)
    assert {p.shape for p in pictures(source, ring, 3)} == {(later[1], later[0], 3)}
    source.close()


def test_memory_is_limited() -> None:
    program = (
        "import os; from edge.capture._decoder.confine import confine; confine(64, os.getppid())\n"
        "try: bytearray(200 << 20)\n"
        "except MemoryError: print('refused', flush=True)\n"
        "bytearray(20 << 20); print('given')"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert told.stdout.split() == ["refused", "given"]


def test_frames_that_need_more_than_allowed_are_refused(camera: Callable) -> None:
    url = camera(picture=np.zeros((960, 1280, 3), np.uint8)).url
    source = open_source(url, CaptureOptions(timeout_s=5.0, decoder_max_mb=128))
    with pytest.raises(DataError, match=r"40 frames of 1280x960 need 147 MB.*decoder_max_mb = 128"):
        source.read(Ring(40, live=True))
    source.close()
    with pytest.raises(DataError, match=r"1280x960 pixels are more than capture\.max_megapixels"):
        open_source(url, CaptureOptions(timeout_s=5.0, max_megapixels=1.0))


class Film:
    """A stream whose frames have a stamp each and take a while each."""

    def __init__(self, *frames: Tuple[float, float]) -> None:
        self.frames = list(frames)
        self.now_s = self.media_ms = 0.0

    def clock_s(self) -> float:
        return self.now_s

    def grab(self) -> bool:
        if not self.frames:
            return False
        self.media_ms, took_s = self.frames.pop(0)
        self.now_s += took_s
        return True


READY = [(0.0, 0.001)] + [(100.0 * i, 0.001) for i in range(30)]
LIVE = [(3000.0 + 100.0 * i, 0.1) for i in range(5)]


@pytest.mark.parametrize(
    ("frames", "left"),
    [
        (READY + LIVE, 4),
        (READY, 0),  # the stream ends before it is live
        (LIVE, 3),  # the first frame's own duration is not known
        ([(0.0, 0.001)] * 9, 5),  # no stamps: nothing to judge by
        ([(40.0 * i, 1 / 1024) for i in range(9000)], 9000 - 2049),  # plays too fast for ever
        (READY[:20] + [(1900.0 + 40 * i, 0.03) for i in range(9)], 7),  # decoding takes long
    ],
)
def test_frames_that_were_ready_at_the_start_are_dropped(
    frames: List[Tuple[float, float]], left: int
) -> None:
    film = Film(*frames)
    got = Backlog(film.clock_s).skip(film, film.grab())
    assert got == bool(left)
    assert len(film.frames) == left


class Liar:
    """A decoder that was taken over by its stream."""

    def __init__(self, *answers: Optional[bytes]) -> None:
        self.answers = list(answers)
        self.ours, theirs = wire.pair()
        self.link, self.pid, self.server = self, 0, None
        theirs.close()

    def send(self, kind: bytes, body: bytes = b"", fds: object = ()) -> None:
        pass

    def receive(self, timeout_s: float) -> wire.Message:
        answer = self.answers.pop(0)
        if answer is None:
            raise ConnectionResetError
        return answer[:1], answer[1:], []

    def close(self) -> None:
        self.ours.close()


GOOD_OPEN = b"O" + wire.packed({"open": True, "width": 64, "height": 48})


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([b"O"], "answers nonsense"),
        ([b"O[]"], "answers nonsense"),
        ([b'O{"open": true, "width": "a", "height": 1}'], "answers nonsense"),
        ([b"Q"], "answers nonsense"),
        ([b"X{}"], "answers nonsense"),
        ([b'X{"class": "SystemExit", "text": "x"}'], "answers nonsense"),
        ([b"X" + wire.packed({"class": "TempError", "text": "a\nb\x1b[2J"})], r"a b \[2J"),
        ([None], "its decoder process ended"),
        ([GOOD_OPEN, b"G"], "answers nonsense"),
        ([GOOD_OPEN, b"G" + wire.FRAME.pack(True, 1, 4_000_000_000, 4_000_000_000)], "more than"),
        ([GOOD_OPEN, b"G" + wire.FRAME.pack(True, 1, 64, 48), b"F"], "answers nonsense"),
        ([GOOD_OPEN, b"G" + wire.FRAME.pack(True, 1, 64, 48), b"O"], "answers nonsense"),
    ],
)
def test_nonsense_of_a_decoder_is_one_line(
    answers: List[Optional[bytes]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar = Liar(*answers)
    fake = type(
        "Fake", (), {"start": lambda *_: liar, "end": lambda *_: None, "how_ended": lambda *_: 0}
    )()
    monkeypatch.setattr("edge.capture._decoder.video.decoders", fake)
    video = RemoteVideo("rtsp://h/a", OPTIONS)
    ring = Ring(3, live=True)
    with pytest.raises(EdgeError, match=words) as caught:  # noqa: PT012 - each answer has its call
        video.open({}, 1.0)
        video.grab()
        slot = ring.acquire()
        assert slot is not None
        video.retrieve(slot, ring)
    assert str(caught.value).isprintable()
    video.close()


def test_shared_memory_cannot_be_cut_off_and_is_given_back() -> None:
    memory = SharedFrames(PlainMemory())
    array = memory.allocate((48, 64, 3))
    array[:] = 7
    number, fd = piece(array)
    assert number > 0
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    del array
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_no_descriptor_is_left(camera: Callable) -> None:
    url = camera().url

    def once() -> None:
        source, ring = open_source(url, OPTIONS), Ring(3, live=True)
        pictures(source, ring, 5)
        source.close()

    once()
    before = len(list(Path("/proc/self/fd").iterdir()))
    once()
    until(
        lambda: len(list(Path("/proc/self/fd").iterdir())) <= before,
        "as many descriptors as before",
    )
