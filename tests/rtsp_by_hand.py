"""An RTSP camera written by hand: RTP over TCP with JPEG frames, and with faults of every kind."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from typing import List, Optional, Tuple

import cv2
import numpy as np

from tests.h264_by_hand import frame as h264_frame
from tests.h264_by_hand import payloads, sprop

# Accepts no connection; accepts and says nothing; sends noise; sends header lines without end;
# sends one byte now and then; redirects to itself; announces 2 GB; stops after a request.
FAULTS = (
    "unreachable",
    "accept",
    "garbage",
    "header",
    "drip",
    "redirect",
    "length",
    "stop OPTIONS",
    "stop DESCRIBE",
    "stop SETUP",
    "stop PLAY",
    "stop frame",
    "stop mid-frame",
    "slam",
)
_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
_JPEG = "m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\na=control:t0\r\n"
_H264 = (
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\na=control:t0\r\n"
)


class HandCamera:
    """A camera on a port of its own.

    Args:
        fault: one of `FAULTS`; "" = it works.
        rate_hz: frames per second.
        picture: BGR, at most 2040 px wide and high, sides divisible by 16.
        h264: width and height of grey H.264 frames, which are sent instead; may be changed.
    """

    def __init__(
        self,
        fault: str = "",
        rate_hz: float = 10.0,
        picture: Optional[np.ndarray] = None,
        h264: Optional[Tuple[int, int]] = None,
    ) -> None:
        self.fault, self.rate_hz, self.h264 = fault, rate_hz, h264
        self.away = False  # hangs up at once
        self.connections = self.sent = 0
        self.show(np.full((240, 320, 3), 90, np.uint8) if picture is None else picture)
        self._links: List[socket.socket] = []
        self._closed = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=0 if self._deaf else 64)
        self.port = int(self._server.getsockname()[1])
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        if self._deaf:
            self._fill_backlog()
        else:
            threading.Thread(target=self._accept, daemon=True).start()

    @property
    def _deaf(self) -> bool:
        return self.fault == "unreachable"

    def show(self, picture: np.ndarray) -> None:
        """Send another picture from now on."""
        fine, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
        assert fine
        self._frame = packets(data.tobytes(), *picture.shape[1::-1])

    def drop(self) -> None:
        """Hang up on everybody, and on everybody who comes, until `away` is False."""
        self.away = True
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed.set()
        self.drop()
        for link in self._links if self._deaf else ():
            link.close()
        self._server.close()

    def _fill_backlog(self) -> None:
        for _ in range(4):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex(("127.0.0.1", self.port))
            self._links.append(link)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                link = self._server.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, contextlib.suppress(OSError, EOFError):
            if self.away or self.fault == "slam":
                return
            if self.fault == "accept":
                self._closed.wait()
            while self.fault == "garbage":
                self._send(link, np.random.default_rng(self.sent).bytes(4096))
                self._closed.wait(0.01)
            while self._answer(link, *request(link)):
                pass
            self._closed.wait()

    def _send(self, link: socket.socket, data: bytes) -> None:
        link.sendall(data)
        self.sent += len(data)

    def _answer(self, link: socket.socket, verb: str, number: str) -> bool:
        """Answer a request; False = nothing more is said."""
        head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 1;timeout=60\r\n"
        if self.fault == f"stop {verb}":
            return False
        if self.fault == "redirect":
            moved = f"RTSP/1.0 302 Moved\r\nCSeq: {number}\r\nLocation: {self.url}\r\n\r\n"
            self._send(link, moved.encode())
            return True
        if self.fault == "header":
            self._send(link, head.encode())
        while self.fault == "header":
            self._send(link, b"X: " + b"a" * 4000 + b"\r\n")
        while self.fault == "drip":
            self._send(link, head[:1].encode() if self.sent == 0 else b"a")
            self._closed.wait(0.3)
        extra, body = "", ""
        if verb == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif verb == "DESCRIBE":
            body = _SDP + (_H264.format(sprop(*self.h264)) if self.h264 else _JPEG)
            size = 2 * 10**9 if self.fault == "length" else len(body)
            extra = f"Content-Type: application/sdp\r\nContent-Length: {size}\r\n"
        elif verb == "SETUP":
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        self._send(link, (head + extra + "\r\n" + body).encode())
        while self.fault == "length" and verb == "DESCRIBE":
            self._send(link, b"a" * 65536)
        if verb == "PLAY":
            self._play(link)
        return verb != "PLAY"

    def _play(self, link: socket.socket) -> None:
        sequence, index, begun = 0, 0, time.monotonic()
        while not self._closed.is_set():
            frame, kind = self._frame, 26
            if self.h264:
                frame, kind = payloads(h264_frame(*self.h264, index)), 96
            last = len(frame) - 1
            for i, payload in enumerate(frame):
                if self.fault == "stop mid-frame" and index == 20 and i == last // 2:
                    return
                mark = 0x80 if i == last else 0
                stamp = round(index * 90000 / self.rate_hz) & 0xFFFFFFFF
                rtp = (
                    struct.pack(">BBHII", 0x80, kind | mark, sequence & 0xFFFF, stamp, 7) + payload
                )
                self._send(link, b"$\0" + struct.pack(">H", len(rtp)) + rtp)
                sequence += 1
            index += 1
            if self.fault == "stop frame" and index == 20:
                return
            self._closed.wait(max(0.0, begun + index / self.rate_hz - time.monotonic()))


def request(link: socket.socket) -> Tuple[str, str]:
    """Verb and number of the next request; the client's RTCP packets are skipped."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = link.recv(4096)
        if not part:
            raise EOFError
        data += part
        while data[:1] == b"$" and len(data) >= 4:
            data = data[4 + int.from_bytes(data[2:4], "big") :]
    text = data.decode("latin-1")
    number = re.search(r"cseq: *(\d+)", text, re.IGNORECASE)
    return text.split(" ", 1)[0], number.group(1) if number else "0"


def packets(jpeg: bytes, width: int, height: int) -> List[bytes]:
    """RTP payloads of a baseline JPEG (RFC 2435, section 3.1)."""
    tables, sampling, place = b"", 0, 2
    while jpeg[place + 1] != 0xDA:
        size = int.from_bytes(jpeg[place + 2 : place + 4], "big")
        segment = jpeg[place + 4 : place + 2 + size]
        if jpeg[place + 1] == 0xDB:
            tables += b"".join(segment[i + 1 : i + 65] for i in range(0, len(segment), 65))
        elif jpeg[place + 1] == 0xC0:
            sampling = segment[7]
        place += 2 + size
    scan = jpeg[place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big") : -2]
    kind = {0x21: 0, 0x22: 1}[sampling]
    quantization = struct.pack(">BBH", 0, 0, len(tables)) + tables
    found = []
    for start in range(0, len(scan), 1200):
        head = struct.pack(">IBBBB", start, kind, 255, width // 8, height // 8)
        found.append(head + (b"" if start else quantization) + scan[start : start + 1200])
    return found
