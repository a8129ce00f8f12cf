"""Many subscribers in one thread: MQTT 3.1.1 over bare sockets; received messages are counted."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Dict, List, Optional, Type

FILTER = b"poses/v1/+/+/event/#"
CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x30, 0x82, 0x90
CLEAN_SESSION = 0x02
KEEPALIVE_S = 3600


def packet(kind: int, body: bytes) -> bytes:
    """A packet of less than 128 bytes (MQTT 3.1.1 section 2.2)."""
    return bytes((kind, len(body))) + body


def text(data: bytes) -> bytes:
    """A string after its length (section 1.5.3)."""
    return struct.pack(">H", len(data)) + data


class Subscribers:
    """Many subscriptions with QoS 0; a context manager.

    Args:
        port: port of a broker on loopback.
        size: number of subscribers.
    """

    def __init__(self, port: int, size: int) -> None:
        self.received = 0  # messages received by all subscribers together
        self._selector = selectors.DefaultSelector()
        self._left: Dict[int, bytes] = {}
        self._sockets: List[socket.socket] = [self._join(port, i) for i in range(size)]
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def wait(self, count: int, limit_s: float = 60.0) -> bool:
        """Wait until `count` messages have arrived."""
        end_s = time.monotonic() + limit_s
        while self.received < count and time.monotonic() < end_s:
            time.sleep(0.002)
        return self.received >= count

    def __enter__(self) -> Subscribers:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._ended = True
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _join(self, port: int, number: int) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", port))
        head = text(b"MQTT") + bytes((4, CLEAN_SESSION)) + struct.pack(">H", KEEPALIVE_S)
        one.sendall(packet(CONNECT, head + text(b"crowd%d" % number)))
        one.sendall(packet(SUBSCRIBE, b"\x00\x01" + text(FILTER) + b"\x00"))
        answer = b""
        while len(answer) < 9:  # CONNACK 4, SUBACK 5
            answer += one.recv(9 - len(answer))
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ)
        self._left[one.fileno()] = b""
        return one

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.1):
                one: socket.socket = key.fileobj  # type: ignore[assignment]
                data = self._left[key.fd] + one.recv(2**18)
                self._left[key.fd] = self._count(data)

    def _count(self, data: bytes) -> bytes:
        """Count the complete packets; returns the rest."""
        at = 0
        while True:
            size, shift, i = 0, 0, at + 1
            while i < len(data) and data[i] & 0x80:
                size, shift, i = size | (data[i] & 0x7F) << shift, shift + 7, i + 1
            if i >= len(data):
                return data[at:]
            end = i + 1 + (size | data[i] << shift)
            if end > len(data):
                return data[at:]
            self.received += data[at] & 0xF0 == PUBLISH
            at = end
