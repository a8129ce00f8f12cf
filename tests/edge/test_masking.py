"""No spelling of a camera's or broker's password is shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture import parse
from edge.errors import ConfigError, EdgeError
from edge.masking import masked, masked_uri
from edge.service.logs import as_json, journal, plain
from edge.settings import config

SECRET = "s3cr3tPW"
SPELLINGS = [
    f"rtsp://admin:{SECRET}@10.0.0.5/x",
    f"rtsp://10.0.0.5/x?user=admin&password={SECRET}",
    f"rtsp://10.0.0.5/user=admin&psw={SECRET}&channel=1",
    f"rtsp://10.0.0.5/user=admin_password={SECRET}_channel=1",
    f"rtsp://admin:{SECRET}/x@10.0.0.5/x",
    f"rtsp://admin:12/{SECRET}@10.0.0.5/x",
    f"rtsp://admin:a?{SECRET}@10.0.0.5/x",
    f"rtsp://admin:a#{SECRET}@10.0.0.5/x",
    f"rtsp://10.0.0.5/x?auth={SECRET}",
    f"rtsp://10.0.0.5/x?loginuse=admin&loginpas={SECRET}",
    f"rtsp://10.0.0.5/x?{SECRET}",
    f"rtsp://10.0.0.5/x?a=1&{SECRET}",
    f"rtsp://10.0.0.5/x;auth={SECRET}/y",
    f"rtsp://10.0.0.5/x#token={SECRET}",
    f"rtsp://admin:{SECRET}@10.0.0.5:99999/x",
    f"RTSP://admin:{SECRET}@10.0.0.5/x",
    f"rstp://admin:{SECRET}@10.0.0.5/x",
    f"http://10.0.0.5/{SECRET}:{SECRET}@video.cgi",
    f"v4l2://admin:{SECRET}@h/x",
    f"mqtts://user:{SECRET}@broker",
    f"mqtt://broker?password={SECRET}",
    f"prometheus://u:{SECRET}@1.2.3.4",
    f"rtsp://admin:{SECRET}",
    f"rtsp://[fe80::1]/x?k={SECRET}",
]


@pytest.mark.parametrize("uri", SPELLINGS)
def test_a_secret_is_masked_in_an_address_and_in_any_text(uri: str) -> None:
    assert SECRET not in masked_uri(uri)
    for text in (uri, f"camera {uri}: no answer", f"{uri!r}", f"[{uri}]", f"{{'source': {uri!r}}}"):
        assert SECRET not in masked(text)
    assert SECRET not in str(EdgeError(f"camera: {uri}: refused"))
    assert SECRET not in parse(uri).uri


@pytest.mark.parametrize("uri", SPELLINGS)
def test_no_log_line_and_no_configuration_shows_it(uri: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s: gone", (uri,), None)
    for form in (plain, journal, as_json):
        assert SECRET not in form(record)
    table = {"cameras": [{"source": uri}], "publish": {"sinks": [uri]}}
    assert SECRET not in config.show(config.build(config.Config, table, "test"))


@pytest.mark.parametrize("mark", list(" '\"<>|`\u00a0\n\t\\#"))
def test_a_password_of_odd_characters_is_not_in_the_shown_configuration(mark: str) -> None:
    for scheme in ("rtsp://", "mqtt://", "rtsp ://"):
        uri = f"{scheme}admin:a{mark}{SECRET}@10.0.0.5/x"
        table = {"cameras": [{"source": uri}], "publish": {"sinks": [uri]}}
        shown = config.show(config.build(config.Config, table, "test"))
        assert SECRET not in shown, uri


@pytest.mark.parametrize("uri", ["{}@10.0.0.5/x", "rtsp:/{}@10.0.0.5/x", "https:/{}@h/m"])
def test_user_and_password_are_masked_without_a_whole_scheme(uri: str) -> None:
    wrong = uri.format(f"admin:{SECRET}")
    for text in (wrong, f"models.dir: {wrong}: no such folder", f"{wrong!r}", f"[{wrong}]"):
        assert SECRET not in masked(text)
        assert masked(text).endswith(text[text.index("@") + 1 :])
    with pytest.raises(ConfigError) as raised:
        parse(wrong)
    assert SECRET not in str(raised.value)
    table = {"cameras": [{"source": wrong}], "publish": {"sinks": [wrong]}}
    assert SECRET not in config.show(config.build(config.Config, table, "test"))


@pytest.mark.parametrize(
    "table",
    [
        'cameras = ["URI"]',
        '[[cameras]]\nsource = ["URI"]',
        '[cameras]\nsource = "URI"',
        '[[cameras]]\nsource = {url = "URI"}',
        '[publish]\nsinks = [["URI"]]',
        '[publish]\nsinks = "URI"',
        'device = "URI"',
    ],
)
def test_a_table_of_the_wrong_shape_is_refused_without_it(tmp_path: Path, table: str) -> None:
    file = tmp_path / "edge.toml"
    for password in (SECRET, f"{SECRET} {SECRET}", f"a{SECRET}'{SECRET}"):
        file.write_text(
            table.replace("URI", f"rtsp://admin:{password}@10.0.0.5/x"), encoding="utf-8"
        )
        with pytest.raises(ConfigError) as raised:
            config.load(file)
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "file:///videos/name=1@home.mp4?rate=max",
        "v4l2:///dev/video0?width=1280&format=YUYV",
        "synthetic://walk?people=3",
        "rtsp://10.0.0.5:554/stream1",
        "mqtts://broker.local:8883 refused the connection; is mqtt.ca_file right?",
        "rtsp://[fe80::1%eth0]:554/stream1",
        "no address here: a=b, c@d",
        "see jsonl:-",
        "at 10:30 mail to a@b.c: sent; x: y@z",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_the_camera_can_still_be_told_apart() -> None:
    assert (
        masked_uri("rtsp://u:p@10.0.0.5:554/live/2?t=3") == "rtsp://***@10.0.0.5:554/live/2?t=***"
    )


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1))
def test_no_password_as_user_info_survives(password: str) -> None:
    shown = masked_uri(f"rtsp://admin:{password}@10.0.0.5/x")
    assert shown.endswith("***@10.0.0.5/x")
    assert shown == "rtsp://***@10.0.0.5/x" or "@" not in shown[: -len("@10.0.0.5/x")]
