"""The address of a receiver of webhooks: a sink's URI and the [webhook] section."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from edge.errors import ConfigError
from edge.publish import _tls
from edge.publish._webhook.signature import Signer
from edge.settings.publishing import Webhook

PORT = 443


@dataclass(frozen=True)
class Target:
    """A checked address, with everything that a connection needs."""

    name: str  # https://HOST:PORT, for people and metrics: a path may hold a secret
    host: str
    port: int
    path: str = field(repr=False)  # with the query
    tls: ssl.SSLContext
    signer: Signer
    settings: Webhook

    @property
    def outbox_name(self) -> str:
        """Names the receiver in the file name of an outbox."""
        path = hashlib.sha256(self.path.encode()).hexdigest()[:8]
        return f"{self.host}-{self.port}-{path}"


def parse(uri: str, settings: Webhook) -> Target:
    """Check an address such as https://host/hook.

    Raises:
        ConfigError: not a valid address, or no key to sign with; the message never repeats a
            password, path or query.
        NoInputError: a named file is not there. DataError: a named file has other content.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"sink https: no such address: {error}") from error
    odd = any(c <= " " or c == "\x7f" for c in uri)
    if parts.scheme != "https" or not host or port == 0 or odd:
        raise ConfigError("sink https: expected https://HOST/PATH or https://HOST:PORT/PATH")
    name = f"https://{f'[{host}]' if ':' in host else host}:{port or PORT}"
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ConfigError(
            f"sink {name}: no user, password or # in the address; messages are signed"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise ConfigError(f"sink {name}: write the path in percent encoding")
    signer = Signer.load(settings, name)
    tls = _tls.context(settings, name, "webhook")
    return Target(name, host, port or PORT, path, tls, signer, settings)
