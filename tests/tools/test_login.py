"""Options for TLS and login of the commands that talk to a broker."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from edge.errors import ConfigError, EdgeError, UnavailableError
from edge.settings.publishing import Mqtt
from tests.faults.hand_broker import HandBroker
from tools import command, listen, replay
from tools.mqtt import login
from tools.mqtt.subscriber import Subscriber

# paho drops its socket without closing it where a broker ends the connection early.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ROOT = Path(__file__).resolve().parents[2]


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    login.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("module", [listen, command, replay])
def test_help_lists_the_options_and_no_option_takes_a_password(module: Any) -> None:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    text = parser.format_help()
    for option in ("--ca", "--cert", "--cert-key", "--user", "--password-file"):
        assert option in text
    assert "--password " not in text


@pytest.mark.parametrize("name", ["subscriber.py", "consumer.py"])
def test_the_examples_list_them_as_well(name: str) -> None:
    command = [sys.executable, str(ROOT / "examples" / name), "--help"]
    text = subprocess.run(
        command, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout
    for option in ("--tls", "--ca", "--cert", "--cert-key", "--user", "--password-file"):
        assert option in text


@pytest.mark.parametrize(
    ("uri", "words", "line"),
    [
        ("mqtt://bob:secret@h", [], "other users of this machine can read it"),
        ("mqtts://bob:@h", [], "no password in the address"),
        ("mqtt://h", ["--ca", "f"], "--ca: only with mqtts://"),
        ("mqtt://h", ["--cert-key", "f"], "--cert-key: only with mqtts://"),
        ("mqtt://bob@h", ["--user", "eve"], "has a user already"),
        ("mqtt://h", ["--password-file", "/nowhere/f"], "/nowhere/f"),
        ("mqtts://h", ["--ca", "/nowhere/f"], "/nowhere/f: no such file"),
        ("mqtts://h", ["--cert", __file__], "go together"),
        ("http://h", [], "expected http://HOST"),
        ("mqtt://[h", [], "no such address"),
    ],
)
def test_what_cannot_work_is_one_line(uri: str, words: List[str], line: str) -> None:
    with pytest.raises(EdgeError) as caught:
        login.broker(uri, options(*words))
    assert line in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_options_are_those_of_the_section(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("s3cret\n", encoding="utf-8")
    words = ["--user", "a b@c", "--password-file", str(tmp_path / "p")]
    broker = login.broker("mqtt://host:99?protocol=3.1.1", options(*words))
    assert (broker.user, broker.password, broker.port) == ("a b@c", "s3cret", 99)
    assert broker.settings.protocol == "3.1.1"
    before = Mqtt(ca_file="kept", keepalive_s=7)
    after = login.settings(options("--cert", "c"), before)
    assert (after.ca_file, after.cert_file, after.keepalive_s) == ("kept", "c", 7)
    assert login.address("jsonl:-", options("--user", "x")) == "jsonl:-"


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize(
    ("speaks", "protocol", "heard"),
    [
        ("5", "auto", "5"),
        ("3.1.1", "auto", "3.1.1"),
        ("3.1.1", "3.1.1", "3.1.1"),
        ("3.1.1", "5", ""),
        ("5", "3.1.1", ""),
    ],
)
def test_a_listener_speaks_what_the_broker_speaks(
    speaks: str, protocol: str, heard: str, refuses: bool
) -> None:
    with HandBroker() as hand:
        hand.speaks, hand.refuses = (speaks,), refuses
        listener = Subscriber(login.broker(f"{hand.uri}?protocol={protocol}", options()))
        if heard:
            with listener:
                assert hand.accepted == [heard]
                assert listener.v5 == (heard == "5")
        else:
            with pytest.raises(UnavailableError, match=r"protocol=5|mqtts://"), listener:
                pass


def test_a_slow_answer_is_waited_for() -> None:
    with HandBroker() as hand:
        hand.answer_s = 6.0
        with Subscriber(login.broker(hand.uri, options())):
            assert hand.connects == ["5"]


def test_a_wrong_user_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError):
        login.broker("mqtt://user:password@h", options("--user", "other"))
