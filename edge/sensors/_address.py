"""Addresses of sensors: SCHEME://PATH?OPTION=VALUE&..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from edge.errors import ConfigError


@dataclass(frozen=True)
class Address:
    """A parsed address."""

    uri: str
    scheme: str
    path: str  # what stands between :// and ?
    query: Dict[str, str]

    def only(self, known: Sequence[str]) -> None:
        """Refuse options that the plug does not have.

        Raises:
            ConfigError: names the option and the known ones.
        """
        for name in self.query:
            if name not in known:
                raise ConfigError(
                    f"{self.uri}: unknown option {name!r}; there are: {', '.join(known) or 'none'}"
                )

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`; may be written as 0x68.

        Raises:
            ConfigError: it is no number, or out of range.
        """
        text = self.query.get(name, str(default))
        try:
            value = float(int(text, 16)) if text.lower().startswith("0x") else float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ConfigError(f"{self.uri}: {name}={text}: use a number of {low:g} to {high:g}")
        return value

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of the known words; the first is the default.

        Raises:
            ConfigError: it is another word.
        """
        value = self.query.get(name, known[0])
        if value not in known:
            raise ConfigError(f"{self.uri}: {name}={value}: use one of {', '.join(known)}")
        return value


def parse(uri: str) -> Address:
    """Take an address apart.

    Raises:
        ConfigError: it has no scheme.
    """
    scheme, mark, rest = uri.partition("://")
    if not mark or not scheme:
        raise ConfigError(
            f"{uri!r} is no address of a sensor; write mpu6050:///dev/i2c-1, file:///PATH or "
            "synthetic://"
        )
    parts = urlsplit(f"x://{rest}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Address(uri, scheme, unquote(parts.netloc + parts.path), query)
