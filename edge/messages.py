"""Make messages from records: every topic and payload that leaves the box.

The contract with subscribers is edge/publish/contract/asyncapi.json. Nothing is sent here.
Monotonic time is converted to UTC here and nowhere else.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import codec
from edge.errors import InternalError
from edge.message_people import outlines, people, people_in_room, percent
from edge.scene_structures import SceneFrame
from edge.settings.schema import name_problem
from edge.structures import CameraState, Frame, Moment, PoseEvent, Poses, RuleSummary

SCHEMA = "pose/1"
ROOT = "poses/v1"
CODECS = {"json": codec.JSON, "cbor": codec.CBOR}
# An event within this time of its camera's last frame gets the UTC offset of that frame.
NEAR_NS = 60 * 10**9


@dataclass(frozen=True)
class Message:
    """One message; it is encoded once, by the first sink that needs the bytes."""

    topic: str
    kind: str  # status | frame | scene | event | state | metrics | discovery
    payload: Dict[str, Any]  # JSON values; keypoints are NumPy integer vectors
    qos: int = 0
    retain: bool = False
    expiry_s: int = 0  # the broker drops it after this time; 0 = never
    content_type: str = codec.JSON
    correlation: bytes = b""  # MQTT 5: of the command that this answers

    @cached_property
    def body(self) -> bytes:
        """The MQTT payload."""
        return codec.to_cbor(self.payload) if self.content_type == codec.CBOR else self.json

    @cached_property
    def json(self) -> bytes:
        """The record as JSON, for any content type; empty without a record."""
        return codec.to_json(self.payload) if self.payload else b""


@dataclass(frozen=True)
class Incoming:
    """A message that came over a subscription; passed on by the MQTT library's thread."""

    topic: str
    body: bytes
    response_topic: str  # MQTT 5; empty = none
    correlation: bytes
    answer: Callable[[Message], None]  # publishes over the same connection; never blocks


@dataclass(frozen=True)
class Clock:
    """The two clocks of the machine; tests replace them."""

    wall_ns: Callable[[], int] = time.time_ns
    mono_ns: Callable[[], int] = time.monotonic_ns

    def utc_ns(self, t_mono_ns: int) -> int:
        """Return the wall time of a monotonic time.

        The offset is measured at every call: if the wall clock is set, later messages have another
        UTC time, and nothing else changes.
        """
        return self.wall_ns() - (self.mono_ns() - t_mono_ns)


