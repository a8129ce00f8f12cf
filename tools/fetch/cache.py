"""A cache of downloaded archives by their sha256, so that each is downloaded once."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Optional

from edge.errors import DataError, UnavailableError
from tools.fetch.clients import download
from tools.fetch.files import has_sha256, locked, sha256_of
from tools.fetch.sources import Archive


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/edge`, by default `~/.cache/edge`."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "edge"


def cached_archive(archive: Archive, folder: Optional[Path] = None, quiet: bool = False) -> Path:
    """File of an archive in the cache; the archive is downloaded if it is not there.

    Raises:
        UnavailableError: the download failed; the message says where to put the archive by hand.
        DataError: the downloaded archive has another sha256; it is deleted.
    """
    folder = folder or cache_folder()
    place = folder / archive.file_name
    with locked(folder / f".{place.stem}.lock"):
        if not in_cache(archive, place):
            fetch(archive, place, quiet)
    return place


def in_cache(archive: Archive, place: Path) -> bool:
    """Whether the right archive is there; another file is deleted and reported."""
    if not place.is_file():
        return False
    if not archive.sha256 or has_sha256(place, archive.sha256):
        return True
    print(f"{place}: has another sha256 and is deleted", file=sys.stderr)
    place.unlink()
    return False


def fetch(archive: Archive, place: Path, quiet: bool) -> None:
    """Download an archive into a folder beside `place`, check it, and move it to `place`."""
    part = place.with_suffix(".part")
    log = place.with_suffix(".log")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        file = _downloaded(archive, part, log, place, quiet)
        _require_sha256(archive, file)
        file.replace(place)
        log.unlink()
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _downloaded(archive: Archive, part: Path, log: Path, place: Path, quiet: bool) -> Path:
    try:
        return download(archive, part, log, quiet)
    except UnavailableError as error:
        sha256 = f" (sha256 {archive.sha256})" if archive.sha256 else ""
        raise UnavailableError(
            f"cannot fetch the {archive.registry} package {archive}: {error}; "
            f"run again with a network connection, or put the archive{sha256} at {place}"
        ) from None


def _require_sha256(archive: Archive, file: Path) -> None:
    if not archive.sha256:
        return
    found = sha256_of(file)
    if found != archive.sha256:
        raise DataError(
            f"{archive}: the archive has sha256 {found}, expected {archive.sha256}; it is deleted, "
            "because it is not the archive that was tested"
        )
