"""A real RTSP server as a process: tests/faults/rtsp_server.py, run by the system's Python."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Optional

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
        script = str(Path(__file__).parent / "faults/rtsp_server.py")
        command = [SYSTEM_PYTHON, script, str(self.port), str(width), str(height)]
        command.append(self._lock)
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
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


def install() -> None:
    """Have what the server needs, by apt where we are root; fails where that cannot be."""
    if not _installed() and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
        subprocess.run(install, env=environment, check=False, stdout=subprocess.DEVNULL)
    assert _installed(), f"these tests need a real RTSP server: apt install {' '.join(PACKAGES)}"
