"""Boxes with `[outbox] ack = "consumer"`: each event is repeated until the lander answers it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import OrderedDict
from typing import Any, Dict, List, Set, Tuple

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ANSWERS = "fleet/answers"
ANSWER_S = 5.0  # an event without an answer is sent again after this; if none comes, only one is
TWICE, LATE, LATE_S = 0.1, 0.05, 40.0
KINDS = (("presence", "enter"), ("presence", "leave"), ("fall", "fall"), ("zone", "enter"))

Key = Tuple[str, str, str, str, int]  # device, camera, kind, boot_id, seq


class SimulatedBoxes:
    """Many boxes on one connection; a context manager that publishes in a thread.

    Args:
        port: of the broker on loopback.
        boxes: how many.
        cameras: of each box.
        rate_hz: events of all boxes a second.
        seconds: for how long.
    """

    def __init__(self, port: int, boxes: int, cameras: int, rate_hz: float, seconds: float) -> None:
        self.given: Set[Key] = set()
        self.messages = 0
        self._boxes, self._cameras = boxes, cameras
        self._rate_hz, self._count = rate_hz, round(rate_hz * seconds)
        self._rng = random.Random(1)
        self._seq: Dict[Tuple[str, str, str], int] = {}
        self._lock = threading.Lock()
        # Number of an event -> when it is sent next, topic and body; in the order of that time.
        self._waiting: OrderedDict[int, Tuple[float, str, bytes]] = OrderedDict()
        self._heard_s = time.monotonic()
        self._late: List[Tuple[float, int, str, bytes]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.max_queued_messages_set(0)
        self._client.on_connect = lambda client, *rest: client.subscribe(ANSWERS, qos=1)
        self._client.on_message = self._answered
        self._client.connect("127.0.0.1", port)
        self._thread = threading.Thread(target=self._run, name="boxes", daemon=True)

    def __enter__(self) -> SimulatedBoxes:
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._count = 0
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def sending(self) -> bool:
        """Whether there are events that were never sent."""
        return self._thread.is_alive()

    @property
    def unanswered(self) -> int:
        """Events that wait for an answer."""
        with self._lock:
            return len(self._waiting)

    def repeat(self) -> None:
        """Send again what has waited for too long; for the time after the last event."""
        now_s = time.monotonic()
        silent = now_s - self._heard_s > ANSWER_S
        with self._lock:
            due: List[int] = []
            for number, (at_s, _, _) in self._waiting.items():
                if at_s > now_s or (silent and due):
                    break
                due.append(number)
        if silent and due:
            self._heard_s = now_s  # the next one after as long a time
        for number in due:
            self._send(number, now_s)

    def _run(self) -> None:
        begin_s, number = time.monotonic(), 0
        while number < self._count or (self._late and self._count):
            now_s = time.monotonic()
            while number < min(self._count, (now_s - begin_s) * self._rate_hz):
                self._event(number, now_s)
                number += 1
            while self._late and self._late[0][0] <= now_s:
                _, late, topic, body = self._late.pop(0)
                self._first(late, topic, body, now_s)
            self.repeat()
            time.sleep(0.005)

    def _event(self, number: int, now_s: float) -> None:
        """A new event of some camera; sent now, or late."""
        rng = self._rng
        device, camera = (
            f"box{rng.randrange(self._boxes):02d}",
            f"cam{rng.randrange(self._cameras)}",
        )
        kind, action = rng.choice(KINDS)
        seq = self._seq.get((device, camera, kind), -1) + 1
        self._seq[device, camera, kind] = seq
        late = rng.random() < LATE
        record: Dict[str, Any] = {"device": device, "camera": camera, "kind": kind}
        record.update(
            boot_id=f"{1:016x}", seq=seq, t_utc_ns=time.time_ns(), t_mono_ns=time.monotonic_ns()
        )
        record.update(person=rng.randrange(50), score=80, data={"action": action, "number": number})
        if late:
            record["historical"] = True
        topic = f"poses/v1/{device}/{camera}/event/{kind}"
        body = json.dumps(record).encode()
        self.given.add((device, camera, kind, record["boot_id"], seq))
        if late:
            self._late.append((now_s + rng.uniform(0, LATE_S), number, topic, body))
            self._late.sort()
        else:
            self._first(number, topic, body, now_s)

    def _first(self, number: int, topic: str, body: bytes, now_s: float) -> None:
        with self._lock:
            self._waiting[number] = (now_s, topic, body)
        for _ in range(1 + (self._rng.random() < TWICE)):
            self._send(number, now_s)

    def _send(self, number: int, now_s: float) -> None:
        """Publish an event, if the broker is there."""
        with self._lock:
            if number not in self._waiting:
                return  # it was answered meanwhile
            _, topic, body = self._waiting[number]
            self._waiting[number] = (now_s + ANSWER_S, topic, body)
            self._waiting.move_to_end(number)
        if not self._client.is_connected():
            return
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = ANSWERS
        properties.CorrelationData = b"%d" % number
        self._client.publish(topic, body, 1, properties=properties)
        self.messages += 1

    def _answered(self, client: Any, data: Any, message: Any) -> None:
        self._heard_s = time.monotonic()
        with self._lock:
            self._waiting.pop(int(message.properties.CorrelationData), None)
