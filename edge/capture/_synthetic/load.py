"""Loads a clip file of any known format."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from edge.capture._synthetic import bvh_body, deepmimic
from edge.capture._synthetic.clip import Clip
from edge.errors import ConfigError, DataError, NoInputError

_MAX_BYTES = 256 << 20


def load(path: Path) -> Clip:
    """Read a clip; its suffix decides the format: .bvh, or .txt and .json of DeepMimic.

    Raises:
        NoInputError: it cannot be read. DataError: it is no clip. ConfigError: unknown suffix.
    """
    if path.suffix.lower() not in (".bvh", ".txt", ".json"):
        raise ConfigError(f"{path}: clips are .bvh files, or .txt and .json ones of DeepMimic")
    try:
        facts = path.stat()
        if facts.st_size > _MAX_BYTES:
            raise DataError(f"{path}: is larger than {_MAX_BYTES >> 20} MB: not a clip")
        return _parsed(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not a text file") from error


@lru_cache(maxsize=8)
def _parsed(path: Path, _changed_ns: int, _size: int) -> Clip:
    """Parse once for all cameras of a scene, and again after the file has changed."""
    text = path.read_text("utf-8")
    read = bvh_body.read if path.suffix.lower() == ".bvh" else deepmimic.read
    return read(text, str(path))
