"""A subscriber of the tests' own, and a publisher with something to say."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge import codec
from edge.publish import Publisher
from edge.settings.config import Camera, Config
from edge.settings.publishing import Mqtt, Publish
from edge.structures import CameraState, Frame, PoseEvent, Poses
from tests.waiting import GIVE_UP_S, until


@dataclass
class Got:
    topic: str
    body: bytes
    qos: int
    retained: bool
    content_type: Optional[str]
    expiry_s: Optional[int]

    @property
    def record(self) -> Dict[str, Any]:
        # MQTT 3.1.1 carries no content type; the first byte tells.
        guess = codec.JSON if self.body[:1] == b"{" else codec.CBOR
        return codec.read(self.body, self.content_type or guess)


class Consumer:
    """Everything under one filter, by plain paho; comes back when the broker does."""

    def __init__(self, port: int, topic: str = "poses/#") -> None:
        self.got: List[Got] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="consumer", protocol=MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda c, u, f, r, p: c.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda c, u, m, r, p: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(GIVE_UP_S), "not subscribed"

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        properties = message.properties
        self.got.append(
            Got(
                message.topic,
                message.payload,
                message.qos,
                message.retain,
                getattr(properties, "ContentType", None),
                getattr(properties, "MessageExpiryInterval", None),
            )
        )

    def of(self, kind: str) -> List[Got]:
        return [g for g in list(self.got) if f"/{kind}" in g.topic]

    def seqs(self, kind: str) -> List[int]:
        return [g.record["seq"] for g in self.of(kind)]

    def wait_for_new_session(self) -> None:
        assert self._ready.wait(GIVE_UP_S)

    def forget(self) -> None:
        self.got.clear()
        self._ready.clear()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.disconnect()


def config(uri: str, protocol: str = "5", codec_name: str = "json", **mqtt: Any) -> Config:
    return Config(
        device="box",
        cameras=[Camera("synthetic://", "cam0")],
        publish=Publish(sinks=[uri], codec=codec_name),
        mqtt=Mqtt(protocol=protocol, reconnect_max_s=0.5, **mqtt),
    )


def connected(uri: str, **more: Any) -> Publisher:
    publisher = Publisher(config(uri, **more))
    until(lambda: publisher.sinks[0].ok, "the connection")
    publisher.online()
    return publisher


def frame() -> Frame:
    return Frame(np.zeros((48, 64, 3), np.uint8), 0, time.monotonic_ns(), "cam0")


def poses(n: int = 3, k: int = 133) -> Poses:
    rng = np.random.default_rng(0)
    return Poses(
        (rng.random((n, k, 2)) * 1000).astype("f4"),
        rng.random((n, k)).astype("f4"),
        (rng.random((n, 4)) * 1000).astype("f4"),
        np.arange(n),
        rng.random(n).astype("f4"),
        "wholebody133",
    )


def event(number: int, pad: str = "") -> PoseEvent:
    return PoseEvent("wave", "cam0", 1, time.monotonic_ns(), 1.0, {"number": number, "pad": pad})


def state(name: str = "ok") -> CameraState:
    return CameraState("cam0", name, "", time.monotonic_ns())
