"""Notify systemd: ready, reloading, stopping, a status line, and the progress of the loop.

The protocol is sd_notify(3): lines of NAME=VALUE in one datagram to the socket that $NOTIFY_SOCKET
names. Without that variable nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from typing import List, Mapping, Optional

log = logging.getLogger(__name__)

SEND_S = struct.pack("@ll", 0, 500_000)  # struct timeval: a manager that hangs must not block us
STATUS_PAUSE_NS = 2_000_000_000
PINGS_PER_PERIOD = 4  # sd_watchdog_enabled(3) asks for at least two


class Notifier:
    """The connection to the service manager.

    Args:
        environment: where $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID are read, once.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket: Optional[socket.socket] = None
        self._ping_ns = _period_ns(environment) // PINGS_PER_PERIOD if self._address else 0
        self._pinged_ns = self._status_ns = -(1 << 62)
        self._status = ""
        self._warned = False

    @property
    def listened_to(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def ready(self, status: str = "") -> None:
        """The service works; this also ends a reload."""
        self._send("READY=1", *_status_line(status))

    def reloading(self) -> None:
        """A reload began; `ready` ends it.

        systemd 253 and newer (Type=notify-reload) match the time with their own request.
        """
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self, status: str = "") -> None:
        """The service is about to end."""
        self._send("STOPPING=1", *_status_line(status))

    def more_time(self, seconds: float) -> None:
        """Ask for more time to start or stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def progress(self) -> None:
        """The loop made a step: ping the watchdog, if the last ping is old enough.

        Only steps of the loop may call this: a timer would ping for a loop that hangs.
        """
        now_ns = time.monotonic_ns()
        if self._ping_ns and now_ns - self._pinged_ns >= self._ping_ns:
            self._pinged_ns = now_ns
            self._send("WATCHDOG=1", flags=socket.MSG_DONTWAIT)

    def status_due(self) -> bool:
        """Whether the last status is old enough for a new one."""
        return self.listened_to and time.monotonic_ns() - self._status_ns >= STATUS_PAUSE_NS

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows; sent only if it changed."""
        self._status_ns = time.monotonic_ns()
        if text != self._status:
            self._status = text
            self._send(*_status_line(text), flags=socket.MSG_DONTWAIT)

    def _send(self, *lines: str, flags: int = 0) -> None:
        if not self._address:
            return
        try:
            # The name of a file may not be UTF-8.
            text = "\n".join(lines).encode("utf-8", "backslashreplace")
            self._open().sendto(text, flags, _kernel_name(self._address))
        except BlockingIOError:
            return  # the queue is full: one ping of four may be lost, the loop must not wait
        except OSError as error:  # the service goes on without systemd
            if not self._warned:
                log.warning("NOTIFY_SOCKET %s: %s", self._address, error.strerror or error)
            self._warned = True

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # The kernel's time-out: with Python's, sendto would poll in a busy loop.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_S)
        return self._socket

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _kernel_name(address: str) -> str:
    """The address of a socket; @ stands for the zero byte of an abstract one (unix(7))."""
    return "\0" + address[1:] if address.startswith("@") else address


def _status_line(text: str) -> List[str]:
    """STATUS=text on one line, as a line break begins a new variable; empty = no line."""
    return ["STATUS=" + " ".join(text.split())] if text else []


def _period_ns(environment: Mapping[str, str]) -> int:
    """The watchdog's period; 0 if it is off or for another process."""
    try:
        period_us = int(environment.get("WATCHDOG_USEC", "0"))
        pid = int(environment.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return 0
    return period_us * 1000 if pid == os.getpid() and period_us > 0 else 0
