"""A receiver of webhooks for tests: it checks signatures by the words of the specification."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

SECRET = bytes(range(32))
Answer = Tuple[int, Dict[str, str]]


class Receiver:
    """Answers POSTs by TLS on 127.0.0.1.

    Attributes:
        taken: JSON of each message answered with 2xx.
        requests: path, headers and body of every POST.
        answer: gives status and headers for a message.
    """

    def __init__(self, certificate: Path, port: int = 0) -> None:
        self.taken: List[Dict[str, Any]] = []
        self.requests: List[Tuple[str, Dict[str, str], bytes]] = []
        self.answer: Callable[[Dict[str, Any]], Answer] = lambda message: (200, {})
        self.connections = 0
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(certificate))
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_port
        self.url = f"https://127.0.0.1:{self.port}/hook?token=s3cret"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def kinds(self) -> List[str]:
        """The last level of each topic that was taken."""
        return [m["topic"].rsplit("/", 1)[-1] for m in self.taken]

    def events(self) -> List[int]:
        """The numbers of the events that were taken."""
        return [m["payload"]["data"]["n"] for m in self.taken if "/event/" in m["topic"]]

    def close(self) -> None:
        """Answer no more; connections that are open stay open."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.receiver.connections += 1

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.requests.append((self.path, headers, body))
        message = json.loads(body)
        status, more = self.receiver.answer(message)
        if 200 <= status < 300:
            self.receiver.taken.append(message)
        self.send_response(status)
        for name, value in {"Content-Length": "0", **more}.items():
            self.send_header(name, value)
        self.end_headers()


def signed_by_secret(headers: Dict[str, str], body: bytes) -> bool:
    """Whether a request has a valid `v1` signature."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in headers["webhook-signature"].split()


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=receiver"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "k"), "-out", str(folder / "ca.crt")]
    subprocess.run(command, check=True, capture_output=True)
    whole = folder / "both.pem"
    whole.write_text(
        (folder / "k").read_text(encoding="utf-8")
        + (folder / "ca.crt").read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    return whole
