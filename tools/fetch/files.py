"""Hashes of files, and lock files."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Iterator

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether the file exists and has this sha256."""
    return path.is_file() and sha256_of(path) == sha256


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that only one program at a time writes into a folder.

    In a folder that is not writable nothing can be written, so no lock is needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock_file(path) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another program that locks {path}", file=sys.stderr, flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _lock_file(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return tempfile.TemporaryFile()
