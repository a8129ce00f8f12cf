"""Readers for the options of a source URI."""

from __future__ import annotations

from typing import Sequence

from edge.capture._source import Address
from edge.errors import ConfigError


def number(address: Address, name: str, default: float, low: float, high: float) -> float:
    """A number from `low` to `high`.

    Raises:
        ConfigError: it is no number, or out of range; names the option and the range.
    """
    text = address.query.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ConfigError(f"{address.uri}: {name}={text}: use a number of {low:g} to {high:g}")
    return value


def integer(address: Address, name: str, default: int, low: int, high: int) -> int:
    """A whole number from `low` to `high`.

    Raises:
        ConfigError: it is no whole number, or out of range.
    """
    value = number(address, name, default, low, high)
    if value != int(value):
        raise ConfigError(f"{address.uri}: {name}={address.query[name]}: use a whole number")
    return int(value)


def choice(address: Address, name: str, known: Sequence[str]) -> str:
    """One of the known words; the first is the default.

    Raises:
        ConfigError: it is another word; lists the known ones.
    """
    value = address.query.get(name, known[0])
    if value not in known:
        raise ConfigError(f"{address.uri}: {name}={value}: use one of {', '.join(known)}")
    return value
