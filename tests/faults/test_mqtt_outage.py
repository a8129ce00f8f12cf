"""The MQTT sink while its broker dies, hangs, returns, or was never there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from edge.publish import Publisher
from edge.publish import _sender as sender_module
from edge.publish._outgoing import LIVE_BYTES
from tests.faults.mqtt_consumer import Consumer, config, connected, event, frame, poses, state
from tests.waiting import Slowness, until
from tools.mqtt.broker import Broker, free_port

ROOT = Path(__file__).resolve().parents[2]
CALLS = 300


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_events_of_an_outage_arrive_afterwards_and_live_frames_do_not(
    broker: Broker, caplog: Any, protocol: str
) -> None:
    with Consumer(broker.port) as consumer:
        publisher = connected(broker.uri, protocol=protocol)
        publisher.camera(state(), 1)
        publisher.event(event(0))
        until(lambda: publisher.report()[0]["sent"] == 3, "delivery")
        until(lambda: len(consumer.of("event")) == 1, "the event before")
        until(lambda: publisher.report()[0]["waiting"] == 0, "its acknowledgement")
        broker.stop(signal.SIGKILL)
        until(lambda: not publisher.sinks[0].ok, "the loss")
        for i in range(1, 40):
            publisher.event(event(i))
            publisher.frame(frame(), poses())
        assert publisher.report()[0]["waiting"] == 39
        assert publisher.report()[0]["dropped"] == 39
        consumer.forget()
        # mosquitto forgot everything, the consumer's session too: let that be back first.
        publisher.sinks[0]._sender._backoff.due_s = time.monotonic() + 3600  # type: ignore[attr-defined]
        broker.start()
        consumer.wait_for_new_session()
        publisher.sinks[0]._sender._backoff.due_s = 0.0  # type: ignore[attr-defined]
        publisher.event(event(40))
        until(lambda: len(consumer.of("event")) >= 40, "the events of the outage")
        publisher.frame(frame(), poses())
        until(lambda: consumer.of("frame"), "live frames")
        publisher.close()
    numbers = [g.record["data"]["number"] for g in consumer.of("event")]
    assert numbers == list(range(1, 41)), "all, in order, once"
    assert consumer.seqs("frame") == [39], "the gap shows in seq, nothing piled up"
    first = [g.record.get("state") for g in consumer.got[:2]]
    assert first == ["online", "ok"], "told again to a broker that forgot"
    told = [r.getMessage() for r in caplog.records if "trying again" in r.getMessage()]
    assert told
    assert all(line.startswith(f"mqtt://127.0.0.1:{broker.port}: ") for line in told)


def test_a_broker_that_comes_late_gets_the_events_from_before(caplog: Any) -> None:
    broker = Broker("mosquitto")
    publisher = Publisher(config(broker.uri))
    publisher.online()
    for i in range(5):
        publisher.frame(frame(), poses())
        publisher.event(event(i))
    until(lambda: "cannot connect: Connection refused" in caplog.text, "the refusal")
    with broker, Consumer(broker.port) as consumer:
        until(lambda: publisher.sinks[0].ok, "the connection")
        until(lambda: publisher.report()[0]["waiting"] == 0, "delivery")
        publisher.close()
        until(lambda: len(consumer.of("status")) >= 1, "the status")
    assert publisher.report()[0]["dropped"] == 5
    told = [r.getMessage() for r in caplog.records if "cannot connect" in r.getMessage()]
    assert len(told) == 1, "told once, however many tries"


def test_kill_of_the_program_makes_the_broker_tell_the_last_will(broker: Broker) -> None:
    code = (
        "import sys, time\n"
        "from tests.faults.mqtt_consumer import connected, frame, poses\n"
        "publisher = connected(sys.argv[1])\n"
        "while True:\n"
        "    publisher.frame(frame(), poses()); time.sleep(0.01)\n"
    )
    with Consumer(broker.port) as consumer:
        child = subprocess.Popen([sys.executable, "-c", code, broker.uri], cwd=ROOT)
        try:
            until(lambda: len(consumer.of("frame")) > 5, "frames")
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        until(lambda: len(consumer.of("status")) == 2, "the will")
        with Consumer(broker.port) as late:
            until(lambda: late.of("status"), "the retained will")
    birth, will = (g.record for g in consumer.of("status"))
    assert (birth["state"], will["state"], will["reason"]) == ("online", "offline", "lost")
    assert birth["boot_id"] == will["boot_id"] == late.of("status")[0].record["boot_id"]
    assert [g.content_type for g in consumer.of("status")] == ["application/json"] * 2


def call_times_ms(publisher: Publisher) -> np.ndarray:
    people = poses(20)
    times = np.zeros(CALLS)
    for i in range(CALLS):
        start = time.perf_counter()
        publisher.frame(frame(), people)
        publisher.event(event(i))
        times[i] = (time.perf_counter() - start) * 1e3
        time.sleep(0.001)
    return times


def test_a_broker_that_hangs_never_holds_the_loop(broker: Broker, slowness: Slowness) -> None:
    publisher = connected(broker.uri)
    normal = call_times_ms(publisher)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        hung = call_times_ms(publisher)
        report = publisher.report()[0]
        publisher.close(0.5)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    figures = [np.percentile(times, (50, 99, 100)).round(3) for times in (normal, hung)]
    assert hung.max() < 2000 * slowness.worst, f"ms p50 p99 max, normal and hung: {figures}"
    assert np.median(hung) < 20 * slowness.worst * np.median(normal), (
        f"ms, normal and hung: {figures}"
    )
    assert report["dropped"] > 0, "frames"
    assert 0 < report["waiting"] <= CALLS * 2, "events"


def test_leaving_a_broker_that_hangs_takes_no_longer_than_allowed_and_is_told(
    broker: Broker, caplog: Any, slowness: Slowness
) -> None:
    with Consumer(broker.port) as consumer:
        publisher = connected(broker.uri)
        until(lambda: consumer.of("status"), "the birth")
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            publisher.event(event(0))
            start_s = time.monotonic()
            publisher.close(0.5)
            took_s = time.monotonic() - start_s
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        until(lambda: len(consumer.of("status")) >= 2, "the end")
    assert took_s < 5 * slowness.worst
    assert consumer.of("status")[-1].record["state"] == "offline"
    assert "1 events were not delivered" in caplog.text


def test_frames_come_again_after_a_hang_and_memory_stayed_bounded(broker: Broker) -> None:
    with Consumer(broker.port) as consumer:
        publisher = connected(broker.uri)
        os.kill(broker.pid, signal.SIGSTOP)
        crowd = poses(40)
        for _ in range(300):
            publisher.frame(frame(), crowd)
            time.sleep(0.002)
        sender = publisher.sinks[0]._sender  # type: ignore[attr-defined]
        size = len(publisher.build.frame(frame(), crowd).body)
        assert publisher.report()[0]["dropped"] > 0
        assert sender._out.live.bytes <= LIVE_BYTES + size
        os.kill(broker.pid, signal.SIGCONT)
        until(lambda: sender._out.live.bytes == 0, "the rest")
        publisher.frame(frame(), poses(1))
        until(lambda: consumer.got and len(consumer.got[-1].record.get("people", [])) == 1, "it")
        publisher.close()
    seqs = consumer.seqs("frame")
    assert seqs == sorted(set(seqs))
    assert len(seqs) == publisher.report()[0]["sent"] - 2, "status is not a frame"


class Stranger:
    """Something that listens and is no broker."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.calls: List[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                call, _ = self._socket.accept()
            except OSError:
                return
            self.calls.append(call)
            if self._says:
                call.recv(100)
                call.sendall(self._says)
                call.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for call in self.calls:
            call.close()


@pytest.mark.parametrize(
    ("says", "line"),
    [
        (b"", "connected, but the broker does not answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is the port one for TLS (mqtts://) or websockets?"),
        (b"\x20\xff\xff\xff\xff\xff\xff", "is the port one for TLS (mqtts://) or websockets?"),
    ],
)
def test_something_that_is_no_broker_does_no_harm(
    monkeypatch: Any, caplog: Any, says: bytes, line: str
) -> None:
    monkeypatch.setattr(sender_module, "ANSWER_S", 0.3)
    stranger = Stranger(says)
    publisher = Publisher(config(f"mqtt://127.0.0.1:{stranger.port}"))
    publisher.event(event(0))
    until(lambda: line in caplog.text, line)
    until(lambda: len(stranger.calls) >= 2, "another try")
    publisher.close(0.1)
    stranger.close()
    assert publisher.report()[0]["dropped"] == 1


def test_a_name_that_does_not_resolve(caplog: Any) -> None:
    publisher = Publisher(config(f"mqtt://no-such-host.invalid:{free_port()}"))
    until(lambda: "cannot connect: " in caplog.text, "the line")
    publisher.close(0.1)
