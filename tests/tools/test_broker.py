"""The throw-away broker: starts, guards itself, ends, and says what is missing."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from edge.errors import ConfigError, UnavailableError
from tests.waiting import GIVE_UP_S
from tools.broker import add_arguments
from tools.mqtt import broker as module
from tools.mqtt.broker import Broker, choose, free_port, listens, mosquitto

ROOT = Path(__file__).resolve().parents[2]


def answer(broker: Broker, user: str = "", password: str = "") -> int:
    """The CONNACK code that a client gets."""
    codes = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311)
    client.on_connect = lambda c, u, f, reason, p: codes.append(reason.value)
    if user:
        client.username_pw_set(user, password)
    client.connect(broker.host, broker.port)
    while not codes:
        client.loop(1.0)
    client.disconnect()
    return int(codes[0])


@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
def test_starts_answers_stops_and_starts_again(kind: str) -> None:
    with Broker(kind) as broker:
        assert broker.uri == f"mqtt://127.0.0.1:{broker.port}"
        assert answer(broker) == 0
        pid, folder = broker.pid, broker.folder
        broker.stop()
        assert not listens(broker.host, broker.port)
        broker.start()
        assert broker.pid not in (0, pid)
        assert answer(broker) == 0
    assert not listens(broker.host, broker.port)
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_login_keeps_strangers_out_and_its_files_private() -> None:
    with Broker("mosquitto", user="bob") as broker:
        assert answer(broker, "bob", broker.password) == 0
        assert answer(broker, "bob", "wrong") == 135
        assert answer(broker) == 135
        assert broker.password_file.read_text(encoding="utf-8").strip() == broker.password
        for path in broker.folder.iterdir():
            if path.name != "broker.log":
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(broker.folder.stat().st_mode) == 0o700
        assert broker.password not in (broker.folder / "users").read_text(encoding="utf-8")


def test_only_this_machine_can_reach_it() -> None:
    for kind in ("mosquitto", "amqtt"):
        with Broker(kind) as broker:
            lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
            here = [line.split()[1] for line in lines if line.split()[3] == "0A"]
            ours = [a for a in here if a.endswith(f":{broker.port:04X}")]
            assert ours == [f"0100007F:{broker.port:04X}"]
            six = Path("/proc/net/tcp6").read_text(encoding="utf-8")
            assert f":{broker.port:04X} " not in six


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing() -> None:
    broker = Broker("mosquitto", extra=["no_such_option true"])
    with pytest.raises(UnavailableError, match=r"mosquitto does not start: .*no_such_option"):
        broker.__enter__()
    assert not broker.folder.exists()
    assert broker.pid == 0


def test_choice(monkeypatch: Any) -> None:
    assert choose() == "mosquitto"
    monkeypatch.setattr(module, "mosquitto", lambda: None)
    assert choose() == "amqtt"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="apt install mosquitto"):
        choose()
    with pytest.raises(UnavailableError, match="mosquitto is not installed"):
        Broker("mosquitto")
    with pytest.raises(ConfigError, match="runs without users"):
        Broker("amqtt", user="bob")


def test_mosquitto_is_found_where_a_user_has_no_path(monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert mosquitto()


def test_installing_asks_apt_only_as_root(monkeypatch: Any) -> None:
    calls = []
    monkeypatch.setattr(module, "mosquitto", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name, **k: "/usr/bin/" + name)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a[0][:2]))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not module.install_mosquitto()
    assert calls == []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not module.install_mosquitto()
    assert calls == [["apt-get", "update"], ["apt-get", "install"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command(number: int) -> None:
    command = [sys.executable, "-m", "tools", "broker", "--user", "bob"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        file = Path(child.stdout.readline().partition(": ")[2].strip())
        port = int(line.rpartition(":")[2])
        assert line == f"mosquitto, MQTT 5: mqtt://bob@127.0.0.1:{port}\n"
        assert file.read_text(encoding="utf-8").strip()
        assert listens("127.0.0.1", port)
        os.kill(child.pid, number)
        assert child.stdout.read() == "stopped\n"
        assert child.wait(GIVE_UP_S) == 0
    assert not listens("127.0.0.1", port)
    assert not file.parent.exists()


def test_options() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args([]).kind == "auto"
    assert free_port() != 0
