"""The page's server, on 127.0.0.1 only; who may ask is decided by the viewer's guard."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple
from urllib.parse import parse_qs, urlsplit

from edge.errors import ConfigError, EdgeError, UnavailableError
from tools import viewer
from tools.drawing.still import Still
from tools.viewer.guard import HEADERS, Guard

PAGE = Path(__file__).parent / "page"
ICON = Path(viewer.__file__).parent / "page/icon.svg"  # without one, a browser logs an error
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
MOST_BYTES = 1 << 20
LOCKED = "This page opens with the link that the terminal shows; each link works once.\n"
Save = Callable[[Any], List[Dict[str, Any]]]


class Drawing(http.server.ThreadingHTTPServer):
    """Serves one still; a context manager that stops it.

    Args:
        still: the picture.
        about: what the page is told beside it: camera, file, shapes.
        save: writes the shapes of the page, and returns them as they are then.
        port: 0 = any free one.

    Raises:
        UnavailableError: the port is in use. ConfigError: only root may use it.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, still: Still, about: Dict[str, Any], save: Save, port: int = 0) -> None:
        self.still, self.about, self.save = still, about, save
        self.saving = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except PermissionError as error:
            raise ConfigError(f"--port {port}: only root may use it; choose another") from error
        except OSError as error:
            raise UnavailableError(f"--port {port}: {error.strerror}; choose another") from error
        self.guard = Guard(self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Drawing:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Drawing
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edge", ""
    timeout = 30

    def do_GET(self) -> None:
        """Answer a browser that may ask."""
        address = urlsplit(self.path)
        if not self._may_come():
            return
        token = parse_qs(address.query).get("token", [""])[0]
        if address.path == "/" and token and self.server.guard.redeem(token):
            self._answer(303, b"", "text/plain", ("Set-Cookie", self.server.guard.cookie))
        elif not self.server.guard.knows(self.headers):  # type: ignore[arg-type]
            self._text(403, LOCKED)
        elif address.path == "/" and address.query:
            self._answer(303, b"", "text/plain")
        else:
            self._serve(address.path)

    def do_POST(self) -> None:
        """Save the shapes of a page that is ours."""
        length = self.headers.get("Content-Length", "")
        origin = f"http://{self.headers.get('Host', '')}"
        if not self._may_come():
            return
        if not self.server.guard.knows(self.headers) or self.headers.get("Origin") != origin:  # type: ignore[arg-type]
            self._refuse(403, LOCKED)
        elif urlsplit(self.path).path != "/save":
            self._refuse(404, "no such page\n")
        elif not length.isdecimal() or int(length) > MOST_BYTES:
            self._refuse(413, "too large\n")
        else:
            self._save(self.rfile.read(int(length)))

    def _may_come(self) -> bool:
        guard = self.server.guard
        if not guard.is_here(self.headers):  # type: ignore[arg-type]
            self._refuse(421, "ask for 127.0.0.1 or localhost\n")
        elif guard.is_foreign(self.headers):  # type: ignore[arg-type]
            self._refuse(403, "another site may not ask\n")
        else:
            return True
        return False

    def _serve(self, path: str) -> None:
        file = PAGE / (path.lstrip("/") or "index.html")
        if path == "/still.jpg":
            self._answer(200, self.server.still.jpeg, "image/jpeg")
        elif path == "/icon.svg":
            self._answer(200, ICON.read_bytes(), "image/svg+xml")
        elif path == "/about.json":
            self._json(200, self.server.about)
        elif file.parent == PAGE and file.suffix in KINDS and file.is_file():
            self._answer(200, file.read_bytes(), f"{KINDS[file.suffix]}; charset=utf-8")
        else:
            self._text(404, "no such page\n")

    def _save(self, data: bytes) -> None:
        try:
            with self.server.saving:
                shapes = self.server.save(json.loads(data))
                self.server.about = {**self.server.about, "shapes": shapes}
            self._json(200, {"shapes": shapes})
        except EdgeError as error:
            self._json(422, {"error": str(error)})
        except (ValueError, RecursionError):
            self._json(422, {"error": "not JSON"})

    def _json(self, code: int, record: Any) -> None:
        self._answer(code, json.dumps(record).encode(), "application/json")

    def _text(self, code: int, text: str) -> None:
        self._answer(code, text.encode(), "text/plain; charset=utf-8")

    def _refuse(self, code: int, text: str) -> None:
        """Answer without reading the rest of the request."""
        self.close_connection = True
        self._text(code, text)

    def _answer(self, code: int, body: bytes, kind: str, *more: Tuple[str, str]) -> None:
        self.send_response(code)
        if code == 303:
            self.send_header("Location", "/")
        for name, value in (*HEADERS.items(), ("Content-Type", kind), *more):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *anything: Any) -> None:
        """Write no line for each request."""
