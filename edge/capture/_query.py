"""Options of a source URI, read and checked."""

from __future__ import annotations

from typing import Dict, Protocol, Sequence

from edge.errors import ConfigError


class Asked(Protocol):
    """What an Address has of use here."""

    @property
    def uri(self) -> str:
        """Safe to show."""

    @property
    def query(self) -> Dict[str, str]:
        """Options by name."""


def number(address: Asked, name: str, default: float, low: float, high: float) -> float:
    """An option that is a number.

    Raises:
        ConfigError: it is none, or out of range; names the option and the range.
    """
    text = address.query.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ConfigError(f"{address.uri}: {name}={text}: use a number of {low:g} to {high:g}")
    return value


def whole(address: Asked, name: str, default: int, low: int, high: int) -> int:
    """An option that is a whole number.

    Raises:
        ConfigError: it is none, or out of range.
    """
    value = number(address, name, default, low, high)
    if value != int(value):
        raise ConfigError(f"{address.uri}: {name}={address.query[name]}: use a whole number")
    return int(value)


def choice(address: Asked, name: str, known: Sequence[str]) -> str:
    """An option that is one of a few words; the first is the default.

    Raises:
        ConfigError: it is another; lists those there are.
    """
    value = address.query.get(name, known[0])
    if value not in known:
        raise ConfigError(f"{address.uri}: {name}={value}: use one of {', '.join(known)}")
    return value
