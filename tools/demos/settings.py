"""The daemon's configuration in a demo, as a user would write it."""

from __future__ import annotations

import json
from urllib.parse import quote

from tools.demos import DEVICE, Plan
from tools.demos.files import Files
from tools.mqtt.broker import Broker

CONFIG = """\
# Made by `edge-tools demo`.
device = {device}
{cameras}
[models]
dir = {models}

[detect]
model = {detect}

[pose]
model = {pose}

[runtime]
precision = {precision}
{tables}
[publish]
sinks = [{broker}, {messages}]
metrics_s = 1.0

[mqtt]
protocol = {protocol}
password_file = {password_file}
"""


def config_text(broker: Broker, plan: Plan, files: Files, precision: str) -> str:
    """The text of the configuration file."""
    cameras = "".join(
        f"\n[[cameras]]\nname = {json.dumps(name)}\n"
        f"source = {json.dumps(f'file://{quote(str(clip))}?rate=max')}\n"
        for name, clip in plan.clips
    )
    texts = {
        "device": DEVICE,
        "models": str(plan.models),
        "detect": plan.detect,
        "pose": plan.pose,
        "precision": precision,
        "broker": broker.uri,
        "messages": f"jsonl:{files.messages}",
        "protocol": broker.protocol,
        "password_file": str(broker.password_file) if broker.user else "",
    }
    # A JSON string is also a TOML string.
    quoted = {name: json.dumps(text) for name, text in texts.items()}
    return CONFIG.format(cameras=cameras, tables=plan.tables, **quoted)
