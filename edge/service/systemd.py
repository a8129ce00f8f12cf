"""What systemd is told: ready, reloading, stopping, how it is, and that the loop still turns.

The protocol is that of sd_notify(3): lines of NAME=VALUE in one datagram to the socket named by
$NOTIFY_SOCKET. Without that variable nothing is sent and every call is free.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from typing import List, Mapping, Optional

log = logging.getLogger(__name__)

SEND_S = struct.pack("@ll", 0, 500_000)  # struct timeval; a manager that hangs holds nobody up
STATUS_PAUSE_NS = 2_000_000_000
FED_PER_PERIOD = 4  # sd_watchdog_enabled(3) asks for at least two


class Notifier:
    """The link to the service manager.

    Args:
        environment: where $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID stand. They are read
            once, so that a child started later does not speak for us.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket: Optional[socket.socket] = None
        self._feed_ns = _period_ns(environment) // FED_PER_PERIOD if self._address else 0
        self._fed_ns = self._said_ns = -(1 << 62)
        self._status = ""
        self._warned = False

    @property
    def listened_to(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def ready(self, status: str = "") -> None:
        """The service works; also ends a reload."""
        self._send("READY=1", *_status_line(status))

    def reloading(self) -> None:
        """A new configuration is being looked at; `ready` ends it.

        The time lets systemd 253 and newer (Type=notify-reload) match it with its own request.
        """
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self, status: str = "") -> None:
        """The service ends on its own accord or because it was asked to."""
        self._send("STOPPING=1", *_status_line(status))

    def more_time(self, seconds: float) -> None:
        """Starting or stopping takes so much longer than it may."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def progress(self) -> None:
        """The loop did something; feeds the watchdog, as rarely as is enough.

        To be called by what makes progress and by nothing else: a timer would feed the watchdog of
        a loop that hangs.
        """
        now_ns = time.monotonic_ns()
        if self._feed_ns and now_ns - self._fed_ns >= self._feed_ns:
            self._fed_ns = now_ns
            self._send("WATCHDOG=1", flags=socket.MSG_DONTWAIT)

    def status_due(self) -> bool:
        """Whether it is worth while to make up a status line."""
        return self.listened_to and time.monotonic_ns() - self._said_ns >= STATUS_PAUSE_NS

    def status(self, text: str) -> None:
        """One line for `systemctl status`, sent when it changed."""
        self._said_ns = time.monotonic_ns()
        if text != self._status:
            self._status = text
            self._send(*_status_line(text), flags=socket.MSG_DONTWAIT)

    def _send(self, *lines: str, flags: int = 0) -> None:
        if not self._address:
            return
        try:
            # A file's name may hold what is no UTF-8.
            text = "\n".join(lines).encode("utf-8", "backslashreplace")
            self._open().sendto(text, flags, _kernel_name(self._address))
        except BlockingIOError:
            return  # its queue is full: one feed of four is lost, not the loop's time
        except OSError as error:  # systemd being away is no reason to stop
            if not self._warned:
                log.warning("NOTIFY_SOCKET %s: %s", self._address, error.strerror or error)
            self._warned = True

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # Of the kernel's own: Python's would turn in a loop, as such a socket is always ready.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_S)
        return self._socket

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _kernel_name(address: str) -> str:
    """An abstract socket is written with an at sign and begins with a zero byte (unix(7))."""
    return "\0" + address[1:] if address.startswith("@") else address


def _status_line(text: str) -> List[str]:
    """Line breaks would begin a new variable."""
    return ["STATUS=" + " ".join(text.split())] if text else []


def _period_ns(environment: Mapping[str, str]) -> int:
    """The watchdog's period; 0 when it is off or meant for another process."""
    try:
        period_us = int(environment.get("WATCHDOG_USEC", "0"))
        pid = int(environment.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return 0
    return period_us * 1000 if pid == os.getpid() and period_us > 0 else 0
