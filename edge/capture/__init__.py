"""Where frames come from. The URI's scheme is the plug's file name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from edge import plug
from edge.capture._ring import Ring, Slot
from edge.errors import ConfigError


@dataclass(frozen=True)
class CaptureOptions:
    """What every source obeys; defaults are those of the configuration."""

    timeout_s: float = 5.0
    max_megapixels: float = 64.0


@dataclass(frozen=True)
class Address:
    """A parsed source URI."""

    uri: str  # as given, with any password replaced: safe to log
    secret_uri: str  # as given
    scheme: str
    path: str  # what follows scheme://, without the query, unquoted
    query: Dict[str, str]

    def only(self, *known: str) -> None:
        """Refuse query keys that a source does not have.

        Raises:
            ConfigError: names the key and those there are.
        """
        for name in self.query:
            if name not in known:
                there = ", ".join(known) or "none"
                raise ConfigError(f"{self.uri}: unknown option {name!r}; there are: {there}")


class Source(Protocol):
    """One opened stream, used by one thread."""

    live: bool  # True: frames not taken in time are dropped. False: a recording, it waits

    def read(self, ring: Ring) -> Optional[Slot]:
        """Fill a slot of the ring with the next frame and stamp it.

        Sets image, t_ns, arrival_ns, index and layout of the slot. Returns None when the ring gave
        no slot (try again) and raises `EndOfStream` at the end of a recording.

        Raises:
            EndOfStream: the recording is over.
            EdgeError: the stream broke; the supervisor opens it again if it is live.
        """

    def close(self) -> None:
        """Let go of the device; may be called twice and from another thread."""


class EndOfStream(Exception):  # noqa: N818 - an end, not an error
    """A recording is over."""


def parse(uri: str) -> Address:
    """Take a source URI apart.

    Raises:
        ConfigError: it has no scheme.
    """
    scheme, mark, _ = uri.partition("://")
    if not mark or not scheme:
        raise ConfigError(
            f"source {uri!r}: expected scheme://..., one of: {', '.join(plug.names('capture'))}"
        )
    body = uri[len(scheme) + 3 :]
    path, _, query = body.partition("?")
    shown = uri
    if "@" in path.split("/")[0]:
        shown = uri.replace(path.split("@")[0], "***", 1)
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return Address(shown, uri, urlsplit(uri).scheme, unquote(path), pairs)


def open_source(uri: str, options: CaptureOptions) -> Source:
    """Open a source.

    Raises:
        ConfigError: no such scheme or option. NoInputError, TempError, DataError: cannot be opened.
    """
    address = parse(uri)
    source: Source = plug.load("capture", address.scheme).open_source(address, options)
    return source
