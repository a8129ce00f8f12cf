"""`edge-tools keygen`: make the operator's ed25519 key pair."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from edge.errors import ConfigError, NoInputError

HELP = "make the key pair that signs models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("name", type=Path, help="write NAME.key (keep it secret) and NAME.pub")


def run(arguments: argparse.Namespace) -> int:
    """Write both files; existing files are never replaced."""
    secret, public = (arguments.name.with_name(arguments.name.name + s) for s in (".key", ".pub"))
    key = Ed25519PrivateKey.generate()
    public_bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # The secret key last. No half of a pair may stay: it would not match the existing half.
    write_new(public, public_bytes, 0o644)
    try:
        secret_bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_new(secret, secret_bytes, 0o600)
    except BaseException:
        public.unlink()
        raise
    print(
        f"{secret}: the secret key; keep it off the box\n"
        f"{public}: the public key; copy it to the box ([trust] key_file)"
    )
    return 0


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Create a file that does not exist yet.

    Raises:
        ConfigError: the file exists. NoInputError: it cannot be created.
    """
    try:
        handle = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise ConfigError(
            f"{path}: exists; a key is never overwritten; choose another name"
        ) from None
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except BaseException:
        path.unlink()
        raise
