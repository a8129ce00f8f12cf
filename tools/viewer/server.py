"""The HTTP server of the page, on 127.0.0.1 only."""

from __future__ import annotations

import http.server
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

import edge.publish
from edge.errors import ConfigError, UnavailableError
from tools.viewer.board import Board, Cursor
from tools.viewer.guard import HEADERS, Guard

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
SKELETONS = Path(edge.publish.__file__).parent / "contract/skeletons.json"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
LOCKED = (
    "This page opens with a link of its own, which works once.\n"
    "The terminal in which `edge-tools view` runs shows the next link.\n\n"
    "此页面只能用专用链接打开, 每个链接只能使用一次。\n"
    "请在运行 edge-tools view 的终端中查看下一个链接。\n"
)
MAX_CONNECTIONS = 64
QUIET_S = 5.0  # without news a comment is sent, so that a browser that left is noticed
POLL_S = 0.05  # how soon the server ends
PACE_S = 1 / 60  # between two turns of one stream; what comes in between is merged
WRITE_S = 20.0  # a browser that takes nothing for so long is cut off; it asks again
SEND_BUFFER = 128 << 10  # bytes that the kernel may hold; more would be old frames
Chunk = Callable[[float], bytes]


def files() -> Dict[str, Path]:
    """The files of the page by the path that a browser asks for."""
    found = {f"/{path.name}": path for path in PAGE.iterdir() if path.suffix in KINDS}
    return {**found, "/": found["/index.html"], "/skeletons.json": SKELETONS}


class Viewer(http.server.ThreadingHTTPServer):
    """Serves one board; a context manager that stops it.

    Args:
        board: what the page shows.
        port: 0 = any free one.
        chunk: gives the part of a recording from a position in s on, as JSON; None = live.
        used: called after a browser was let in, with the next link.

    Raises:
        UnavailableError: the port is in use. ConfigError: only root may use it.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        board: Board,
        port: int = 0,
        chunk: Optional[Chunk] = None,
        used: Callable[[str], None] = lambda link: None,
    ) -> None:
        self.board, self.chunk, self.used = board, chunk, used
        self.files = files()
        self.ended = threading.Event()
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except PermissionError as error:
            raise ConfigError(
                f"--port {port}: only root may use it; choose 1024 or more"
            ) from error
        except OSError as error:
            raise UnavailableError(f"--port {port}: {error.strerror}; choose another") from error
        self.guard = Guard(self.server_address[1])
        self._thread = threading.Thread(
            target=self.serve_forever, args=(POLL_S,), name="viewer", daemon=True
        )

    def switch(self, board: Board, chunk: Chunk) -> None:
        """Show a recording instead of what was shown; pages that are open load again."""
        self.chunk = chunk
        before, self.board = self.board, board
        before.put("end", {})  # wakes the streams

    def __enter__(self) -> Viewer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, unless there are too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, then make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves is no error; the rest is logged."""
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("the viewer could not answer a request")


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a browser."""

    server: Viewer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edge", ""
    timeout = 30  # s, for a request to come

    def do_GET(self) -> None:
        """Answer a request of a browser that may ask."""
        address = urlsplit(self.path)
        guard = self.server.guard
        if not guard.is_here(self.headers):  # type: ignore[arg-type]
            self._text(421, "ask for 127.0.0.1 or localhost\n")
        elif guard.is_foreign(self.headers):  # type: ignore[arg-type]
            self._text(403, "another site may not ask\n")
        elif address.path == "/" and guard.redeem(_value(address.query, "token")):
            self._let_in()
        elif not guard.knows(self.headers):  # type: ignore[arg-type]
            self._text(403, LOCKED)
        elif address.path == "/" and address.query.startswith("token="):
            self._redirect()  # a spent link, of a browser that is in already
        else:
            self._serve(address.path, address.query)

    def _serve(self, path: str, query: str) -> None:
        if path == "/stream":
            self._stream()
        elif path == "/replay" and self.server.chunk is not None:
            self._replay(query)
        elif path in self.server.files:
            file = self.server.files[path]
            self._answer(200, file.read_bytes(), KINDS[file.suffix])
        else:
            self._text(404, "no such page\n")

    def _replay(self, query: str) -> None:
        try:
            at_s = float(_value(query, "at"))
        except ValueError:
            self._text(400, "at: not a number\n")
            return
        assert self.server.chunk is not None
        self._answer(200, self.server.chunk(at_s), KINDS[".json"])

    def _let_in(self) -> None:
        self.server.used(self.server.guard.link)
        self._redirect(("Set-Cookie", self.server.guard.cookie))

    def _redirect(self, *more: Tuple[str, str]) -> None:
        """To the page without the token, which then is in no history of the browser."""
        self._answer(303, b"", KINDS[".html"], ("Location", "/"), *more)

    def _text(self, code: int, text: str) -> None:
        self._answer(code, text.encode(), "text/plain; charset=utf-8")

    def _answer(self, code: int, body: bytes, kind: str, *more: Tuple[str, str]) -> None:
        self._head(code, kind, ("Content-Length", str(len(body))), *more)
        self.wfile.write(body)

    def _head(self, code: int, kind: str, *more: Tuple[str, str]) -> None:
        self.send_response(code)
        for name, value in (*HEADERS.items(), ("Content-Type", kind), *more):
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        """Send what is new until the browser leaves; at most one turn of messages is held."""
        self.connection.settimeout(WRITE_S)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._head(200, "text/event-stream", ("Connection", "close"))
        self.close_connection = True
        board, cursor = self.server.board, Cursor()
        self.wfile.write(b"retry: 1000\n\n")
        while self.server.board is board and not self.server.ended.is_set():
            self.wfile.write(board.news(cursor, QUIET_S) or b":\n\n")
            self.server.ended.wait(PACE_S)

    def log_message(self, *anything: Any) -> None:
        """Write no line for each request."""


def _value(query: str, name: str) -> str:
    return parse_qs(query).get(name, [""])[0]
