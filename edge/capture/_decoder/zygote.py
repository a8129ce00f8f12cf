"""The fork server: it loads NumPy and OpenCV once, and forks a decoder per stream.

A fork takes milliseconds and shares the libraries' memory; a new interpreter takes half a second
and 50 MB. The server has one thread only, so that a fork is safe, and it never reads a stream.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from typing import Set

from edge.capture._decoder import wire
from edge.capture._decoder.confine import confine, ignore_signals
from edge.capture._decoder.libav_log import LibavLog
from edge.capture._decoder.session import Session
from edge.capture._decoder.wire import Link


def serve(fd: int) -> None:
    """Obey the program until it is gone; the decoders die with this process.

    Args:
        fd: a socket of `wire.pair`, whose other end the program has.
    """
    ignore_signals()
    control = Link(socket.socket(fileno=fd))
    decoders: Set[int] = set()
    gc.collect()
    gc.freeze()  # a collection in a decoder would copy the pages that it shares with us
    try:
        control.send(wire.READY)
        while True:
            kind, body, fds = control.receive()
            if kind == wire.START:
                pid = _start(control, wire.LIMIT_MB.unpack(body)[0], fds[0])
                decoders.add(pid)
                control.send(wire.START, wire.PID.pack(pid))
            else:
                pid = wire.PID.unpack(body)[0]
                status = _end(pid) if pid in decoders else 0
                decoders.discard(pid)
                if kind == wire.HOW:
                    control.send(wire.HOW, wire.PID.pack(status))
    except OSError:
        return  # the program has left


def _start(control: Link, max_mb: int, fd: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(fd)
        return pid
    try:
        control.close()
        confine(max_mb, parent)
        Session(Link(socket.socket(fileno=fd)), LibavLog()).run()
    finally:
        os._exit(0)


def _end(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still this process
    return os.waitpid(pid, 0)[1]
