"""Downloaded archives, kept by their sha256: each is fetched once, whoever needs it."""

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


def obtain(archive: Archive, folder: Optional[Path] = None, quiet: bool = False) -> Path:
    """The archive as a file on this machine, downloaded if it is not in the cache.

    Raises:
        UnavailableError: it could not be downloaded; says where to put it by hand.
        DataError: what came is not what was asked for; it is deleted.
    """
    folder = folder or cache_folder()
    place = folder / archive.file_name
    with locked(folder / f".{place.stem}.lock"):
        if not in_cache(archive, place):
            fetch(archive, place, quiet)
    return place


def in_cache(archive: Archive, place: Path) -> bool:
    """Whether the right archive is there; a wrong one is deleted, with a word about it."""
    if not place.is_file():
        return False
    if not archive.sha256 or has_sha256(place, archive.sha256):
        return True
    print(f"{place}: damaged or another file; deleted", file=sys.stderr)
    place.unlink()
    return False


def fetch(archive: Archive, place: Path, quiet: bool) -> None:
    """Download into a folder beside `place`, check, and move there."""
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
            f"could not fetch the {archive.registry} package {archive}: {error}; "
            f"run again with a network, or put the archive{sha256} at {place}"
        ) from None


def _require_sha256(archive: Archive, file: Path) -> None:
    if not archive.sha256:
        return
    found = sha256_of(file)
    if found != archive.sha256:
        raise DataError(
            f"{archive}: the archive has sha256 {found}, expected {archive.sha256}; deleted, "
            "because what was published is not what was tested"
        )
