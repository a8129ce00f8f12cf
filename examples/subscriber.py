# ruff: noqa: D103, T201
"""A subscriber: who is where, and every event once. pip install paho-mqtt; python FILE BROKER.

For boxes with [publish] codec = "json", as it is without a word.
"""

import json
import sys

import paho.mqtt.client as mqtt

seen = set()  # events may come twice, and those of an outage after newer ones


def on_connect(client, userdata, flags, reason, properties):
    client.subscribe("poses/v1/+/+/event/#", qos=1)
    client.subscribe("poses/v1/+/+/frame")


def on_message(client, userdata, message):
    record = json.loads(message.payload)
    if message.topic.endswith("/frame"):
        for person in record["people"]:
            box = [tenths // 10 for tenths in person["box"]]
            print(f"{record['camera']}: person {person['id']} in x1 y1 x2 y2 = {box} px")
        return
    key = message.topic, record["boot_id"], record["seq"]
    if key not in seen:
        seen.add(key)
        print(f"{record['camera']}: {record['kind']}, person {record['person']}, {record['data']}")


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.on_connect, client.on_message = on_connect, on_message
client.connect(sys.argv[1] if len(sys.argv) > 1 else "localhost")
client.loop_forever()
