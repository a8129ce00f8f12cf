"""`edge run` as a child process of a demo."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Optional

from tools.demos.files import Files

STOP_S = 10.0


class Daemon:
    """`edge run` as a child process; a context manager that ends it."""

    def __init__(self, files: Files, max_frames: int) -> None:
        self._files = files
        self._command = [sys.executable, "-m", "edge", "run", "--config", str(files.config)]
        self._command += ["--annotate", str(files.video)]
        self._command += ["--max-frames", str(max_frames)]
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._asked = False
        self.code: Optional[int] = None

    def running(self) -> bool:
        """Whether it still runs; if not, its exit code is known."""
        self.code = self._process.poll() if self._process else self.code
        return self.code is None

    def stop(self) -> None:
        """Send SIGTERM like systemd, but only once: a second signal ends the daemon at once."""
        if self._process is not None and self.running() and not self._asked:
            self._asked = True
            self._process.terminate()

    def __enter__(self) -> Daemon:
        with self._files.log.open("wb") as log:
            # An own session: Ctrl-C must reach the daemon only once, through this process.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None:
            self.stop()
        if self._process is not None:
            try:
                self.code = self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self.code = self._process.wait()
