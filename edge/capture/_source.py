"""What a source of frames is, and how its URI is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Optional, Protocol, cast
from urllib.parse import parse_qsl, unquote

from edge import plug
from edge.capture._ring import Ring, Slot
from edge.errors import ConfigError

CAMERA = "camera"  # live; opened again whenever it breaks
PLAYBACK = "playback"  # a recording at its own pace: live, but an error or its end is final
RECORDING = "recording"  # every frame counts: it waits for the loop; an error or its end is final

_SECRET = re.compile(r"((?:pass|passwd|password|pwd|token|secret|key)=)[^&_/?\s]*", re.IGNORECASE)


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
    """One opened stream, read by one thread."""

    live: bool  # True: frames not taken in time are dropped. False: a recording, it waits

    def read(self, ring: Ring) -> Optional[Slot]:
        """Fill a slot of the ring with the next frame and stamp it.

        Sets image, t_ns, arrival_ns, index and layout of the slot; the index counts from 0, frames
        that were lost or skipped included. Whoever reads publishes the slot; a source that raises
        cancels the slot it had.

        Returns:
            None when the ring gave no slot (try again), and after `close`.

        Raises:
            EndOfStream: the recording is over.
            EdgeError: the stream broke; the supervisor opens it again if it is a camera.
        """

    def close(self) -> None:
        """Let go of the device.

        May be called twice and from another thread while a read is under way, which then ends soon.
        """


class SourcePlug(Protocol):
    """What every plug of this room, a file named after its scheme, defines."""

    def kind(self, address: Address) -> str:
        """CAMERA, PLAYBACK or RECORDING, without opening anything.

        Raises:
            ConfigError: an option is wrong.
        """

    def open_source(self, address: Address, options: CaptureOptions) -> Source:
        """Open the source.

        Raises:
            EdgeError: it cannot be opened; the text says why and names the fix.
        """


class EndOfStream(Exception):
    """A recording is over; the text, if any, says why it ended early."""


def parse(uri: str) -> Address:
    """Take a source URI apart.

    Raises:
        ConfigError: it has no scheme.
    """
    scheme, mark, body = uri.partition("://")
    if not mark or not scheme:
        raise ConfigError(
            f"source {_masked(uri)!r}: expected scheme://..., one of: "
            f"{', '.join(plug.names('capture'))}"
        )
    scheme = scheme.lower()
    path, _, query = body.partition("?")
    # In the path of a file an at sign is just a character.
    shown = uri if scheme == "file" else f"{scheme}://{_masked(body)}"
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return Address(shown, uri, scheme, unquote(path), pairs)


def _masked(body: str) -> str:
    """Without user and password, which may themselves hold slashes or at signs."""
    host, _, _ = body.partition("/")
    _, at, after = body.rpartition("@")
    port = host.rpartition(":")[2] if ":" in host else "0"
    if at and ("@" in host or not port.isdigit()):
        body = f"***@{after}"
    return _SECRET.sub(r"\1***", body)


def kind(uri: str) -> str:
    """What a source is before it is opened: CAMERA, PLAYBACK or RECORDING.

    Raises:
        ConfigError: no such scheme, or an option that is wrong.
    """
    address = parse(uri)
    return _plug(address).kind(address)


def open_source(uri: str, options: CaptureOptions) -> Source:
    """Open a source.

    Raises:
        ConfigError: no such scheme or option. NoInputError, TempError, DataError: cannot be opened.
    """
    address = parse(uri)
    return _plug(address).open_source(address, options)


def _plug(address: Address) -> SourcePlug:
    return cast(SourcePlug, plug.load("capture", address.scheme))
