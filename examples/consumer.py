# ruff: noqa: D103
"""[outbox] ack = "consumer" keeps an event until it is in this ledger: FILE BROKER LEDGER."""

import json
import os
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.properties import PacketTypes, Properties

host, path = (*sys.argv[1:], "localhost", "events.jsonl")[:2]
ledger = Path(path).open("a+", encoding="utf-8")  # noqa: SIM115
ledger.seek(0)
seen = {tuple(json.loads(line)["key"]) for line in ledger}


def on_connect(client, userdata, flags, reason, properties):
    client.subscribe("poses/v1/+/+/event/#", qos=1)


def on_message(client, userdata, message):
    record = json.loads(message.payload)
    key = message.topic, record["boot_id"], record["seq"]
    if key not in seen:  # an event may come twice
        seen.add(key)
        print(json.dumps({"key": key, "event": record}), file=ledger, flush=True)
        os.fsync(ledger.fileno())
    answer = Properties(PacketTypes.PUBLISH)
    answer.CorrelationData = message.properties.CorrelationData
    client.publish(message.properties.ResponseTopic, b"", qos=1, properties=answer)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "ledger", protocol=mqtt.MQTTv5)
client.on_connect, client.on_message = on_connect, on_message
client.connect(host.split(":")[0], int((host + ":1883").split(":")[1]), clean_start=False)
client.loop_forever()
