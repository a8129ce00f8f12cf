"""One connection to a broker, for `edge doctor`: does the broker let this box in?"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import Any, List, Optional

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import TempError
from edge.publish._address import Broker
from edge.publish._paho import UNREADABLE, new_client

LOOK_S = 0.1


@dataclass(frozen=True)
class Answer:
    """What a broker said to CONNECT.

    Attributes:
        code: reason code of MQTT 5 section 3.2.2.2, for MQTT 3.1.1 as well; 0 = this box may enter,
            None = the broker closed the connection or sent something else.
        words: the code in words.
        valid_until: end of the broker's certificate as ssl.cert_time_to_seconds takes it; empty
            without TLS.
    """

    code: Optional[int] = None
    words: str = ""
    valid_until: str = ""


def ask(broker: Broker, version: str, client_id: str, limit_s: float) -> Answer:
    """Connect, wait for the broker's answer, and disconnect.

    Args:
        broker: a checked address.
        version: of MQTT, "5" or "3.1.1".
        client_id: not that of the service: a broker ends the older connection of an identifier.
        limit_s: for the connection, the TLS handshake and the answer each.

    Raises:
        OSError: no connection (ssl.SSLError: no TLS). TempError: connected, but no answer in time.
    """
    client = new_client(broker, version, client_id, limit_s)
    reasons: List[ReasonCode] = []

    def on_connect(client: Any, data: Any, flags: Any, reason: ReasonCode, more: Any) -> None:
        reasons.append(reason)

    client.on_connect = on_connect
    v5 = version == "5"
    clean = {"clean_start": True} if v5 else {}
    # paho 2.1 limits the handshake by the keepalive.
    client.connect(broker.host, broker.port, max(1, int(limit_s)), **clean)
    valid_until = _valid_until(client.socket())
    ended = _wait(client, reasons, time.monotonic() + limit_s)
    client.disconnect()
    if reasons:
        return Answer(int(reasons[0].value), str(reasons[0]), valid_until)
    # paho does not report this one refusal of MQTT 3.1.1: it would try 3.1 next.
    if ended == MQTTErrorCode.MQTT_ERR_PROTOCOL and not v5:
        return Answer(0x84, "Unsupported protocol version", valid_until)
    return Answer(valid_until=valid_until)


def _wait(client: Client, reasons: List[ReasonCode], until_s: float) -> MQTTErrorCode:
    """Read until there is an answer; returns why the connection ended without one."""
    ended = MQTTErrorCode.MQTT_ERR_SUCCESS
    while not reasons and ended == MQTTErrorCode.MQTT_ERR_SUCCESS:
        if time.monotonic() >= until_s:
            client.disconnect()
            raise TempError("no answer in time")
        try:
            ended = client.loop(LOOK_S)
        except UNREADABLE:  # bytes that are not MQTT
            ended = MQTTErrorCode.MQTT_ERR_PROTOCOL
    return ended


def _valid_until(link: Any) -> str:
    certificate = link.getpeercert() if isinstance(link, ssl.SSLSocket) else None
    return str((certificate or {}).get("notAfter", ""))
