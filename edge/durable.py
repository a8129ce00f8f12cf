"""Write files so that each one is complete or absent after a kill, a full disk or a power cut.

A file is replaced in four steps: write a new file beside it, fsync the new file, rename it over the
old one, fsync the folder. rename(2) replaces a name in one step, but it survives a power cut only
after fsync of the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Mapping, Optional

from edge.errors import ConfigError, DataError, NoInputError, TempError

PRIVATE = 0o600  # for the daemon's own files
READABLE = 0o666  # for the tools' files; the umask takes away what it forbids


def find_state_dir(configured: str) -> Optional[Path]:
    """Return the folder for files that survive a restart, or None if there is none.

    Args:
        configured: the configuration's `state.dir`. If it is empty, the first folder of
            $STATE_DIRECTORY is used, which systemd sets (systemd.exec(5), StateDirectory=).
    """
    named = configured or os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(named) if named else None


def state_dir(configured: str, needed_by: str) -> Path:
    """Return the folder for files that survive a restart; it is made if it is missing.

    Args:
        configured: as for `find_state_dir`.
        needed_by: the configuration key that needs the folder, for the error message.

    Raises:
        ConfigError: no folder is named. NoInputError: the folder cannot be made.
    """
    found = find_state_dir(configured)
    if found is None:
        raise ConfigError(f"state.dir: is empty, but {needed_by} needs a folder that stays")
    return make_dir(found)


def make_dir(path: Path) -> Path:
    """Make a folder that only our user can open; an existing folder stays as it is.

    Raises:
        NoInputError: the folder cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}; state.dir must be writable") from error
    return path


def save(path: Path, data: bytes) -> None:
    """Write a file of the state directory with `write_whole`.

    Raises:
        DataError: `path` is a symbolic link.
        TempError: the disk or the system refuses. The file has its old content, or the new one if
            only the fsync of the folder failed.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise TempError(f"{path}: {error.strerror}; make room, or make it writable") from error


def save_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON with `save`; raises the same errors."""
    save(path, json.dumps(record, sort_keys=True).encode() + b"\n")


def write_whole(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Create or replace a file in one durable step.

    Args:
        path: the file; its folder must exist.
        data: the whole new content.
        mode: permission bits of the new file; the umask applies.

    Raises:
        DataError: `path` is a symbolic link.
        OSError: the disk or the system refuses; `filename` is set. The file has its old content,
            or the new one if only the fsync of the folder failed.
    """
    with _replacing(path, mode) as handle:
        write_all(handle, data)


@contextlib.contextmanager
def new_file(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Give a stream whose content replaces a file when the block ends without an error.

    Until then the content is in the hidden file `.NAME.new` in the same folder. Arguments and
    errors are those of `write_whole`.
    """
    with _replacing(path, mode) as handle, os.fdopen(handle, "wb", closefd=False) as file:
        yield file


@contextlib.contextmanager
def _replacing(path: Path, mode: int) -> Iterator[int]:
    fresh = path.with_name(f".{path.name}.new")
    try:
        if path.is_symlink():
            raise DataError(f"{path}: is a link; put the file itself there")
        handle = _create(fresh, mode)
        try:
            yield handle
            os.fsync(handle)
        finally:
            os.close(handle)
        fresh.replace(path)
        sync_dir(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(fresh)):
            error.filename = str(path)  # write(2) and fsync(2) do not know it
        raise


def _create(path: Path, mode: int) -> int:
    """Open a new file; the file of an earlier run that was killed is removed first.

    With O_EXCL nothing that already has this name, such as a link, is ever opened.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(str(path), flags, mode)
    except FileExistsError:
        path.unlink()
        return os.open(str(path), flags, mode)


def write_all(handle: int, data: bytes) -> None:
    """Call write(2) until all of `data` is written; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def sync_dir(path: Path) -> None:
    """Make renames and new names in a folder durable; raises OSError."""
    handle = os.open(str(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(path: Path) -> None:
    """Remove a folder and its content; a link to a folder is left alone; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
