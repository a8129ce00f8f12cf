"""Sections of the configuration about what leaves the box: sinks, brokers, waiting events."""

import re
from dataclasses import dataclass
from typing import List, Optional

from edge.settings.schema import key


def _prefix_problem(value: str) -> Optional[str]:
    """What is wrong with the first levels of a topic; None if nothing is."""
    if re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", value):
        return None
    return "use letters, digits, _ and -; levels are separated by /"


@dataclass(frozen=True)
class Publish:
    """Where results go."""

    sinks: List[str] = key(
        ["jsonl:-"],
        "URIs: mqtt:// mqtts:// https:// (webhook) gpio:// jsonl:PATH (- = stdout) "
        "prometheus://127.0.0.1",
    )
    points: str = key(
        "all",
        "keypoints of a person in frame messages: all = those of pose.skeleton; body-feet = 26, "
        "body = 17; events keep all of theirs",
        choices=("all", "body-feet", "body"),
    )
    max_hz: float = key(
        0.0,
        "frame messages of each camera and scene in a second, at most; 0 = every frame; events and "
        "states are never left out",
        0,
        1000,
    )
    homeassistant: bool = key(
        False, "announce cameras and rules to Home Assistant, at every sink with a broker"
    )
    homeassistant_prefix: str = key(
        "homeassistant",
        "first levels of its discovery topics, as set in Home Assistant",
        check=_prefix_problem,
    )
    codec: str = key("json", "encoding of frame messages", choices=("json", "cbor"))
    metrics_s: float = key(10.0, "pause between two metrics messages", 0.5, 3600)
    frame_expiry_s: int = key(2, "brokers drop frame messages older than this (MQTT 5)", 1, 3600)


@dataclass(frozen=True)
class Mqtt:
    """The connection to the broker; host, port and user are in the sink's URI."""

    protocol: str = key(
        "auto",
        "version of MQTT; auto = 5, or 3.1.1 if the broker does not speak 5",
        choices=("auto", "5", "3.1.1"),
    )
    keepalive_s: int = key(
        15, "a lost connection is noticed, on both sides, within 1.6 times this", 2, 3600
    )
    password_file: str = key("", "file that holds the password of the user in the URI")
    ca_file: str = key("", "certificate of the broker's authority; empty = the system's")
    cert_file: str = key("", "certificate of this device")
    key_file: str = key("", "private key of cert_file")
    reconnect_max_s: float = key(30.0, "longest pause between two attempts", 0.1, 600)


@dataclass(frozen=True)
class Webhook:
    """How messages are signed and sent to sinks `https://`; at least one key must be there."""

    secret_file: str = key(
        "", "file with the secret that is shared with the receiver, base64: signs with HMAC-SHA256"
    )
    sign_key_file: str = key(
        "",
        "private key, P-256 (as edge provision makes it) or ed25519: signs so that anybody who "
        "has the public key can check",
    )
    ca_file: str = key("", "certificate of the receiver's authority; empty = the system's")
    cert_file: str = key("", "certificate of this device, for receivers that ask for one")
    key_file: str = key("", "private key of cert_file")
    timeout_s: float = key(10.0, "time limit for connecting and for each answer", 0.5, 25)
    retry_max_s: float = key(
        120.0, "longest pause between two tries; it doubles from 0.5 s on", 0.1, 3600
    )


@dataclass(frozen=True)
class Outbox:
    """Where events wait until they are acknowledged."""

    path: str = key(
        "",
        "file, one for each broker; empty = outbox.db in the state directory, "
        "or memory if there is none",
    )
    ack: str = key(
        "broker",
        "who acknowledges an event: the broker, or a consumer (MQTT 5)",
        choices=("broker", "consumer"),
    )
    answer_s: float = key(
        5.0, "an event that no consumer acknowledged for this long is sent again", 0.1, 600
    )
    max_mb: int = key(
        32,
        "size of the file, reserved at the first start; when it is full, the oldest of the least "
        "urgent events are dropped and counted",
        4,
        4096,
    )
    urgent: List[str] = key(["fall"], "kinds of events that are dropped last")
    minor: List[str] = key([], "kinds of events that are dropped first")
