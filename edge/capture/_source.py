"""The contract of a source of frames, and the parser of source URIs."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from dataclasses import dataclass
from typing import Dict, Iterator, Optional, Protocol, cast
from urllib.parse import parse_qsl, unquote

from edge import plug
from edge.capture._addresses import FOREIGN, meant, rooted
from edge.capture._ring import Ring, Slot
from edge.errors import ConfigError, NoInputError
from edge.masking import masked_uri
from edge.view import FLIPS, TURNS, View

CAMERA = "camera"  # live; opened again when it breaks
PLAYBACK = "playback"  # a recording at its own frame rate: live, but its end is final
RECORDING = "recording"  # waits for the loop, loses no frame; its end is final
# Values of csi's own option `flip`, which is older than that of every source.
OLD_CSI_FLIPS = ("none", "90", "180", "270", "horizontal", "vertical")


@dataclass(frozen=True)
class CaptureOptions:
    """Limits for every source; the defaults are those of the configuration."""

    timeout_s: float = 5.0
    max_megapixels: float = 64.0
    decoder_max_mb: int = 512
    masked: bool = False  # each frame is painted on before it is used: its memory must be writable
    stop: Optional[threading.Event] = None  # set = give up opening; nobody waits for the source

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for the source any more."""
        return self.stop is not None and self.stop.is_set()

    @property
    def grace_s(self) -> float:
        """Time beyond `timeout_s` before a decoder process that does not answer is killed."""
        return min(1.0, self.timeout_s)


@dataclass(frozen=True)
class Address:
    """A parsed source URI."""

    uri: str  # with user and password masked: safe to log
    secret_uri: str  # as given, password included
    scheme: str
    path: str  # between scheme:// and the query, percent-decoded
    query: Dict[str, str]

    def only(self, *known: str) -> None:
        """Refuse query keys that the source does not know.

        Raises:
            ConfigError: names the key and lists the known ones.
        """
        for name in self.query:
            if name not in known:
                there = ", ".join(known) or "none"
                raise ConfigError(f"{self.uri}: unknown option {name!r}; there are: {there}")


class Source(Protocol):
    """One opened stream, read by one thread."""

    live: bool  # True: frames not taken in time are dropped. False: it waits for the loop

    def read(self, ring: Ring) -> Optional[Slot]:
        """Fill a slot of the ring with the next frame.

        Sets image, t_ns, arrival_ns, index and layout of the slot. The index starts at 0 and also
        counts lost and skipped frames. The caller publishes the slot; a source that raises has
        cancelled it.

        Returns:
            The slot; None if the ring had no free slot (try again), and after `close`.

        Raises:
            EndOfStream: the recording has ended.
            EdgeError: the stream broke; a camera is opened again.
        """

    def close(self) -> None:
        """Release the device.

        May be called twice, and from another thread during a read, which then returns soon.
        """


class SourcePlug(Protocol):
    """The functions that every plug of this room defines."""

    def kind(self, address: Address) -> str:
        """CAMERA, PLAYBACK or RECORDING; checks the options and opens nothing.

        Raises:
            ConfigError: an option is wrong.
        """

    def open_source(self, address: Address, options: CaptureOptions) -> Source:
        """Open the source.

        Raises:
            EdgeError: it cannot be opened; the text says why and names the fix.
        """


class EndOfStream(Exception):
    """A recording has ended; the text, if any, says why it ended early."""


def parse(uri: str) -> Address:
    """Parse a source URI.

    Raises:
        ConfigError: it has no scheme.
    """
    scheme, mark, body = uri.partition("://")
    if not mark or not scheme:
        typed = meant(uri)
        hint = f"did you mean {masked_uri(typed)} ? " if typed else ""
        raise ConfigError(
            f"source {masked_uri(uri)!r}: {hint}expected scheme://..., one of: "
            f"{', '.join(plug.names('capture'))}"
        )
    scheme = scheme.lower()
    path, _, query = body.partition("?")
    shown = masked_uri(f"{scheme}://{body}")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return Address(shown, uri, scheme, unquote(path), pairs)


def hung_of(uri: str, rotate: int = 0, flip: str = "") -> View:
    """How a camera hangs, by the options `rotate` and `flip` that every source has.

    Args:
        uri: of the source; its options win.
        rotate: degrees clockwise that make the picture upright.
        flip: h = mirrored from left to right, v = from top to bottom, after the turn.

    Raises:
        ConfigError: an option is wrong.
    """
    address = parse(uri)
    turn = address.query.get("rotate", str(rotate))
    if turn not in map(str, TURNS):
        raise ConfigError(f"{address.uri}: rotate={turn}: use one of {', '.join(map(str, TURNS))}")
    mirror = address.query.get("flip", flip)
    if mirror in OLD_CSI_FLIPS and address.scheme == "csi":
        mirror = flip  # the source does it
    if mirror not in FLIPS:
        raise ConfigError(f"{address.uri}: flip={mirror}: use h, v, or nothing")
    return View(int(turn), mirror)


def _without_hung(address: Address) -> Address:
    """The address without the options of `hung_of`, which no source and no camera needs to see."""
    ours = {"rotate", "flip"}
    if address.scheme == "csi" and address.query.get("flip") in OLD_CSI_FLIPS:
        ours = {"rotate"}
    if not ours & set(address.query):
        return address
    head, _, query = address.secret_uri.partition("?")
    rest = "&".join(p for p in query.split("&") if p.partition("=")[0] not in ours)
    kept = {name: value for name, value in address.query.items() if name not in ours}
    return dataclasses.replace(address, secret_uri=head + ("?" + rest) * bool(rest), query=kept)


def kind(uri: str) -> str:
    """CAMERA, PLAYBACK or RECORDING, without opening the source.

    Raises:
        ConfigError: the scheme is unknown, or an option is wrong.
    """
    hung_of(uri)
    address = _without_hung(parse(uri))
    with _third_slash(address):
        return _plug(address).kind(address)


def open_source(uri: str, options: CaptureOptions) -> Source:
    """Open a source.

    Raises:
        ConfigError: the scheme is unknown, or an option is wrong.
        NoInputError, TempError, DataError: the source cannot be opened.
    """
    address = _without_hung(parse(uri))
    with _third_slash(address):
        return _plug(address).open_source(address, options)


@contextlib.contextmanager
def _third_slash(address: Address) -> Iterator[None]:
    """Add to an error that an absolute path has three slashes, if that path exists."""
    try:
        yield
    except (ConfigError, NoInputError) as error:
        hint = rooted(address.scheme, address.path)
        if not hint:
            raise
        raise type(error)(f"{error}; did you mean {hint} ?") from error


def _plug(address: Address) -> SourcePlug:
    if address.scheme in FOREIGN:
        raise ConfigError(f"{address.uri}: {FOREIGN[address.scheme]}")
    return cast(SourcePlug, plug.load("capture", address.scheme))
