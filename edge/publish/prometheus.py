"""prometheus://127.0.0.1:9464: the last metrics message for a Prometheus server, on loopback only.

GET /metrics answers in the text format (see _exposition). Every other request gets status 404, and
no request can change anything.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, List, Tuple
from urllib.parse import urlsplit

from edge.errors import ConfigError, UnavailableError
from edge.messages import Message
from edge.publish import SinkOptions
from edge.publish._counters import Counters
from edge.publish._exposition import Exposition

log = logging.getLogger(__name__)

PORT = 9464  # the one that OpenTelemetry's exporters use
SLOW_S = 5.0  # a reader that takes longer is disconnected
# Connections at once. The oldest is closed for a new one, so that readers that hold connections
# neither exhaust the threads of the program nor keep others out.
MOST_READERS = 8


def open_sink(uri: str, options: SinkOptions) -> PrometheusSink:
    """Open the port and answer from now on.

    Raises:
        ConfigError: not a loopback address. UnavailableError: the port is taken.
    """
    host, port = check(uri, options)
    try:
        return PrometheusSink(host, port)
    except OSError as error:
        raise UnavailableError(f"sink {uri}: {error.strerror}; choose another port") from error


def check(uri: str, options: SinkOptions) -> Tuple[str, int]:
    """Return host and port of an address.

    Raises:
        ConfigError: not a valid address, or not a loopback address.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
        # Only literal addresses: a name could be resolved to another machine.
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback, port = False, None
    if not loopback:
        raise ConfigError(
            f"sink {uri!r}: only prometheus://127.0.0.1:9464 or prometheus://[::1]:9464, any port "
            "from 1 to 65535, because only this box may read it; let a local agent forward it"
        )
    if parts.path.strip("/") or parts.query or parts.username or port == 0:
        raise ConfigError(f"sink {uri!r}: nothing may stand beside host and port")
    return host, port or PORT


class PrometheusSink:
    """Answers requests with the newest metrics message.

    Args:
        host: a loopback address.
        port: 0 = any free one.

    Raises:
        OSError: the port cannot be opened.
    """

    def __init__(self, host: str, port: int) -> None:
        self.counters = Counters()
        self.ok = True
        self.reader_left = False  # any program of this machine may ask
        self.waiting = 0
        self._exposition = Exposition()
        self._page = self._exposition.page({})
        self._server = _Server((host, port), self.page)
        shown = f"[{host}]" if ":" in host else host
        self.name = f"prometheus://{shown}:{self._server.server_address[1]}"
        self._closed = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="prometheus", daemon=True
        )
        self._thread.start()

    def __call__(self, message: Message) -> None:
        """Keep a metrics message; ignore every other kind."""
        if message.kind == "metrics" and not self._closed:
            self._page = self._exposition.page(message.payload)
            self.counters.add("sent")

    def page(self) -> bytes:
        """The answer to GET /metrics."""
        return self._page

    def close(self, timeout_s: float) -> None:
        """Close the port; may be called twice."""
        if not self._closed:
            self._closed = True
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(timeout_s)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 8

    def __init__(self, address: Tuple[str, int], page: Any) -> None:
        self.page = page
        self._readers: List[socket.socket] = []  # the oldest first
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is one to be had."""
        with self._lock:
            oldest = self._readers[: len(self._readers) + 1 - MOST_READERS]
            self._readers.append(request)
        for reader in oldest:
            with contextlib.suppress(OSError):  # it has just left
                reader.shutdown(socket.SHUT_RDWR)
        try:
            super().process_request(request, client_address)
        except RuntimeError as error:  # no thread can be started
            log.debug("prometheus: a reader was refused: %s", error)
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            if request in self._readers:
                self._readers.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a reader that closed the connection."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "edge"
    sys_version = ""
    timeout = SLOW_S

    def do_GET(self) -> None:
        """Answer /metrics if the Host header names this machine.

        The header is checked so that a web page in a browser on this machine cannot read the
        metrics through a name that resolves to 127.0.0.1 (DNS rebinding).
        """
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if self.path.partition("?")[0] != "/metrics" or not _is_here(name):
            self.send_error(404)
            return
        body = self.server.page()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log line: one for each request would fill the journal."""


def _is_here(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
