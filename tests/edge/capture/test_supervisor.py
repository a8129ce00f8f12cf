"""One camera's supervisor, with a source that does whatever cameras do."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Callable, List

import numpy as np
import pytest

from edge.capture import RECORDING, EndOfStream
from edge.capture._memory import PlainMemory
from edge.capture._reader import Reader, jitter
from edge.capture._supervisor import MAX_HUNG, Supervisor
from edge.errors import (
    ConfigError,
    DataError,
    EdgeError,
    InternalError,
    NoInputError,
    TempError,
    UnavailableError,
)
from edge.settings import config
from tests.edge.capture.fake_plug import Gate, Plug, plain
from tests.waiting import GIVE_UP_S

Eventually = Callable[[Callable[[], object]], None]
QUICK = config.Capture(stall_s=9, timeout_s=0.5, backoff_max_s=0.1, max_megapixels=0.1)


class Watched:
    """A camera, and the frames that a loop took from it."""

    def __init__(self, uri: str, settings: config.Capture = QUICK) -> None:
        self.camera = Supervisor(config.Camera(uri, "door"), settings, PlainMemory(), self._wake)
        self.indexes: List[int] = []
        self.shapes: List[tuple] = []

    def _wake(self) -> None:
        slot = self.camera.ring.take()
        if slot is not None:
            self.indexes.append(slot.index)
            self.shapes.append(slot.image.shape)
            self.camera.ring.release(slot)

    @property
    def state(self) -> str:
        return self.camera.state().state

    @property
    def detail(self) -> str:
        return self.camera.state().detail


@pytest.fixture
def watch(fake: Plug):
    made: List[Watched] = []

    def start(uri: str, settings: config.Capture = QUICK) -> Watched:
        made.append(Watched(uri, settings))
        made[-1].camera.start()
        return made[-1]

    yield start
    for watched in made:
        watched.camera.stop()


def recording(fake: Plug) -> None:
    fake.kind, fake.live = RECORDING, False


def test_recording_gives_every_frame_and_ends(fake: Plug, watch, eventually: Eventually) -> None:
    recording(fake)
    fake.scripts["x"] = [[plain(i) for i in range(20)]]
    watched = watch("fake://x")
    eventually(lambda: watched.camera.finished)
    state = watched.camera.state()
    assert watched.indexes == list(range(20))
    assert (state.state, state.detail, state.frames, state.dropped) == ("ended", "", 20, 0)
    assert state.size == (12, 8)
    assert watched.camera.error is None
    assert fake.sources[0].closed == 1


def test_early_end_says_why(fake: Plug, watch, eventually: Eventually) -> None:
    recording(fake)
    fake.scripts["x"] = [[plain(), EndOfStream("x: broke off at frame 1 of 9")]]
    watched = watch("fake://x")
    eventually(lambda: watched.state == "ended")
    assert watched.detail == "x: broke off at frame 1 of 9"


@pytest.mark.parametrize("at_opening", [True, False])
def test_error_of_a_recording_is_final(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture, at_opening: bool
) -> None:
    recording(fake)
    error = DataError("x: damaged; re-export it")
    fake.scripts["x"] = [error if at_opening else [plain(), error]]  # type: ignore[list-item]
    watched = watch("fake://x")
    eventually(lambda: watched.state == "failed")
    assert watched.detail == "x: damaged; re-export it"
    assert watched.camera.error is error
    assert fake.opened == 1
    assert [r.getMessage() for r in caplog.records] == ["door: x: damaged; re-export it"]


def test_live_source_is_opened_again_and_counts_on(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    fake.scripts["x"] = [
        [plain(1), plain(2), TempError("x: gone")],
        NoInputError("x: not there"),
        [plain(3), EndOfStream()],
        [plain(4), Gate()],
    ]
    watched = watch("fake://x")
    eventually(lambda: len(watched.indexes) == 4)
    state = watched.camera.state()
    assert watched.indexes == [0, 1, 2, 3]
    assert (state.state, state.detail, state.reconnects) == ("ok", "", 3)
    assert [s.closed for s in fake.sources[:2]] == [1, 1]
    said = caplog.text
    assert "door: x: gone; trying again in" in said
    assert "the stream ended; trying again" in said


def test_camera_that_is_not_there_yet_keeps_starting(
    fake: Plug, watch, eventually: Eventually
) -> None:
    fake.scripts["x"] = [NoInputError("/dev/video7: no such camera")]
    watched = watch("fake://x", config.Capture(stall_s=0.2, timeout_s=0.5, backoff_max_s=0.1))
    eventually(lambda: fake.opened >= 12)
    assert watched.state == "starting"
    assert watched.detail == "/dev/video7: no such camera; trying again"
    assert not watched.camera.finished
    assert watched.camera.error is None


@pytest.mark.parametrize("error", [ConfigError("x: no such key"), UnavailableError("x: no cv2")])
def test_what_no_waiting_mends_is_final_for_a_camera_too(
    fake: Plug, watch, eventually: Eventually, error: EdgeError
) -> None:
    fake.scripts["x"] = [error]
    watched = watch("fake://x")
    eventually(lambda: watched.state == "failed")
    assert fake.opened == 1


@pytest.mark.parametrize("uri", ["nonsense", "nosuch://x", "file://x?rate=fast"])
def test_wrong_source_is_a_failed_state_not_an_exception(watch, uri: str) -> None:
    watched = watch(uri)
    assert watched.state == "failed"
    assert isinstance(watched.camera.error, ConfigError)


def test_os_error_of_a_driver_is_told_in_one_line(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    fake.scripts["x"] = [[plain(), OSError(19, "No such device")], [plain(), Gate()]]
    watched = watch("fake://x")
    eventually(lambda: len(watched.indexes) == 2)
    assert watched.state == "ok"
    assert "door: fake://x: No such device; trying again" in caplog.text


def test_same_trouble_is_logged_once(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    fake.scripts["x"] = [TempError("x: nothing listens")]
    watch("fake://x")
    eventually(lambda: fake.opened >= 4)
    assert len([r for r in caplog.records if "nothing listens" in r.getMessage()]) == 1


def test_waits_double_up_to_the_limit_and_start_over_after_good_times(
    fake: Plug, watch, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: List[float] = []
    monkeypatch.setattr(Reader, "_pause", lambda self, error, wait_s: waits.append(wait_s))
    monkeypatch.setattr("edge.capture._reader.FIRST_WAIT_S", 0.05)
    gate, gone = Gate(), TempError("x: gone")
    fake.scripts["x"] = [
        gone,
        gone,
        gone,
        gone,
        gone,
        [plain(1), gate, plain(2), gone],
        gone,
        [Gate()],
    ]
    watch("fake://x", config.Capture(backoff_max_s=0.3))
    eventually(gate.reached.is_set)
    assert [w / jitter("door") for w in waits] == pytest.approx([0.05, 0.1, 0.2, 0.3, 0.3])
    time.sleep(0.35)  # longer than the last wait: good times
    gate.open()
    eventually(lambda: len(waits) == 7)
    assert [w / jitter("door") for w in waits[5:]] == pytest.approx([0.05, 0.1])


def test_spread_is_the_same_for_ever_and_differs_by_name() -> None:
    found = [jitter(f"cam{i}") for i in range(64)]
    assert found == [jitter(f"cam{i}") for i in range(64)]
    assert min(found) >= 0.75
    assert max(found) <= 1.25
    assert len(set(found)) > 50


@pytest.mark.parametrize(
    ("garbage", "words"),
    [
        (np.zeros((8, 12, 3), np.float32), "float32 data"),
        (np.zeros((8, 12), np.uint8), r"shape \[8, 12\]"),
        (np.zeros((8, 12, 4), np.uint8), r"shape \[8, 12, 4\]"),
        (np.zeros((0, 12, 3), np.uint8), "an empty picture"),
        (np.zeros((400, 400, 3), np.uint8), "400x400 pixels, more than"),
    ],
)
def test_garbage_is_an_error_and_the_source_is_opened_again(
    fake: Plug,
    watch,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    garbage: np.ndarray,
    words: str,
) -> None:
    fake.scripts["x"] = [[plain(1), garbage, plain(2)], [plain(3), Gate()]]
    watched = watch("fake://x")
    eventually(lambda: len(watched.indexes) == 2)
    assert watched.shapes == [(8, 12, 3)] * 2
    assert fake.opened == 2
    assert caplog.records[0].getMessage().startswith("door: fake://x: gave ")
    assert re.search(words, caplog.text)


def test_change_of_size_is_survived_and_logged(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    fake.scripts["x"] = [[plain(1), plain(2, 20, 30), plain(3, 8, 12), Gate()]]
    watched = watch("fake://x")
    eventually(lambda: len(watched.indexes) == 3)
    assert watched.shapes == [(8, 12, 3), (20, 30, 3), (8, 12, 3)]
    assert watched.state == "ok"
    assert "size changed from 12x8 to 30x20" in caplog.text


def test_silence_is_a_stall_and_a_frame_ends_it(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gate = Gate()
    fake.scripts["x"] = [[plain(1), gate, plain(2), Gate()]]
    watched = watch("fake://x", config.Capture(stall_s=1, timeout_s=60))
    eventually(lambda: watched.state == "ok")
    before = watched.camera.state()
    eventually(lambda: watched.state == "stalled")
    stalled = watched.camera.state()
    assert stalled.detail == "fake://x: no frame for more than 1 s"
    assert stalled.t_ns > before.t_ns + 0.9e9, "it began when the frame was due"
    assert watched.camera.state() == stalled, "the same state as long as nothing happens"
    gate.open()
    eventually(lambda: watched.state == "ok")
    assert watched.camera.state().t_ns > stalled.t_ns
    assert fake.opened == 1
    texts = [r.getMessage() for r in caplog.records]
    assert texts == [
        "door: ok",
        "door: stalled: fake://x: no frame for more than 1 s",
        "door: ok",
    ]


def test_recording_is_not_stalled_while_the_loop_is_slow(
    fake: Plug, eventually: Eventually
) -> None:
    recording(fake)
    fake.scripts["x"] = [[plain(i) for i in range(3)]]
    settings = config.Capture(stall_s=0.05)
    camera = Supervisor(config.Camera("fake://x", "door"), settings, PlainMemory())
    camera.start()
    eventually(lambda: camera.ring.has_frame and camera.ring.resting)
    deadline_ns = camera.deadline_ns()
    states = set()
    eventually(
        lambda: states.add(camera.state().state) or camera.deadline_ns() > deadline_ns + 0.5e9
    )
    assert states == {"ok"}
    camera.stop()
    camera.join(GIVE_UP_S)


def test_hung_driver_is_left_to_itself_and_a_new_thread_takes_over(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    hoard = lambda: fake.sources[0].hoard()  # noqa: E731
    fake.scripts["x"] = [[plain(1), hoard, gate, plain(99)], [plain(2), plain(3), Gate()]]
    watched = watch("fake://x", config.Capture(stall_s=0.2, timeout_s=0.5))
    eventually(lambda: watched.state == "stalled")
    eventually(lambda: watched.state and len(watched.indexes) == 3)  # it is judged when asked
    assert watched.indexes == [0, 1, 2]
    assert watched.camera.state().reconnects == 1
    assert "no answer from the driver" in caplog.text
    (old,) = watched.camera._hung
    gate.open()  # the old thread comes back, and may touch nothing
    eventually(lambda: fake.sources[0].closed and not old.is_alive())
    assert watched.indexes == [0, 1, 2]


def hang(camera: Supervisor) -> None:
    """As if the driver call of its reader had begun when the machine did."""
    camera._progress.call_since_ns = 1
    camera.state()


def test_at_most_three_threads_of_a_camera_hang(fake: Plug, watch, eventually: Eventually) -> None:
    gates = [Gate() for _ in range(MAX_HUNG + 2)]
    fake.scripts["x"] = [[gate] for gate in gates]
    camera = watch("fake://x").camera
    for gate in gates[:MAX_HUNG]:
        eventually(gate.reached.is_set)
        hang(camera)
    eventually(gates[MAX_HUNG].reached.is_set)
    hang(camera)
    assert (fake.opened, len(camera._hung)) == (MAX_HUNG + 1, MAX_HUNG)
    first = camera._hung[0]
    gates[0].open()
    eventually(lambda: not first.is_alive())
    hang(camera)
    eventually(gates[-1].reached.is_set)
    assert (fake.opened, len(camera._hung)) == (MAX_HUNG + 2, MAX_HUNG)


def test_a_reader_that_waits_on_purpose_does_not_hang(
    fake: Plug, watch, eventually: Eventually
) -> None:
    gate = Gate()

    def rest() -> None:
        with fake.sources[0]._ring.rest():
            gate()

    fake.scripts["x"] = [[rest, plain(1)]]
    camera = watch("fake://x").camera
    eventually(gate.reached.is_set)
    hang(camera)
    assert (camera.state().reconnects, camera._hung) == (0, [])


def test_a_camera_may_take_its_time_out_to_open(fake: Plug) -> None:
    fake.scripts["x"] = [[Gate()]]
    settings = config.Capture(stall_s=9, timeout_s=0.5)
    camera = Supervisor(config.Camera("fake://x", "door"), settings, PlainMemory())
    camera._progress.alive_ns = 10**12
    assert camera.deadline_ns() == 10**12 + 9_500_000_000
    camera._progress.enter("ok")
    assert camera.deadline_ns() == 10**12 + 9_000_000_000


def test_close_leaves_a_hung_driver_behind_and_says_so(
    fake: Plug, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    fake.scripts["x"] = [[plain(1), gate]]
    camera = Supervisor(config.Camera("fake://x", "door"), config.Capture(), PlainMemory())
    camera.start()
    eventually(gate.reached.is_set)
    camera.stop()
    camera.join(0.1)
    assert "its driver does not answer; its thread is left behind" in caplog.text
    gate.open()
    camera.join(GIVE_UP_S)


def test_pause_before_the_next_try_is_cut_short_by_close(
    fake: Plug, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.scripts["x"] = [TempError("x: gone")]
    settings = config.Capture(backoff_max_s=600)
    camera = Supervisor(config.Camera("fake://x", "door"), settings, PlainMemory())
    pause = Reader._pause
    monkeypatch.setattr(Reader, "_pause", lambda self, error, wait_s: pause(self, error, 600))
    camera.start()
    eventually(lambda: "trying again" in camera.state().detail)
    camera.stop()
    camera.join(GIVE_UP_S)
    assert not camera._reader.is_alive()


def test_mistake_of_ours_fails_the_camera_and_is_not_swallowed(
    fake: Plug, watch, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: List[type] = []
    monkeypatch.setattr(threading, "excepthook", lambda hooked: shown.append(hooked.exc_type))
    fake.scripts["x"] = [[plain(), ZeroDivisionError("a bug in a plug")]]
    watched = watch("fake://x")
    eventually(lambda: shown)
    assert shown == [ZeroDivisionError]
    assert watched.state == "failed"
    assert isinstance(watched.camera.error, InternalError)
    assert "reading thread died" in watched.detail


def test_password_stays_out_of_states_and_logs(
    fake: Plug, watch, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    fake.scripts["viewer:s3cret@x"] = [[plain(), EndOfStream()]]
    watched = watch("fake://viewer:s3cret@x")
    eventually(lambda: "trying again" in watched.detail or fake.opened > 2)
    assert "s3cret" not in caplog.text
    assert "s3cret" not in watched.detail
