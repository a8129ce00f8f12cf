"""Handles of the processes that the promises are about."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.waiting import GIVE_UP_S, until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class BoxProcess:
    """tests/promises/box.py; its order lives on when it is killed and started again."""

    def __init__(
        self,
        folder: Path,
        uri: str,
        mqtt: Optional[Dict[str, Any]] = None,
        outbox: Optional[Dict[str, Any]] = None,
        cameras: Sequence[Dict[str, Any]] = (),
        environment: Optional[Dict[str, str]] = None,
        **order: Any,
    ) -> None:
        self.folder = folder
        self.outbox = folder / "outbox.db"
        table = {
            "device": "box",
            "cameras": list(cameras),
            "publish": {"sinks": [uri], "metrics_s": 1.0},
            "mqtt": {"reconnect_max_s": 0.5, **(mqtt or {})},
            "outbox": {"path": str(self.outbox), "max_mb": 8, **(outbox or {})},
        }
        self.order = {"folder": str(folder), "config": table, **order}
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            **(environment or {}),
        }
        self._process: Optional[subprocess.Popen[bytes]] = None
        self.log = folder / "box.log"
        self.start()

    def start(self, **more: Any) -> None:
        self.order.update(more)
        for name in ("stop", "status"):
            (self.folder / name).unlink() if (self.folder / name).exists() else None
        command = [sys.executable, str(HERE / "box.py"), json.dumps(self.order)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def status(self) -> Dict[str, Any]:
        assert self.alive or (self.folder / "status").exists(), self.log.read_text(
            encoding="utf-8"
        )[-2000:]
        try:
            return json.loads((self.folder / "status").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def kill(self) -> None:
        """SIGKILL; it does not come to its senses."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def finish(self) -> None:
        """In order: what waits is sent first."""
        assert self._process is not None
        (self.folder / "stop").touch()
        assert self._process.wait(GIVE_UP_S) == 0, self.log.read_text(encoding="utf-8")[-2000:]
        self._process = None

    def ledger(self) -> Dict[str, int]:
        """For each run how many events were surely stored; events about the outbox count, too."""
        lines = map(json.loads, (self.folder / "ledger").read_text(encoding="utf-8").splitlines())
        return {line["boot"]: min(line["stored"], line["given"]) for line in lines}


class Consumer:
    """Counts events by (boot_id, n), with a session that outlives its connections.

    Args:
        port: of the broker on loopback.
        answers: whether it answers on the ack topic, and thereby takes responsibility.
    """

    def __init__(self, port: int, answers: bool = False, host: str = "127.0.0.1") -> None:
        self.got: Counter[Tuple[str, int]] = Counter()
        self.records: List[Dict[str, Any]] = []
        self.frames = 0
        self.last_s = 0.0  # monotonic, of the last event
        self._answers = answers
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="consumer", protocol=MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda c, u, m, r, p: self._ready.set()
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self._client.connect(host, port, clean_start=False, properties=session)
        self._client.loop_start()
        assert self._ready.wait(GIVE_UP_S), "not subscribed"

    def _on_connect(self, client: Client, *rest: Any) -> None:
        client.subscribe([("poses/v1/+/+/event/#", 1), ("poses/v1/+/+/frame", 0)])

    def _on_message(self, client: Client, data: Any, message: Any) -> None:
        if message.topic.endswith("/frame"):
            self.frames += 1
            return
        record = json.loads(message.payload)
        self.last_s = time.monotonic()
        record["arrived_ns"] = time.monotonic_ns()
        self.records.append(record)
        if "n" in record["data"]:
            self.got[record["boot_id"], record["data"]["n"]] += 1
        if self._answers:
            answer = Properties(PacketTypes.PUBLISH)
            answer.CorrelationData = message.properties.CorrelationData
            client.publish(message.properties.ResponseTopic, b"", 1, properties=answer)

    def next_s(self) -> float:
        """Waits for the next event; returns for how long, in seconds."""
        start_s = time.monotonic()
        until(lambda: self.last_s > start_s, "the next event")
        return self.last_s - start_s

    def new_run_s(self) -> float:
        """Waits for an event of a run not heard of before; returns for how long, in seconds."""
        known = {boot for boot, _ in list(self.got)}
        news = "an event of a new run"
        return until(lambda: {r["boot_id"] for r in self.records[-50:]} - known, news)

    def of(self, kind: str) -> List[Dict[str, Any]]:
        return [r for r in list(self.records) if r["kind"] == kind]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def lost(box: BoxProcess, consumer: Consumer) -> List[Tuple[str, int]]:
    """Events that were stored and never arrived."""
    stored = box.ledger().items()
    wanted: Set[Tuple[str, int]] = {(boot, n) for boot, count in stored for n in range(count)}
    return sorted(wanted - set(consumer.got))


def spread(times_s: Sequence[float]) -> List[float]:
    """Least, median and most."""
    return [round(f(times_s), 2) for f in (min, statistics.median, max)]


def duplicates(consumer: Consumer) -> int:
    return sum(consumer.got.values()) - len(consumer.got)


def ordered(consumer: Consumer) -> bool:
    """Whether each topic's first deliveries of each lane came in the order of their numbers."""
    last: Dict[Any, int] = {}
    seen: Set[Any] = set()
    for r in consumer.records:
        key = (r["boot_id"], r["camera"], r["kind"], r.get("historical", False))
        this = (*key, r["seq"])
        if this not in seen and r["seq"] < last.get(key, -1):
            return False
        seen.add(this)
        last[key] = max(r["seq"], last.get(key, -1))
    return True
