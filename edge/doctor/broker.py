"""Whether each broker is there, is the right one, and lets this box in.

The doctor connects with a client identifier of its own: a broker ends the older of two connections
with the same one, which would be the running service's.
"""

from __future__ import annotations

import contextlib
import datetime
import ssl
import time
from pathlib import Path
from typing import List, Optional

from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.errors import EdgeError, TempError
from edge.publish import _tls
from edge.publish._address import Broker, parse
from edge.publish._thinning import split as without_limits
from edge.settings.config import Config

ANSWER_S = 10.0
WARN_DAYS = 30
UNSUPPORTED = 0x84
ONLY_3 = "speaks MQTT 3.1.1 only: docs/messages.md says what is missing then"
ONLY_3_FIX = 'mqtt.protocol = "3.1.1" saves the attempt with MQTT 5; or update the broker'
REFUSALS = {  # CONNACK reason codes, MQTT 5 section 3.2.2.2
    UNSUPPORTED: 'speaks another version, or is no MQTT broker: mqtt.protocol = "{other}"',
    0x86: "wrong user or password: check the user and mqtt.password_file",
    0x87: "does not let this box in: check its access list and the name in the certificate",
}


def brokers(settings: Config) -> List[Finding]:
    """Findings for each MQTT sink, and for its certificates."""
    uris = [u for u in settings.publish.sinks if u.startswith(("mqtt:", "mqtts:"))]
    return [f for uri in uris for f in _broker(uri, settings)]


def _broker(uri: str, settings: Config) -> List[Finding]:
    try:
        broker = parse(without_limits(uri, settings.publish)[0], settings.mqtt)
    except EdgeError as error:
        return [Finding("broker", FAIL, str(error), "correct the sink and [mqtt]")]
    what = f"broker {broker.name}"
    try:
        from edge.publish import _probe  # needs paho-mqtt, which may be missing
    except ModuleNotFoundError:
        return [Finding(what, FAIL, "paho-mqtt is not installed", "pip install paho-mqtt")]
    found = own_certificate(broker, settings.device)
    began = time.monotonic()
    version = "3.1.1" if broker.settings.protocol == "3.1.1" else "5"
    name = f"doctor-{settings.device}"
    try:
        answer = _probe.ask(broker, version, name, ANSWER_S)
        if answer.code in (None, UNSUPPORTED) and broker.settings.protocol == "auto":
            with contextlib.suppress(OSError, TempError):  # the first answer is judged then
                if _probe.ask(broker, "3.1.1", name, ANSWER_S).code == 0:
                    return [*found, Finding(what, WARN, ONLY_3, ONLY_3_FIX)]
    except TempError:
        fix = "is it an MQTT broker? is the port right? is it overloaded?"
        return [*found, Finding(what, FAIL, f"no answer within {ANSWER_S:.0f} s", fix)]
    except OSError as error:
        if broker.tls is not None and isinstance(error, (ssl.SSLError, ConnectionResetError)):
            return [*found, _tls_failed(what, _tls.explain(error, broker.host, broker.settings))]
        fix = "is it on and reachable? is the port right? does a firewall block it?"
        return [*found, Finding(what, FAIL, error.strerror or str(error), fix)]
    took_ms = (time.monotonic() - began) * 1e3
    if answer.valid_until:
        left_s = ssl.cert_time_to_seconds(answer.valid_until) - time.time()
        found.append(_days("broker's certificate", left_s / 86400))
    return [*found, _judge(broker, answer.code, answer.words, took_ms)]


def _tls_failed(what: str, reason: str) -> Finding:
    """The text that the service would log, as finding and fix."""
    found, _, fix = reason.partition(": ")
    return Finding(what, FAIL, found, fix)


def _judge(broker: Broker, code: Optional[int], words: str, took_ms: float) -> Finding:
    what = f"broker {broker.name}"
    if code == 0:
        return Finding(what, OK, f"lets this box in, {took_ms:.0f} ms")
    other = "5" if broker.settings.protocol == "3.1.1" else "3.1.1"
    if code is None and broker.tls is not None:
        return _tls_failed(what, _tls.explain_closed(broker.settings))
    if code is None:
        fix = (
            "is it an MQTT broker? is the port one for TLS (mqtts://) or websockets? does it speak "
            f'another version (mqtt.protocol = "{other}")? does it require a certificate?'
        )
        return Finding(what, FAIL, "closed the connection without an answer", fix)
    fix = REFUSALS.get(code, "the broker's log tells more").format(other=other)
    return Finding(what, FAIL, f"refuses this box: {words} (code {code:#04x})", fix)


def own_certificate(broker: Broker, device: str) -> List[Finding]:
    """Whether mqtt.cert_file has the device's name, and how long it is valid."""
    path = broker.settings.cert_file
    if not path or broker.tls is None:
        return []
    from edge.keys import own_key  # loads cryptography: only where there are certificates

    try:
        name = own_key.common_name(Path(path))
        begin, end = own_key.valid_times(Path(path))
    except EdgeError as error:
        return [Finding("own certificate", FAIL, str(error), "edge provision --certificate FILE")]
    if name != device:
        fix = "brokers check this name: edge provision makes a request with the right one"
        return [Finding("own certificate", FAIL, f"is for {name!r}, the device is {device!r}", fix)]
    now = datetime.datetime.now(datetime.timezone.utc)
    if now < begin:
        when = f"is valid only from {begin:%Y-%m-%d %H:%M} UTC"
        return [
            Finding("own certificate", FAIL, f"{path} {when}", "is the clock of this box right?")
        ]
    return [_days("own certificate", (end - now).total_seconds() / 86400)]


def _days(what: str, left: float) -> Finding:
    fix = "get a new one: authority.sh sign, then edge provision --certificate FILE"
    if left <= 0:
        return Finding(what, FAIL, "has expired", f"{fix}; is the clock of this box right?")
    return Finding(what, OK if left > WARN_DAYS else WARN, f"valid for {left:.0f} more days", fix)
