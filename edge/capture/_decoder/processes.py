"""The fork server as the program sees it: starts and ends decoder processes."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

from edge.capture._decoder import wire
from edge.capture._decoder.wire import Link
from edge.errors import TempError

START_S = 30.0  # limit to load Python, NumPy and OpenCV from a cold disk
ANSWER_S = 5.0  # limit for a fork, or for the end of a killed process
_ROOT = str(Path(__file__).resolve().parents[3])
# One thread: a fork of a process with threads may deadlock.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_NOT_THEIRS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY")


@dataclass(frozen=True)
class Decoder:
    """A running decoder process."""

    link: Link
    pid: int
    server: object  # the fork server that it belongs to


class Decoders:
    """All decoder processes of the program; from any thread. The server starts with the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # for a question and its answer
        self._sending = threading.Lock()  # `_control` stays open while it is held
        self._server: Optional[subprocess.Popen[bytes]] = None
        self._control: Optional[Link] = None
        self._closed = False

    def start(self, max_mb: int) -> Decoder:
        """Start a decoder process.

        Args:
            max_mb: how much memory it may allocate.

        Raises:
            TempError: the machine has no room for it.
        """
        ours, theirs = wire.pair()
        try:
            with theirs, self._lock:
                pid = self._asked(wire.START, wire.LIMIT_MB.pack(max_mb), [theirs.fileno()])
                return Decoder(Link(ours), pid, self._server)
        except BaseException:
            ours.close()
            raise

    def end(self, decoder: Decoder) -> None:
        """Kill a decoder; does not wait for anything. May be called twice."""
        with self._sending, contextlib.suppress(OSError):
            if decoder.server is self._server and self._control is not None:
                self._control.send(wire.END, wire.PID.pack(decoder.pid))

    def how_ended(self, decoder: Decoder) -> int:
        """How a decoder ended that hung up, as `os.waitpid` tells it; 0 = unknown."""
        with self._lock:
            if decoder.server is not self._server or self._control is None:
                return 0
            try:
                return self._asked(wire.HOW, wire.PID.pack(decoder.pid))
            except TempError:
                return 0  # the server is gone, and the decoder with it

    @property
    def server_pid(self) -> int:
        """The fork server; 0 = it is not started."""
        return self._server.pid if self._server is not None else 0

    def close(self) -> None:
        """End the server and with it all decoders, for good."""
        with self._lock:
            self._closed = True
            self._drop()

    def _asked(self, kind: bytes, body: bytes, fds: Sequence[int] = ()) -> int:
        try:
            control = self._control or self._launch()
            control.send(kind, body, fds)
            _, answer, _ = control.receive(ANSWER_S)
            return int(wire.PID.unpack(answer)[0])
        except OSError as error:
            self._drop()
            raise TempError(
                f"no process for the decoder of a network camera can be started ({error}): is the "
                "machine short of memory or of processes?"
            ) from error

    def _launch(self) -> Link:
        if self._closed:
            raise OSError("the program ends")
        ours, theirs = wire.pair()
        self._control = Link(ours)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "edge.capture._decoder", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # libav and libc may print parts of an address
                cwd="/",
                env=_environment(),
                start_new_session=True,  # no Ctrl-C of a terminal
            )
        self._control.receive(START_S)
        return self._control

    def _drop(self) -> None:
        with self._sending:
            control, self._control = self._control, None
            server, self._server = self._server, None
            if control is not None:
                control.close()
        if server is not None:
            server.kill()  # its decoders die with it
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(ANSWER_S)


def _environment() -> Dict[str, str]:
    """Our own, without what is between systemd and the program."""
    kept = {k: v for k, v in os.environ.items() if k not in _NOT_THEIRS}
    paths = [str(Path(p).resolve()) for p in kept.get("PYTHONPATH", "").split(os.pathsep) if p]
    kept.update(dict.fromkeys(_ONE_THREAD, "1"))
    return {**kept, "PYTHONPATH": os.pathsep.join([_ROOT, *paths]), "PYTHONFAULTHANDLER": ""}


decoders = Decoders()
atexit.register(decoders.close)


def death(status: int) -> Tuple[int, str]:
    """The signal that ended a process, and its name; (0, "") = it ended by itself."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not number:
        return 0, ""
    try:
        return number, signal.Signals(number).name
    except ValueError:
        return number, f"signal {number}"
