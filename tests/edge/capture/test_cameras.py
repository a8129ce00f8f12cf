"""All cameras as one: who is waited for, what is given, and how it ends."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy as np
import pytest

from edge.capture import RECORDING, Cameras, PlainMemory
from edge.errors import ConfigError, DataError, NoInputError
from edge.settings import config
from edge.structures import Frame
from tests.edge.capture.fake_plug import Gate, Plug, plain
from tests.edge.capture.films import film, number_of
from tests.waiting import GIVE_UP_S, Slowness

Eventually = Callable[[Callable[[], object]], None]
SETTINGS = config.Capture(stall_s=0.3, timeout_s=0.5, backoff_max_s=0.1)
Start = Callable[..., Cameras]


@pytest.fixture
def start(fake: Plug) -> Iterator[Start]:
    made: List[Cameras] = []

    def open_all(*uris: str, settings: config.Capture = SETTINGS) -> Cameras:
        listed = [config.Camera(uri, f"cam{i}") for i, uri in enumerate(uris)]
        made.append(Cameras(listed, settings))
        made[-1].start()
        return made[-1]

    yield open_all
    for gate in Gate.made:
        gate.open()
    for cameras in made:
        cameras.close()


def take_all(cameras: Cameras) -> List[List[Tuple[str, int]]]:
    """Every step until the end: which frame of which camera."""
    steps = []
    while not cameras.ended:
        frames = cameras.take(5)
        if frames:
            steps.append([(f.camera, f.index) for f in frames])
        cameras.release(frames)
    return steps


def test_synchronised_recordings_stay_so_frame_by_frame(tmp_path: Path, start: Start) -> None:
    for i in range(4):
        film(tmp_path / f"{i}.mp4", frames=15, size=(96 + 32 * i, 64))
    cameras = start(*(f"file://{tmp_path}/{i}.mp4" for i in range(4)))
    assert cameras.lossless
    assert take_all(cameras) == [[(f"cam{i}", n) for i in range(4)] for n in range(15)]
    assert [s.state for s in cameras.states()] == ["ended"] * 4
    assert [s.dropped for s in cameras.states()] == [0] * 4
    assert cameras.failures == []


def test_shorter_recording_lets_the_others_go_on(tmp_path: Path, start: Start) -> None:
    film(tmp_path / "long.mp4", frames=6)
    film(tmp_path / "short.mp4", frames=2)
    steps = take_all(start(f"file://{tmp_path}/long.mp4", f"file://{tmp_path}/short.mp4"))
    assert steps == [[("cam0", n), ("cam1", n)][: 2 if n < 2 else 1] for n in range(6)]


def test_damaged_recording_does_not_stop_the_others(tmp_path: Path, start: Start) -> None:
    film(tmp_path / "good.mp4", frames=5)
    (tmp_path / "bad.mp4").write_text("no video", encoding="utf-8")
    cameras = start(f"file://{tmp_path}/bad.mp4", f"file://{tmp_path}/good.mp4")
    assert take_all(cameras) == [[("cam1", n)] for n in range(5)]
    assert [s.state for s in cameras.states()] == ["failed", "ended"]
    assert [type(e) for e in cameras.failures] == [DataError]


def test_caller_learns_why_nothing_could_start(
    tmp_path: Path, start: Start, slowness: Slowness
) -> None:
    (tmp_path / "bad.mp4").write_text("no video", encoding="utf-8")
    cameras = start(f"file://{tmp_path}/none.mp4", f"file://{tmp_path}/bad.mp4", "nosuch://x")
    began = time.monotonic()
    assert take_all(cameras) == []
    assert time.monotonic() - began < 5 * slowness.worst, "it does not sit out the time-out"
    assert [type(e) for e in cameras.failures] == [NoInputError, DataError, ConfigError]
    assert cameras.failures[0].exit_code == 66
    assert [s.state for s in cameras.states()] == ["failed"] * 3


def test_live_camera_is_never_waited_for(
    tmp_path: Path, fake: Plug, start: Start, eventually: Eventually
) -> None:
    gate = Gate()
    fake.scripts["x"] = [[plain(1), gate, plain(2), Gate()]]
    film(tmp_path / "film.mp4", frames=5)
    cameras = start("fake://x", f"file://{tmp_path}/film.mp4")
    assert not cameras.lossless
    eventually(gate.reached.is_set)
    seen: List[Any] = []
    while len(seen) < 5:
        frames = cameras.take(5)
        seen += [f.index for f in frames if f.camera == "cam1"]
        cameras.release(frames)
    assert seen == list(range(5))


def test_stalled_recording_is_waited_for_no_longer(
    tmp_path: Path, fake: Plug, start: Start
) -> None:
    fake.kind, fake.live = RECORDING, False
    gate = Gate()
    fake.scripts["disk"] = [[plain(1), gate, plain(2)]]
    film(tmp_path / "film.mp4", frames=4)
    cameras = start(
        "fake://disk",
        f"file://{tmp_path}/film.mp4",
        settings=config.Capture(stall_s=0.3, timeout_s=60),
    )
    steps = []
    for _ in range(4):
        frames = cameras.take(20)
        steps.append([(f.camera, f.index) for f in frames])
        cameras.release(frames)
    assert steps[0] == [("cam0", 0), ("cam1", 0)]
    assert steps[1:] == [[("cam1", n)] for n in range(1, 4)]
    assert cameras.states()[0].state == "stalled"


def test_nothing_at_time_out(fake: Plug, start: Start) -> None:
    fake.scripts["x"] = [[Gate()]]
    assert start("fake://x").take(0.05) == []


def test_frame_that_comes_wakes_the_loop(fake: Plug, start: Start, eventually: Eventually) -> None:
    gate = Gate()
    fake.scripts["x"] = [[gate, plain(7), Gate()]]
    cameras = start("fake://x")
    eventually(gate.reached.is_set)
    got: List[List[Frame]] = []
    loop = threading.Thread(target=lambda: got.append(cameras.take(60)))
    loop.start()
    gate.open()
    loop.join(GIVE_UP_S)
    assert [f.index for f in got[0]] == [0]


def test_slow_loop_gets_the_newest_and_the_gaps_are_counted(
    fake: Plug, start: Start, eventually: Eventually
) -> None:
    first, second = Gate(), Gate()
    fake.scripts["x"] = [[*map(plain, range(9)), first, *map(plain, range(9, 14)), second]]
    cameras = start("fake://x")
    eventually(first.reached.is_set)
    frames = cameras.take(5)
    assert [(f.index, int(f.image[0, 0, 0])) for f in frames] == [(8, 8)]
    first.open()
    eventually(second.reached.is_set)
    held = cameras.take(5)
    assert held[0].index == 13
    assert (frames[0].image == 8).all(), "a frame that is held is not written to"
    state = cameras.states()[0]
    assert (state.frames, state.dropped) == (14, 12)
    cameras.release(frames + held)


def test_frames_that_the_source_lost_are_counted_too(
    fake: Plug, start: Start, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.scripts["x"] = [[plain(), lambda: skip(), plain(), Gate()]]

    def skip() -> None:
        fake.sources[0]._index += 5

    cameras = start("fake://x")
    eventually(lambda: cameras.states()[0].frames == 7)
    assert cameras.states()[0].dropped == 5 + 1  # and the first, which nobody took


def test_release_is_idempotent(fake: Plug, start: Start, eventually: Eventually) -> None:
    fake.kind, fake.live = RECORDING, False
    fake.scripts["x"] = [[plain(i) for i in range(40)]]
    cameras = start("fake://x")
    held: List[Frame] = []
    old: List[Frame] = []
    while not cameras.ended:
        held += cameras.take(5)
        if len(held) > 2:
            old.append(held.pop(0))
        cameras.release(old[::-1])
        cameras.release(old[::-1])
        assert all((f.image == f.index).all() for f in held), "nobody else has their buffers"
    assert [f.index for f in old + held] == list(range(40))


def test_frames_without_our_mark_are_left_alone(start: Start) -> None:
    cameras = start()
    cameras.release([Frame(plain(), 0, 0, "other"), Frame(plain(), 0, 0, "other", slot="theirs")])
    assert cameras.ended
    assert cameras.take(5) == []


def test_frames_are_views_and_the_steady_state_allocates_none(tmp_path: Path, start: Start) -> None:
    film(tmp_path / "x.mp4", frames=10, size=(640, 480))
    cameras = start(*[f"file://{tmp_path}/x.mp4?loop=1"] * 2, settings=config.Capture())
    seen: Dict[str, set] = {"cam0": set(), "cam1": set()}

    def step() -> None:
        frames = cameras.take(10)
        assert len(frames) == 2
        for frame in frames:
            seen[frame.camera].add(frame.image.ctypes.data)
            assert number_of(frame.image) == frame.index % 10
        cameras.release(frames)

    for _ in range(12):
        step()
    known = sum(map(len, seen.values()))
    tracemalloc.start()
    for _ in range(40):
        step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(len(addresses) <= config.Capture().buffers for addresses in seen.values())
    # A slot of the ring may be needed for the first time only now, when the machine is busy.
    first_used = sum(map(len, seen.values())) - known
    assert peak < (first_used + 0.25) * 640 * 480 * 3


def test_memory_is_what_the_caller_gives(tmp_path: Path) -> None:
    film(tmp_path / "x.mp4", frames=3)
    given: List[np.ndarray] = []

    class Given(PlainMemory):
        def allocate(self, shape: Tuple[int, ...]) -> np.ndarray:
            given.append(super().allocate(shape))
            return given[-1]

    cameras = Cameras([config.Camera(f"file://{tmp_path}/x.mp4")], SETTINGS, Given())
    cameras.start()
    frames = cameras.take(10)
    cameras.close()
    assert frames[0].camera == "cam0"
    assert any(frames[0].image is array for array in given)


def test_close_ends_everything_and_may_be_called_again(
    tmp_path: Path, fake: Plug, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    film(tmp_path / "x.mp4", frames=4)
    fake.scripts["x"] = [NoInputError("x: not there")]
    native = f"file://{tmp_path}/x.mp4?rate=native&loop=1"
    cameras = start(native, f"file://{tmp_path}/x.mp4?loop=1", "fake://x")
    kept = cameras.take(5)
    before = kept[0].image.copy()
    waiting = threading.Thread(target=lambda: [cameras.take(60) for _ in range(2)])
    waiting.start()
    cameras.close()
    cameras.close()
    waiting.join(GIVE_UP_S)
    assert not waiting.is_alive()
    assert cameras.ended
    assert cameras.take(1) == []
    assert not [t for t in threading.enumerate() if t.name.startswith("camera cam")]
    np.testing.assert_array_equal(kept[0].image, before)
    assert "left behind" not in caplog.text


def test_close_is_not_held_up_by_drivers_that_hang(
    fake: Plug, start: Start, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    gates = [Gate() for _ in range(6)]
    for i, gate in enumerate(gates):
        fake.scripts[str(i)] = [[gate]]
    cameras = start(*(f"fake://{i}" for i in range(6)))
    for gate in gates:
        eventually(gate.reached.is_set)
    cameras.close()
    assert caplog.text.count("left behind") == 6


def test_states_are_in_the_cameras_order_and_change_by_themselves(
    fake: Plug, start: Start, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake.scripts["a"] = [[plain(), Gate()]]
    fake.scripts["b"] = [[Gate()]]
    cameras = start("fake://b", "fake://a", settings=config.Capture(stall_s=1, timeout_s=30))
    assert [s.camera for s in cameras.states()] == ["cam0", "cam1"]
    eventually(lambda: [s.state for s in cameras.states()] == ["starting", "ok"])
    eventually(lambda: cameras.states()[1].state == "stalled")
    first = dataclasses.replace(cameras.states()[1])
    assert cameras.states()[1] == first
    assert not cameras.ended
