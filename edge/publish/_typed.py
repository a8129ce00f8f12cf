"""What people type instead of a sink's address, and the address that they mean."""

from __future__ import annotations

import re

from edge.masking import masked_uri

WEBSOCKETS = ("ws", "wss")
# Schemes of other programs -> ours.
_SCHEMES = {
    **dict.fromkeys(("mqtt", "tcp", "mqtt+tcp", "mosquitto"), "mqtt"),
    **dict.fromkeys(("mqtts", "ssl", "tls", "mqtt+ssl", "mqtt+tls"), "mqtts"),
}
_BROKER = re.compile(r"([A-Za-z+]+):{1,2}/{0,3}([^/\s].*)")
_HOST = re.compile(r"(?:[^\s/@]+@)?(?:[\w.-]*\w|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?/?")
_FILE = re.compile(r"(?:file|jsonl?)(?::/{0,2})(.+)|(-|stdout|\S+\.(?:jsonl|ndjson|json))", re.I)


def hint(uri: str) -> str:
    """The words `did you mean X ?` without secrets, or the way out; "" = nothing is known.

    Args:
        uri: as typed; it may hold a password.
    """
    scheme = uri.strip().partition(":")[0].lower()
    if scheme in WEBSOCKETS:
        return "MQTT over websockets is not spoken; use the broker's port for MQTT: mqtt://HOST; "
    typed = _meant(uri.strip().strip("'\""))
    return f"did you mean {masked_uri(typed)} ? " if typed and typed != uri else ""


def _meant(text: str) -> str:
    file = _FILE.fullmatch(text)
    if file:
        path = file[1] or file[2]
        return "jsonl:" + ("-" if path.lower() == "stdout" else path)
    broker = _BROKER.fullmatch(text)
    if broker and broker[1].lower() in _SCHEMES:
        return f"{_SCHEMES[broker[1].lower()]}://{broker[2]}"
    host = _HOST.fullmatch(text)
    if not host or text.startswith("_"):
        return ""
    return f"{'mqtts' if host['port'] == '8883' else 'mqtt'}://{text}"
