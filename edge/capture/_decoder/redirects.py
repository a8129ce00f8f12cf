"""Ends a decoder whose stream redirects without end; libav itself sets no limit."""

from __future__ import annotations

import os
import re
import socket
import threading
from typing import Optional, Set

from edge.capture._decoder import wire
from edge.capture._decoder.wire import Link

# Each redirect is a new TCP connection; libav needs two at most (a second one through a tunnel).
MAX_CONNECTIONS = 8
_LOOK_S = 0.01
_SOCKET = re.compile(r"socket:\[\d+\]")


class Redirects:
    """Counts the TCP connections of this process while a stream opens.

    Args:
        link: to the program, which is told before the process ends.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._opened = threading.Event()
        self._seen: Set[str] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Redirects:
        """Start to count."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """The stream is open, or did not open."""
        self._opened.set()
        self._thread.join()

    def _watch(self) -> None:
        while len(self._seen) <= MAX_CONNECTIONS:
            if self._opened.wait(_LOOK_S):
                return
            self._seen |= connections()
        told = {"class": "TempError", "text": "it redirects without end; check the address"}
        self._link.send(wire.WRONG, wire.packed(told))
        os._exit(0)


def connections() -> Set[str]:
    """Names of the TCP sockets that this process has open; each connection has its own."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - no Path for each of 100 looks a second
        target = _link(name)
        if target is not None and _SOCKET.fullmatch(target) and _is_tcp(int(name)):
            found.add(target)
    return found


def _link(name: str) -> Optional[str]:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # closed meanwhile
        return None


def _is_tcp(fd: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return copy.family != socket.AF_UNIX and copy.type == socket.SOCK_STREAM
    except OSError:
        return False
