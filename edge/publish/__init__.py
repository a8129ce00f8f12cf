"""Where results go. The URI's scheme is the plug's file name; `mqtts` is mqtt with TLS."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import edge
from edge import plug
from edge.errors import ConfigError, EdgeError
from edge.messages import Builder, Incoming, Message
from edge.publish._address import Broker
from edge.publish._clock import clock_quality
from edge.settings.config import Config, Mqtt, Outbox
from edge.structures import CameraState, Frame, PoseEvent, Poses

SCHEMES = {"mqtts": "mqtt"}


def no_event(event: PoseEvent) -> None:
    """Where a sink's own events go that nobody publishes."""


def never() -> bool:
    """The answer of a run that nobody stops."""
    return False


@dataclass(frozen=True)
class SinkOptions:
    """What a sink may need to know."""

    device: str = "edge"
    will: Optional[Message] = None  # what a broker says when we are gone without a word
    mqtt: Mqtt = field(default_factory=Mqtt)
    lossless: bool = False  # wait for the writer rather than drop: every source is a recording
    stop: Callable[[], bool] = never  # true = wait no longer
    outbox: Outbox = field(default_factory=Outbox)
    state_dir: str = ""  # where it is by default
    first: bool = True  # of the sinks that have an outbox
    run: str = ""  # names this run of the program
    tell: Callable[[PoseEvent], None] = no_event  # publishes an event about the sink itself
    listen: Mapping[str, Callable[[Incoming], None]] = field(default_factory=dict)  # by filter


