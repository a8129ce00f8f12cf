"""Read TOML files, and write a configuration as TOML text with its secrets masked."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

from edge.errors import ConfigError, NoInputError
from edge.masking import masked_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BYTE_ORDER_MARK = "\ufeff"  # editors on Windows begin files with it


def read_toml(path: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> Dict[str, Any]:
    """Read a TOML file.

    Args:
        path: the file.
        read: gives its bytes.

    Raises:
        NoInputError: the file cannot be read. ConfigError: it is not TOML; names the line.
    """
    try:
        text = read(path).decode("utf-8")
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not text in UTF-8") from error
    return parse_toml(path, text)


def parse_toml(path: Path, text: str) -> Dict[str, Any]:
    """The tables of a TOML text.

    Args:
        path: where the text comes from, for messages.
        text: may begin with a byte order mark.

    Raises:
        ConfigError: it is not TOML; names the line.
    """
    try:
        return dict(tomllib.loads(text[text.startswith(BYTE_ORDER_MARK) :]))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply") from error


def show(config: Any) -> str:
    """The TOML text of a configuration; a comment behind each key tells its meaning."""
    lines = list(_section(config, ""))
    return "\n".join(lines).strip() + "\n"


def _section(table: Any, path: str) -> Iterator[str]:
    """Lines of a table: its keys first, because they end where the next table begins."""
    inner: List[Tuple[str, Any]] = []
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        name = f"{path}.{field.name}" if path else field.name
        if dataclasses.is_dataclass(value) or (isinstance(value, list) and _is_tables(value)):
            inner.append((name, value))
        else:
            note = field.metadata.get("help", "")
            yield f"{field.name} = {_toml(value)}" + (f"  # {note}" if note else "")
    for name, value in inner:
        for one in value if isinstance(value, list) else [value]:
            yield f"\n[[{name}]]" if isinstance(value, list) else f"\n[{name}]"
            if isinstance(one, dict):
                yield from (f"{k} = {_toml(v)}" for k, v in one.items())
            else:
                yield from _section(one, name)


def _is_tables(value: List[Any]) -> bool:
    return bool(value) and all(isinstance(v, dict) or dataclasses.is_dataclass(v) for v in value)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        quoted = masked_value(value).replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    return repr(value)
