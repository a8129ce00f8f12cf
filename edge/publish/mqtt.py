"""mqtt://[user@]host[:1883] and mqtts://[user@]host[:8883], MQTT 5 or 3.1.1."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any, Optional

from edge.errors import ConfigError
from edge.messages import ROOT
from edge.publish import SinkOptions
from edge.publish._address import Broker, parse
from edge.publish._event_sink import EventSink
from edge.publish._fallback_outbox import outbox_file
from edge.publish._paho import CONNECT_S, PahoConnection
from edge.publish._protocol import ProtocolChoice


def open_sink(uri: str, options: SinkOptions) -> MqttSink:
    """Start connecting to a broker; a broker that is not there is no error.

    Raises:
        ConfigError, NoInputError, DataError: the address or a file of it cannot be used.
    """
    broker = check(uri, options)
    return MqttSink(broker, options, outbox_file(broker.name, broker.outbox_name, options))


def check(uri: str, options: SinkOptions) -> Broker:
    """Check an address and return the broker; raises what `open_sink` raises."""
    broker = parse(uri, options.mqtt)
    if options.outbox.ack == "consumer" and broker.settings.protocol == "3.1.1":
        raise ConfigError(f'sink {broker.name}: outbox.ack = "consumer" needs mqtt.protocol = "5"')
    folder = Path(options.outbox.path).parent
    if options.outbox.path and not folder.is_dir():
        raise ConfigError(f"outbox.path: {folder}: no such folder; create it")
    return broker


class MqttSink(EventSink):
    """Sends messages to one broker.

    Args:
        broker: a checked address.
        options: see SinkOptions.
        path: the outbox file; None = in memory.
    """

    def __init__(self, broker: Broker, options: SinkOptions, path: Optional[Path]) -> None:
        to_consumer = options.outbox.ack == "consumer"
        ack_topic = f"{ROOT}/{options.device}/ack" if to_consumer else ""
        choice = ProtocolChoice(broker.settings.protocol, needs_5=to_consumer)

        def dial(inbox: queue.Queue[Any]) -> PahoConnection:
            return PahoConnection(broker, options, inbox, ack_topic, self, choice)

        pause_max_s = broker.settings.reconnect_max_s
        super().__init__(broker.name, options, path, dial, pause_max_s, CONNECT_S, ack_topic)
