"""rtsp:// against a real server that stops, dies, moves and refuses."""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import socket
import threading
import time
from typing import Callable, Iterator, List

from edge.capture import Cameras
from edge.settings import config
from edge.structures import CameraState, Frame

QUICK = config.Capture(stall_s=0.7, timeout_s=2.5, backoff_max_s=0.5)


class Watch:
    """Takes frames in a thread, as the loop does, and counts them."""

    def __init__(self, cameras: Cameras) -> None:
        self.cameras = cameras
        self.count: dict = {}
        self.seen: List[tuple] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            frames = self.cameras.take(0.1)
            for frame in frames:
                self.note(frame)
            self.cameras.release(frames)

    def note(self, frame: Frame) -> None:
        self.count[frame.camera] = self.count.get(frame.camera, 0) + 1
        self.seen.append(
            (frame.camera, frame.index, frame.t_ns, frame.image.ctypes.data, frame.size)
        )

    def state(self, name: str) -> CameraState:
        return next(s for s in self.cameras.states() if s.camera == name)

    def is_(self, name: str, state: str) -> Callable[[], bool]:
        return lambda: self.state(name).state == state

    def more(self, name: str, frames: int = 5) -> Callable[[], bool]:
        wanted = self.count.get(name, 0) + frames
        return lambda: self.count.get(name, 0) >= wanted

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def watching(settings: config.Capture, **sources: str) -> Iterator[Watch]:
    cameras = Cameras([config.Camera(uri, name) for name, uri in sources.items()], settings)
    cameras.start()
    watch = Watch(cameras)
    try:
        yield watch
    finally:
        watch.close()
        cameras.close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_frames_flow_in_the_ring_s_memory(rtsp_server, until) -> None:
    server = rtsp_server()
    with watching(QUICK, door=server.url, gate=server.url + "?transport=udp") as watch:
        assert until(watch.more("door", 40))
        assert until(watch.more("gate", 10))
        assert until(watch.is_("door", "ok"))
        assert watch.state("door").size == (320, 240)
    for name in ("door", "gate"):
        mine = [s for s in watch.seen if s[0] == name]
        assert all(b[1] > a[1] and b[2] > a[2] for a, b in zip(mine, mine[1:]))
        assert len({s[3] for s in mine}) <= QUICK.buffers


def test_stopped_server_stalls_and_the_other_camera_flows(
    rtsp_server, until, caplog, slowness
) -> None:
    caplog.set_level(logging.INFO)
    server, good = rtsp_server(), rtsp_server()
    settings = config.Capture(stall_s=0.7, timeout_s=30, backoff_max_s=0.5)
    with watching(settings, door=server.url, gate=good.url) as watch:
        assert until(watch.more("door"))
        assert until(watch.more("gate"))
        server.signal(signal.SIGSTOP)
        began = time.monotonic_ns()
        assert until(watch.is_("door", "stalled"))
        state = watch.state("door")
        assert "no frame for more than 0.7 s" in state.detail
        assert began <= state.t_ns <= began + 1.7e9 * slowness.worst, "within stall_s + 1 s"
        assert until(watch.more("gate", 10))
        assert until(watch.is_("gate", "ok"))
        assert watch.state("door").state == "stalled"
        server.signal(signal.SIGCONT)
        assert until(watch.is_("door", "ok"))
        assert until(watch.more("door"))
        assert watch.state("door").reconnects == 0
    assert [r.getMessage() for r in caplog.records if "stalled" in r.getMessage()]


def test_read_that_times_out_is_opened_again(rtsp_server, until) -> None:
    server = rtsp_server()
    with watching(
        config.Capture(stall_s=0.5, timeout_s=1.5, backoff_max_s=0.2), door=server.url
    ) as watch:
        assert until(watch.more("door"))
        server.signal(signal.SIGSTOP)
        assert until(lambda: "trying again" in watch.state("door").detail)
        assert watch.state("door").state == "stalled"
        server.signal(signal.SIGCONT)
        assert until(watch.is_("door", "ok"))
        assert watch.state("door").reconnects >= 1


def test_killed_server_comes_back_with_another_size(rtsp_server, until, caplog) -> None:
    server, good = rtsp_server(), rtsp_server()
    with watching(QUICK, door=server.url, gate=good.url) as watch:
        assert until(watch.more("door"))
        assert until(watch.more("gate"))
        server.kill()
        assert until(watch.is_("door", "stalled"))
        assert until(lambda: "nothing listens" in watch.state("door").detail)
        assert until(watch.more("gate", 10))
        server.start(width=400, height=224)
        assert until(watch.is_("door", "ok"))
        assert until(watch.more("door"))
        state = watch.state("door")
        assert state.size == (400, 224)
        assert state.reconnects >= 1
        assert watch.state("gate").reconnects == 0
    mine = [s for s in watch.seen if s[0] == "door"]
    assert all(b[1] > a[1] for a, b in zip(mine, mine[1:])), "the index goes on rising"
    assert "size changed from 320x240 to 400x224" in caplog.text


def test_password_is_used_and_never_shown(rtsp_server, until, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    server = rtsp_server(locked=True)
    where = f"127.0.0.1:{server.port}/live"
    with watching(
        QUICK,
        good=f"rtsp://viewer:s3cret%2F%40word@{where}",
        bad=f"rtsp://viewer:s3cret-wrong@{where}",
        none=f"rtsp://{where}",
        raw=f"rtsp://viewer:s3cret/@word@{where}",
    ) as watch:
        assert until(watch.more("good"))
        assert until(lambda: "refuses the user or the password" in watch.state("bad").detail)
        assert until(lambda: "wants a user and a password" in watch.state("none").detail)
        assert until(watch.is_("raw", "failed"))
        assert "%2F for /" in watch.state("raw").detail
        details = [s.detail for s in watch.cameras.states()]
    assert not re.search("s3cret|word@", caplog.text + str(details))
    assert not any("\n" in d for d in details)


def test_each_wrong_address_is_told_in_one_line(rtsp_server, until) -> None:
    server = rtsp_server()
    with socket.create_server(("127.0.0.1", 0)) as mute, watching(
        config.Capture(stall_s=0.5, timeout_s=0.6, backoff_max_s=0.2),
        path=f"rtsp://127.0.0.1:{server.port}/nothing",
        port=f"rtsp://127.0.0.1:{free_port()}/live",
        host="rtsp://no-such-host.invalid/live",
        mute=f"rtsp://127.0.0.1:{mute.getsockname()[1]}/live",
    ) as watch:
        for name, words in (
            ("path", "no stream of this path"),
            ("port", "nothing listens on 127.0.0.1"),
            ("host", "no host 'no-such-host.invalid'"),
            ("mute", "no answer from 127.0.0.1"),
        ):
            assert until(lambda n=name, w=words: w in watch.state(n).detail), watch.state(name)
            assert watch.state(name).state == "starting"
            assert "\n" not in watch.state(name).detail
            assert until(lambda n=name: watch.state(n).reconnects >= 2), "it goes on trying"
        assert not watch.cameras.ended
        assert watch.cameras.failures == []


def test_close_does_not_wait_for_a_server_that_hangs(rtsp_server, until, caplog, slowness) -> None:
    server = rtsp_server()
    settings = config.Capture(stall_s=0.5, timeout_s=60)
    with watching(settings, door=server.url) as watch:
        assert until(watch.more("door"))
        server.signal(signal.SIGSTOP)
        assert until(watch.is_("door", "stalled"))
        began = time.monotonic()
    assert time.monotonic() - began < 10 * slowness.worst, "the read itself would last 60 s"
    assert "left behind" not in caplog.text, "the decoder process is killed"
