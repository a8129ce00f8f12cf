"""Fleet status and push with 50 boxes at a real broker: real commands, real answers."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.bundle.file import write_bundle
from edge.commands.receiver import CommandReceiver, CommandResult
from edge.errors import ConfigError, DataError
from edge.messages import Builder, Incoming, Message
from edge.settings import config
from edge.structures import CameraState
from tests.waiting import GIVE_UP_S, until
from tools.__main__ import main
from tools.rollout.push import stages_of
from tools.signing import load_secret

BOXES = [f"box{i:02d}" for i in range(50)]
OLD, NEW = "1" * 64, hashlib.sha256(b"network").hexdigest()


class Fleet:
    """Boxes with the program's own messages and its own receiver of commands."""

    def __init__(self, port: int, folder: Path) -> None:
        self.asked: List[str] = []
        self.refuses: Dict[str, str] = {}
        self.after: Dict[str, Callable[[str], None]] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._message
        ready = threading.Event()
        self._client.on_subscribe = lambda *ignored: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("poses/v1/+/cmd/#", 1)
        self._builders = {device: Builder(device) for device in BOXES}
        self._receivers = {device: self._receiver(device, folder) for device in BOXES}
        assert ready.wait(GIVE_UP_S)
        for device in BOXES:
            self.say(device, OLD)
            state = CameraState("door", "ok", "", 1)
            self._publish(self._builders[device].state(state, 0))
            body = json.dumps({"device": device, "fps": {"door": 25.0}})
            self._client.publish(f"poses/v1/{device}/metrics", body, 1, retain=True)

    def _receiver(self, device: str, folder: Path) -> CommandReceiver:
        def update(args: Mapping[str, Any]) -> CommandResult:
            if device in self.refuses:
                raise DataError(self.refuses[device])
            self.asked.append(device)
            then = self.after.get(device, lambda device: self.say(device, NEW))
            return CommandResult({"version": 2, "in_use": "now"}, lambda: then(device))

        table = {
            "device": device,
            "cameras": [{"source": "synthetic://walk", "name": "door"}],
            "commands": {"allow": ["update"], "key_file": str(folder / "operator.pub")},
            "state": {"dir": str(folder / device)},
        }
        (folder / device).mkdir()
        settings = config.complete(config.build(config.Config, table))
        return CommandReceiver(settings, {"update": update}, "b" * 16)

    def _message(self, client: Any, data: Any, message: Any) -> None:
        device = message.topic.split("/")[2]
        to = message.properties.ResponseTopic
        correlation = message.properties.CorrelationData
        incoming = Incoming(message.topic, message.payload, to, correlation, self._publish)
        self._receivers[device].receive(incoming)

    def _publish(self, message: Message) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if message.correlation:
            properties.CorrelationData = message.correlation
        self._client.publish(
            message.topic, message.body, message.qos, message.retain, properties=properties
        )

    def say(self, device: str, network: str, version: str = "1.2.0", **more: Any) -> None:
        """Publish the status of a box."""
        details = {"version": version, "cameras": ["door"], "engines": {"a": network}, **more}
        clock = {"source": "kernel", "error_ms": 1}
        self._publish(self._builders[device].online(clock=clock, **details))

    def restart(self, device: str) -> None:
        """The program of a box begins again, with its former networks."""
        self._builders[device] = Builder(device)
        self.say(device, OLD)

    def leave(self, device: str) -> None:
        """A box goes offline."""
        self._publish(self._builders[device].offline("lost"))

    def close(self) -> None:
        for receiver in self._receivers.values():
            receiver.close()
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    assert main(["keygen", str(tmp_path / "operator")]) == 0
    return tmp_path


@pytest.fixture
def fleet(broker: Any, keys: Path) -> Iterator[Fleet]:
    made = Fleet(broker.port, keys)
    yield made
    made.close()


@pytest.fixture
def bundle(keys: Path) -> Path:
    network = keys / "model.onnx"
    network.write_bytes(b"network")
    path = keys / "new.bundle"
    with path.open("wb") as out:
        key = load_secret(keys / "operator.key")
        write_bundle(out, {"model/model.onnx": network}, 2, "test", key)
    return path


def push(broker: Any, bundle: Path, *more: str) -> int:
    key = bundle.parent / "operator"
    keys = ["--key", f"{key}.key", "--pub", f"{key}.pub"]
    times = ["--settle", "60", "--wait", "60", "--watch", "2"]
    return main(["fleet", "push", broker.uri, str(bundle), *keys, *times, *more])


