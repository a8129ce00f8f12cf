"""Publish less: fewer keypoints of each person, and fewer frames in a second.

Only frame messages of cameras and scenes are thinned, never events, states, status or metrics. Each
combination of limits numbers its frames on its own, so that a gap in `seq` is still a lost frame.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple, TypeVar
from urllib.parse import parse_qsl, urlencode

import numpy as np

from edge import skeletons
from edge.errors import ConfigError
from edge.masking import masked_uri
from edge.scene_structures import Joints, SceneFrame
from edge.settings.publishing import Publish
from edge.settings.schema import build
from edge.structures import Poses

SKELETONS = {"body": "coco17", "body-feet": "halpe26"}  # by value of publish.points
S = TypeVar("S")
KEYS = ("points", "max_hz")
_WITHOUT_FRAMES = ("prometheus", "gpio", "http", "https")  # sinks that get no frames at all


@dataclass(frozen=True)
class Limits:
    """What of each frame is published, and how often."""

    points: str = "all"  # all, or one of SKELETONS
    max_hz: float = 0.0  # frames of a camera in a second; 0 = every frame

    @staticmethod
    def of(publish: Publish) -> Limits:
        """Those of the configuration."""
        return Limits(publish.points, publish.max_hz)


def split(uri: str, publish: Publish) -> Tuple[str, Limits]:
    """The address of a sink without the options `points` and `max_hz`, and its limits.

    Args:
        uri: as configured, such as mqtt://HOST?max_hz=5&points=body.
        publish: what counts for a sink without these options.

    Raises:
        ConfigError: an option has no such value.
    """
    head, mark, query = uri.rpartition("?")
    pairs = parse_qsl(query, keep_blank_values=True) if mark else []
    given = {name: value for name, value in pairs if name in KEYS}
    if not given or uri.partition(":")[0] in _WITHOUT_FRAMES:
        return uri, Limits.of(publish)
    table: Dict[str, Any] = {**dataclasses.asdict(publish), **given}
    try:
        table["max_hz"] = float(table["max_hz"])
        own = build(Publish, table)
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"sink {masked_uri(uri)!r}: {error}") from error
    rest = urlencode([pair for pair in pairs if pair[0] not in KEYS])
    return head + ("?" + rest) * bool(rest), Limits.of(own)


@dataclass
class Lane:
    """Limits that some sinks share, and when the next frame of each camera is due there."""

    limits: Limits
    name: str  # of its count of frames; empty = that of the topic
    _due_ns: Dict[str, float] = field(default_factory=dict)

    def takes(self, source: str, t_ns: int, limit_hz: float = 0.0) -> bool:
        """Whether this frame is published; on average no more than the limits in a second.

        Args:
            source: camera or scene.
            t_ns: of the frame.
            limit_hz: of the camera itself; 0 = none.
        """
        rates = [rate for rate in (self.limits.max_hz, limit_hz) if rate > 0]
        if not rates:
            return True
        pause_ns = 1e9 / min(rates)
        due_ns = self._due_ns.get(source, float(t_ns))
        if t_ns < due_ns <= t_ns + pause_ns:  # farther away: the clock of the recording went back
            return False
        # A camera slower than the limit does not save up frames for a burst.
        self._due_ns[source] = max(due_ns + pause_ns, t_ns) if due_ns <= t_ns else t_ns + pause_ns
        return True

    def poses(self, poses: Poses) -> Poses:
        """The people with the keypoints that are published; arrays are borrowed."""
        target = SKELETONS.get(self.limits.points)
        return skeletons.convert_poses(poses, target) if target else poses

    def scene(self, found: SceneFrame) -> SceneFrame:
        """The people of a scene with the joints that are published."""
        target = SKELETONS.get(self.limits.points)
        if not target or target == found.skeleton:
            return found
        first, second, missing = skeletons.conversion(found.skeleton, target)
        points, scores = found.joints.points, found.joints.scores
        mean = (points[:, first] + points[:, second]) * np.float32(0.5)
        least = np.minimum(scores[:, first], scores[:, second])
        errors = np.maximum(found.errors_px[:, :, first], found.errors_px[:, :, second])
        mean[:, missing], least[:, missing], errors[:, :, missing] = 0, 0, np.nan
        joints = Joints(mean, least, found.joints.source)
        return dataclasses.replace(found, skeleton=target, joints=joints, errors_px=errors)


class Lanes:
    """The lanes of all sinks, and the limits of single cameras.

    Args:
        usual: the limits of a sink that was not added.
    """

    def __init__(self, usual: Limits) -> None:
        self._all = [Lane(usual, "")]
        self._of_sink: Dict[int, Lane] = {}
        self._camera_hz: Mapping[str, float] = {}

    def add(self, sink: object, limits: Limits) -> None:
        """Put a sink into the lane with these limits."""
        lane = next((lane for lane in self._all if lane.limits == limits), None)
        if lane is None:
            lane = Lane(limits, f"{limits.points} {limits.max_hz:g}")
            self._all.append(lane)
        self._of_sink[id(sink)] = lane

    def limit(self, camera_hz: Mapping[str, float]) -> None:
        """Set the limits of cameras, by name."""
        self._camera_hz = dict(camera_hz)

    def of(self, sinks: Sequence[S]) -> Iterator[Tuple[Lane, List[S]]]:
        """Each lane with those of the sinks that are in it; lanes without any are left out."""
        usual = self._all[0]
        for lane in self._all:
            some = [sink for sink in sinks if self._of_sink.get(id(sink), usual) is lane]
            if some:
                yield lane, some

    def takes(self, lane: Lane, source: str, t_ns: int) -> bool:
        """Whether a frame of a camera or scene is due in a lane."""
        return lane.takes(source, t_ns, self._camera_hz.get(source, 0.0))
