"""SIGHUP and SIGTERM to the whole program: what goes on, what changes, how it leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set

import cv2
import numpy as np
import pytest

from edge.capture import Cameras
from edge.settings import config
from tests.waiting import GIVE_UP_S

ROOT = Path(__file__).resolve().parents[3]
MODELS = Path(__file__).parents[1] / "golden" / "models"
SIZE = (160, 120)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, SIZE)
    rng = np.random.default_rng(0)
    for _ in range(12):
        writer.write(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8))
    writer.release()
    return path


class Daemon:
    """`edge run` with a configuration that can be written anew, and a service manager's ear."""

    def __init__(self, folder: Path, video: Path) -> None:
        self.folder, self.video = folder, video
        self.config, self.out, self.log = folder / "edge.toml", folder / "out", folder / "log"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.setblocking(False)
        self.told: List[str] = []
        self.process: Any = None

    def write(self, cameras: str = "ab", rules: str = "", **tables: str) -> None:
        """Each letter is a looping recording of that name."""
        loop = f'source = "file://{self.video}?loop=1"'
        parts = [f'[[cameras]]\nname = "{c}"\n{loop}' for c in cameras]
        known = {
            "models": f'dir = "{MODELS}"',
            "detect": 'model = "twobox"',
            "pose": 'model = "standing"',
            "publish": "metrics_s = 0.5",
            **tables,
        }
        parts += [f"[{name}]\n{text}" for name, text in known.items()]
        self.config.write_text("\n".join([*parts, rules]), encoding="utf-8")

    def start(self, *code: str, **environment: str) -> None:
        command = [sys.executable, *(code or ("-m", "edge")), "run", "--config", str(self.config)]
        with self.out.open("w", encoding="utf-8") as out, self.log.open(
            "w", encoding="utf-8"
        ) as log:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=log,
                cwd=self.folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "WATCHDOG_USEC": "2000000",
                    "NOTIFY_SOCKET": str(self.folder / "notify"),
                    **environment,
                },
            )

    def hear(self) -> List[str]:
        while True:
            try:
                self.told.append(self.manager.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def until(self, true: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + GIVE_UP_S
        while not true():
            assert time.monotonic() < end, (
                f"{what} never happened\n{self.log.read_text(encoding='utf-8')}"
            )
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            time.sleep(0.02)

    def messages(self) -> List[Dict[str, Any]]:
        whole = self.out.read_text(encoding="utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def of(self, end: str) -> List[Dict[str, Any]]:
        return [m["payload"] for m in self.messages() if m["topic"].endswith(end)]

    def more(self, camera: str, frames: int = 10) -> None:
        wanted = len(self.of(f"{camera}/frame")) + frames
        self.until(lambda: len(self.of(f"{camera}/frame")) >= wanted, f"frames of {camera}")

    def reload(self) -> str:
        """Ask, wait, and give what the service manager was told at the end."""
        begun = len(self.hear())
        self.process.send_signal(signal.SIGHUP)
        self.until(lambda: [t for t in self.hear()[begun:] if t.startswith("READY=1")], "the end")
        said = self.told[begun:]
        starts = [i for i, t in enumerate(said) if t.startswith("RELOADING=1\nMONOTONIC_USEC=")]
        ends = [i for i, t in enumerate(said) if t.startswith("READY=1")]
        assert len(starts) == len(ends) == 1
        assert starts < ends
        return said[ends[0]].partition("STATUS=")[2]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return int(self.process.wait(GIVE_UP_S))

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.manager.close()


@pytest.fixture
def daemon(tmp_path: Path, video: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path, video)
    yield made
    made.close()


def gaps(frames: List[Dict[str, Any]]) -> np.ndarray[Any, Any]:
    """Between frames of a looping recording at 25 Hz every gap is 40 ms unless one was lost."""
    return np.diff([f["t_mono_ns"] for f in frames]) / 1e6


def people(frames: List[Dict[str, Any]]) -> List[Set[int]]:
    return [{p["id"] for p in f["people"]} for f in frames]


def test_cameras_come_and_go_and_the_one_that_stays_loses_no_frame(daemon: Daemon) -> None:
    presence = '[[rules]]\nkind = "presence"\nenter_s = 0.1\n'
    daemon.write("ab", presence)
    daemon.start()
    daemon.more("a", 20)
    daemon.write("ca", presence)
    assert daemon.reload() == "reloaded: cameras +c -b"
    daemon.more("c")
    daemon.more("a")
    at = len(daemon.of("b/frame"))
    daemon.write(
        "a",
        presence + '[[rules]]\nkind = "zone"\nname = "all"\n'
        "polygon = [[0,0],[160,0],[160,120],[0,120]]\n",
        smooth=f"q = {config.Smooth().q}",  # as it is without the section
    )
    assert daemon.reload() == "reloaded: rules, cameras -c"
    daemon.until(lambda: daemon.of("a/event/zone"), "the new rule")
    daemon.more("a")
    assert daemon.stop() == 0
    frames = daemon.of("a/frame")
    np.testing.assert_allclose(gaps(frames), 40, atol=1)
    assert [f["seq"] for f in frames] == list(range(len(frames)))
    assert len({f["boot_id"] for f in frames}) == 1
    ids = people(frames)
    assert all(now & then for now, then in zip(ids[2:], ids[1:])), "they keep their number"
    entered = [e["person"] for e in daemon.of("a/event/presence") if e["data"]["action"] == "enter"]
    assert sorted(entered) == sorted(set(entered)), "a rule that stays does not begin anew"
    assert len(daemon.of("b/frame")) == at
    last = daemon.of("b/state")[-1]
    assert (last["state"], last["detail"]) == ("ended", "is no longer in the configuration")
    births = [s["cameras"] for s in daemon.of("/status") if s["state"] == "online"]
    assert births == [["a", "b"], ["c", "a"], ["a"]]
    assert set(daemon.of("/metrics")[-1]["fps"]) == {"a"}


def test_a_frame_that_comes_during_the_swap_is_taken_after_it() -> None:
    live = "synthetic://walk?width=96&height=64"
    capture = config.Capture()
    a, b, c = (config.Camera(live, name) for name in "abc")
    cameras = Cameras([a, b], capture)
    stays, goes = cameras.planned([a, b], capture)
    planned = cameras.planned([c, a], capture)
    assert planned[1] is stays, "what did not change is the same object, not a copy"
    for camera in (stays, goes):  # as their threads would, at this very moment
        slot = camera.ring.acquire()
        assert slot is not None
        slot.image = np.zeros((64, 96, 3), np.uint8)
        camera.ring.publish(slot)
    settle = cameras.swap(planned)
    assert [f.camera for f in cameras.take(0.0)] == ["a"]
    settle()
    assert stays.ring.dropped == 0
    assert [s.camera for s in cameras.states()] == ["c", "a"]
    cameras.close()


@pytest.mark.one_python
def test_a_live_camera_is_not_opened_anew(daemon: Daemon) -> None:
    live = '[[cameras]]\nname = "live"\nsource = "synthetic://walk?width=160&height=120&fps=5"\n'
    daemon.write("", live)
    daemon.start()
    daemon.more("live", 5)
    for q in (4.0, 8.0):
        daemon.write("", live, smooth=f"q = {q}")
        assert daemon.reload().startswith("reloaded: smooth")
        daemon.more("live", 5)
    assert daemon.stop() == 0
    assert daemon.of("/metrics")[-1]["reconnects"] == {"live": 0}
    assert [s["state"] for s in daemon.of("live/state")].count("starting") <= 1, "never opened anew"


@pytest.mark.one_python
def test_networks_are_changed_under_way_and_numbers_are_not_used_again(
    daemon: Daemon, tmp_path: Path
) -> None:
    shutil.copytree(MODELS, tmp_path / "other")
    daemon.write("a")
    daemon.start()
    daemon.more("a", 20)
    daemon.write("a", models=f'dir = "{tmp_path / "other"}"', track="min_hits = 3")
    assert daemon.reload() == "reloaded: models, track"
    daemon.more("a", 20)
    assert daemon.stop() == 0
    frames = daemon.of("a/frame")
    np.testing.assert_allclose(gaps(frames), 40, atol=1)
    ids = [i for i in people(frames) if i]
    begins = [i for i in range(1, len(ids)) if not ids[i] & ids[i - 1]]
    assert len(begins) == 1, "another tracker knows nobody"
    assert max(set().union(*ids[: begins[0]])) < min(set().union(*ids[begins[0] :]))
    loads = re.findall(r"loaded (\S+)", daemon.log.read_text(encoding="utf-8"))
    assert len(loads) == 4
    assert loads[-1].startswith(str(tmp_path / "other"))


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cameras": ""}, "cameras: none"),
        ({"smooth": "q = -1"}, "smooth.q"),
        ({"smooth": "not toml"}, "not valid TOML"),
        ({"rules": '[[rules]]\nkind = "presense"\n'}, "did you mean 'presence'"),
        ({"pose": 'model = "nobody"'}, "nobody"),
        ({"models": 'dir = "/nowhere"'}, "/nowhere"),
        ({"mqtt": "keepalive_s = 3"}, "[mqtt] changed, which needs a restart"),
        ({"publish": 'sinks = ["jsonl:else"]'}, "needs a restart: systemctl restart edge"),
    ],
)
def test_a_wrong_configuration_changes_nothing_and_says_so(
    daemon: Daemon, change: Dict[str, str], words: str
) -> None:
    daemon.write("a")
    daemon.start()
    daemon.more("a")
    daemon.write(**{"cameras": "a", **change})
    status = daemon.reload()
    assert status.startswith("reload refused: ")
    assert words in status
    daemon.more("a")
    daemon.write("ab")
    assert daemon.reload() == "reloaded: cameras +b", "and the next, right one is taken"
    daemon.more("b")
    assert daemon.stop() == 0
    np.testing.assert_allclose(gaps(daemon.of("a/frame")), 40, atol=1)
    errors = [
        line for line in daemon.log.read_text(encoding="utf-8").splitlines() if line[:5] == "ERROR"
    ]
    assert len(errors) == 1
    assert errors[0].startswith("ERROR reload refused, the old configuration stays: ")
    assert words in errors[0]


@pytest.mark.one_python
def test_many_hangups_at_once_do_no_harm(daemon: Daemon) -> None:
    daemon.write("a")
    daemon.start()
    daemon.more("a")
    for i in range(40):
        daemon.write("ab" if i % 2 else "a")
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    daemon.more("a", 30)
    assert daemon.stop() == 0
    np.testing.assert_allclose(gaps(daemon.of("a/frame")), 40, atol=1)
    assert "Traceback" not in daemon.log.read_text(encoding="utf-8")


@pytest.mark.one_python
def test_systemd_hears_of_the_whole_life(daemon: Daemon) -> None:
    daemon.write("a")
    daemon.start()
    daemon.until(lambda: sum(t == "WATCHDOG=1" for t in daemon.hear()) >= 2, "two feeds")
    daemon.until(lambda: any("1 of 1 cameras ok" in t for t in daemon.hear()), "a status")
    assert daemon.stop() == 0
    told = daemon.hear()
    assert told[0].startswith("READY=1\nSTATUS="), "nothing before it is ready"
    assert any(t.startswith("STOPPING=1") for t in told)


HANGS = """
import ctypes, sys
from edge import pipeline
from edge.loop import assemble
calls = []
before = {place}
def hang(*arguments):
    calls.append(1)
    if len(calls) == {call}:
        open("hangs", "w").close()
        mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock
        lock(mutex), lock(mutex)  # no signal wakes it
    return before(*arguments)
{place} = hang
from edge.__main__ import main
sys.argv[0] = "edge"
sys.exit(main())
"""


@pytest.mark.one_python
def test_a_driver_that_hangs_is_left_in_time_and_starves_the_watchdog(daemon: Daemon) -> None:
    daemon.write("a")
    daemon.start("-c", HANGS.format(place="pipeline.Pipeline.look", call=5))
    daemon.until((daemon.folder / "hangs").exists, "the hang")
    time.sleep(0.3)
    before = len(daemon.hear())
    time.sleep(1.2)  # two feeds would be due
    assert "WATCHDOG=1" not in daemon.hear()[before:], "a loop that hangs must not be kept alive"
    assert daemon.stop() == -signal.SIGALRM
    assert any(t.startswith("STOPPING=1") for t in daemon.hear())


@pytest.mark.one_python
def test_a_writer_that_is_stuck_does_not_keep_it_from_leaving(daemon: Daemon) -> None:
    os.mkfifo(daemon.folder / "pipe")
    ear = os.open(daemon.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    daemon.write("a", publish='sinks = ["jsonl:pipe"]')
    daemon.start()
    daemon.until(lambda: any(t.startswith("READY=1") for t in daemon.hear()), "the start")
    time.sleep(1.0)  # nobody reads: the pipe is full
    code = daemon.stop()
    os.close(ear)
    assert code in (0, -signal.SIGALRM)
    assert "Traceback" not in daemon.log.read_text(encoding="utf-8")


@pytest.mark.one_python
def test_interrupt_while_loading_ends_it(daemon: Daemon) -> None:
    daemon.write("a")
    daemon.start("-c", HANGS.format(place="assemble.Models.__init__", call=1))
    daemon.until((daemon.folder / "hangs").exists, "the loading")
    assert daemon.stop(signal.SIGINT) == -signal.SIGALRM
