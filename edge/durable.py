"""Files that are whole or not there, whatever happens meanwhile: a kill, a full disk, a power cut.

A file is replaced by writing a new one, making it durable, renaming it over the old one, and
making the rename durable. POSIX promises that a rename is all or nothing; only fsync of the folder
promises that it is on the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Mapping

from edge.errors import ConfigError, NoInputError, TempError
from edge.settings.config import Config

LEFT_OVER = ".new"


def state_dir(config: Config, wanted_by: str) -> Path:
    """The folder for what survives a restart.

    Args:
        config: names it, or leaves it to the service ($STATE_DIRECTORY of systemd).
        wanted_by: the key that needs it, for the message.

    Raises:
        ConfigError: there is none. NoInputError: it cannot be made.
    """
    named = config.state.dir or os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not named:
        raise ConfigError(f"state.dir: is empty, but {wanted_by} needs a folder that stays")
    return make_dir(Path(named))


def make_dir(path: Path) -> Path:
    """A folder for us alone, made where it is missing.

    Raises:
        NoInputError: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}; state.dir must be writable") from error
    return path


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file, durably and all at once.

    Raises:
        TempError: the disk or the system says no; the old file is as it was.
    """
    fresh = path.with_name(path.name + LEFT_OVER)
    try:
        write(fresh, data)
        fresh.replace(path)
        sync_dir(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise TempError(f"{path}: {error.strerror}; make room, or make it writable") from error


def write(path: Path, data: bytes) -> None:
    """Create or overwrite a file and make its content durable; raises OSError."""
    handle = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """write(2) until everything is written; raises OSError."""
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


def replace_json(path: Path, record: Mapping[str, Any]) -> None:
    """`replace` with a record; raises what it raises."""
    replace(path, json.dumps(record, sort_keys=True).encode() + b"\n")


def remove_tree(path: Path) -> None:
    """Remove a folder of ours that nothing refers to; half removed after a kill is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
