"""Fill a media set's folder with the files that its set.toml names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List

from edge.durable import READABLE, write_whole
from edge.errors import DataError
from tools.fetch.archives import read_members
from tools.fetch.cache import obtain
from tools.fetch.files import has_sha256, locked
from tools.fetch.sources import Source, archive_of_source, load_set


def install_set(folder: Path, force: bool = False, quiet: bool = False) -> List[str]:
    """Bring the missing files of a set; those already there and right are left alone.

    Returns:
        The names of the files that were written.

    Raises:
        EdgeError: see `cache.obtain` and `archives.read_members`.
    """
    written: List[str] = []
    with locked(folder / ".lock"):
        for source in load_set(folder).sources:
            written += _install(source, folder, force, quiet)
    return written


def _install(source: Source, folder: Path, force: bool, quiet: bool) -> List[str]:
    missing = [m for m in source.members if force or not has_sha256(folder / m.file, m.sha256)]
    if not missing:
        return []
    archive = archive_of_source(source)
    content = read_members(obtain(archive, quiet=quiet), [m.member for m in missing])
    for member in missing:
        require_sha256(content[member.member], member.sha256, f"{archive}: {member.member}")
        write_whole(folder / member.file, content[member.member], READABLE)
    return [m.file for m in missing]


def require_sha256(data: bytes, sha256: str, label: str) -> None:
    """Refuse a member that is not the one that was tested.

    Raises:
        DataError: names both hashes.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{label} has sha256 {found}, expected {sha256}; refused")


def is_set_ready(folder: Path) -> bool:
    """Whether all files of a set are there and right."""
    members = [m for source in load_set(folder).sources for m in source.members]
    return all(has_sha256(folder / m.file, m.sha256) for m in members)
