"""The file format of a model bundle: a models folder in one signed file.

    magic        16 bytes  `edge-bundle/1`, a line feed, zeros
    length        4 bytes  of the manifest, little-endian
    signature    64 bytes  ed25519 (RFC 8032) over the manifest
    manifest               JSON as edge.keys.trust reads it, with `bundle` and `sizes`
    contents               of the files in the order of their names, without gaps

Only the length is read before the signature is verified, so nothing unsigned is ever parsed. Names,
sizes and hashes of the contents come from the manifest.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Dict, Iterator, Mapping, Tuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.errors import DataError, NoInputError
from edge.keys.trust import MAX_FILE_BYTES, MAX_MANIFEST_BYTES, SCHEMA, parse_manifest

MAGIC = b"edge-bundle/1\n\0\0"
HEAD = struct.Struct("<16sI64s")
CHUNK = 1 << 20


@dataclass(frozen=True)
class Contents:
    """The manifest of a bundle whose signature was verified."""

    version: int
    name: str
    files: Dict[str, str]  # path inside the folder -> sha256
    sizes: Dict[str, int]  # bytes
    manifest: bytes
    signature: bytes


def read_head(file: BinaryIO, path: Path, key: Ed25519PublicKey) -> Contents:
    """Read everything before the contents and verify the signature.

    Args:
        file: the bundle, at its beginning.
        path: of the file, for error messages.
        key: the operator's.

    Raises:
        DataError: not a bundle, not signed with this key, or a signed file of another kind.
    """
    head = file.read(HEAD.size)
    magic, length, signature = HEAD.unpack(head) if len(head) == HEAD.size else (b"", 0, b"")
    if magic != MAGIC or length > MAX_MANIFEST_BYTES:
        raise DataError(f"{path}: is not a model bundle; `edge-tools bundle make` makes one")
    manifest = file.read(length)
    try:
        key.verify(signature, manifest)
    except InvalidSignature:
        raise DataError(f"{path}: is not signed with this key, or was changed since") from None
    return _contents(manifest, signature, path)


def signed_version(manifest: bytes, signature: bytes, path: Path, key: Ed25519PublicKey) -> int:
    """Return the version in the manifest of an unpacked bundle.

    Raises:
        DataError: it is not signed with this key, or it is no manifest of a bundle.
    """
    try:
        key.verify(signature, manifest)
    except InvalidSignature:
        raise DataError(f"{path}: is not signed with this key, or was changed since") from None
    return _contents(manifest, signature, path).version


def _contents(manifest: bytes, signature: bytes, path: Path) -> Contents:
    files = parse_manifest(manifest, path)
    table = json.loads(manifest)
    bundle, sizes = table.get("bundle"), table.get("sizes")
    fine = (
        isinstance(bundle, dict)
        and type(bundle.get("version")) is int
        and isinstance(bundle.get("name"), str)
        and isinstance(sizes, dict)
        and sizes.keys() == files.keys()
        and all(type(n) is int and 0 <= n <= MAX_FILE_BYTES for n in sizes.values())
    )
    if not fine:
        raise DataError(f"{path}: is signed, but lists models, not a bundle")
    return Contents(bundle["version"], bundle["name"], files, sizes, manifest, signature)


def read_files(file: BinaryIO, path: Path, contents: Contents) -> Iterator[Tuple[str, bytes, bool]]:
    """Yield the contents in pieces.

    The last piece of a file comes only if the hash is right; earlier pieces must not be used before
    that.

    Yields:
        Name of the file, bytes, and whether they are its last.

    Raises:
        DataError: the bundle is cut short, changed, or too long.
    """
    for name in sorted(contents.files):
        left, digest = contents.sizes[name], hashlib.sha256()
        while True:
            piece = file.read(min(left, CHUNK))
            digest.update(piece)
            left -= len(piece)
            if left and not piece:
                raise DataError(f"{path}: is cut short in {name}; copy it again")
            if not left:
                break
            yield name, piece, False
        if digest.hexdigest() != contents.files[name]:
            raise DataError(f"{path}: {name} was changed after it was signed")
        yield name, piece, True
    if file.read(1):
        raise DataError(f"{path}: goes on after its end; copy it again")


def open_bundle(path: Path) -> BinaryIO:
    """Open a bundle for reading.

    Raises:
        NoInputError: it cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error


def write_bundle(
    out: BinaryIO, files: Mapping[str, Path], version: int, name: str, key: Ed25519PrivateKey
) -> Contents:
    """Make a bundle of files.

    Args:
        out: the bundle is written to it.
        files: path inside the models folder -> path now.
        version: must be higher than that of every earlier bundle.
        name: for people.
        key: the operator's.

    Raises:
        DataError: a file changed while it was read.
    """
    digests = {n: _digest(p) for n, p in files.items()}
    table = {
        "schema": SCHEMA,
        "bundle": {"version": version, "name": name},
        "files": {n: d for n, (d, _) in digests.items()},
        "sizes": {n: s for n, (_, s) in digests.items()},
    }
    manifest = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    signature = key.sign(manifest)
    out.write(HEAD.pack(MAGIC, len(manifest), signature))
    out.write(manifest)
    for inside in sorted(files):
        digest = hashlib.sha256()
        with files[inside].open("rb") as file:
            for piece in iter(lambda f=file: f.read(CHUNK), b""):  # type: ignore[misc]
                digest.update(piece)
                out.write(piece)
        if digest.hexdigest() != digests[inside][0]:
            raise DataError(f"{files[inside]}: changed while it was read; try again")
    return _contents(manifest, signature, Path("bundle"))


def _digest(path: Path) -> Tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(CHUNK), b""):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size
