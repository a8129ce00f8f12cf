"""Store every event in a file, then acknowledge it to the box.

    pip install paho-mqtt
    python examples/consumer.py BROKER[:PORT] [FILE]      # --help shows options for TLS and login

With `[outbox] ack = "consumer"` the box keeps an event until this program has acknowledged it, that
is, until the event is on the disk of this machine.
"""

import argparse
import json
import os
from pathlib import Path

import login
import paho.mqtt.client as mqtt
from paho.mqtt.properties import PacketTypes, Properties

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("broker", nargs="?", default="localhost", metavar="BROKER[:PORT]")
parser.add_argument("file", nargs="?", default="events.jsonl", type=Path)
login.add_arguments(parser)
arguments = parser.parse_args()


def open_ledger(path):
    """Open the file of stored events; returns it with the keys of these events."""
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    with path.open("ab") as file:  # a power cut may have left half a line
        file.truncate(len(whole) + 1 if whole else 0)
    keys = {tuple(json.loads(line)["key"]) for line in whole.splitlines()}
    return path.open("a", encoding="utf-8"), keys


ledger, stored = open_ledger(arguments.file)


def on_connect(client, userdata, flags, reason, properties):
    """Subscribe to the events of all boxes."""
    client.subscribe("poses/v1/+/+/event/#", qos=1)


def on_message(client, userdata, message):
    """Store a new event durably; acknowledge new and repeated ones."""
    record = json.loads(message.payload)
    key = message.topic, record["boot_id"], record["seq"]
    if key not in stored:  # an event may be delivered twice
        stored.add(key)
        print(json.dumps({"key": key, "event": record}), file=ledger, flush=True)
        os.fsync(ledger.fileno())
    ack_topic = getattr(message.properties, "ResponseTopic", None)
    if ack_topic:  # absent with outbox.ack = "broker"
        acknowledgement = Properties(PacketTypes.PUBLISH)
        acknowledgement.CorrelationData = message.properties.CorrelationData
        client.publish(ack_topic, b"", qos=1, properties=acknowledgement)


host, _, port = arguments.broker.partition(":")
# With a fixed client id and clean_start=False the broker keeps events while this program is away.
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "ledger", protocol=mqtt.MQTTv5)
client.on_connect, client.on_message = on_connect, on_message
usual_port = login.log_in(client, arguments)
client.connect(host, int(port or usual_port), clean_start=False)
client.loop_forever()
