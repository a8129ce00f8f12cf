"""Print where every person is, and every event once.

    pip install paho-mqtt
    python examples/subscriber.py BROKER[:PORT]      # --help shows options for TLS and login

It reads JSON, which is the default of `[publish] codec`.
"""

import argparse
import json

import login
import paho.mqtt.client as mqtt

printed = set()  # an event may be delivered twice


def on_connect(client, userdata, flags, reason, properties):
    """Subscribe; after a lost connection, again."""
    client.subscribe("poses/v1/+/+/event/#", qos=1)
    client.subscribe("poses/v1/+/+/frame")


def on_message(client, userdata, message):
    """Print a line for each person of a frame, and a line for each new event."""
    record = json.loads(message.payload)
    if message.topic.endswith("/frame"):
        for person in record["people"]:
            box = [tenths // 10 for tenths in person["box"]]
            print(f"{record['camera']}: person {person['id']} in x1 y1 x2 y2 = {box} px")
        return
    # Events of an outage may come after newer ones, so the highest number is not enough.
    key = message.topic, record["boot_id"], record["seq"]
    if key not in printed:
        printed.add(key)
        print(f"{record['camera']}: {record['kind']}, person {record['person']}, {record['data']}")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("broker", nargs="?", default="localhost", metavar="BROKER[:PORT]")
login.add_arguments(parser)
arguments = parser.parse_args()
host, _, port = arguments.broker.partition(":")
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.on_connect, client.on_message = on_connect, on_message
usual_port = login.log_in(client, arguments)
client.connect(host, int(port or usual_port))
client.loop_forever()
