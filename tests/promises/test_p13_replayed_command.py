"""Commands of strangers and of yesterday, to the whole program through a real broker."""

from __future__ import annotations

import base64
import json
import queue
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.commands.record import sign
from tests.promises.whole_daemon import Daemon, key_pair, settings
from tests.waiting import GIVE_UP_S, until
from tools.__main__ import main as tools
from tools.mqtt.commands import check_answer, new_command

ALLOW = ["rate", "snapshot", "reload", "restart", "calibrate-record"]


class Stranger:
    """Sees everything, and says what it likes."""

    def __init__(self, port: int) -> None:
        self.seen: queue.SimpleQueue[Tuple[str, bytes, Any]] = queue.SimpleQueue()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.max_inflight_messages_set(1000)
        self.client.on_message = lambda c, d, m: self.seen.put((m.topic, m.payload, m.properties))
        self.client.on_connect = lambda c, d, f, r, p: c.subscribe("poses/v1/#", qos=1)
        ready: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.client.on_subscribe = lambda c, d, mid, r, p: ready.put(mid)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        ready.get(timeout=GIVE_UP_S)

    def say(self, name: str, body: bytes, to: str = "poses/v1/hall/answer/me") -> None:
        properties: Any = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = to, b"c1"
        self.client.publish(f"poses/v1/hall/cmd/{name}", body, 1, False, properties)

    def ask(self, name: str, body: bytes) -> Dict[str, Any]:
        self.say(name, body)
        return self.wait_for("/answer/")

    def wait_for(self, part: str) -> Dict[str, Any]:
        end = time.monotonic() + GIVE_UP_S
        while True:
            topic, body, properties = self.seen.get(timeout=max(0.0, end - time.monotonic()))
            if part in topic:
                if part == "/answer/":
                    assert properties.CorrelationData == b"c1"
                return json.loads(body)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def stranger(broker: Any) -> Iterator[Stranger]:
    one = Stranger(broker.port)
    yield one
    one.close()


def command(key: Ed25519PrivateKey, name: str = "rate", **changes: Any) -> bytes:
    args: Dict[str, Any] = {"max_hz": 9} if name == "rate" else {}
    record = new_command(name, "hall", args, "poses/v1/hall/answer/me", 50.0)
    return sign({**record, **changes}, key)


@pytest.fixture
def daemon(broker: Any, stranger: Stranger, tmp_path: Path) -> Iterator[Daemon]:
    commands = {"allow": ALLOW, "key_file": str(tmp_path / "operator.pub")}
    with Daemon(tmp_path, settings(tmp_path, [broker.uri], commands=commands)) as started:
        yield started


@pytest.fixture
def key(tmp_path: Path) -> Ed25519PrivateKey:
    return key_pair(tmp_path)


def online(stranger: Stranger, before: str = "") -> str:
    """Until frames of a run come; gives its boot_id. Another than the one before, if asked."""
    while True:
        boot_id = str(stranger.wait_for("/frame")["boot_id"])
        if boot_id != before:
            return boot_id


def test_replayed_forged_and_foreign_commands_are_refused(
    key: Ed25519PrivateKey,
    stranger: Stranger,
    daemon: Daemon,
    soak: bool,
    figures: Any,
    contract: Any,
) -> None:
    """P13: a replayed command, a forged topic, a foreign key: refused, also after kill -9."""
    boot_id = online(stranger)
    sent = [command(key) for _ in range(20 if soak else 5)]
    for body in sent:
        answer = stranger.ask("rate", body)
        assert answer["state"] == "done", answer
        check_answer(answer, "")
        contract("poses/v1/hall/answer/me", answer)
    reasons: List[str] = []

    def refused(name: str, body: bytes) -> str:
        answer = stranger.ask(name, body)
        assert answer["state"] == "refused", answer
        check_answer(answer, "")
        reasons.append(answer["reason"])
        return reasons[-1]

    for round_ in range(2):
        assert {refused("rate", body) for body in sent} == {"replayed"}
        assert refused("restart", command(key)) == "other_name"
        assert refused("rate", command(key, device="other")) == "other_device"
        assert refused("rate", command(Ed25519PrivateKey.generate())) == "foreign"
        assert refused("rate", command(key).replace(b'"max_hz":9', b'"max_hz":8')) == "foreign"
        assert refused("rate", command(key, expires_utc_ns=time.time_ns() - 1)) == "expired"
        assert refused("rate", command(key, expires_utc_ns=2**62)) == "too_early"
        assert refused("update", command(key, "update")) == "not_allowed"
        assert refused("rate", command(key, args={"max_hz": "9"})) == "bad_arguments"
        assert refused("rate", b"{}") == "malformed"
        assert refused("restart", command(key, "restart")) == "failed", "nobody would start it"
        if round_ == 0:
            daemon.kill()
            daemon.start()
            online(stranger, boot_id)
    metrics = stranger.wait_for("/metrics")
    while metrics.get("commands", {}).get("replayed", 0) < len(sent):
        metrics = stranger.wait_for("/metrics")
    contract("poses/v1/hall/metrics", metrics)
    figures("P13", commands=len(sent), refused=len(reasons), accepted_wrongly=0)
    assert "Traceback" not in daemon.text()
    assert daemon.stop() == 0