def test_stages_count_those_before() -> None:
    sizes = [len(stage) for stage in stages_of(BOXES, ["5%", "50%", "all"])]
    assert sizes == [3, 22, 25]
    assert [len(s) for s in stages_of(BOXES[:1], ["5%", "50%", "all"])] == [1]
    assert [len(s) for s in stages_of(BOXES, ["2", "10"])] == [2, 8]
    for wrong in (["0%"], ["101%"], ["some"], ["0"], ["50%", "5%"]):
        with pytest.raises(ConfigError):
            stages_of(BOXES, wrong)


def test_all_boxes_get_a_good_bundle_and_a_second_push_asks_nobody(
    broker: Any, fleet: Fleet, bundle: Path, capsys: Any
) -> None:
    assert push(broker, bundle) == 0
    said = capsys.readouterr().out.splitlines()
    stages = [(1, 3), (2, 22), (3, 25)]
    assert said == [f"stage {n} of 3: {boxes} of {boxes} boxes" for n, boxes in stages]
    assert sorted(fleet.asked) == BOXES
    assert push(broker, bundle, "--json") == 0
    assert {one["result"] for one in json.loads(capsys.readouterr().out)} == {"has it"}
    assert len(fleet.asked) == 50


@pytest.mark.parametrize("fault", ["rolls back", "restarts", "leaves", "refuses"])
def test_a_fault_of_a_canary_halts_before_the_others(
    broker: Any, fleet: Fleet, bundle: Path, capsys: Any, fault: str
) -> None:
    def rolled_back(device: str) -> None:
        fleet.say(device, NEW)
        fleet.say(device, OLD)

    if fault == "refuses":
        fleet.refuses["box01"] = "a network gives no number"
    else:
        after = {"rolls back": rolled_back, "restarts": fleet.restart, "leaves": fleet.leave}
        fleet.after["box01"] = after[fault]
    assert push(broker, bundle) == 75
    said = capsys.readouterr()
    why = {
        "rolls back": "uses its former networks: it has rolled back",
        "restarts": "its program has restarted",
        "leaves": "went offline (lost)",
        "refuses": "a network gives no number",
    }[fault]
    assert f"box01: {why}" in said.out.replace("refused (failed): ", "")
    assert "1 of 3 boxes failed, so 47 boxes were not asked" in said.err
    assert set(fleet.asked) <= set(BOXES[:3])


def test_what_copies_the_bundle_is_run_for_each_box(
    broker: Any, fleet: Fleet, bundle: Path, capsys: Any
) -> None:
    (bundle.parent / "to-box00").mkdir()
    copy = f"cp {{file}} {bundle.parent}/to-{{device}}/"
    devices = ["--devices", "box00", "box01", "--canary", "all", "--then", "all"]
    assert push(broker, bundle, "--copy", copy, *devices) == 75
    assert (bundle.parent / "to-box00" / "new.bundle").read_bytes() == bundle.read_bytes()
    assert "box01: --copy ended with 1: cp: " in capsys.readouterr().out
    assert fleet.asked == ["box00"]


def test_a_bundle_of_another_key_is_not_pushed(
    broker: Any, fleet: Fleet, bundle: Path, tmp_path: Path, capsys: Any
) -> None:
    assert main(["keygen", str(tmp_path / "other")]) == 0
    assert push(broker, bundle, "--pub", str(tmp_path / "other.pub")) == 65
    assert "is not signed with this key" in capsys.readouterr().err
    assert not fleet.asked


def test_status_tells_what_is_wrong_with_each_box(broker: Any, fleet: Fleet, capsys: Any) -> None:
    fleet.leave("box03")
    fleet.say("box04", OLD, version="1.1.9")
    degrade = {"level": 2, "levels": 3, "changes": 1, "detect_times": 2, "part_limit": 0}
    degrade.update(rate_share=1, why="too hot")
    fleet.say("box05", OLD, degrade=degrade)
    gone = CameraState("door", "stalled", "no frame for 5 s", 1)
    fleet._publish(fleet._builders["box06"].state(gone, 0))
    found: Dict[str, Any] = {}

    def asked() -> bool:
        code = main(["fleet", "status", broker.uri, "--settle", "60", "--json"])
        found.update({row["device"]: row for row in json.loads(capsys.readouterr().out)})
        return code == 75 and len(found) == 50 and bool(found["box06"]["problems"])

    until(asked, "the states of all boxes")
    assert found["box03"]["problems"] == ["offline (lost)"]
    assert found["box04"]["problems"] == ["version 1.1.9 is behind 1.2.0"]
    assert found["box05"]["problems"] == ["degraded to level 2: too hot"]
    assert found["box06"]["problems"] == ["camera door is stalled"]
    assert (found["box07"]["problems"], found["box07"]["cameras_ok"]) == ([], 1)
    assert main(["fleet", "status", broker.uri, "--settle", "60"]) == 75
    said = capsys.readouterr().out
    assert "46 of 50 boxes are well" in said
    assert "box04                            online   1.1.9" in said
