"""ONVIF cameras are found and asked, in bounded time, whatever answers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import pytest

from edge.__main__ import main
from edge.doctor import find_cameras
from edge.doctor._onvif import discovery, xml
from edge.doctor._onvif.device import Camera, Login
from edge.doctor.find_cameras import find, login_of
from edge.errors import ConfigError, DataError, NoInputError, TempError

MATCH = """<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="e" xmlns:wsa="a" xmlns:d="d">
<SOAP-ENV:Header><wsa:RelatesTo>{id}</wsa:RelatesTo></SOAP-ENV:Header><SOAP-ENV:Body>
<d:ProbeMatches><d:ProbeMatch><d:Scopes>onvif://www.onvif.org/type/video_encoder
onvif://www.onvif.org/name/Front%20door onvif://www.onvif.org/hardware/P3245</d:Scopes>
<d:XAddrs>{xaddrs}</d:XAddrs></d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>"""
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;">]>'
    "<b>&c;</b>"
)
LISTEN_S = 1.0


class Box:
    """A camera on 127.0.0.1: answers probes by UDP and SOAP by HTTP."""

    password = "s3cret&<word"

    def __init__(self) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        handler = type("Handler", (_Soap,), {"box": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.service = f"http://127.0.0.1:{self.http.server_port}/onvif/device_service"
        self.xaddrs = f"http://192.0.2.9/evil {self.service}"
        self.answers: Callable[[str], List[bytes]] = lambda identity: [
            MATCH.format(id=identity, xaddrs=self.xaddrs).encode()
        ]
        self.streams = {"main": "rtsp://127.0.0.1:554/s?a=1&amp;b=2", "sub": "rtsp://127.0.0.1/sub"}
        self.bodies: List[str] = []
        self.probes = 0
        self.clock: Callable[[], time.struct_time] = time.gmtime
        self.status = 200
        self.raw: Optional[bytes] = None
        threading.Thread(target=self._probes, daemon=True).start()
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def to(self) -> Any:
        return self.udp.getsockname()

    def _probes(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, sender = self.udp.recvfrom(65535)
                self.probes += 1
                identity = xml.parse(data).first("MessageID")
                for answer in self.answers(identity):
                    self.udp.sendto(answer, sender)

    def close(self) -> None:
        self.udp.close()
        self.http.shutdown()
        self.http.server_close()

    def lets_in(self, body: str) -> bool:
        parts = {n: re.search(f"<{n}[^>]*>([^<]*)</{n}>", body) for n in ("Password", "Nonce")}
        created = re.search("<Created[^>]*>([^<]*)</Created>", body)
        if not created or not all(parts.values()) or "<Username>viewer</Username>" not in body:
            return False
        password, nonce = (m[1] for m in parts.values() if m)
        made = hashlib.sha1(
            base64.b64decode(nonce) + created[1].encode() + self.password.encode()
        ).digest()
        known = created[1][:13] == time.strftime("%Y-%m-%dT%H", self.clock())
        return known and base64.b64encode(made).decode() == password


class _Soap(http.server.BaseHTTPRequestHandler):
    box: Box

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        box = self.box
        box.bodies.append(body)
        if box.raw is not None:
            self.wfile.write(box.raw)
            return
        if "GetSystemDateAndTime" in body:
            t = box.clock()
            inner = (
                f"<UTCDateTime><Time><Hour>{t.tm_hour}</Hour><Minute>{t.tm_min}</Minute><Second>"
                f"{t.tm_sec}</Second></Time><Date><Year>{t.tm_year}</Year><Month>{t.tm_mon}</Month>"
                f"<Day>{t.tm_mday}</Day></Date></UTCDateTime>"
            )
        elif not box.lets_in(body):
            self._give(400, "<Fault><Code>ter:NotAuthorized</Code></Fault>")
            return
        elif "GetCapabilities" in body:
            inner = f"<Media><XAddr>{box.service}/media</XAddr></Media>"
        elif "GetProfiles" in body:
            inner = "".join(
                f'<Profiles token="{name}"><Resolution><Width>{w}</Width><Height>{h}</Height>'
                "</Resolution></Profiles>"
                for name, w, h in (("sub", 640, 360), ("main", 1920, 1080))
            )
        else:
            (name,) = re.findall("<ProfileToken>(.*?)</ProfileToken>", body)
            inner = f"<MediaUri><Uri>{box.streams[name]}</Uri></MediaUri>"
        self._give(box.status, inner)

    def _give(self, status: int, inner: str) -> None:
        data = f'<E xmlns="x"><Body>{inner}</Body></E>'.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.close()


@pytest.fixture
def login() -> Login:
    return Login("viewer", Box.password)


def test_a_camera_is_found_with_its_name(box: Box) -> None:
    (found,) = find(None, LISTEN_S, box.to)
    assert found.state == "ok"
    assert found.what == "camera at 127.0.0.1"
    assert found.found.startswith("Front door P3245; edge doctor --find-cameras --login USER")
    assert box.probes >= 2, "UDP loses packets"
    assert not box.bodies, "nothing is asked without a login"


def test_its_streams_are_told_the_largest_first(box: Box, login: Login) -> None:
    found = find(login, LISTEN_S, box.to)
    assert [f.found for f in found] == [
        "Front door P3245: rtsp://viewer@127.0.0.1:554/s?a=1&b=2 1920x1080",
        "Front door P3245: rtsp://viewer@127.0.0.1/sub 640x360",
    ]
    assert not [body for body in box.bodies if "s3cret" in body]


def test_the_login_uses_the_cameras_clock(box: Box, login: Login) -> None:
    box.clock = lambda: time.gmtime(time.time() - 3 * 86400)
    assert len(find(login, LISTEN_S, box.to)) == 2


def test_a_wrong_password_is_told(box: Box) -> None:
    (found,) = find(Login("viewer", "other"), LISTEN_S, box.to)
    assert found.state == "warn"
    assert "wants a login" in found.found


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no xml",
        b"<a/>",
        BOMB.encode(),
        b"<a>" * 2000,
        b"\xff\xfe\x00",
        MATCH.format(id="uuid:other", xaddrs="http://127.0.0.1/").encode(),
    ],
)
def test_what_is_no_answer_finds_nobody(box: Box, answer: bytes) -> None:
    box.answers = lambda identity: [answer]
    (found,) = find(None, 0.2, box.to)
    assert (found.what, found.state) == ("ONVIF cameras", "warn")


def test_good_and_bad_answers_are_told_apart(box: Box) -> None:
    good = box.answers
    box.answers = lambda identity: [b"junk", BOMB.encode(), *good(identity), *good(identity)]
    assert len(find(None, LISTEN_S, box.to)) == 1


@pytest.mark.parametrize(
    "xaddrs", ["", "http://192.0.2.9/x", "ftp://127.0.0.1/x", "http://127.0.0.1:x/", "http://[::1"]
)
def test_no_login_is_sent_to_another_address(box: Box, login: Login, xaddrs: str) -> None:
    box.xaddrs = xaddrs
    (found,) = find(login, LISTEN_S, box.to)
    assert "names no service at its own address" in found.found
    assert not box.bodies


def test_streams_elsewhere_are_not_told(box: Box, login: Login) -> None:
    box.streams = {"main": "rtsp://192.0.2.9/x", "sub": "file:///etc/passwd"}
    (found,) = find(login, LISTEN_S, box.to)
    assert found.found.endswith("names no stream")


def test_a_login_in_a_stream_is_not_told(box: Box, login: Login) -> None:
    box.streams = {"main": "rtsp://a:verysecret@127.0.0.1/x", "sub": "rtsp://127.0.0.1/x"}
    (found,) = find(login, LISTEN_S, box.to)
    assert found.found.startswith("Front door P3245: rtsp://viewer@127.0.0.1/x ")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + BOMB.encode(),
        b"HTTP/1.1 302 F\r\nLocation: /x\r\n\r\n",
        b"junk",
    ],
)
def test_a_camera_that_answers_nonsense_is_told(box: Box, login: Login, raw: bytes) -> None:
    box.raw = raw
    (found,) = find(login, LISTEN_S, box.to)
    assert found.state == "warn"


def test_an_answer_without_an_end_is_cut(
    box: Box, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.doctor._onvif.device.WHOLE_S", 0.5)
    box.raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1000

    def slow(handler: Any) -> None:
        handler.wfile.write(box.raw)
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"x")
                time.sleep(0.05)

    box.http.RequestHandlerClass.do_POST = slow  # type: ignore[attr-defined]
    with pytest.raises((TempError, DataError)):
        Camera(box.service, login).streams()


def test_xml_is_bounded() -> None:
    assert xml.parse(b"<a><b>x</b></a>").first("b") == "x"
    for bad in (b"<a>" + b"<b/>" * 6000 + b"</a>", b"<a>" + b" " * (1 << 18) + b"</a>"):
        with pytest.raises(DataError):
            xml.parse(bad)
    with pytest.raises(DataError, match="document type"):
        xml.parse(b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>')


def test_probes_leave_through_each_interface() -> None:
    assert "127.0.0.1" in discovery._addresses()


def test_the_command(
    box: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    secret = tmp_path / "p"
    secret.write_text(Box.password + "\n", encoding="utf-8")
    monkeypatch.setattr(find_cameras, "find", lambda login, f=find: f(login, LISTEN_S, box.to))
    words = ["doctor", "--find-cameras", "--login", "viewer", "--password-file", str(secret)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["findings"]
    assert len(found) == 2
    assert main(["doctor", "--login", "x", "--password-file", str(secret)]) == 78
    assert main(["doctor", "--find-cameras", "--login", "x"]) == 78


def test_logins_of_the_command_line(tmp_path: Path) -> None:
    assert login_of(None, None) is None
    with pytest.raises(ConfigError):
        login_of(None, tmp_path)
    with pytest.raises(NoInputError):
        login_of("x", tmp_path / "none")
