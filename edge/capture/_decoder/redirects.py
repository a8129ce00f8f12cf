"""Ends a decoder whose stream redirects without end; libav itself sets no limit."""

from __future__ import annotations

import os
import threading
from typing import Optional

from edge.capture._decoder import wire
from edge.capture._decoder.libav_log import LibavLog
from edge.capture._decoder.wire import Link

# Each redirect is a new TCP connection; libav needs two at most (a second one through a tunnel).
MAX_CONNECTIONS = 8
_LOOK_S = 0.2


class Redirects:
    """Counts the TCP connections that libav opens while it opens a stream.

    libav logs each connection before it makes it, and waits while the log is full
    (`LibavLog.hold`). So no more connections are made than MAX_CONNECTIONS and those that fill a
    page of log, however fast the server answers.

    Args:
        link: to the program, which is told before the process ends.
        log: of libav; None = nothing is counted.
    """

    def __init__(self, link: Link, log: Optional[LibavLog]) -> None:
        self._link, self._log = link, log
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Redirects:
        """Start to count."""
        if self._log is not None:
            self._log.hold(True)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """The stream is open, or did not open."""
        if self._log is not None:
            self._log.hold(False)
            self._opened.set()
            self._thread.join()

    def _watch(self) -> None:
        assert self._log is not None
        while self._log.connections <= MAX_CONNECTIONS:
            if self._opened.is_set():
                return
            self._log.read(_LOOK_S)
        told = {"class": "TempError", "text": "it redirects without end; check the address"}
        self._link.send(wire.WRONG, wire.packed(told))
        os._exit(0)
