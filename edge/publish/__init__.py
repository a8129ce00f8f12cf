"""Publishing: from records to messages, and to every sink.

A sink is a plug of this folder; the scheme of its address is the file's name (`mqtts` is `mqtt`).
"""

from __future__ import annotations

import dataclasses
import threading
import time
from types import ModuleType
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import edge
from edge import plug
from edge.errors import ConfigError, EdgeError
from edge.masking import masked_uri
from edge.messages import Builder, Incoming, Message
from edge.publish import _thinning, _typed
from edge.publish._address import Broker
from edge.publish._clock import clock_quality as clock_quality  # for other rooms
from edge.publish._sink import Sink as Sink  # for other rooms
from edge.publish._sink import SinkOptions as SinkOptions
from edge.publish._sink import never_stop as never_stop
from edge.publish._webhook.target import Target
from edge.scene_structures import SceneFrame
from edge.settings.cameras import Camera
from edge.settings.config import Config
from edge.settings.publishing import Publish
from edge.structures import CameraState, Frame, PoseEvent, Poses, RuleSummary

SCHEMES = {"mqtts": "mqtt"}


def open_sink(uri: str, options: SinkOptions) -> Sink:
    """Open a sink.

    Raises:
        ConfigError: no such scheme, or not a valid address.
        NoInputError, UnavailableError, DataError: a file it needs cannot be used.
    """
    sink: Sink = _plug(uri).open_sink(uri, options)
    return sink


def parse(uri: str, options: Optional[SinkOptions] = None) -> None:
    """Check an address without opening it; raises what `open_sink` raises."""
    uri, _ = _thinning.split(uri, Publish())
    _plug(uri).check(uri, options or SinkOptions())


def parse_all(uris: Sequence[str], options: Optional[SinkOptions] = None) -> None:
    """Check addresses that one program uses together; raises what `open_sink` raises.

    Raises:
        ConfigError: two addresses are the same broker or receiver. Both connections to a broker
            would have the same client identifier, and the broker would end each one for the other.
    """
    known: Dict[str, str] = {}
    for i, given in enumerate(uris):
        uri, _ = _thinning.split(given, Publish())
        checked = _plug(uri).check(uri, options or SinkOptions())
        if isinstance(checked, (Broker, Target)):
            what = "broker" if isinstance(checked, Broker) else "receiver"
            shown = f"publish.sinks[{i}] ({checked.name})"
            other = known.setdefault(f"{what} {checked.outbox_name}", shown)
            if other != shown:
                raise ConfigError(f"{other} and {shown} are the same {what}; remove one of them")


def _plug(uri: str) -> ModuleType:
    scheme, mark, _ = uri.partition(":")
    name = SCHEMES.get(scheme, scheme)
    known = plug.names("publish")
    meant = "" if name in known else _typed.hint(uri)
    if not mark or meant:
        there = ", ".join(f"{name}:" for name in known)
        raise ConfigError(f"sink {masked_uri(uri)!r}: {meant}expected SCHEME:..., one of: {there}")
    return plug.load("publish", name)


