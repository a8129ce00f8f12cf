"""The operator's secret key, for every command that signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.errors import ConfigError, NoInputError
from edge.keys.trust import read_once


def load_secret(path: Path) -> Ed25519PrivateKey:
    """The operator's secret key.

    Raises:
        NoInputError: the file does not exist. ConfigError: it is not an unencrypted ed25519 key.
    """
    try:
        data = read_once(path, 1 << 16)
    except NoInputError as error:
        raise NoInputError(f"{error}; `edge-tools keygen` makes a secret key") from None
    try:
        key: Any = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: is not an ed25519 secret key; `edge-tools keygen` makes one")
    return key
