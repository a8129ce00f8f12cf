"""Fetch the files that the set.toml of a media set names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List

from edge.durable import READABLE, write_whole
from edge.errors import DataError
from tools.fetch.archives import read_members
from tools.fetch.cache import cached_archive
from tools.fetch.files import has_sha256, locked
from tools.fetch.sources import MediaArchive, archive_of_media, load_set


def install_set(folder: Path, force: bool = False, quiet: bool = False) -> List[str]:
    """Fetch the missing files of a media set.

    Args:
        folder: of the set.
        force: fetch files again that are there.
        quiet: show no progress.

    Returns:
        Names of the files written.

    Raises:
        EdgeError: as `cache.cached_archive` and `archives.read_members`.
    """
    written: List[str] = []
    with locked(folder / ".lock"):
        for source in load_set(folder).sources:
            written += _install(source, folder, force, quiet)
    return written


def _install(source: MediaArchive, folder: Path, force: bool, quiet: bool) -> List[str]:
    missing = [m for m in source.members if force or not has_sha256(folder / m.file, m.sha256)]
    if not missing:
        return []
    archive = archive_of_media(source)
    content = read_members(cached_archive(archive, quiet=quiet), [m.member for m in missing])
    for member in missing:
        require_sha256(content[member.member], member.sha256, f"{archive}: {member.member}")
        write_whole(folder / member.file, content[member.member], READABLE)
    return [m.file for m in missing]


def require_sha256(data: bytes, sha256: str, label: str) -> None:
    """Check the hash of a member.

    Raises:
        DataError: the member has another sha256; names both.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{label} has sha256 {found}, expected {sha256}; it is refused")


def is_set_ready(folder: Path) -> bool:
    """Whether all files of a media set exist with the right sha256."""
    members = [m for source in load_set(folder).sources for m in source.members]
    return all(has_sha256(folder / m.file, m.sha256) for m in members)
