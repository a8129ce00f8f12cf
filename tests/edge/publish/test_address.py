"""Broker addresses: what they mean, and one clear line for each that means nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from edge.publish import parse as check_sink
from edge.publish._address import parse
from edge.settings.publishing import Mqtt

PLAIN = Mqtt()


@pytest.mark.parametrize(
    ("uri", "host", "port", "user", "name"),
    [
        ("mqtt://h", "h", 1883, None, "mqtt://h:1883"),
        ("mqtts://h", "h", 8883, None, "mqtts://h:8883"),
        ("mqtt://u@10.0.0.2:99/", "10.0.0.2", 99, "u", "mqtt://10.0.0.2:99"),
        ("mqtt://a%40b@[::1]:7", "::1", 7, "a@b", "mqtt://[::1]:7"),
        ("mqtt://[fe80::1%25eth0]", "fe80::1%eth0", 1883, None, "mqtt://[fe80::1%25eth0]:1883"),
        ("mqtt://[FE80::1%25Eth0]", "fe80::1%Eth0", 1883, None, "mqtt://[fe80::1%25Eth0]:1883"),
        ("mqtt://[fe80::1%eth0]", "fe80::1%eth0", 1883, None, "mqtt://[fe80::1%25eth0]:1883"),
    ],
)
def test_address(uri: str, host: str, port: int, user: str, name: str) -> None:
    broker = parse(uri, PLAIN)
    assert (broker.host, broker.port, broker.user, broker.name) == (host, port, user, name)
    assert (broker.tls is not None) == uri.startswith("mqtts:")


def test_options_in_the_address_override_the_section() -> None:
    broker = parse("mqtt://h?protocol=3.1.1&keepalive_s=30", Mqtt(reconnect_max_s=7.0))
    settings = broker.settings
    assert (settings.protocol, settings.keepalive_s) == ("3.1.1", 30)
    assert settings.reconnect_max_s == 7.0


def test_password_comes_from_its_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret word\n", encoding="utf-8")
    broker = parse(f"mqtt://u@h?password_file={file}", PLAIN)
    assert broker.password == "s3cret word"
    assert "s3cret" not in repr(broker) + str(broker) + broker.name


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"use mqtt\.password_file") as caught:
        parse("mqtt://u:s3cret@h", PLAIN)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("mqtt:", "expected mqtt://HOST or mqtt://HOST:1883"),
        ("mqtt://", "expected mqtt://HOST or mqtt://HOST:1883"),
        ("mqtt://:1883", "expected mqtt://HOST or mqtt://HOST:1883"),
        ("mqtt://h:0", "expected mqtt://HOST or mqtt://HOST:1883"),
        ("mqtt://h:99999", "out of range"),
        ("mqtt://h:abc", "no such address"),
        ("mqtt://[::1", "no such address"),
        ("mqtt://h/topic", "nothing may follow the port"),
        ("mqtt://h#x", "nothing may follow the port"),
        ("mqtt://h?protocl=5", "did you mean 'protocol'"),
        ("mqtt://h?protocol=4", "use auto, 5, 3.1.1"),
        ("mqtt://h?keepalive_s=soon", "expected a number, got 'soon'"),
        ("mqtt://h?keepalive_s=1", "below the smallest allowed value"),
    ],
)
def test_a_wrong_address_is_one_line(uri: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(uri, PLAIN)
    assert line in str(caught.value)
    assert str(caught.value).startswith("sink mqtt")


@pytest.mark.parametrize(
    ("query", "kind", "line"),
    [
        ("password_file=GONE", NoInputError, "mqtt.password_file GONE: No such file"),
        ("password_file=NOTEXT", DataError, "NOTEXT: is no text"),
        ("ca_file=GONE", NoInputError, "mqtt.ca_file GONE: no such file"),
        ("cert_file=GARBAGE", ConfigError, "cert_file and mqtt.key_file go together"),
        ("cert_file=GARBAGE&key_file=GARBAGE", DataError, "mqtt.key_file GARBAGE: are no "),
        ("ca_file=GARBAGE", DataError, "mqtt.ca_file GARBAGE: is no certificate"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, query: str, kind: type, line: str) -> None:
    contents: Dict[str, bytes] = {"GARBAGE": b"no certificate\n", "NOTEXT": b"\xff\xfe\xfa"}
    for name in ("GONE", "GARBAGE", "NOTEXT"):
        if name in contents:
            (tmp_path / name).write_bytes(contents[name])
        query = query.replace(name, str(tmp_path / name))
        line = line.replace(name, str(tmp_path / name))
    with pytest.raises(kind) as caught:
        parse(f"mqtts://u@h?{query}", PLAIN)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_without_a_user_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("x", encoding="utf-8")
    with pytest.raises(EdgeError, match="a password needs a user"):
        parse("mqtt://h", Mqtt(password_file=str(tmp_path / "p")))


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("broker", "did you mean mqtt://broker ?"),
        ("192.168.1.5", "did you mean mqtt://192.168.1.5 ?"),
        ("h:1883", "did you mean mqtt://h:1883 ?"),
        ("h:8883", "did you mean mqtts://h:8883 ?"),
        ("tcp://h:1883", "did you mean mqtt://h:1883 ?"),
        ("ssl://h:8883", "did you mean mqtts://h:8883 ?"),
        ("mqtt+ssl://h", "did you mean mqtts://h ?"),
        ("MQTT://h", "did you mean mqtt://h ?"),
        ("mqtt:h", "did you mean mqtt://h ?"),
        ("mqtts:/u@h:1", "did you mean mqtts://***@h:1 ?"),
        (" mqtt://h", "did you mean mqtt://h ?"),
        (
            "ws://h:9001/mqtt",
            "websockets is not spoken; use the broker's port for MQTT: mqtt://HOST",
        ),
        ("mqtt://::1:1883", "an IPv6 address stands in brackets: mqtt://[::1]:1883"),
        ("mqtt://a b", "no host is called 'a b'"),
        ("mqtt://h;", "no host is called 'h;'"),
        ("out.jsonl", "did you mean jsonl:out.jsonl ?"),
        ("-", "did you mean jsonl:- ?"),
        ("file:///tmp/x", "did you mean jsonl:/tmp/x ?"),
        ("amqp://h", "there are: gpio, https, jsonl, mqtt, prometheus"),
        ("", "expected SCHEME:..., one of: gpio:, https:, jsonl:, mqtt:"),
        ("tcp://user:s3cr3t@h", "did you mean mqtt://***@h ?"),
        ("user:s3cr3t@h", "did you mean mqtt://***@h ?"),
    ],
)
def test_the_answer_gives_the_address_to_type(typed: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_sink(typed)
    assert line in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