class Publisher:
    """Turns records of the loop into messages and gives each message to every sink.

    Any thread may call it: one lock keeps each topic's messages in the order of their numbers.

    Args:
        config: the device's name, and the sinks with their settings.
        engines: sha256 of each loaded network file by name, for the online status.
        lossless: wait for slow writers instead of dropping, because every source is a recording.
        stop: whether such a wait has to end.
        listen: topic filters to subscribe to, each with a callback. A callback is called in a
            thread of the sink and must not wait.

    Raises:
        EdgeError: a sink cannot be opened; sinks opened before it are closed again.
    """

    def __init__(
        self,
        config: Config,
        engines: Optional[Mapping[str, str]] = None,
        lossless: bool = False,
        stop: Callable[[], bool] = never_stop,
        listen: Optional[Mapping[str, Callable[[Incoming], None]]] = None,
    ) -> None:
        publish = config.publish
        self.build = Builder(config.device, publish.codec, publish.frame_expiry_s)
        self._cameras = [camera.name for camera in config.cameras]
        self._engines = dict(engines or {})
        self._runtimes: Dict[str, Dict[str, str]] = {}
        self._degraded: Dict[str, Any] = {}
        # Camera -> the state that was published last, and what of it is compared with the next.
        self._camera_states: Dict[str, Tuple[CameraState, object]] = {}
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
            publish_event=self.event,
            listen=dict(listen or {}),
            webhook=config.webhook,
        )
        self.sinks: List[Sink] = []
        self._lanes = _thinning.Lanes(_thinning.Limits.of(publish))
        self.limit(config.cameras)
        thinned = [_thinning.split(uri, publish) for uri in publish.sinks]
        parse_all([uri for uri, _ in thinned], options)
        try:
            for uri, limits in thinned:
                first = not any(s.counters.outbox for s in self.sinks)
                options = dataclasses.replace(options, first_outbox=first)
                self.sinks.append(open_sink(uri, options))
                self._lanes.add(self.sinks[-1], limits)
        except EdgeError:
            self._close_sinks(1.0)
            raise

    def online(self) -> None:
        """Publish the online status; sinks with a broker repeat it after every connect."""
        with self._lock:
            self._send(
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
        """Publish an online status with other cameras and networks.

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

    def limit(self, cameras: Sequence[Camera]) -> None:
        """Set how often frames of each camera are published, at most."""
        self._lanes.limit({camera.name: camera.max_hz for camera in cameras})

    def degraded(self, record: Mapping[str, Any]) -> None:
        """Publish an online status with another `degrade` record (edge.degrade.apply)."""
        with self._lock:
            self._degraded = {"degrade": dict(record)}
        self.online()

    def frame(self, frame: Frame, poses: Poses) -> None:
        """Publish the people of a frame, where it is due; both are borrowed."""
        with self._lock:
            message: Optional[Message] = None
            for lane, sinks in self._lanes.of(self.sinks):
                if frame.still or self._lanes.takes(lane, frame.camera, frame.t_ns):
                    message = self.build.frame(frame, lane.poses(poses), lane.name, message)
                    self._send(message, sinks)
            if message is None:
                self.build.note_frame(frame)

    def scene(self, found: SceneFrame) -> None:
        """Publish the people of several cameras, where it is due; borrowed."""
        with self._lock:
            for lane, sinks in self._lanes.of(self.sinks):
                if self._lanes.takes(lane, f"scene {found.scene}", found.t_ns):
                    self._send(self.build.scene(lane.scene(found), lane.name), sinks)

    def event(self, event: PoseEvent) -> None:
        """Publish an event."""
        with self._lock:
            self._send(self.build.event(event))

    def camera(self, state: CameraState, people: int, rules: Sequence[RuleSummary] = ()) -> None:
        """Publish the state of a camera if it changed; frame counts alone are no change.

        Args:
            state: of the camera.
            people: number of people in its last frame.
            rules: what the rules of the camera know now.
        """
        shown = (state.state, state.detail, state.reconnects, state.size, people, list(rules))
        with self._lock:
            _, before = self._camera_states.get(state.camera, (None, None))
            if before != shown:
                self._camera_states[state.camera] = (state, shown)
                self._send(self.build.state(state, people, rules))

    def metrics(self, record: Mapping[str, Any]) -> None:
        """Publish metrics: a record of edge.health, with the counters of the sinks."""
        with self._lock:
            self._send(self.build.metrics({**record, "sinks": self.report()}))

    def announce(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish the retained discovery message of another program; sinks with a broker send it.

        Args:
            topic: of that program.
            payload: empty = remove the message.
        """
        with self._lock:
            self._send(Message(topic, "discovery", dict(payload), qos=1, retain=True))

    @property
    def readers_left(self) -> bool:
        """Whether the readers of all sinks have left permanently."""
        return bool(self.sinks) and all(s.reader_left for s in self.sinks)

    def report(self) -> List[Dict[str, Any]]:
        """Name, state and counters of each sink."""
        return [
            {"name": s.name, "ok": s.ok, "waiting": s.waiting, **s.counters.report()}
            for s in self.sinks
        ]

    def close(self, timeout_s: float = 3.0) -> None:
        """Publish the offline status and close all sinks; may be called twice.

        Args:
            timeout_s: for each sink to send waiting messages.
        """
        with self._lock:
            if self._closed:
                return
            for state, _ in self._camera_states.values():
                self._send(self.build.state(_stopped(state), 0))
            self._send(self.build.offline("stopped"))
            self._closed = True
        self._close_sinks(timeout_s)

    def _send(self, message: Message, sinks: Optional[Sequence[Sink]] = None) -> None:
        """Give a message to some sinks; None = all."""
        if not self._closed:
            for sink in self.sinks if sinks is None else sinks:
                sink(message)

    def _close_sinks(self, timeout_s: float) -> None:
        """Close all sinks at the same time, so that a slow one takes no time from the others."""
        closers = [threading.Thread(target=s.close, args=(timeout_s,)) for s in self.sinks]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()


def _stopped(state: CameraState) -> CameraState:
    """The last state of a camera: a program that has stopped says "ok" of nothing."""
    if state.state in ("ended", "failed"):
        return state
    return dataclasses.replace(
        state, state="ended", detail="the program was stopped", t_ns=time.monotonic_ns()
    )
