"""The address of a broker: a sink's URI and the [mqtt] section."""

from __future__ import annotations

import dataclasses
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from edge.errors import ConfigError, DataError, NoInputError
from edge.publish import _tls
from edge.publish._typed import hint
from edge.settings.publishing import Mqtt
from edge.settings.schema import build

PORTS = {"mqtt": 1883, "mqtts": 8883}
_NO_HOST = re.compile(r"[\s;,<>|\"'`\\]|^-")


@dataclass(frozen=True)
class Broker:
    """A checked address, with everything that a connection needs."""

    name: str  # the address without user and options, for people and metrics
    host: str
    port: int
    user: Optional[str]
    password: Optional[str] = dataclasses.field(repr=False)
    tls: Optional[ssl.SSLContext]
    settings: Mqtt

    @property
    def outbox_name(self) -> str:
        """Names the broker in the file name of an outbox."""
        return f"{self.host}-{self.port}"


def parse(uri: str, defaults: Mqtt) -> Broker:
    """Parse a URI such as mqtts://user@host:8883?ca_file=ca.pem.

    Args:
        uri: options in its query override the keys of the section with the same names.
        defaults: the [mqtt] section.

    Raises:
        ConfigError: not a valid address; the message never repeats a password.
        NoInputError: a named file is not there. DataError: a named file is not a certificate.
    """
    parts, given = _split(uri)
    host, port = _host(uri, parts, given)
    shown = f"[{host.replace('%', '%25')}]" if ":" in host else host
    name = f"{parts.scheme}://{shown}:{port}"
    if parts.password is not None:
        raise ConfigError(f"sink {name}: no passwords in addresses; use mqtt.password_file")
    if parts.path.strip("/") or parts.fragment:
        raise ConfigError(f"sink {name}: nothing may follow the port but ?options")
    settings = _settings(parts.query, defaults, name)
    user = unquote(parts.username) if parts.username else None
    password = _password(settings, name) if settings.password_file else None
    if password is not None and user is None:
        raise ConfigError(f"sink {name}: a password needs a user: {parts.scheme}://USER@{host}")
    tls = _tls.context(settings, name) if parts.scheme == "mqtts" else None
    return Broker(name, host, port, user, password, tls, settings)


def _split(uri: str) -> Tuple[SplitResult, Optional[int]]:
    try:
        parts = urlsplit(uri)
        return parts, parts.port
    except ValueError as error:
        scheme, _, rest = uri.partition("://")
        six = "[" not in rest and rest.count(":") > 1
        way = f"; an IPv6 address stands in brackets: {scheme}://[::1]:1883" if six else ""
        raise ConfigError(f"sink {scheme}: no such address: {error}{way}") from error


def _host(uri: str, parts: SplitResult, port: Optional[int]) -> Tuple[str, int]:
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise ConfigError(
            f"sink {parts.scheme}: {hint(uri)}expected {parts.scheme}://HOST or "
            f"{parts.scheme}://HOST:1883; a user name and an at sign may stand before HOST"
        )
    if _NO_HOST.search(parts.hostname):
        raise ConfigError(f"sink {parts.scheme}: no host is called {parts.hostname!r}")
    host, _, zone = parts.hostname.partition("%25")  # RFC 6874: %25 is how a URI spells %
    host = f"{host}%{zone}" if ":" in host and zone else parts.hostname
    return host, port or PORTS[parts.scheme]


def _settings(query: str, defaults: Mqtt, name: str) -> Mqtt:
    table: Dict[str, Any] = dataclasses.asdict(defaults)
    for key, value in parse_qsl(query, keep_blank_values=True):
        table[key] = _number(value, type(table.get(key, value)), f"sink {name}: {key}")
    try:
        return build(Mqtt, table)
    except ConfigError as error:
        raise ConfigError(f"sink {name}: {error}") from error


def _number(text: str, kind: Any, where: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"{where}: expected a number, got {text!r}") from error


def _password(settings: Mqtt, name: str) -> str:
    try:
        text = Path(settings.password_file).read_text("utf-8")
    except OSError as error:
        raise NoInputError(
            f"sink {name}: mqtt.password_file {settings.password_file}: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"mqtt.password_file {settings.password_file}: is no text") from error
    return text.rstrip("\r\n")
