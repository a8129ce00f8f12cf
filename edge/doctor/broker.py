"""Is the broker there, is it the right one, does it let this box in?

A hello of the protocol is written here in bytes, under a name of its own: a client with the name of
the service would throw the running service out.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import List, Optional

from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.errors import EdgeError
from edge.publish import _tls
from edge.publish._address import Broker, parse
from edge.settings.config import Config

ANSWER_S = 5.0
WARN_DAYS = 30
CONNACK, DISCONNECT = 0x20, b"\xe0\x00"
REFUSALS = {  # MQTT 5 section 3.2.2.2, MQTT 3.1.1 section 3.2.2.3
    0x84: 'speaks another version: mqtt.protocol = "3.1.1"',
    0x86: "bad user or password: check the user and mqtt.password_file",
    0x87: "does not let this box in: check its access list and the certificate's name",
    1: 'speaks another version: mqtt.protocol = "5"',
    4: "bad user or password: check the user and mqtt.password_file",
    5: "does not let this box in: check its access list and the certificate's name",
}


def brokers(settings: Config) -> List[Finding]:
    """Each mqtt sink."""
    uris = [u for u in settings.publish.sinks if u.startswith(("mqtt:", "mqtts:"))]
    return [f for uri in uris for f in _broker(uri, settings)]


def _broker(uri: str, settings: Config) -> List[Finding]:
    try:
        broker = parse(uri, settings.mqtt)
    except EdgeError as error:
        return [Finding("broker", FAIL, str(error), "correct the sink and [mqtt]")]
    found = own_certificate(broker, settings.device)
    began = time.monotonic()
    try:
        with _connected(broker) as link:
            found += _their_certificate(link)
            code = hello(link, broker, settings.device)
    except OSError as error:
        if broker.tls is not None and isinstance(error, (ssl.SSLError, ConnectionResetError)):
            return [*found, _told(broker, _tls.explain(error, broker.host, broker.settings))]
        fix = "is it on and in reach? is the port right? does a firewall stand between?"
        reason = error.strerror or str(error)
        return [*found, Finding(f"broker {broker.name}", FAIL, reason, fix)]
    took_ms = (time.monotonic() - began) * 1e3
    return [*found, _answer(broker, code, took_ms)]


def _told(broker: Broker, reason: str) -> Finding:
    """What the service would say of it, as finding and fix."""
    found, _, fix = reason.partition(": ")
    return Finding(f"broker {broker.name}", FAIL, found, fix)


def _answer(broker: Broker, code: int, took_ms: float) -> Finding:
    what = f"broker {broker.name}"
    if code == 0:
        return Finding(what, OK, f"lets this box in, {took_ms:.0f} ms")
    if code < 0 and broker.tls is not None:
        return _told(broker, _tls.hung_up(broker.settings))
    if code < 0:
        fix = "is it an MQTT broker? does it want a certificate (mqtt.cert_file)?"
        return Finding(what, FAIL, "hung up instead of answering", fix)
    fix = REFUSALS.get(code, "its log tells more")
    return Finding(what, FAIL, f"refuses this box (code {code:#04x})", fix)


def _connected(broker: Broker) -> socket.socket:
    plain = socket.create_connection((broker.host, broker.port), ANSWER_S)
    if broker.tls is None:
        return plain
    try:
        return broker.tls.wrap_socket(plain, server_hostname=broker.host)
    except OSError:
        plain.close()
        raise


def _their_certificate(link: socket.socket) -> List[Finding]:
    if not isinstance(link, ssl.SSLSocket):
        return []
    end = (link.getpeercert() or {}).get("notAfter")
    if not isinstance(end, str):
        return []
    return [_days("broker's certificate", (ssl.cert_time_to_seconds(end) - time.time()) / 86400)]


def own_certificate(broker: Broker, device: str) -> List[Finding]:
    """Whether it is this box's, and for how long yet."""
    path = broker.settings.cert_file
    if not path or broker.tls is None:
        return []
    from edge.keys import own_key  # its library is loaded only where there are certificates

    try:
        name = own_key.common_name(Path(path))
        begin, end = own_key.valid_times(Path(path))
    except EdgeError as error:
        return [Finding("own certificate", FAIL, str(error), "edge provision --certificate FILE")]
    if name != device:
        fix = "the broker takes its name for the device's: edge provision asks for a right one"
        return [Finding("own certificate", FAIL, f"is for {name!r}, the device is {device!r}", fix)]
    now = datetime.datetime.now(datetime.timezone.utc)
    if now < begin:
        when = f"is valid only from {begin:%Y-%m-%d %H:%M} UTC on"
        return [Finding("own certificate", FAIL, f"{path} {when}", "is this box's clock right?")]
    return [_days("own certificate", (end - now).total_seconds() / 86400)]


def _days(what: str, left: float) -> Finding:
    fix = "have a new one signed: authority.sh sign, edge provision --certificate FILE"
    if left <= 0:
        return Finding(what, FAIL, "has ended", f"{fix}; is the clock right?")
    return Finding(what, OK if left > WARN_DAYS else WARN, f"good for {left:.0f} days", fix)


def hello(link: socket.socket, broker: Broker, device: str) -> int:
    """CONNECT and its answer's reason code; -1 when there is none (MQTT section 3.1, 3.2)."""
    link.settimeout(ANSWER_S)
    try:
        link.sendall(connect_packet(broker, f"doctor-{device}"))
        answer = _read(link, 2)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return -1
    if answer is None or answer[0] != CONNACK:
        return -1
    rest = _read(link, answer[1] & 0x7F)
    if rest is None or len(rest) < 2:
        return -1
    link.sendall(DISCONNECT)
    return rest[1]


def connect_packet(broker: Broker, client: str) -> bytes:
    """A CONNECT without will, with a clean session."""
    v5 = broker.settings.protocol == "5"
    flags = 0x02 | (0x80 if broker.user is not None else 0)
    flags |= 0x40 if broker.password is not None else 0
    head = _text("MQTT") + struct.pack("!BBH", 5 if v5 else 4, flags, 30)
    body = head + (b"\x00" if v5 else b"") + _text(client)
    for credential in (broker.user, broker.password):
        body += _text(credential) if credential is not None else b""
    return b"\x10" + _length(len(body)) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _length(count: int) -> bytes:
    """Seven bits a byte, the lowest first (MQTT section 1.5.5)."""
    made = b""
    while True:
        count, low = divmod(count, 128)
        made += bytes([low | (0x80 if count else 0)])
        if not count:
            return made


def _read(link: socket.socket, count: int) -> Optional[bytes]:
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            return None
        data += more
    return data
