"""One HTTP request with login, bounded redirects and bounded headers."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Dict, List, Optional, Tuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from edge.capture._decoder import http_tls
from edge.capture._decoder.http_login import authorization
from edge.errors import DataError, TempError

MAX_REDIRECTS = 5
_ANSWERS = {
    403: "it refuses this user; check the user's rights",
    404: "it has no such page; check the part behind the host",
    503: "it is busy; does it allow another viewer?",
}


class Request:
    """GETs one address; keeps the connection for the next time if the server does.

    Args:
        url: with user and password, which only its own host and port receive.
        timeout_s: limit to connect and for each piece of the answer.
        trust: whose certificate of https is accepted; see `http_tls.connect`.
    """

    def __init__(self, url: str, timeout_s: float, trust: str) -> None:
        self._parts = self._first = urlsplit(url)
        self._timeout_s, self._trust = timeout_s, trust
        self._connection: Optional[http.client.HTTPConnection] = None
        self._login = _login(self._first)
        self._asked: List[str] = []  # the server's challenges

    def get(self) -> http.client.HTTPResponse:
        """The answer with status 200; its body is not read yet.

        Raises:
            TempError, DataError: there is none; the text says why.
        """
        try:
            return self._follow()
        except socket.gaierror:
            raise TempError(f"there is no host {self._parts.hostname!r}; check the name") from None
        except ConnectionRefusedError:
            raise TempError(f"nothing listens on {self._where}; check the port") from None
        except ssl.SSLError as error:
            raise TempError(
                f"TLS with {self._where} fails ({error.reason}); is it http://?"
            ) from None
        except socket.timeout:
            raise TempError(f"no answer from {self._where}; is it on, and in reach?") from None
        except (http.client.HTTPException, ValueError) as error:
            raise TempError(
                f"{self._where} does not speak HTTP ({type(error).__name__}); check the port"
            ) from None
        except OSError as error:
            raise TempError(f"{self._where}: {error.strerror or type(error).__name__}") from None

    @property
    def _where(self) -> str:
        return f"{self._parts.hostname}:{self._port}"

    @property
    def _port(self) -> int:
        return self._parts.port or (443 if self._parts.scheme == "https" else 80)

    def _follow(self) -> http.client.HTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._answer()
            if answer.status == 200:
                return answer
            if answer.status not in (301, 302, 303, 307, 308):
                raise TempError(self._reason(answer.status))
            self._move(answer.getheader("Location", ""))
        raise TempError("it redirects without end; check the address")

    def _move(self, location: str) -> None:
        there = urlsplit(urljoin(self._parts.geturl(), location))
        if there.scheme not in ("http", "https") or not there.hostname:
            raise DataError("it redirects to an address that is not http:// or https://")
        self.close()
        self._parts = there

    def _answer(self) -> http.client.HTTPResponse:
        """One answer; asked again with the login if the server wants it."""
        answer = self._ask()
        if answer.status == 401 and self._is_ours():
            self._asked = answer.headers.get_all("WWW-Authenticate") or []
            if self._login is not None:
                self.close()
                answer = self._ask()
        return answer

    def _ask(self) -> http.client.HTTPResponse:
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        headers: Dict[str, str] = {"Accept": "multipart/x-mixed-replace, image/jpeg, */*"}
        if self._login is not None and self._asked and self._is_ours():
            login = authorization(self._asked, self._login, "GET", target)
            if login is None:
                raise TempError("it asks for a login that is neither Basic nor Digest")
            headers["Authorization"] = login
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("GET", target, headers=headers)
        return self._connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, self._port, timeout=self._timeout_s)
        return http_tls.connect(host, self._port, self._timeout_s, self._trust)

    def _is_ours(self) -> bool:
        """Whether the server is the one that the login was written for."""
        return self._parts[:1] == self._first[:1] and (self._parts.hostname, self._parts.port) == (
            self._first.hostname,
            self._first.port,
        )

    def _reason(self, status: int) -> str:
        if status == 401 and self._login is not None and self._login[1] and self._is_ours():
            return "it refuses the user or the password"
        if status == 401:
            return "it wants a user and a password: write USER:PASSWORD@ before its host"
        return _ANSWERS.get(status, f"it answers with HTTP status {status}")

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _login(parts: SplitResult) -> Optional[Tuple[str, str]]:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")
