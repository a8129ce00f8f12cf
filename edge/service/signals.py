"""What signals do: SIGTERM and SIGINT end the process in time, SIGHUP reloads the configuration."""

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

END_S = 5.0  # from SIGTERM until the kernel ends the process
SPARE_S = 1.3  # of END_S, for everything but closing the sinks
STOPPING = {signal.SIGTERM, signal.SIGINT}


class Shutdown:
    """Whether the process has to end, and how much time is left for that.

    A driver call that hangs cannot be interrupted, and Python runs a signal handler only when the
    main thread has returned from the call. So another thread is notified by the wake-up descriptor,
    which is written at once. It sets the kernel's alarm, which ends the process when the time is
    over; then the broker publishes our last will.

    Args:
        notify: is told that the process ends.
    """

    def __init__(self, notify: Notifier) -> None:
        self._notify = notify
        self._requested = False  # no Event: a handler may interrupt another within its lock
        self._requested_s = float("inf")
        self._wakeup = -1
        self._before: Dict[int, Any] = {}
        self._receiver, self._sender = socket.socketpair()

    def left_s(self) -> float:
        """Seconds until the alarm, at least 0.1; 1e9 if no end was requested."""
        return max(SPARE_S + 0.1, min(self._requested_s + END_S - time.monotonic(), 1e9))

    def requested(self) -> bool:
        """Whether SIGTERM or SIGINT came, or `request` was called."""
        return self._requested

    def request(self, why: str) -> None:
        """End the process without a signal; from any thread."""
        log.info("stopping: %s", why)
        self._requested_s = min(self._requested_s, time.monotonic())
        self._requested = True
        self._sender.send(bytes([signal.SIGTERM]))

    def __enter__(self) -> Shutdown:
        """Handle the signals; a second signal of the same kind kills the process."""
        self._sender.setblocking(False)  # as set_wakeup_fd wants it
        self._wakeup = signal.set_wakeup_fd(self._sender.fileno())
        self._before = {n: signal.signal(n, self._handle) for n in STOPPING}
        threading.Thread(target=self._wait_for_signals, name="signals", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._sender.close()  # ends the thread
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _wait_for_signals(self) -> None:
        """The thread that sets the alarm."""
        with self._receiver:
            while True:
                received = self._receiver.recv(16)
                if not received:
                    return
                if STOPPING.intersection(received):
                    signal.setitimer(signal.ITIMER_REAL, END_S - 0.1)
                    self._notify.stopping("told to stop")

    def _handle(self, number: int, frame: object) -> None:
        self._requested_s = time.monotonic()
        self._requested = True
        log.info("stopping: %s", signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def reload_on_signal(reload: Reload) -> Iterator[None]:
    """Have SIGHUP reload the configuration, inside a `with` block."""
    before = signal.signal(signal.SIGHUP, lambda number, frame: reload.request())
    reload.start()
    try:
        yield
    finally:
        reload.close()
        signal.signal(signal.SIGHUP, before)
