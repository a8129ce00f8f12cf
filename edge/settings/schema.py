"""Tables of a TOML file into frozen dataclasses: one engine for every schema of the program.

A field's type, default, range, choices and help stand in the dataclass; `build` checks a table
against it and names the key and the fix when something is wrong. Annotations of schema classes are
evaluated, so they use typing.List and Optional (Python 3.8).
"""

import dataclasses
import difflib
import re
import typing
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Type, TypeVar

from edge.errors import ConfigError

T = TypeVar("T")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def key(
    default: Any = dataclasses.MISSING,
    help: str = "",
    low: Optional[float] = None,
    high: Optional[float] = None,
    choices: Sequence[str] = (),
    check: Optional[Callable[[Any], Optional[str]]] = None,
) -> Any:
    """A field of a schema.

    Args:
        default: its value when absent; left out = the key must be given.
        help: one line for people.
        low: smallest value allowed.
        high: largest value allowed.
        choices: the only strings allowed.
        check: gives a line on what is wrong with the value, None when it is fine.
    """
    meta = {"help": help, "low": low, "high": high, "choices": tuple(choices), "check": check}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=meta)
    if dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=default, metadata=meta)  # type: ignore[arg-type]
    return dataclasses.field(default=default, metadata=meta)


def name_problem(value: Any) -> Optional[str]:
    """Why a string cannot be a device, camera or model name (None when it can).

    Names become MQTT topic levels and folder names, so wildcards, slashes and dots are out.
    """
    if isinstance(value, str) and NAME.fullmatch(value):
        return None
    return "use 1 to 32 of a-z 0-9 _ - and start with a letter or digit"


def build(cls: Type[T], table: Mapping[str, Any], where: str = "") -> T:
    """Check a table against a schema class and make the object.

    Args:
        cls: a frozen dataclass whose fields were made with `key`.
        table: what the TOML file says.
        where: the table's own key path, for messages; empty at the top.

    Raises:
        ConfigError: names the key, the bad value and what is allowed.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: expected a table, got {_show(table)}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for unknown in sorted(set(table) - set(fields)):
        raise ConfigError(_unknown(_join(where, unknown), unknown, list(fields)))
    types = typing.get_type_hints(cls)
    values: Dict[str, Any] = {}
    for name, spec in fields.items():
        path = _join(where, name)
        if name in table:
            values[name] = _value(types[name], table[name], path, spec.metadata)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{path}: is missing; {spec.metadata.get('help') or 'it is needed'}")
    return cls(**values)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(path: str, name: str, known: List[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"
    return f"{path}: unknown key; {hint}"


def _value(kind: Any, value: Any, path: str, meta: Mapping[str, Any]) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Union:
        inner = [a for a in typing.get_args(kind) if a is not type(None)]
        return _value(inner[0], value, path, meta)
    if origin in (list, tuple):
        return origin(_items(kind, value, path, meta))
    if origin is dict:
        return _table_of(kind, value, path, meta)
    if dataclasses.is_dataclass(kind):
        return build(typing.cast(Type[Any], kind), value, path)
    return _limits(_scalar(kind, value, path), path, meta)


def _items(kind: Any, value: Any, path: str, meta: Mapping[str, Any]) -> List[Any]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{path}: expected a list, got {_show(value)}")
    inner = typing.get_args(kind)[0]
    return [_value(inner, v, f"{path}[{i}]", meta) for i, v in enumerate(value)]


def _table_of(kind: Any, value: Any, path: str, meta: Mapping[str, Any]) -> Dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}: expected a table, got {_show(value)}")
    inner = typing.get_args(kind)[1]
    if inner is Any:
        return dict(value)
    return {k: _value(inner, v, f"{path}.{k}", meta) for k, v in value.items()}


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return float("inf")  # which no key allows
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    if kind is Any or (type(value) is kind):
        return value
    words = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    raise ConfigError(f"{path}: expected {words.get(kind, 'a path')}, got {_show(value)}")


def _limits(value: Any, path: str, meta: Mapping[str, Any]) -> Any:
    low, high, choices = meta.get("low"), meta.get("high"), meta.get("choices")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and not (value == value and abs(value) != float("inf")):
        raise ConfigError(f"{path}: {value} is not a usable number")
    if number and low is not None and value < low:
        raise ConfigError(f"{path}: {value} is below the smallest allowed value, {low:g}")
    if number and high is not None and value > high:
        raise ConfigError(f"{path}: {value} is above the largest allowed value, {high:g}")
    if choices and value not in choices:
        close = difflib.get_close_matches(str(value), choices, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"{path}: {_show(value)} is not allowed; {hint}use {', '.join(choices)}")
    problem = meta["check"](value) if meta.get("check") else None
    if problem:
        raise ConfigError(f"{path}: {_show(value)}: {problem}")
    return value
