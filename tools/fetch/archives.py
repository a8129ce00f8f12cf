"""Read named files of a wheel, an npm tarball or a Debian package into memory.

The caller names the members and where they go, so an archive can never choose a path.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Dict, Iterable, Set

from edge.errors import DataError

LARGEST_MEMBER_BYTES = 1 << 29
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
AR_MAGIC = b"!<arch>\n"
AR_HEADER_BYTES = 60


def read_members(path: Path, members: Iterable[str]) -> Dict[str, bytes]:
    """Member -> its content.

    Raises:
        DataError: the archive is damaged; or a member is missing, too large or not a plain file.
    """
    wanted = set(members)
    readers = {".whl": _from_zip, ".tgz": _from_tar, ".deb": _from_deb}
    try:
        found = readers[path.suffix](path, wanted)
    except DAMAGED as error:
        raise DataError(f"{path}: the archive is damaged ({error}); delete it, run again") from None
    missing = sorted(wanted - set(found))
    if missing:
        raise DataError(f"{path}: the archive has no file {missing[0]}")
    return found


def _bounded(stream: IO[bytes], name: str) -> bytes:
    """Content of a member; refuses a compression bomb, larger than any file that is fetched."""
    data = stream.read(LARGEST_MEMBER_BYTES + 1)
    if len(data) > LARGEST_MEMBER_BYTES:
        raise DataError(f"{name}: larger than {LARGEST_MEMBER_BYTES >> 20} MB; refused")
    return data


def _from_zip(path: Path, wanted: Set[str]) -> Dict[str, bytes]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in wanted.intersection(archive.namelist()):
            with archive.open(name) as stream:
                found[name] = _bounded(stream, name)
    return found


def _from_tar(path: Path, wanted: Set[str]) -> Dict[str, bytes]:
    with tarfile.open(path, "r:gz") as archive:
        return _tar_members(archive, wanted)


def _from_deb(path: Path, wanted: Set[str]) -> Dict[str, bytes]:
    with path.open("rb") as stream:
        data = _deb_data(stream, path)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return _tar_members(archive, wanted)


def _tar_members(archive: tarfile.TarFile, wanted: Set[str]) -> Dict[str, bytes]:
    found: Dict[str, bytes] = {}
    for entry in archive:
        name = entry.name[2:] if entry.name.startswith("./") else entry.name
        stream = archive.extractfile(entry) if name in wanted and entry.isfile() else None
        if stream is not None:
            found[name] = _bounded(stream, name)
        if len(found) == len(wanted):
            break
    return found


def _deb_data(stream: IO[bytes], path: Path) -> bytes:
    """Content of `data.tar.*` in a Debian package, which is an `ar` archive of three files."""
    if stream.read(len(AR_MAGIC)) != AR_MAGIC:
        raise DataError(f"{path}: is not a Debian package")
    while True:
        header = stream.read(AR_HEADER_BYTES)
        if len(header) < AR_HEADER_BYTES or not header[48:58].strip().isdigit():
            raise DataError(f"{path}: has no data.tar")
        name, size = header[:16].strip().rstrip(b"/"), int(header[48:58])
        if name.startswith(b"data.tar"):
            return _bounded(stream, path.name) if size > LARGEST_MEMBER_BYTES else stream.read(size)
        stream.seek(size + size % 2, io.SEEK_CUR)
