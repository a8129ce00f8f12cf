"""Who gets the page, what its headers forbid, and what a slow browser costs."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import socket
import threading
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest

from edge.errors import ConfigError, UnavailableError
from edge.messages import Builder
from tests.tools.viewer.moving import frame, people, received
from tests.waiting import until
from tools.viewer import server as server_module
from tools.viewer.board import Board
from tools.viewer.server import PAGE, Viewer


class Site:
    """A viewer and a browser without a window."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.port = viewer.server_address[1]
        self.cookie = ""

    def get(
        self, path: str, host: str = "127.0.0.1", **headers: str
    ) -> Tuple[int, Dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        more = {"Cookie": self.cookie} if self.cookie else {}
        more.update({name.replace("_", "-"): value for name, value in headers.items()})
        connection.request("GET", path, headers={"Host": host, **more})
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def enter(self) -> None:
        _, headers, _ = self.get("/?" + self.viewer.guard.link.partition("?")[2])
        self.cookie = headers["Set-Cookie"].partition(";")[0]

    def stream(self) -> socket.socket:
        """A connection that has asked for the stream and reads nothing yet."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        request = f"GET /stream HTTP/1.1\r\nHost: localhost\r\nCookie: {self.cookie}\r\n\r\n"
        connection.sendall(request.encode())
        return connection


@pytest.fixture
def links() -> List[str]:
    return []


@pytest.fixture
def site(links: List[str]) -> Iterator[Site]:
    with Viewer(Board(), used=links.append) as viewer:
        yield Site(viewer)


def test_it_listens_on_loopback_only(site: Site) -> None:
    assert site.viewer.server_address[0] == "127.0.0.1"


def test_a_link_works_once_and_the_next_one_is_shown(site: Site, links: List[str]) -> None:
    link = site.viewer.guard.link
    path = link[link.index("/?") :]
    code, headers, _ = site.get(path)
    assert (code, headers["Location"]) == (303, "/"), "the token stays in no history"
    assert re.search("HttpOnly; SameSite=Strict", headers["Set-Cookie"])
    assert site.get(path)[0] == 403, "it is spent"
    (following,) = links
    assert following != link
    assert site.get(following[following.index("/?") :])[0] == 303
    assert len(links) == 2


def test_a_browser_that_is_in_may_open_the_spent_link_again(site: Site) -> None:
    path = "/?" + site.viewer.guard.link.partition("?")[2]
    site.cookie = site.get(path)[1]["Set-Cookie"].partition(";")[0]
    assert site.get(path)[0] == 303
    assert site.get("/")[0] == 200


@pytest.mark.parametrize("path", ["/", "/app.js", "/stream", "/skeletons.json", "/no", "/?token="])
@pytest.mark.parametrize("cookie", ["", "edge_view_1=x", "{name}=", "{name}=wrong", "{name}"])
def test_without_the_cookie_nothing_is_given(site: Site, path: str, cookie: str) -> None:
    site.cookie = cookie.format(name=f"edge_view_{site.port}")
    code, headers, body = site.get(path)
    assert code == 403
    assert "Set-Cookie" not in headers
    assert "链接" in body.decode()


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:9000", 200),
        ("localhost:1", 200),
        ("LocalHost", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:80", 421),
        ("[::1].evil.example", 421),
        ("", 421),
    ],
)
def test_a_foreign_name_for_loopback_reaches_nothing(site: Site, host: str, code: int) -> None:
    """DNS rebinding: the cookie alone is not enough."""
    site.enter()
    assert site.get("/", host)[0] == code


@pytest.mark.parametrize(
    ("kind", "code"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
)
def test_the_page_of_another_site_may_not_ask(site: Site, kind: str, code: int) -> None:
    """A page of another port of this machine has the same cookies."""
    site.enter()
    assert site.get("/app.js", Sec_Fetch_Site=kind)[0] == code


@pytest.mark.parametrize("path", ["/", "/app.js", "/app.css", "/icon.svg", "/skeletons.json", "/x"])
def test_every_answer_forbids_what_the_page_does_not_need(site: Site, path: str) -> None:
    site.enter()
    _, headers, _ = site.get(path)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*|data:|blob:", policy)
    for part in ("script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_all_files_of_the_page_are_there_and_nothing_comes_from_elsewhere(site: Site) -> None:
    site.enter()
    for file in PAGE.iterdir():
        code, headers, body = site.get(f"/{file.name}")
        assert (code, body) == (200, file.read_bytes())
        assert headers["Content-Type"].split(";")[0] in (
            *("text/html", "text/css", "text/javascript"),
            "image/svg+xml",
        )
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, f"{file.name} names another server"
        assert not re.search(r" style=|<script>|onclick=|innerHTML", text), "the policy forbids it"
    for name in re.findall(r'from "\./(\w+\.js)"', (PAGE / "app.js").read_text("utf-8")):
        assert (PAGE / name).is_file()
    assert json.loads(site.get("/skeletons.json")[2])["skeletons"]["wholebody133"]


@pytest.mark.parametrize("path", ["/../server.py", "//etc/passwd", "/page/app.js", "/replay?at=1"])
def test_only_files_of_the_page_are_given(site: Site, path: str) -> None:
    site.enter()
    assert site.get(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    site.enter()
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.request(method, "/", headers={"Cookie": site.cookie})
    assert connection.getresponse().status == 501
    connection.close()


def fill(board: Board, builder: Builder, n: int, camera: str = "door") -> None:
    for i in range(n):
        board.take(received(builder.frame(frame(camera, i + 1), people(3, (i % 100) / 100))))


def read_until(connection: socket.socket, end: bytes, found: Optional[bytearray] = None) -> bytes:
    found = bytearray() if found is None else found
    while end not in found:
        part = connection.recv(1 << 16)
        assert part, "the stream ended"
        found += part
    return bytes(found)


def test_a_slow_browser_misses_frames_and_costs_no_memory(site: Site) -> None:
    """It stops reading; then it gets what its buffers hold, and the newest frame."""
    site.enter()
    builder = Builder("hall")
    slow, quick = site.stream(), site.stream()
    with slow, quick:
        seen = bytearray()
        for i in range(60):  # 60 turns of about 100 kB would be 6 MB
            fill(site.viewer.board, builder, 5)
            for camera in range(8):
                fill(site.viewer.board, builder, 1, f"cam{camera}")
            read_until(quick, b'"seq":%d,' % (5 * i + 4), seen)
            seen.clear()
        fill(site.viewer.board, builder, 1, "last")
        told = read_until(slow, b"hall/last/frame")
        assert told.count(b"/door/frame") < 60, "the newest wins"
        assert b'"seq":299,' in told
        assert len(site.viewer.board._entries) == 10


def test_two_tabs_get_the_same_messages(site: Site) -> None:
    site.enter()
    fill(site.viewer.board, Builder("hall"), 1)
    with site.stream() as first, site.stream() as second:
        for tab in (first, second):
            assert b"text/event-stream" in read_until(tab, b"door/frame")


def test_connections_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 3)
    with Viewer(Board()) as viewer:
        site = Site(viewer)
        site.enter()
        streams: List[socket.socket] = []
        until(lambda: listens(site, streams) and len(streams) == 3, "three streams")
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            site.get("/")
        for stream in streams:
            stream.close()
        monkeypatch.setattr(server_module, "QUIET_S", 0.01)
        viewer.board.put("x", {})
        until(lambda: served(site), "room for another")


def listens(site: Site, streams: List[socket.socket]) -> bool:
    """Whether one more stream has begun; the request before it may hold its place for a moment."""
    stream = site.stream()
    try:
        read_until(stream, b"retry")
    except (AssertionError, ConnectionError):
        stream.close()
        return False
    streams.append(stream)
    return True


def served(site: Site) -> bool:
    site.viewer.board.put("x", {"n": 1})  # a stream notices at its next line that nobody reads
    try:
        return site.get("/")[0] == 200
    except (ConnectionError, http.client.HTTPException):
        return False


def test_it_ends_although_a_browser_listens(site: Site) -> None:
    site.enter()
    before = threading.active_count()
    with site.stream() as stream:
        read_until(stream, b"retry")
        site.viewer.ended.set()
        site.viewer.board.put("x", {})
        while stream.recv(1 << 16):
            pass
    assert threading.active_count() <= before + 1


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"--port {port}: Address already in use"):
            Viewer(Board(), port)


def test_a_port_of_root_is_named(monkeypatch: Any) -> None:
    def refuse(*given: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(http.server.ThreadingHTTPServer, "__init__", refuse)
    with pytest.raises(ConfigError, match="--port 80: only root"):
        Viewer(Board(), 80)


def test_a_mistake_of_ours_is_logged_and_the_next_request_is_served(
    monkeypatch: Any, caplog: Any
) -> None:
    def broken(at_s: float) -> bytes:
        raise RuntimeError("broken")

    with Viewer(Board(), chunk=broken) as viewer:
        site = Site(viewer)
        site.enter()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            site.get("/replay?at=1")
        until(lambda: "could not answer" in caplog.text)
        assert site.get("/")[0] == 200
        assert site.get("/replay?at=x")[0] == 400