class Counters:
    """What became of a sink's messages; written by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = 0  # written, or taken by the broker
        self.dropped = 0  # given up: not connected, no room, a full disk
        self.refused = 0  # never wanted: too large, not allowed
        self.outbox: Dict[str, Any] = {}  # see contract/metrics.json; empty = there is none

    def add(self, name: str, count: int = 1) -> None:
        """Count under one of the names above."""
        with self._lock:
            setattr(self, name, getattr(self, name) + count)

    def report(self) -> Dict[str, Any]:
        """All of them at once."""
        with self._lock:
            told = {"sent": self.sent, "dropped": self.dropped, "refused": self.refused}
        return {**told, "outbox": self.outbox} if self.outbox else told


class Sink(Protocol):
    """Takes messages; called by one thread at a time."""

    name: str  # its address as people may see it
    counters: Counters

    reader_left: bool  # for good: no message will ever be read again

    @property
    def ok(self) -> bool:
        """Whether messages get through at the moment."""

    @property
    def waiting(self) -> int:
        """Messages taken and not yet sent."""

    def __call__(self, message: Message) -> None:
        """Take a message; never blocks, unless the options say lossless."""

    def close(self, timeout_s: float) -> None:
        """Send what is waiting, for at most so long, and leave; may be called twice."""


def open_sink(uri: str, options: SinkOptions) -> Sink:
    """Open a sink.

    Raises:
        ConfigError: no such scheme, or an address that makes no sense.
        NoInputError, UnavailableError, DataError: a file it needs cannot be used.
    """
    sink: Sink = _plug(uri).open_sink(uri, options)
    return sink


def parse(uri: str, options: Optional[SinkOptions] = None) -> None:
    """Check an address without opening it; raises what `open_sink` would."""
    _plug(uri).check(uri, options or SinkOptions())


def parse_all(uris: Sequence[str], options: Optional[SinkOptions] = None) -> None:
    """Check addresses that one program uses side by side; raises what `open_sink` would.

    Raises:
        ConfigError: two of them are one broker, which knows us by one name: it would throw out
            each for the other, for ever.
    """
    brokers: Dict[Tuple[str, int], str] = {}
    for i, uri in enumerate(uris):
        checked = _plug(uri).check(uri, options or SinkOptions())
        if isinstance(checked, Broker):
            shown = f"publish.sinks[{i}] ({checked.name})"
            other = brokers.setdefault((checked.host, checked.port), shown)
            if other != shown:
                raise ConfigError(f"{other} and {shown} are the same broker; remove one of them")


def _plug(uri: str) -> ModuleType:
    scheme, mark, _ = uri.partition(":")
    if not mark:
        there = ", ".join(f"{name}:" for name in plug.names("publish"))
        raise ConfigError(f"sink {uri!r}: expected SCHEME:..., one of: {there}")
    return plug.load("publish", SCHEMES.get(scheme, scheme))


class Publisher:
    """Turns what the loop knows into messages and hands each to every sink.

    Args:
        config: the device's name, the sinks and how they are to behave.
        engines: sha256 of each loaded network file, by name, for the birth certificate.
        lossless: every source is a recording, so wait for slow writers instead of dropping.
        stop: tells when such a wait has to end.
        listen: topic filters that brokers are asked for, and who takes what comes; called in a
            thread of the sink's, so it must not wait.

    Raises:
        EdgeError: a sink that cannot be opened; those before it are closed again.
    """

    def __init__(
        self,
        config: Config,
        engines: Optional[Mapping[str, str]] = None,
        lossless: bool = False,
        stop: Callable[[], bool] = never,
        listen: Optional[Mapping[str, Callable[[Incoming], None]]] = None,
    ) -> None:
        publish = config.publish
        self.build = Builder(config.device, publish.codec, publish.frame_expiry_s)
        self._cameras = [camera.name for camera in config.cameras]
        self._engines = dict(engines or {})
        self._runtimes: Dict[str, Dict[str, str]] = {}
        self._degraded: Dict[str, Any] = {}
        self._told: Dict[str, Any] = {}
        self._lock = threading.Lock()
        self._closed = False
        will = self.build.offline("lost")
        options = SinkOptions(
            config.device,
            will,
            config.mqtt,
            lossless,
            stop,
            config.outbox,
            config.state.dir,
            run=self.build.boot_id,
            tell=self.event,
            listen=dict(listen or {}),
        )
        parse_all(publish.sinks, options)
        self.sinks: List[Sink] = []
        try:
            for uri in publish.sinks:
                first = not any(s.counters.outbox for s in self.sinks)
                self.sinks.append(open_sink(uri, dataclasses.replace(options, first=first)))
        except EdgeError:
            self._close_sinks(1.0)
            raise

    def online(self) -> None:
        """Tell that the program runs; sinks with a broker repeat it at every connection."""
        with self._lock:
            self._give(
                self.build.online(
                    version=edge.__version__,
                    cameras=self._cameras,
                    engines=self._engines,
                    runtimes=self._runtimes,
                    clock=clock_quality(),
                    **self._degraded,
                )
            )

    def describe(
        self,
        cameras: Sequence[str],
        engines: Mapping[str, str],
        runtimes: Optional[Mapping[str, Mapping[str, str]]] = None,
    ) -> None:
        """Have the birth certificate name these cameras and networks from now on, and tell it.

        Args:
            cameras: names.
            engines: sha256 of each loaded network file.
            runtimes: what executes each network and why (edge.loop.engines); None = as before.
        """
        with self._lock:
            self._cameras, self._engines = list(cameras), dict(engines)
            if runtimes is not None:
                self._runtimes = {name: dict(choice) for name, choice in runtimes.items()}
        self.online()

    def degraded(self, record: Mapping[str, Any]) -> None:
        """Publish the level of degrading, now and in every later birth certificate."""
        with self._lock:
            self._degraded = {"degrade": dict(record)}
        self.online()

    def frame(self, frame: Frame, poses: Poses) -> None:
        """Publish a frame's people; nothing of it is kept."""
        with self._lock:
            self._give(self.build.frame(frame, poses))

    def event(self, event: PoseEvent) -> None:
        """Publish an event."""
        with self._lock:
            self._give(self.build.event(event))

    def camera(self, state: CameraState, people: int) -> None:
        """Publish how a camera is, if that changed; counts of frames alone are no change."""
        told = (state.state, state.detail, state.reconnects, state.size, people)
        with self._lock:
            if self._told.get(state.camera) != told:
                self._told[state.camera] = told
                self._give(self.build.state(state, people))

    def metrics(self, record: Mapping[str, Any]) -> None:
        """Publish figures: a record of edge.health, with what became of the messages."""
        with self._lock:
            self._give(self.build.metrics({**record, "sinks": self.report()}))

    @property
    def readers_left(self) -> bool:
        """Whether the readers of all sinks have left for good."""
        return bool(self.sinks) and all(s.reader_left for s in self.sinks)

    def report(self) -> List[Dict[str, Any]]:
        """What became of the messages, for each sink."""
        return [
            {"name": s.name, "ok": s.ok, "waiting": s.waiting, **s.counters.report()}
            for s in self.sinks
        ]

    def close(self, timeout_s: float = 3.0) -> None:
        """Say goodbye, send what is waiting for at most so long, close; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._give(self.build.offline("stopped"))
            self._closed = True
        self._close_sinks(timeout_s)

    def _give(self, message: Message) -> None:
        if not self._closed:
            for sink in self.sinks:
                sink(message)

    def _close_sinks(self, timeout_s: float) -> None:
        """All at once, so that one slow sink does not use up the time of the others."""
        closers = [threading.Thread(target=s.close, args=(timeout_s,)) for s in self.sinks]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()
