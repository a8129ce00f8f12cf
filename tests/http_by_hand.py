"""An HTTP camera written by hand, with logins and with faults of every kind."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import re
import ssl
import threading
import time
from pathlib import Path
from typing import List, Optional

import cv2
import numpy as np

USER, PASSWORD = "viewer", "s3cret/@word"


def jpeg(picture: np.ndarray) -> bytes:
    fine, data = cv2.imencode(".jpg", picture)
    assert fine
    return data.tobytes()


class HttpCamera:
    """A camera on a port of its own.

    Its paths: /video /dashes /bare /nolength (MJPEG in four dialects), /shot.jpg (one picture),
    /moved, /loop, /away (redirects), and faults: see `_Handler`.

    Args:
        login: "", basic or digest.
        certificate: PEM file with key; speaks TLS then.
    """

    def __init__(self, login: str = "", certificate: Optional[Path] = None) -> None:
        self.login = login
        self.elsewhere = ""  # where /away redirects to
        self.pictures: List[bytes] = [jpeg(np.full((240, 320, 3), 90, np.uint8))]
        self.requests: List[str] = []
        self.logins: List[str] = []
        self.closed = threading.Event()
        handler = type("Handler", (_Handler,), {"camera": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def user_url(self) -> str:
        return self.url.replace("://", f"://{USER}:s3cret%2F%40word@")

    def close(self) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    camera: HttpCamera
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.camera.requests.append(self.path)
        self.camera.logins.append(self.headers.get("Authorization", ""))
        with contextlib.suppress(OSError):
            if self._let_in():
                name = self.path.partition("?")[0].strip("/").replace(".jpg", "")
                getattr(self, f"give_{name}", self.give_nothing)()

    def _let_in(self) -> bool:
        told = self.headers.get("Authorization", "")
        if self.camera.login == "basic":
            asked = 'Basic realm="camera"'
            fine = told == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        elif self.camera.login == "digest":
            asked = 'Digest realm="camera", nonce="abc", qop="auth", algorithm=MD5, opaque="x"'
            fine = told.startswith("Digest ") and self._digest_fits(told)
        else:
            return True
        if not fine:
            self._head(401, "WWW-Authenticate", asked, "Content-Length", "0")
        return fine

    def _digest_fits(self, told: str) -> bool:
        got = dict(re.findall(r'(\w+)="?([^",]+)"?', told))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        secret, what = md5(f"{USER}:camera:{PASSWORD}"), md5(f"GET:{self.path}")
        wanted = md5(f"{secret}:abc:{got['nc']}:{got['cnonce']}:auth:{what}")
        return got["response"] == wanted and got["uri"] == self.path

    def _head(self, status: int, *pairs: str) -> None:
        self.send_response(status)
        for name, value in zip(pairs[::2], pairs[1::2]):
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, header: str, mark: str, length: bool = True) -> None:
        self._head(200, "Content-Type", f"multipart/x-mixed-replace;{header}")
        self.close_connection = True
        while not self.camera.closed.is_set():
            for data in list(self.camera.pictures):
                size = f"Content-Length: {len(data)}\r\n" if length else ""
                part = f"{mark}\r\nContent-Type: image/jpeg\r\n{size}\r\n".encode()
                self.wfile.write(part + data + b"\r\n")
                self.camera.closed.wait(0.03)

    def give_video(self) -> None:
        self._stream("boundary=frame", "--frame")

    def give_dashes(self) -> None:
        self._stream(' boundary="--frame"', "--frame")

    def give_bare(self) -> None:
        self._stream("", "--whatever")

    def give_nolength(self) -> None:
        self._stream("boundary=frame", "--frame", length=False)

    def give_shot(self) -> None:
        data = self.camera.pictures[len(self.camera.requests) % len(self.camera.pictures)]
        self._head(200, "Content-Type", "image/jpeg", "Content-Length", str(len(data)))
        self.wfile.write(data)

    def give_moved(self) -> None:
        self._head(302, "Location", "/video", "Content-Length", "0")

    def give_loop(self) -> None:
        self._head(302, "Location", "/loop", "Content-Length", "0")

    def give_away(self) -> None:
        self._head(302, "Location", self.camera.elsewhere, "Content-Length", "0")

    def give_file(self) -> None:
        self._head(302, "Location", "file:///etc/passwd", "Content-Length", "0")

    def give_nothing(self) -> None:
        self._head(404, "Content-Length", "0")

    def give_page(self) -> None:
        self._head(200, "Content-Type", "text/html", "Content-Length", "0")

    def give_hls(self) -> None:
        self._head(200, "Content-Type", "application/vnd.apple.mpegurl", "Content-Length", "0")

    def give_mp4(self) -> None:
        self._head(200, "Content-Type", "video/mp4", "Content-Length", "0")

    def give_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.camera.closed.is_set():
            self.wfile.write(b"X: " + b"a" * 4000 + b"\r\n")

    def give_line(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.camera.closed.is_set():
            self.wfile.write(b"a" * 65536)

    def _part(self, rest: bytes) -> None:
        self._head(200, "Content-Type", "multipart/x-mixed-replace;boundary=f")
        self.close_connection = True
        self.wfile.write(b"--f\r\n" + rest)

    def give_partheaders(self) -> None:
        self._part(b"")
        while not self.camera.closed.is_set():
            self.wfile.write(b"X: a\r\n")

    def give_hugepart(self) -> None:
        self._part(b"Content-Length: 2000000000\r\n\r\n")
        while not self.camera.closed.is_set():
            self.wfile.write(b"a" * 65536)

    def give_endlesspart(self) -> None:
        self._part(b"\r\n")
        while not self.camera.closed.is_set():
            self.wfile.write(b"a" * 65536)

    def give_noise(self) -> None:
        self._head(200, "Content-Type", "multipart/x-mixed-replace;boundary=f")
        self.close_connection = True
        while not self.camera.closed.is_set():
            self.wfile.write(b"noise\n" * 1000)

    def give_nojpeg(self) -> None:
        self._part(b"".join(b"Content-Length: 3\r\n\r\nabc\r\n--f\r\n" for _ in range(100)))

    def give_silence(self) -> None:
        self.camera.closed.wait()

    def give_drip(self) -> None:
        while not self.camera.closed.is_set():
            self.wfile.write(b"H")
            time.sleep(0.2)

    def give_short(self) -> None:
        self._part(b"Content-Length: 1000\r\n\r\nabc")
