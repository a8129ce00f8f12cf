"""Turn tables of a TOML file into frozen dataclasses, for every schema of the program.

A dataclass holds each key's type, default, range, choices and help text. `build` checks a table
against the dataclass; an error names the key and the fix. The annotations of these dataclasses are
evaluated, so they use typing.List and typing.Optional (Python 3.8).
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
    """A field of a schema class.

    Args:
        default: value of an absent key, or the class of a section; left out = the key is required.
        help: meaning of the key, one line.
        low: smallest allowed value.
        high: largest allowed value.
        choices: the only allowed strings.
        check: returns what is wrong with a value, or None.
    """
    meta = {"help": help, "low": low, "high": high, "choices": tuple(choices), "check": check}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=meta)
    if dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=default, metadata=meta)  # type: ignore[arg-type]
    return dataclasses.field(default=default, metadata=meta)


def name_problem(value: Any) -> Optional[str]:
    """What is wrong with the name of a device, camera or model; None if nothing is.

    Names become MQTT topic levels and folder names: no wildcards, slashes or dots.
    """
    if isinstance(value, str) and NAME.fullmatch(value):
        return None
    return "use 1 to 32 of a-z 0-9 _ - and start with a letter or digit"


def build(cls: Type[T], table: Mapping[str, Any], where: str = "", also: Sequence[str] = ()) -> T:
    """Check a table against a schema class and make an object of it.

    Args:
        cls: a frozen dataclass whose fields are made with `key`.
        table: the table of the TOML file.
        where: key path of the table, for messages; empty at the top.
        also: keys of the same table in the file that another class has, for messages.

    Raises:
        ConfigError: names the key, its value and what is allowed.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: expected a table, got {_show(table)}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for unknown in sorted(set(table) - set(fields)):
        raise ConfigError(_unknown(_join(where, unknown), unknown, [*fields, *also]))
    types = typing.get_type_hints(cls)
    values: Dict[str, Any] = {}
    for name, spec in fields.items():
        path = _join(where, name)
        if name in table:
            values[name] = _value(types[name], table[name], path, spec.metadata)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise ConfigError(
                f"{path}: is missing; {spec.metadata.get('help') or 'it is required'}"
            )
    return cls(**values)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(path: str, name: str, known: List[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
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
            return float("inf")  # no key allows it
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    if kind is Any or (type(value) is kind):
        return value
    words = {float: "a number", int: "a whole number", str: "a string", bool: "true or false"}
    raise ConfigError(f"{path}: expected {words.get(kind, 'a path')}, got {_show(value)}")


def _limits(value: Any, path: str, meta: Mapping[str, Any]) -> Any:
    low, high, choices = meta.get("low"), meta.get("high"), meta.get("choices")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and not (value == value and abs(value) != float("inf")):
        raise ConfigError(f"{path}: {value} is not a finite number")
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
