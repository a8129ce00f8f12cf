"""http:// and https:// against a camera written by hand, in real decoder processes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator, List

import numpy as np
import pytest

from edge.capture import CaptureOptions, Ring, kind, open_source
from edge.capture._decoder import http_tls
from edge.capture._decoder.http_login import authorization
from edge.errors import ConfigError, EdgeError, TempError
from tests.http_by_hand import HttpCamera, jpeg

OPTIONS = CaptureOptions(timeout_s=5.0)


@pytest.fixture
def camera() -> Iterator[Callable[..., HttpCamera]]:
    made: List[HttpCamera] = []

    def make(**more: object) -> HttpCamera:
        made.append(HttpCamera(**more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def sizes(uri: str, count: int, options: CaptureOptions = OPTIONS) -> List[tuple]:
    """Shape and grey level of the next frames."""
    source, ring = open_source(uri, options), Ring(3, live=True)
    found: List[Any] = []
    try:
        while len(found) < count:
            slot = source.read(ring)
            assert slot is not None
            found.append((slot.image.shape, int(slot.image[5, 5, 0]), slot.index, slot.copies))
            ring.publish(slot)
    finally:
        source.close()
    return found


@pytest.mark.parametrize("path", ["video", "dashes", "bare", "nolength", "shot.jpg", "moved"])
@pytest.mark.parametrize("login", ["", "basic", "digest"])
def test_every_dialect_gives_frames(camera: Callable, path: str, login: str) -> None:
    one = camera(login=login)
    url = one.user_url if login else one.url
    assert sizes(f"{url}/{path}?poll_hz=60", 4) == [((240, 320, 3), 90, i, 1) for i in range(4)]


def test_the_camera_gets_its_own_query(camera: Callable) -> None:
    one = camera()
    sizes(f"{one.url}/shot.jpg?fps=9&poll_hz=50&res=%20x", 1)
    assert one.requests[0] == "/shot.jpg?fps=9&res=%20x"


def test_a_change_of_size_is_followed(camera: Callable) -> None:
    one = camera()
    one.pictures = [jpeg(np.full((h, w, 3), 50, np.uint8)) for h, w in ((240, 320), (96, 128))]
    found = sizes(f"{one.url}/video", 8)
    assert {f[0] for f in found} == {(240, 320, 3), (96, 128, 3)}
    assert {f[1] for f in found} == {50}


def test_the_password_goes_to_its_own_host_only(camera: Callable) -> None:
    first, other = camera(), camera(login="basic")
    first.elsewhere = f"{other.url}/video"
    with pytest.raises(TempError, match="wants a user and a password"):
        open_source(f"{first.user_url}/away", OPTIONS)
    assert other.logins
    assert set(other.logins) == {""}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none", "no such page"),
        ("loop", "redirects without end"),
        ("file", "redirects to an address that is not http"),
        ("page", "gives a web page; open it in a browser"),
        ("hls", r"gives HLS or DASH.*use the camera's rtsp:// address"),
        ("mp4", "gives video/mp4; use the address of its MJPEG stream"),
        ("headers", "does not speak HTTP"),
        ("line", "does not speak HTTP"),
        ("partheaders", "headers without end"),
        ("hugepart", "more than 32 MB"),
        ("endlesspart", "more than 32 MB"),
        ("noise", "has no parts"),
        ("nojpeg", "sends no JPEG pictures"),
        ("silence", "no answer from|no picture in time"),
        ("drip", "no picture in time|does not speak HTTP"),
        ("short", "the stream ended in a picture"),
    ],
)
def test_each_fault_is_one_line(camera: Callable, path: str, words: str) -> None:
    one = camera()
    with pytest.raises(EdgeError, match=words) as caught:
        open_source(f"{one.user_url}/{path}", CaptureOptions(timeout_s=1.5))
    assert str(caught.value).isprintable()
    assert "word" not in str(caught.value).replace("password", "")
    assert len(one.requests) <= 6


def test_wrong_login_and_missing_login_are_told(camera: Callable) -> None:
    one = camera(login="digest")
    with pytest.raises(TempError, match="refuses the user or the password"):
        open_source(one.url.replace("://", "://viewer:wrong@") + "/video", OPTIONS)
    for address in (one.url, one.url.replace("://", "://viewer@")):
        with pytest.raises(TempError, match="wants a user and a password: write"):
            open_source(address + "/video", OPTIONS)


def test_nobody_listens(camera: Callable) -> None:
    one = camera()
    one.close()
    with pytest.raises(TempError, match=r"nothing listens on 127\.0\.0\.1"):
        open_source(one.url + "/video", OPTIONS)


def test_too_large_a_picture_is_refused_by_its_header(camera: Callable) -> None:
    one = camera()
    with pytest.raises(EdgeError, match=r"320x240 pixels.*max_megapixels = 0\.01"):
        open_source(f"{one.url}/video", CaptureOptions(timeout_s=5.0, max_megapixels=0.01))


def test_damaged_pictures_are_skipped(camera: Callable) -> None:
    one = camera()
    whole = one.pictures[0]
    one.pictures = [whole, whole[: len(whole) // 2], b"", b"\xff\xd8\xff\xd9"]
    assert sizes(f"{one.url}/video", 4)[-1][2] == 3


def sha256(certificate: Path) -> str:
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(certificate)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout.strip()[-95:]


@pytest.mark.parametrize("query", ["", "?tls_verify=1", "?poll_hz=5"])
def test_a_certificate_that_nobody_signed_is_refused_before_the_login(
    camera: Callable, certificate: Path, query: str
) -> None:
    """By default, too. The line tells the two ways on, and nothing was sent to the camera."""
    one = camera(certificate=certificate, login="basic")
    with pytest.raises(TempError, match=r"is not trusted \(self.signed certificate\)") as caught:
        open_source(f"{one.user_url}/video{query}", OPTIONS)
    pinned = sha256(certificate).replace(":", "").lower()
    assert f"add tls_sha256={pinned} to its address, or tls_verify=0" in str(caught.value)
    assert one.requests == []


def test_a_certificate_may_be_pinned_or_not_checked(camera: Callable, certificate: Path) -> None:
    one = camera(certificate=certificate, login="digest")
    plain, colons = sha256(certificate).replace(":", "").lower(), sha256(certificate)
    for query in ("tls_verify=0", f"tls_sha256={plain}", f"tls_sha256={colons}&poll_hz=9"):
        assert len(sizes(f"{one.user_url}/video?{query}", 2)) == 2
    assert set(one.requests) == {"/video"}, "the options are ours"


def test_another_certificate_than_the_pinned_one_is_refused_before_the_login(
    camera: Callable, certificate: Path
) -> None:
    one = camera(certificate=certificate, login="basic")
    with pytest.raises(TempError, match="has another certificate than tls_sha256 says"):
        open_source(f"{one.user_url}/video?tls_sha256={'0' * 64}", OPTIONS)
    assert one.requests == []


def test_a_certificate_of_a_trusted_authority_is_accepted_for_its_name_only(
    camera: Callable, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private authority may be put into the machine's store."""
    one = camera(certificate=certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    port = one.url.rpartition(":")[2]
    named = http_tls.connect("localhost", int(port), 5.0, http_tls.ANY_AUTHORITY)
    named.close()
    with pytest.raises(TempError, match=r"is not trusted \(.*mismatch.*127\.0\.0\.1"):
        http_tls.connect("127.0.0.1", int(port), 5.0, http_tls.ANY_AUTHORITY)


def test_a_redirect_to_another_host_needs_a_trusted_certificate_too(
    camera: Callable, certificate: Path
) -> None:
    first, other = camera(), camera(certificate=certificate)
    first.elsewhere = f"{other.url}/video"
    with pytest.raises(TempError, match="is not trusted"):
        open_source(f"{first.url}/away", OPTIONS)
    assert other.requests == []


def test_tls_where_there_is_none_and_none_where_there_is(
    camera: Callable, certificate: Path
) -> None:
    one, plain = camera(certificate=certificate), camera()
    with pytest.raises(TempError):
        open_source(f"{one.url.replace('https', 'http')}/video", OPTIONS)
    with pytest.raises(TempError, match=r"TLS with 127.*fails.*is it http://\?"):
        open_source(f"{plain.url.replace('http', 'https')}/video", OPTIONS)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http:///video", "expected http://HOST:8080/PATH"),
        ("https://h:port/video", "expected https://HOST:8080/PATH"),
        ("http://u:pa#ss@h/video", "%23 for #"),
        ("http://h/a\r\nX: b", "expected http://HOST"),
        ("http://h/live.m3u8", "HLS and DASH are not read.*rtsp://"),
        ("http://h/v?poll_hz=0", "poll_hz=0"),
        ("https://h/v?tls_verify=no", "tls_verify=no"),
        ("https://h/v?tls_sha256=", "tls_sha256: expected 64 hexadecimal digits"),
        ("https://h/v?tls_sha256=AB:CD", "openssl x509 -noout -fingerprint -sha256"),
        (f"https://h/v?tls_sha256={'g' * 64}", "64 hexadecimal digits"),
        (f"https://h/v?tls_sha256={'a' * 64}&tls_verify=0", "contradict each other"),
    ],
)
def test_wrong_address_or_option_is_named(uri: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        kind(uri)


def test_digest_is_the_standard_s_example() -> None:
    """RFC 2617, section 3.5, without qop as in RFC 2069."""
    asked = ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"']
    told = authorization(asked, ("Mufasa", "Circle Of Life"), "GET", "/dir/index.html")
    assert told is not None
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in told
    assert authorization(["Negotiate x"], ("a", "b"), "GET", "/") is None
    basic = authorization(["Digest qop=auth-int,nonce=a", "Basic"], ("a", "b"), "GET", "/")
    assert basic == "Basic YTpi"
