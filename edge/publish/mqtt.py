"""mqtt://[user@]host[:1883] and mqtts://[user@]host[:8883], MQTT 5 or 3.1.1."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path
from typing import Any, Optional

from edge.errors import ConfigError
from edge.messages import ROOT, Message
from edge.publish import SinkOptions
from edge.publish._address import Broker, parse
from edge.publish._backlog import Backlog
from edge.publish._counters import Counters
from edge.publish._fallback_outbox import OutboxSettings, outbox_file
from edge.publish._outbox_thread import OutboxThread
from edge.publish._paho import CONNECT_S, PahoConnection
from edge.publish._protocol import ProtocolChoice
from edge.publish._send_queues import late_in_run
from edge.publish._sender import ANSWER_S, Sender

GOODBYE_S = 1.0


def open_sink(uri: str, options: SinkOptions) -> MqttSink:
    """Start connecting to a broker; a broker that is not there is no error.

    Raises:
        ConfigError, NoInputError, DataError: the address or a file of it cannot be used.
    """
    broker = check(uri, options)
    return MqttSink(broker, options, outbox_file(broker, options))


def check(uri: str, options: SinkOptions) -> Broker:
    """Check an address and return the broker; raises what `open_sink` raises."""
    broker = parse(uri, options.mqtt)
    if options.outbox.ack == "consumer" and broker.settings.protocol == "3.1.1":
        raise ConfigError(f'sink {broker.name}: outbox.ack = "consumer" needs mqtt.protocol = "5"')
    folder = Path(options.outbox.path).parent
    if options.outbox.path and not folder.is_dir():
        raise ConfigError(f"outbox.path: {folder}: no such folder; create it")
    return broker


class MqttSink:
    """Sends messages to one broker, with a thread for the network and one for the outbox.

    Args:
        broker: a checked address.
        options: see SinkOptions.
        path: the outbox file; None = in memory.
    """

    reader_left = False  # a broker may come back

    def __init__(self, broker: Broker, options: SinkOptions, path: Optional[Path]) -> None:
        self.name = broker.name
        self.counters = Counters()
        self.counters.outbox = {"durable": False, "stored": 0, "parked": 0, "lost": 0, "resets": 0}
        # Not a SimpleQueue: in Python 3.8 its `get` can miss an item at its time-out and hang.
        inbox: queue.Queue[Any] = queue.Queue()
        outbox = options.outbox
        settings = OutboxSettings(
            path, outbox.max_mb * 2**20, options.run, outbox.urgent, outbox.minor
        )
        self._outbox = OutboxThread(
            broker.name, settings, inbox, self.counters, options.publish_event
        )
        to_consumer = outbox.ack == "consumer"
        answer_s = outbox.answer_s if to_consumer else None
        ack_topic = f"{ROOT}/{options.device}/ack" if to_consumer else ""

        choice = ProtocolChoice(broker.settings.protocol, needs_5=to_consumer)

        def dial(inbox: queue.Queue[Any]) -> PahoConnection:
            return PahoConnection(broker, options, inbox, ack_topic, self, choice)

        self._sender = Sender(
            broker.name,
            dial,
            self.counters,
            broker.settings.reconnect_max_s,
            self._outbox,
            Backlog(self._outbox, late_in_run(options.run), answer_s),
            inbox,
            ack_topic,
        )
        self._outbox_thread = threading.Thread(target=self._outbox.run, name="outbox", daemon=True)
        self._outbox_thread.start()
        self._thread = threading.Thread(target=self._sender.run, name="mqtt", daemon=True)
        self._thread.start()
        if options.lossless:  # or half of a recording is dropped before the broker has answered
            self._sender.first_try_done.wait(CONNECT_S + 2 * ANSWER_S)

    @property
    def ok(self) -> bool:
        """Whether the broker is connected."""
        return self._sender.connected

    @property
    def waiting(self) -> int:
        """Number of events that are not acknowledged yet."""
        return self._outbox.waiting

    def __call__(self, message: Message) -> None:
        """Take a message; never blocks."""
        self._sender.put(message)

    def close(self, timeout_s: float) -> None:
        """Send what is waiting for at most this long, then disconnect."""
        self._sender.close(time.monotonic() + timeout_s)
        self._thread.join(timeout_s + GOODBYE_S)
        self._outbox.close()
        self._outbox_thread.join(GOODBYE_S)