class Builder:
    """Makes the messages of one run of one device, numbered per topic.

    Args:
        device: its name in topics.
        codec_name: of frame messages, "json" or "cbor".
        frame_expiry_s: after this time a broker drops a live frame.
        clock: for all times in messages.
    """

    def __init__(
        self, device: str, codec_name: str = "json", frame_expiry_s: int = 2, clock: Clock = Clock()
    ) -> None:
        self.device = device
        self.boot_id = secrets.token_hex(8)
        self._content_type = CODECS[codec_name]
        self._expiry_s = frame_expiry_s
        self._clock = clock
        self._seq: Dict[str, int] = {}
        self._frames: Dict[str, Tuple[int, int]] = {}  # camera -> t_ns, UTC minus t_ns

    def offset_ns(self, camera: str) -> int:
        """UTC minus monotonic time in the message of a camera's last frame; 0 before the first."""
        return self._frames.get(camera, (0, 0))[1]

    def numbers(self) -> Dict[str, int]:
        """Return the next number of each topic."""
        return dict(self._seq)

    def resume(self, boot_id: str, numbers: Mapping[str, int]) -> None:
        """Continue the numbers of another run, so that a replay gives the same messages."""
        self.boot_id, self._seq = boot_id, dict(numbers)

    def note_frame(self, frame: Frame) -> None:
        """Date a frame of which no message is made, for its events."""
        self._frames[frame.camera] = (frame.t_ns, self._clock.utc_ns(frame.t_ns) - frame.t_ns)

    def frame(
        self, frame: Frame, poses: Poses, count: str = "", other: Optional[Message] = None
    ) -> Message:
        """Make the message of a frame's people; the arrays are copied.

        Args:
            frame: gives camera, time and size.
            poses: its people.
            count: messages with another count have numbers of their own.
            other: message of the same frame with another count; both get one date.
        """
        topic = f"{ROOT}/{self.device}/{frame.camera}/frame"
        payload = self._envelope(topic, frame.t_ns, frame.camera, count)
        if other is not None:
            payload["t_utc_ns"] = other.payload["t_utc_ns"]
        self._frames[frame.camera] = (frame.t_ns, payload["t_utc_ns"] - frame.t_ns)
        payload["size"] = list(frame.size)
        payload["skeleton"] = poses.skeleton
        payload["people"] = people(poses)
        return Message(
            topic, "frame", payload, expiry_s=self._expiry_s, content_type=self._content_type
        )

    def scene(self, found: SceneFrame, count: str = "") -> Message:
        """Make the message of a scene's people; the arrays are copied. `count`: as of `frame`."""
        topic = f"{ROOT}/{self.device}/scene/{found.scene}/frame"
        payload = self._envelope(topic, found.t_ns, count=count)
        payload["scene"] = found.scene
        payload["cameras"] = [name for name, on in zip(found.cameras, found.live.tolist()) if on]
        payload["skeleton"] = found.skeleton
        payload["people"] = people_in_room(found)
        return Message(
            topic, "scene", payload, expiry_s=self._expiry_s, content_type=self._content_type
        )

    def event(self, event: PoseEvent) -> Message:
        """Make the message of an event.

        Raises:
            InternalError: the kind cannot be a topic level, or the data cannot be JSON.
        """
        if name_problem(event.kind):
            raise InternalError(f"event kind {event.kind!r}: {name_problem(event.kind)}")
        topic = f"{ROOT}/{self.device}/{event.camera}/event/{event.kind}"
        payload = self._envelope(topic, event.t_ns, event.camera)
        seen_ns, offset_ns = self._frames.get(event.camera, (event.t_ns - 2 * NEAR_NS, 0))
        if abs(event.t_ns - seen_ns) <= NEAR_NS:  # frame and event of one instant have one date
            payload["t_utc_ns"] = event.t_ns + offset_ns
        payload["kind"] = event.kind
        payload["person"] = int(event.person)
        payload["score"] = percent(np.array(event.score)).tolist()
        payload["level"] = event.level
        if event.why:
            payload["why"] = codec.plain(event.why, f"why of event {event.kind}")
        if event.before:
            payload["preroll"] = [_moment(moment) for moment in event.before]
        payload["data"] = codec.plain(event.data, f"data of event {event.kind}")
        return Message(topic, "event", payload, qos=1)

    def state(self, state: CameraState, people: int, rules: Sequence[RuleSummary] = ()) -> Message:
        """Make the message of a camera's state, which the broker retains.

        Args:
            state: of the camera.
            people: number of people in its last frame.
            rules: what the rules of the camera know now.
        """
        topic = f"{ROOT}/{self.device}/{state.camera}/state"
        payload = self._envelope(topic, self._clock.mono_ns(), state.camera)
        payload["state"] = state.state
        payload["since_utc_ns"] = self._clock.utc_ns(state.t_ns)
        payload["detail"] = codec.plain(state.detail, "detail of a camera's state")
        payload["people"] = people
        payload["size"] = list(state.size)
        payload["frames"] = state.frames
        payload["dropped"] = state.dropped
        payload["reconnects"] = state.reconnects
        payload["zones"] = {name: people for rule in rules for name, people in rule.zones.items()}
        payload["down"] = max((rule.down for rule in rules), default=0)
        payload["rules"] = {
            rule.name: {
                "kind": rule.kind,
                "data": codec.plain(rule.data, f"summary of rule {rule.name}"),
                **({"unsure": rule.unsure} if rule.unsure else {}),
                **({"outlines": outlines(rule.outlines)} if rule.outlines else {}),
            }
            for rule in rules
        }
        return Message(topic, "state", payload, qos=1, retain=True)

    def online(self, **details: Any) -> Message:
        """Make the online status.

        Args:
            details: version, cameras, engines, clock ... (contract/status.json).
        """
        topic = f"{ROOT}/{self.device}/status"
        payload = self._envelope(topic, self._clock.mono_ns())
        payload["state"] = "online"
        payload.update(codec.plain(details, "status"))
        return Message(topic, "status", payload, qos=1, retain=True)

    def offline(self, reason: str) -> Message:
        """Make the offline status, without time and number.

        Args:
            reason: "stopped" if the program sends it; "lost" for the last will, which the broker
                gets at the start and publishes at an unknown time.
        """
        payload = {
            "schema": SCHEMA,
            "device": self.device,
            "boot_id": self.boot_id,
            "state": "offline",
            "reason": reason,
        }
        return Message(f"{ROOT}/{self.device}/status", "status", payload, qos=1, retain=True)

    def metrics(self, record: Mapping[str, Any]) -> Message:
        """Make the metrics message from figures of the loop (edge.health) and the sinks."""
        topic = f"{ROOT}/{self.device}/metrics"
        payload = self._envelope(topic, self._clock.mono_ns())
        payload.update(codec.plain(record, "metrics"))
        return Message(topic, "metrics", payload)

    def _envelope(
        self, topic: str, t_mono_ns: int, camera: str = "", count: str = ""
    ) -> Dict[str, Any]:
        counted = f"{topic} {count}" if count else topic
        seq = self._seq.get(counted, 0)
        self._seq[counted] = seq + 1
        payload: Dict[str, Any] = {"schema": SCHEMA, "device": self.device}
        if camera:
            payload["camera"] = camera
        payload["boot_id"] = self.boot_id
        payload["seq"] = seq
        payload["t_utc_ns"] = self._clock.utc_ns(t_mono_ns)
        payload["t_mono_ns"] = t_mono_ns
        return payload


def _moment(moment: Moment) -> Dict[str, Any]:
    """An earlier frame in the form of contract/event.json."""
    poses = moment.poses
    return {"t_mono_ns": moment.t_ns, "skeleton": poses.skeleton, "people": people(poses)}
