"""What answers at a broker's address may be anything: no bytes end more than the connection."""

from __future__ import annotations

import contextlib
import gc
import queue
import socket
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator, List

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.messages import Builder
from edge.publish import SinkOptions, _paho, mqtt, open_sink
from tests.waiting import GIVE_UP_S

OPEN = Path("/proc/self/fd")
CONNACK = b"\x20\x03\x00\x00\x00"
ANSWERS = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n" + b"x" * 200,
    "a mail server": b"220 mail.example.org ESMTP\r\n" * 5,
    "a store": b"-ERR unknown command\r\n" * 10,
    "no such reason": b"\x20\x03\x00\xff\x00",
    "a topic that is no text": CONNACK + b"\x30\x08\x00\x03\xff\xfea\x00hi",
    "an acknowledgement of nonsense": CONNACK + b"\x40\x04\x00\x01\xee\x00",
    "a receive maximum of 0": b"\x20\x06\x00\x00\x03\x21\x00\x00",
    "a packet of 200 MB": CONNACK + b"\x30\x80\x80\x80\x60\x00\x01a" + b"x" * 4096,
    "properties of nonsense": CONNACK + b"\x30\x0a\x00\x01a\x04\xff\xff\xff\xffhi",
}


@contextlib.contextmanager
def port_that_says(answer: bytes, calls: List[int]) -> Iterator[int]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)

    def serve() -> None:
        while True:
            with contextlib.suppress(ConnectionError), listener.accept()[0] as call:
                call.settimeout(GIVE_UP_S)
                call.recv(4096)
                if calls[0] < 0:
                    return
                calls[0] += 1
                call.sendall(answer)
                while call.recv(4096):
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]
    yield port
    calls[0] = -1
    with socket.create_connection(("127.0.0.1", port)) as last:
        last.sendall(b"end")
    thread.join(GIVE_UP_S)
    listener.close()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_bytes_that_are_no_mqtt_end_the_connection_and_no_thread(
    answer: bytes, monkeypatch: Any
) -> None:
    died: List[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: died.append(repr(told.exc_value)))
    calls = [0]
    with port_that_says(answer, calls) as port:
        will = Builder("box").offline("lost")
        options = SinkOptions("box", will, listen={"poses/v1/box/cmd/#": lambda came: None})
        sink = open_sink(f"mqtt://127.0.0.1:{port}?reconnect_max_s=0.1", options)
        give_up_s = time.monotonic() + GIVE_UP_S
        while calls[0] < 2 and not died and time.monotonic() < give_up_s:
            time.sleep(0.01)
        again = calls[0] >= 2
        sink.close(1)
    assert died == []
    assert again, "it is tried again"


def test_a_flood_of_answers_costs_no_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr(_paho, "ACK_ROOM", 10)
    notes: queue.Queue[Any] = queue.Queue()
    options = SinkOptions("box")
    broker = mqtt.check("mqtt://127.0.0.1", options)
    link = _paho.PahoConnection(broker, options, notes, "poses/v1/box/ack")
    for _ in range(30):
        link._on_message(None, None, SimpleNamespace(topic="poses/v1/box/ack", payload=b""))
    assert notes.qsize() == 10


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_does_not_let_us_listen_is_told(caplog: Any, protocol: str) -> None:
    welcome = CONNACK if protocol == "5" else b"\x20\x02\x00\x00"
    refusal = b"\x90\x04\x00\x01\x00\x87" if protocol == "5" else b"\x90\x03\x00\x01\x80"
    with port_that_says(welcome + refusal, [0]) as port:
        options = SinkOptions("box", listen={"poses/v1/box/cmd/#": lambda came: None})
        sink = open_sink(f"mqtt://127.0.0.1:{port}?protocol={protocol}", options)
        give_up_s = time.monotonic() + GIVE_UP_S
        while "hear commands" not in caplog.text and time.monotonic() < give_up_s:
            time.sleep(0.01)
        sink.close(1)
    assert "does not let us hear commands or answers" in caplog.text


def test_a_connection_that_is_over_leaves_no_socket_to_the_garbage_collector() -> None:
    """It looks so rarely in a program of this size that a long outage used up all descriptors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of what tests before this one left
        gc.collect()
    gc.disable()
    try:
        with port_that_says(ANSWERS["a web server"], [0]) as port:
            options = SinkOptions("box", Builder("box").offline("lost"))
            broker = mqtt.check(f"mqtt://127.0.0.1:{port}", options)
            before, threads = len(list(OPEN.iterdir())), set(threading.enumerate())
            for _ in range(10):
                notes: queue.Queue[Any] = queue.Queue()
                link = _paho.PahoConnection(broker, options, notes)
                link.open()
                notes.get(timeout=GIVE_UP_S)
                link.abort()
                del notes, link
            give_up_s = time.monotonic() + GIVE_UP_S
            while set(threading.enumerate()) - threads and time.monotonic() < give_up_s:
                time.sleep(0.01)
            after = len(list(OPEN.iterdir()))
    finally:
        gc.enable()
    assert after - before <= 2, "that of the port's own side, perhaps"


def test_a_broker_of_mqtt_5_is_told_the_largest_packet() -> None:
    """Without it mosquitto sent a message of 200 MB, which took 600 MB of memory."""
    heard: queue.Queue[bytes] = queue.Queue()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hear() -> None:
            with listener.accept()[0] as call:
                heard.put(call.recv(4096))

        threading.Thread(target=hear, daemon=True).start()
        sink = open_sink(f"mqtt://127.0.0.1:{listener.getsockname()[1]}", SinkOptions("box"))
        connect = heard.get(timeout=GIVE_UP_S)
        sink.close(1)
    assert b"\x27" + _paho.MOST_BYTES_IN.to_bytes(4, "big") in connect[:32]


def test_memory_is_not_asked_for_before_a_packet_is_refused() -> None:
    client = _paho._Client(CallbackAPIVersion.VERSION2)
    with pytest.raises(ValueError, match="a packet of 209715200 bytes; 1048576 are allowed"):
        client._sock_recv(200 << 20)
