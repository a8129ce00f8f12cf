"""A broker by hand, MQTT 5 and 3.1.1, that can be told what not to do. Loopback only."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import IO, Callable, Dict, List, Optional, Tuple, Type

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
VERSIONS = {4: "3.1.1", 5: "5"}


def varint(number: int) -> bytes:
    out = b""
    while True:
        number, low = number >> 7, number & 127
        out += bytes([low | (128 if number else 0)])
        if not number:
            return out


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class HandBroker:
    """Accepts connections until the end of the block, and does as it is told.

    Attributes:
        speaks: versions that are accepted; to another one the connection is closed, or refused if
            `refuses`.
        answer_s: before CONNACK.
        takes: decides for each PUBLISH (topic, QoS): "ack", "ignore" or "close".
        connects: version of each CONNECT.
        received: topic and body of each PUBLISH that was acknowledged or has QoS 0.
        retained: the newest body of each retained topic.
        left: how many connections ended with DISCONNECT.
    """

    def __init__(self) -> None:
        self.speaks: Tuple[str, ...] = ("5", "3.1.1")
        self.refuses = False
        self.answer_s = 0.0
        self.takes: Callable[[str, int], str] = lambda topic, qos: "ack"
        self.connects: List[str] = []
        self.accepted: List[str] = []
        self.received: List[Tuple[str, bytes]] = []
        self.retained: Dict[str, bytes] = {}
        self.left = 0
        self._open: List[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.uri = f"mqtt://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> HandBroker:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def topics(self, part: str = "/event/") -> List[str]:
        return [topic for topic, _ in list(self.received) if part in topic]

    def bodies(self, part: str = "/event/") -> List[bytes]:
        return [body for topic, body in list(self.received) if part in topic]

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link:
            try:
                stream = link.makefile("rb")
                version = self._connect(link, *_read(stream))
                while version and self._handle(link, version, *_read(stream)):
                    pass
            except (OSError, EOFError, struct.error, IndexError):
                pass

    def _connect(self, link: socket.socket, head: int, body: bytes) -> str:
        version = VERSIONS.get(body[6], "another")
        self.connects.append(version)
        if version not in self.speaks:
            if self.refuses:  # as a broker of 3.1.1 answers, section 3.2.2.3
                link.sendall(packet(CONNACK, b"\x00\x01"))
            return ""
        time.sleep(self.answer_s)
        link.sendall(packet(CONNACK, b"\x00\x00" + (b"\x00" if version == "5" else b"")))
        self.accepted.append(version)
        return version

    def _handle(self, link: socket.socket, version: str, head: int, body: bytes) -> bool:
        kind = head >> 4
        if kind == PUBLISH:
            return self._publish(link, version, head, body)
        if kind == SUBSCRIBE:
            props = b"\x00" if version == "5" else b""
            link.sendall(packet(SUBACK, body[:2] + props + b"\x01"))
        elif kind == PINGREQ:
            link.sendall(packet(PINGRESP))
        elif kind == DISCONNECT:
            self.left += 1
            return False
        return True

    def _publish(self, link: socket.socket, version: str, head: int, body: bytes) -> bool:
        qos, length = head >> 1 & 3, struct.unpack(">H", body[:2])[0]
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        what = self.takes(topic, qos)
        if what == "close":
            return False
        if what == "ignore":
            return True
        number, rest = (rest[:2], rest[2:]) if qos else (b"", rest)
        if version == "5":
            rest = rest[1 + rest[0] :]  # our properties take less than 128 bytes
        self.received.append((topic, rest))
        if head & 1:
            self.retained[topic] = rest
        if qos:
            link.sendall(packet(PUBACK, number))
        return True


def _read(stream: IO[bytes]) -> Tuple[int, bytes]:
    head = _exactly(stream, 1)[0]
    size = shift = 0
    while True:
        byte = _exactly(stream, 1)[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head, _exactly(stream, size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data or b"") < size:
        raise EOFError
    return data or b""