def test_nobody_is_listened_to_by_default(broker: Any, stranger: Stranger, tmp_path: Path) -> None:
    """P13: without commands.allow there is no subscription, so no answer to anything."""
    key = key_pair(tmp_path)
    with Daemon(tmp_path, settings(tmp_path, [broker.uri])) as started:
        online(stranger)
        for _ in range(3):
            stranger.say("rate", command(key))
        seen = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            seen.append(stranger.seen.get(timeout=GIVE_UP_S)[0])
        assert not [topic for topic in seen if "/answer/" in topic]
        assert [topic for topic in seen if topic.endswith("/frame")]
        started.stop()


def test_snapshot_goes_to_who_asked_and_nowhere_else(
    key: Ed25519PrivateKey,
    stranger: Stranger,
    daemon: Daemon,
    broker: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """P13: a picture is the answer to a signed command, to the topic that was signed."""
    online(stranger)
    unsigned_topic = command(key, "snapshot", answer_to="")
    assert stranger.ask("snapshot", unsigned_topic)["reason"] == "bad_arguments"
    out = tmp_path / "picture.jpg"
    code = tools(
        [
            "command",
            "snapshot",
            "camera=door",
            "width_px=320",
            "--device",
            "hall",
            "--broker",
            broker.uri,
            "--key",
            str(tmp_path / "operator.key"),
            "--out",
            str(out),
            "--wait",
            "60",
            "--json",
        ]
    )
    assert code == 0, capsys.readouterr().err
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"]["file"] == str(out)
    picture = cv2.imread(str(out))
    assert picture.shape == (240, 320, 3)
    told: List[Tuple[str, bytes]] = []
    end = time.monotonic() + 2
    while time.monotonic() < end or not any(b'"jpeg"' in body for _, body in told):
        told.append(stranger.seen.get(timeout=GIVE_UP_S)[:2])
    pictures = [t for t, body in told if b'"jpeg"' in body]
    assert len(pictures) == 1
    assert pictures[0].startswith("poses/v1/hall/answer/")
    jpeg = base64.b64decode(
        json.loads(next(b for t, b in told if t == pictures[0]))["result"]["jpeg"]
    )
    assert np.array_equal(cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1), picture)
    daemon.stop()
    kept = [p for p in (tmp_path / "state").rglob("*") if p.is_file()]
    assert kept
    assert not [p for p in kept if b"\xff\xd8\xff" in p.read_bytes() or jpeg[:64] in p.read_bytes()]


def test_the_command_line_says_why_not(
    key: Ed25519PrivateKey,
    stranger: Stranger,
    daemon: Daemon,
    broker: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """P13: `edge-tools command` obeys the box's answer, and only one that the box signed."""
    online(stranger)

    def call(*arguments: str, key_file: str = "operator.key") -> Tuple[int, str]:
        code = tools(
            [
                "command",
                *arguments,
                "--broker",
                broker.uri,
                "--device",
                "hall",
                "--key",
                str(tmp_path / key_file),
                "--wait",
                "30",
            ]
        )
        told = capsys.readouterr()
        return code, told.out + told.err

    assert call("rate", "max_hz=7") == (0, "hall: rate done max_hz=7 before_hz=0\n")
    key_pair(tmp_path, "other")
    code, text = call("rate", "max_hz=7", key_file="other.key")
    assert code == 77
    assert "foreign" in text
    code, text = call("rate", "max_hz=7", "--box-key", "00" * 32)
    assert code == 65
    assert "the answer is not signed by the box" in text
    assert call("reload")[0] == 0
    until(lambda: "reloaded" in daemon.text(), "the reload")
    assert call("calibrate-record", "seconds=60", "every_ms=40")[0] == 0
    folder = tmp_path / "state" / "calibrate"
    until(lambda: len(list(folder.glob("*/*.jpg"))) > 3, "crops")
    assert call("calibrate-record", "seconds=0")[0] == 0
    daemon.stop()
