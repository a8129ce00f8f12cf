"""Who may see the page: this machine's browsers that were given a link of one use.

A link holds a token. The first browser that brings it gets a session cookie, and the token is
spent. The name in the Host header must be one of loopback, so that a foreign name that was bound to
127.0.0.1 (DNS rebinding) reaches nothing. A page of another site gets no answer either.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from typing import Dict, Mapping

HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """The link, the session cookie and the checks of one server.

    Args:
        port: of the server. Cookies do not differ by port, so the name of the cookie does.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(32)
        self._name = f"edge_view_{port}"

    @property
    def link(self) -> str:
        """The address that lets one browser in."""
        return f"http://127.0.0.1:{self._port}/?token={self._token}"

    @property
    def cookie(self) -> str:
        """The Set-Cookie header of a browser that was let in."""
        return f"{self._name}={self._session}; HttpOnly; SameSite=Strict; Path=/"

    def redeem(self, token: str) -> bool:
        """Whether this is the token; if so, it is spent and there is a new link."""
        with self._lock:
            good = _same(token, self._token)
            if good:
                self._token = secrets.token_urlsafe(24)
            return good

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the request brings the session cookie."""
        return _same(_cookies(headers.get("Cookie", "")).get(self._name, ""), self._session)

    @staticmethod
    def is_here(headers: Mapping[str, str]) -> bool:
        """Whether the Host header names loopback; a tunnel may have another port."""
        return HOST.fullmatch(headers.get("Host", "")) is not None

    @staticmethod
    def is_foreign(headers: Mapping[str, str]) -> bool:
        """Whether the page of another origin asks."""
        return headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _cookies(header: str) -> Dict[str, str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, _, value in pairs}
