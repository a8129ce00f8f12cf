"""A configuration as TOML text, for people and recordings. Secrets in it are masked."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator, List, Tuple

from edge.masking import masked


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
        quoted = masked(value).replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    return repr(value)
