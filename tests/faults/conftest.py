"""Real servers for the fault tests."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"  # the one that apt's GStreamer bindings belong to
PACKAGES = [
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-ugly",
]
PROBE = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); "
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "assert all(map(Gst.ElementFactory.find, ['videotestsrc', 'x264enc', 'rtph264pay']))"
)


class RtspServer:
    """The server as a process that can be stopped, killed and started again on its port."""

    def __init__(self, locked: bool) -> None:
        self.port = 0
        self._lock = "locked" if locked else "open"
        self._process: Optional[subprocess.Popen[str]] = None
        self.start()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def start(self, width: int = 320, height: int = 240) -> None:
        script = str(Path(__file__).with_name("rtsp_server.py"))
        command = [SYSTEM_PYTHON, script, str(self.port), str(width), str(height)]
        command.append(self._lock)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.strip().isdigit(), "the RTSP server did not start"
        self.port = int(line)

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


def _installed() -> bool:
    probe = subprocess.run([SYSTEM_PYTHON, "-c", PROBE], capture_output=True, check=False)
    return probe.returncode == 0


@pytest.fixture(scope="session")
def _gstreamer() -> None:
    if not _installed() and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
        subprocess.run(install, env=environment, check=False, stdout=subprocess.DEVNULL)
    assert _installed(), f"these tests need a real RTSP server: apt install {' '.join(PACKAGES)}"


@pytest.fixture
def rtsp_server(_gstreamer: None) -> Iterator[Callable[..., RtspServer]]:
    """Starts RTSP servers and ends them with the test."""
    started: List[RtspServer] = []

    def start(locked: bool = False) -> RtspServer:
        started.append(RtspServer(locked))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def until() -> Callable[..., bool]:
    """Waits for something to come true; False after a generous limit."""

    def wait(true: Callable[[], bool], limit_s: float = 20.0) -> bool:
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if true():
                return True
            time.sleep(0.02)
        return False

    return wait
