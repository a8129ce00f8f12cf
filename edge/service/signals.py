"""What signals mean: SIGTERM and SIGINT leave in time, SIGHUP reads the configuration again."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
from typing import Any, Dict, Iterator

from edge.service.reload import Reload
from edge.service.systemd import Notifier

log = logging.getLogger(__name__)

LEAVE_S = 5.0  # after SIGTERM the process is gone, come what may
SPARE_S = 1.3  # of these, what closing the sinks must leave to the rest
ENDS = {signal.SIGTERM, signal.SIGINT}


class Leave:
    """Whether the process was told to go, and how much time it has left.

    A driver that hangs cannot be talked to, and Python's handlers wait for the main thread to come
    back from it. So a thread hears of the signal by the wake-up descriptor, which is written at
    once, and sets the kernel's alarm, which ends the process when the time is over; the broker then
    tells our last will.
    """

    def __init__(self, notify: Notifier) -> None:
        self._notify = notify
        self._asked = False  # no Event: a signal handler may interrupt another within its lock
        self._asked_s = float("inf")
        self._wakeup = -1
        self._before: Dict[int, Any] = {}
        self._ear, self._mouth = socket.socketpair()

    def left_s(self) -> float:
        """Until the alarm, not below a little; as good as for ever when nobody asked."""
        return max(SPARE_S + 0.1, min(self._asked_s + LEAVE_S - time.monotonic(), 1e9))

    def asked(self) -> bool:
        """Whether SIGTERM or SIGINT came, or the program itself must go."""
        return self._asked

    def now(self, why: str) -> None:
        """Go without a signal; may be called from any thread."""
        log.info("stopping: %s", why)
        self._asked_s = min(self._asked_s, time.monotonic())
        self._asked = True
        self._mouth.send(bytes([signal.SIGTERM]))

    def __enter__(self) -> Leave:
        """Listen; a second signal of the same kind kills."""
        self._mouth.setblocking(False)  # as set_wakeup_fd wants it
        self._wakeup = signal.set_wakeup_fd(self._mouth.fileno())
        self._before = {n: signal.signal(n, self._ask) for n in ENDS}
        threading.Thread(target=self._listen, name="signals", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._mouth.close()  # ends the thread
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _listen(self) -> None:
        """The thread: starts the time that is left."""
        with self._ear:
            while True:
                heard = self._ear.recv(16)
                if not heard:
                    return
                if ENDS.intersection(heard):
                    signal.setitimer(signal.ITIMER_REAL, LEAVE_S - 0.1)
                    self._notify.stopping("told to stop")

    def _ask(self, number: int, frame: object) -> None:
        self._asked_s = time.monotonic()
        self._asked = True
        log.info("stopping: %s", signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def reload_on_signal(reload: Reload) -> Iterator[None]:
    """SIGHUP asks for the configuration to be read again."""
    before = signal.signal(signal.SIGHUP, lambda number, frame: reload.ask())
    reload.start()
    try:
        yield
    finally:
        reload.close()
        signal.signal(signal.SIGHUP, before)
