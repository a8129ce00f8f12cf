"""Signatures of webhooks in the form of Standard Webhooks (github.com/standard-webhooks).

Signed are the bytes `ID.TIMESTAMP.BODY`. The header `webhook-signature` has, separated by spaces:

- `v1,BASE64`: HMAC-SHA256 with webhook.secret_file;
- `v1a,BASE64`: ed25519 (RFC 8032), if webhook.sign_key_file is such a key;
- `v1e,BASE64`: ECDSA over P-256 with SHA-256 in DER form, if webhook.sign_key_file is a key as
  `edge provision` makes it. This form is ours; the specification leaves it to applications.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from edge.errors import ConfigError, DataError, NoInputError
from edge.settings.publishing import Webhook

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64  # of a secret, as the specification recommends


@dataclass(frozen=True)
class Signer:
    """The keys that sign messages."""

    secret: Optional[bytes] = field(default=None, repr=False)
    key: Any = field(default=None, repr=False)  # ed25519 or P-256

    @staticmethod
    def load(settings: Webhook, name: str) -> Signer:
        """Load the keys of the configuration.

        Raises:
            ConfigError: none is configured. NoInputError: a file cannot be read.
            DataError: a file has other content.
        """
        if not settings.secret_file and not settings.sign_key_file:
            raise ConfigError(
                f"sink {name}: webhook.secret_file or webhook.sign_key_file is needed, so that the "
                "receiver can check who sends: openssl rand -base64 32 >FILE"
            )
        secret = _secret(settings.secret_file) if settings.secret_file else None
        key = _key(settings.sign_key_file) if settings.sign_key_file else None
        return Signer(secret, key)

    def header(self, message_id: str, timestamp_s: int, body: bytes) -> str:
        """The value of `webhook-signature`."""
        signed = f"{message_id}.{timestamp_s}.".encode("ascii") + body
        found = []
        if self.secret is not None:
            found.append("v1," + _text(hmac.new(self.secret, signed, hashlib.sha256).digest()))
        if self.key is not None:
            found.append(_by_key(self.key, signed))
        return " ".join(found)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _by_key(key: Any, signed: bytes) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "v1a," + _text(key.sign(signed))
    return "v1e," + _text(key.sign(signed, ec.ECDSA(hashes.SHA256())))


def _secret(path: str) -> bytes:
    where = f"webhook.secret_file {path}"
    try:
        text = Path(path).read_text("ascii").strip()
    except OSError as error:
        raise NoInputError(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is no text") from error
    try:
        secret = base64.b64decode(text[len(PREFIX) * text.startswith(PREFIX) :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{where}: is not base64: openssl rand -base64 32 >FILE") from error
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        raise DataError(
            f"{where}: has {len(secret)} bytes; use {LEAST_BYTES} to {MOST_BYTES}: "
            "openssl rand -base64 32 >FILE"
        )
    return secret


def _key(path: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    from edge.keys.own_key import load_key

    key = load_key(Path(path))
    p256 = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    if not p256 and not isinstance(key, ed25519.Ed25519PrivateKey):
        raise DataError(f"webhook.sign_key_file {path}: is no P-256 or ed25519 key")
    return key
