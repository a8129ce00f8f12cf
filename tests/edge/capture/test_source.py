from __future__ import annotations

import pytest

from edge.capture import CAMERA, PLAYBACK, RECORDING, CaptureOptions, kind, open_source, parse
from edge.errors import ConfigError


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://u:p@host/live", "rtsp://***@host/live"),
        ("rtsp://u:p@ss@host/live", "rtsp://***@host/live"),
        ("rtsp://u:p/a@ss/@host:554/live", "rtsp://***@host:554/live"),
        ("rtsp://u:p?q@host/live", "rtsp://***@host/live"),
        ("rtsp://u:p#q@host/live", "rtsp://***@host/live"),
        ("rtsp://u@host/live", "rtsp://***@host/live"),
        ("rtsp://host:554/live@1", "rtsp://***@1"),
        ("rtsp://host/live@1", "rtsp://***@1"),
        ("rtsp://[::1]:554/live", "rtsp://[::1]:554/live"),
        ("rtsp://host/x?user=a&password=b%20c&ch=1", "rtsp://host/x?user=***&password=***&ch=***"),
        (
            "rtsp://host/user=admin_password=tl_ch=1.sdp",
            "rtsp://host/user=***",
        ),
        ("rtsp://host/x?PWD=secret", "rtsp://host/x?PWD=***"),
        ("RTSP://u:p@host/", "rtsp://***@host/"),
        ("file://me@home:1.mp4?loop=1", "file://me@home:1.mp4?loop=1"),
    ],
)
def test_password_is_never_shown(uri: str, shown: str) -> None:
    address = parse(uri)
    assert address.uri == shown
    assert address.secret_uri == uri


def test_address_is_taken_apart() -> None:
    address = parse("file:///a%20b/c%3Fd.mp4?loop=1&rate=")
    assert address.scheme == "file"
    assert address.path == "/a b/c?d.mp4"
    assert address.query == {"loop": "1", "rate": ""}


@pytest.mark.parametrize("uri", ["", "clip.mp4", "://x", "file:/x", "u:secret@host"])
def test_uri_without_scheme_is_told_the_schemes(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"expected scheme://.*file.*rtsp") as caught:
        parse(uri)
    assert "secret" not in str(caught.value)


def test_unknown_scheme_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'rtsp'"):
        open_source("rtspx://host", CaptureOptions())


def test_unknown_option_is_told_the_options() -> None:
    with pytest.raises(ConfigError, match="unknown option 'lop'; there are: loop, rate"):
        parse("file://x?lop=1").only("loop", "rate")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("file://x.mp4", RECORDING),
        ("file://x.mp4?rate=max", RECORDING),
        ("file://x.mp4?rate=native", PLAYBACK),
        ("rtsp://host/live", CAMERA),
        ("csi://0", CAMERA),
        ("v4l2:///dev/video0", CAMERA),
    ],
)
def test_kind_is_known_before_opening(uri: str, expected: str) -> None:
    assert kind(uri) == expected


def test_kind_refuses_a_wrong_option() -> None:
    with pytest.raises(ConfigError, match="rate=fast"):
        kind("file://x.mp4?rate=fast")
