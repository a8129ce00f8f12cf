"""docs/configuration.md, made of the schema of the configuration."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing
from typing import Any, Dict, List, Mapping, Tuple

from edge import plug
from edge.rules import _reporting
from edge.settings.config import Config

MADE = "<!-- Made by `edge-tools reference`. -->"
HEAD = f"""{MADE}

# Configuration

One TOML file. `edge run --config FILE` runs it, `edge check FILE` names the first mistake in it,
`edge run --print-config` prints it whole, with the defaults of what it leaves out. A key that is
not here is refused. `systemctl reload edge` takes a changed file into a running service; cameras
that did not change lose no frame.

An option of a source or sink stands in its URI: `rtsp://camera/stream?transport=udp`.
"""
TABLES = {
    "cameras": "One table for each camera.",
    "cameras.lens": "The lens of the camera above it: [cameras](cameras.md#correct-a-lens).",
    "scenes": "One table for each room of calibrated cameras: [several cameras](scenes.md).",
    "grounds": "One table for each camera whose floor is measured: [rules](rules.md).",
    "sensors": "One table for each inertial sensor: [sensors](sensors.md).",
    "joints": "One table for each joint that is measured: [sensors](sensors.md).",
}


def text() -> str:
    """The page."""
    parts = [HEAD]
    plain, sections, lists = _fields_of(Config)
    parts.append("## At the top of the file\n\n" + _table(plain))
    for name, schema in lists.items():
        parts.append(f"## [[{name}]]\n\n{TABLES.get(name, '')}\n\n" + _table(_all_of(schema)))
        for inner, part in _fields_of(schema)[1].items():
            about = TABLES.get(f"{name}.{inner}", "")
            parts.append(f"### [{name}.{inner}]\n\n{about}\n\n" + _table(_all_of(part)))
    for name, schema in sections.items():
        parts.append(f"## [{name}]\n\n" + _table(_all_of(schema)))
    parts.append(_rules())
    return "\n".join(parts)


def _rules() -> str:
    """The options of every kind of rule."""
    parts = [
        "## [[rules]]\n\n`kind` and `cameras` (names; all if left out), these keys, and those of "
        "the kind. [Rules](rules.md) says what each kind tells and how it errs.\n",
        _table(_all_of(_reporting.Options)),
    ]
    for kind in plug.names("rules"):
        rows = _all_of(plug.load("rules", kind).Options)
        parts.append(f'### kind = "{kind}"\n\n' + _table(rows))
    return "\n".join(parts)


Row = Tuple[str, str, str, str]


def _fields_of(schema: Any) -> Tuple[List[Row], Dict[str, Any], Dict[str, Any]]:
    """Rows of plain keys, schemas of sections, and schemas of lists of tables."""
    types = typing.get_type_hints(schema)
    rows: List[Row] = []
    sections: Dict[str, Any] = {}
    lists: Dict[str, Any] = {}
    for field in dataclasses.fields(schema):
        kind = types[field.name]
        inner = (typing.get_args(kind) or (None,))[0]
        if dataclasses.is_dataclass(kind):
            sections[field.name] = kind
        elif typing.get_origin(kind) is list and dataclasses.is_dataclass(inner):
            lists[field.name] = inner
        elif field.name != "rules":
            rows.append(_row(field, kind))
    return rows, sections, lists


def _all_of(schema: Any) -> List[Row]:
    types = typing.get_type_hints(schema)
    return [_row(field, types[field.name]) for field in dataclasses.fields(schema)]


def _row(field: Any, kind: Any) -> Row:
    return field.name, _default(field), _range(kind, field.metadata), field.metadata.get("help", "")


def _default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        return _value(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return _value(field.default_factory())
    return "required"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if dataclasses.is_dataclass(value):
        return "a table"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        inner = ", ".join(f"{k} = {v!r}" for k, v in value.items())
        return f"`{{{inner}}}`".replace("'", '"')
    shown = list(value) if isinstance(value, tuple) else value
    return f"`{shown!r}`".replace("'", '"')


def _range(kind: Any, meta: Mapping[str, Any]) -> str:
    if meta.get("choices"):
        return " ".join(f'`"{choice}"`' for choice in meta["choices"])
    low, high = meta.get("low"), meta.get("high")
    words = _words(kind)
    if low is None and high is None:
        return words
    return f"{words}, {_number(low)} to {_number(high)}"


def _number(value: Any) -> str:
    if value is None:
        return "any"
    return f"{value:g}" if abs(value) < 1e6 else f"{value:.4g}"


_WORDS = {str: "text", bool: "true, false", int: "whole number", float: "number"}


def _words(kind: Any) -> str:
    """A type in words."""
    if kind in _WORDS:
        return _WORDS[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (list, tuple, collections.abc.Sequence):
        return f"list of {_plural(inner[0])}"
    if origin is dict:
        return f"table of {_plural(inner[1])}"
    if origin is typing.Union:
        return _words(next(part for part in inner if part is not type(None)))
    return "table"


def _plural(kind: Any) -> str:
    words = _words(kind)
    return {"text": "texts", "number": "numbers", "whole number": "whole numbers"}.get(
        words, words.replace("list of", "lists of")
    )


def _table(rows: List[Row]) -> str:
    lines = ["| key | default | values | meaning |", "|---|---|---|---|"]
    for name, default, values, meaning in rows:
        cells = [f"`{name}`", default, values, meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
