"""http:// and https:// against a camera written by hand, in real decoder processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator, List

import numpy as np
import pytest

from edge.capture import CaptureOptions, Ring, kind, open_source
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
    with pytest.raises(TempError, match="wants a user and a password; write"):
        open_source(one.url + "/video", OPTIONS)


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


def test_tls_without_and_with_a_check_of_the_certificate(
    camera: Callable, certificate: Path
) -> None:
    one = camera(certificate=certificate)
    assert len(sizes(f"{one.url}/video", 2)) == 2
    with pytest.raises(TempError, match=r"TLS with 127.*tls_verify=0"):
        open_source(f"{one.url}/video?tls_verify=1", OPTIONS)
    plain = one.url.replace("https", "http")
    with pytest.raises(TempError):
        open_source(f"{plain}/video", OPTIONS)


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
