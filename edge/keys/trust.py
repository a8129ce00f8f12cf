"""Load only files whose sha256 is in a manifest that the operator signed.

An engine file is executable code, so the bytes that are hashed must be the bytes that are loaded:
`Trust.read` returns the buffer that it hashed, and the file is not read again. The manifest is
`manifest.json` in the models folder. `manifest.sig` is the ed25519 signature (RFC 8032) over its
bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any, Dict

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edge.errors import ConfigError, DataError, NoInputError

SCHEMA = "models/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MAX_MANIFEST_BYTES = 4 << 20
MAX_FILE_BYTES = 4 << 30


class Trust:
    """The signed manifest of one models folder.

    Args:
        root: the models folder.
        key: the operator's public key.

    Raises:
        NoInputError: no manifest. DataError: not signed with this key, or not a manifest.
    """

    def __init__(self, root: Path, key: Ed25519PublicKey) -> None:
        self._root = root.resolve()
        manifest = read_once(self._root / MANIFEST, MAX_MANIFEST_BYTES)
        signature = read_once(self._root / SIGNATURE, 1024)
        try:
            key.verify(signature, manifest)
        except InvalidSignature:
            raise DataError(
                f"{self._root / MANIFEST}: is not signed with this key; "
                "`edge-tools sign` with the operator's key signs it"
            ) from None
        self.files = parse_manifest(manifest, self._root / MANIFEST)

    def read(self, path: Path) -> bytes:
        """Read a file once and return its content.

        Raises:
            DataError: the file is outside the folder, not in the manifest, or was changed.
        """
        name = self._name(path)
        wanted = self.files.get(name)
        if wanted is None:
            raise DataError(f"{path}: is not in the signed manifest; look at it, then sign again")
        data = read_once(path, MAX_FILE_BYTES)
        if hashlib.sha256(data).hexdigest() != wanted:
            raise DataError(f"{path}: was changed after it was signed; restore it or sign again")
        return data

    def _name(self, path: Path) -> str:
        real = Path(os.path.realpath(str(path)))
        try:
            name = real.relative_to(self._root).as_posix()
        except ValueError:
            raise DataError(f"{path}: leads out of {self._root}; keep models inside it") from None
        return name


def load_key(path: Path) -> Ed25519PublicKey:
    """Load the operator's public key from a PEM file.

    Raises:
        NoInputError: no such file. ConfigError: not an ed25519 public key.
    """
    data = read_once(path, 1 << 16)
    try:
        key: Any = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(
            f"trust.key_file: {path}: is not an ed25519 public key; `edge-tools keygen` makes one"
        )
    return key


def open_trust(root: Path, key_file: str) -> Trust:
    """Load the manifest of a models folder and verify it with a key file; raises as Trust does."""
    return Trust(root, load_key(Path(key_file)))


def read_once(path: Path, most_bytes: int) -> bytes:
    """Read a regular file with one open(2); a link at its name is not followed.

    Args:
        path: of the file; links in its folders are followed.
        most_bytes: maximum size.

    Raises:
        NoInputError: it cannot be opened. DataError: a link, a device, or too large.
    """
    try:
        handle = os.open(str(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise DataError(f"{path}: is a link; put the file itself there") from None
        raise NoInputError(f"{path}: {error.strerror}") from None
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)  # os.fdopen takes no folder
        raise DataError(f"{path}: is not a plain file")
    with os.fdopen(handle, "rb") as file:
        if state.st_size > most_bytes:
            raise DataError(f"{path}: has {state.st_size} bytes, more than {most_bytes} allowed")
        return file.read(state.st_size)  # never more: Python allocates what is asked for


def parse_manifest(manifest: bytes, path: Path) -> Dict[str, str]:
    """Return names and hashes of a manifest whose signature was verified.

    Args:
        manifest: its bytes.
        path: of the file, for error messages.

    Raises:
        DataError: it is not a manifest of this program.
    """
    try:
        table = json.loads(manifest)
        files = table["files"] if table["schema"] == SCHEMA else None
    except (ValueError, KeyError, TypeError, RecursionError):
        files = None
    if not isinstance(files, dict) or not all(map(_is_entry, files.items())):
        raise DataError(f"{path}: is signed, but is not a manifest of this program ({SCHEMA})")
    return dict(files)


def _is_entry(entry: Any) -> bool:
    """Whether an entry is a relative path inside the folder with a sha256 in hex."""
    name, digest = entry
    inside = PurePosixPath(name)
    below = not inside.is_absolute() and ".." not in inside.parts and "\0" not in name
    plain = below and name == inside.as_posix()
    hexed = isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    return plain and hexed
