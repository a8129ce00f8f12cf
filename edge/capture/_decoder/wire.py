"""Messages between the program, the fork server and the decoders.

A message is one packet of a Unix socket: a letter, then a body. Nothing is pickled, because a
decoder that was taken over by its stream could send anything.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from typing import Any, Dict, List, Sequence, Tuple

READY = b"R"  # fork server: it is loaded
START = b"S"  # to the fork server: fork a decoder that serves the attached socket
END = b"E"  # to the fork server: kill a decoder; has no answer
HOW = b"H"  # to the fork server: kill a decoder, and tell how it ended
OPEN = b"O"  # to a decoder: open a stream
PROBE = b"P"  # to a decoder: find out why a stream does not open
GRAB = b"G"  # to a decoder: decode the next frame
FILL = b"F"  # to a decoder: write the decoded frame into a piece of shared memory
SIZE = b"Z"  # decoder: the frame has another shape than the piece of memory; nothing was written
WRONG = b"X"  # decoder: class and text of an error

PID = struct.Struct("<i")
LIMIT_MB = struct.Struct("<I")
FRAME = struct.Struct("<?qII")  # got one; monotonic ns; width and height in px, 0 = unknown
SHAPE = struct.Struct("<III")  # rows, columns, channels; 0 channels = two dimensions
PIECE = struct.Struct("<QIII")  # number of a piece of shared memory, then its shape
FILLED = struct.Struct("<?Bd")  # worked; how many times it was copied; width over height of a pixel
MAX_BYTES = 65536
_MAX_FDS = 1
_FD_BYTES = array.array("i").itemsize

Message = Tuple[bytes, bytes, List[int]]


class Link:
    """One end of a connection; one thread at a time receives.

    Args:
        end: a socket of `pair`; closed by `close`.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def fileno(self) -> int:
        """The descriptor, to hand it over."""
        return self._end.fileno()

    def send(self, kind: bytes, body: bytes = b"", fds: Sequence[int] = ()) -> None:
        """Send a message, with copies of open descriptors.

        Raises:
            OSError: the other end is gone.
        """
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._end.sendmsg([kind + body], extra, socket.MSG_NOSIGNAL)

    def receive(self, timeout_s: float = -1.0) -> Message:
        """Wait for a message: its letter, its body and descriptors, which the caller closes.

        Args:
            timeout_s: below 0 = no limit.

        Raises:
            TimeoutError, socket.timeout: nothing came in time. OSError: the other end is gone, or
                the message is longer than `MAX_BYTES`.
        """
        self._end.settimeout(None if timeout_s < 0 else timeout_s)
        room = socket.CMSG_SPACE(_MAX_FDS * _FD_BYTES)
        data, extra, flags, _ = self._end.recvmsg(MAX_BYTES, room, socket.MSG_CMSG_CLOEXEC)
        fds = array.array("i")
        for level, kind, content in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(content[: len(content) - len(content) % _FD_BYTES])
        if not data or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            for fd in fds:
                os.close(fd)
            raise ConnectionResetError("the other end is gone" if not data else "a long message")
        return data[:1], data[1:], list(fds)

    def close(self) -> None:
        """Close this end; may be called twice."""
        self._end.close()


def pair() -> Tuple[socket.socket, socket.socket]:
    """Two connected ends that keep the borders of messages."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def packed(table: Dict[str, Any]) -> bytes:
    """A table of plain values as the body of a message."""
    return json.dumps(table).encode("utf-8")


def unpacked(body: bytes) -> Dict[str, Any]:
    """The table of a message.

    Raises:
        ValueError: it is none.
    """
    table = json.loads(body.decode("utf-8"))
    if not isinstance(table, dict):
        raise ValueError("no table")
    return table


def shape_bytes(shape: Tuple[int, ...]) -> bytes:
    """A shape of two or three dimensions as the body of a message."""
    return SHAPE.pack(shape[0], shape[1], shape[2] if len(shape) == 3 else 0)


def shape_of(rows: int, columns: int, channels: int) -> Tuple[int, ...]:
    """The shape of such a body."""
    return (rows, columns, channels) if channels else (rows, columns)
