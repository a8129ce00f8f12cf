"""Joint angles from the camera, from depth images, and from inertial sensors together.

`JointStage` is a watcher of the loop: it sees the published people of each step in the thread of
`tell`. Sensors are read by threads of their own.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import sensors, skeletons
from edge.errors import ConfigError, EdgeError
from edge.geometry import as_complex
from edge.people import angles, stature
from edge.people.fusion.hinge import HingeRate, axis_of
from edge.people.fusion.joint import FusedAngle, JointFusion
from edge.people.lift import Intrinsics, Lift
from edge.sensors import depth
from edge.sensors._reader import SensorReader
from edge.sensors.depth import DepthSource
from edge.settings.config import Config
from edge.settings.limbs import Joint
from edge.structures import Frame, Poses, RuleSummary

log = logging.getLogger(__name__)

_REFRESH_NS = 500_000_000  # pause between two changes of a summary
_TALL_M = np.array([1.7])  # for the likely error of an angle in space
_MOST_ERROR_DEG = 60.0  # an angle of the camera with a larger one is not seen


def check(config: Config) -> None:
    """Refuse what can be known to be wrong before a run.

    Raises:
        ConfigError: a wrong address, axis or angle; names the key.
    """
    for i, sensor in enumerate(config.sensors):
        sensors.check(sensor.source, f"sensors[{i}].source")
    for i, camera in enumerate(config.cameras):
        if camera.depth:
            depth.check(camera.depth, f"cameras[{i}].depth")
            if camera.rotate or camera.flip:
                raise ConfigError(f"cameras[{i}].depth: needs a camera without rotate and flip")
    for i, joint in enumerate(config.joints):
        if joint.angle not in angles.PLANES:
            known = ", ".join(angles.PLANES)
            raise ConfigError(f"joints[{i}].angle: no angle {joint.angle!r}; there are: {known}")
        for name in ("far_axis", "near_axis"):
            try:
                axis_of(getattr(joint, name))
            except ValueError as error:
                raise ConfigError(f"joints[{i}].{name}: {error}") from error


class JointStage:
    """The joints of a configuration.

    Args:
        config: complete and checked.
        now_ns: the monotonic clock.

    Raises:
        EdgeError: a folder of depth images cannot be used.
    """

    def __init__(self, config: Config, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        check(config)
        self._now_ns = now_ns
        self._readers = {
            sensor.name: SensorReader(sensor.name, sensors.check(sensor.source, "sensors"))
            for sensor in config.sensors
        }
        self._joints = [_FusedJoint(joint) for joint in config.joints]
        watched = {joint.camera for joint in config.joints}
        self._depths = {
            camera.name: _Depth(camera.name, depth.open_depth(depth.check(camera.depth, "depth")))
            for camera in config.cameras
            if camera.depth and camera.name in watched
        }

    def start(self) -> None:
        """Begin to read sensors."""
        for reader in self._readers.values():
            reader.start()

    def close(self) -> None:
        """Stop reading."""
        for reader in self._readers.values():
            reader.close()
        for source in self._depths.values():
            source.close()

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        """See the people of a step; frames are borrowed."""
        self.drain()
        for frame, people in zip(frames, poses):
            of_camera = [j for j in self._joints if j.settings.camera == frame.camera]
            if of_camera and len(people):
                source = self._depths.get(frame.camera)
                points = source.points(frame, people) if source else None
                for joint in of_camera:
                    joint.see(frame.t_ns, people, points)

    def drain(self) -> None:
        """Take what the sensors have measured."""
        taken = {name: reader.take() for name, reader in self._readers.items()}
        for joint in self._joints:
            joint.turn(taken)

    def angle_of(self, angle: str, camera: str = "") -> Tuple[float, float, str]:
        """The present angle of a joint.

        Args:
            angle: as in the configuration.
            camera: of several that see it; empty = the first.

        Returns:
            Degrees (NaN = not known), their standard deviation, and what it stands on: both,
            vision, gyro or none.

        Raises:
            KeyError: no such joint is configured.
        """
        for joint in self._joints:
            if joint.settings.angle == angle and camera in ("", joint.settings.camera):
                found = joint.newest(self._now_ns())
                return found.degrees, found.error_deg, found.stands_on
        raise KeyError(angle)

    def summaries(self, camera: str) -> List[RuleSummary]:
        """The joints of a camera, for its state message; they change twice a second at most."""
        now_ns = self._now_ns()
        return [j.summary(now_ns) for j in self._joints if j.settings.camera == camera]

    def report(self) -> Mapping[str, Any]:
        """Condition of each sensor, for the metrics message."""
        states = [reader.state for reader in self._readers.values()]
        if not states:
            return {}
        warm = {s.name: round(s.temp_c, 1) for s in states if np.isfinite(s.temp_c)}
        return {
            "sensor_states": {s.name: s.state for s in states},
            "sensor_samples": {s.name: s.samples for s in states},
            "sensor_lost": {s.name: s.lost for s in states},
            "sensor_reopened": {s.name: s.reopened for s in states},
            "sensor_temperatures_c": warm,
        }


class _FusedJoint:
    """One joint: which person it is of, and its filter."""

    def __init__(self, settings: Joint) -> None:
        self.settings = settings
        unseen = 0.0 if settings.near else settings.unseen_deg
        self._fusion = JointFusion(settings.delay_ms * 1e-3, unseen_deg=unseen)
        near = axis_of(settings.near_axis) if settings.near else None
        self._hinge = HingeRate(axis_of(settings.far_axis), near)
        self._person = -1
        self._space = False  # the last angle of the camera was measured in space
        self._said: Optional[RuleSummary] = None
        self._said_ns = 0

    def turn(self, taken: Mapping[str, sensors.ImuSamples]) -> None:
        """Take the samples of its sensors."""
        if not self.settings.far:
            return
        if self.settings.near:
            near = taken[self.settings.near]
            self._hinge.add_near(near.t_ns, near.gyro_dps)
        far = taken[self.settings.far]
        self._hinge.add_far(far.t_ns, far.gyro_dps)
        self._fusion.gyro(self._hinge.take())

    def see(
        self, t_ns: int, people: Poses, points: Optional[Tuple[np.ndarray, np.ndarray]]
    ) -> None:
        """Measure the angle of the person who wears the sensors: the largest, then the same."""
        row = self._row(people)
        one = people.take(slice(row, row + 1))
        degrees, error = float("nan"), float("nan")
        self._space = False
        if points is not None:
            here = slice(row, row + 1)
            degrees, error = self._measured(points[0][here], points[1][here], one, _TALL_M)
            self._space = bool(np.isfinite(degrees))
        if not np.isfinite(degrees):
            body17 = skeletons.body17(one.skeleton)
            seen = one.keypoints if one.straight is None else one.straight
            body = as_complex(seen[:, body17])
            tall_px = stature.heights(body, one.scores[:, body17], one.boxes)
            degrees, error = self._measured(seen, one.scores, one, tall_px)
        if error < _MOST_ERROR_DEG:
            self._fusion.vision(t_ns, degrees, error)

    def newest(self, now_ns: int) -> FusedAngle:
        """The present angle."""
        return self._fusion.newest(now_ns)

    def summary(self, now_ns: int) -> RuleSummary:
        """What the state message says."""
        if self._said is None or now_ns - self._said_ns >= _REFRESH_NS:
            self._said, self._said_ns = self._summary(self.newest(now_ns)), now_ns
        return self._said

    def _summary(self, found: FusedAngle) -> RuleSummary:
        data: Dict[str, Any] = {
            "degrees": round(found.degrees) if np.isfinite(found.degrees) else None,
            "error_deg": round(found.error_deg, 1),
            "stands_on": found.stands_on,
            "person": self._person,
            "dimensions": 3 if self._space else 2,
        }
        if self.settings.far:
            data["delay_ms"] = round(1e3 * self._fusion.delay_s)
            data["bias_dps"] = round(self._fusion.bias_dps, 1)
        return RuleSummary(self.settings.angle, "joint", data, unsure=self._unsure(found))

    def _unsure(self, found: FusedAngle) -> str:
        delay = self._fusion.delay
        if delay is not None and self._fusion.contradicts:
            turned = "the other way than" if delay.gain < 0 else "not as"
            return f"the sensors turn {turned} the camera sees; check far_axis and near_axis"
        return "" if found.stands_on != "none" else "neither camera nor sensors see the joint"

    def _measured(
        self, points: np.ndarray, scores: np.ndarray, one: Poses, tall: np.ndarray
    ) -> Tuple[float, float]:
        found = angles.measure(points, scores, one.skeleton, [self.settings.angle], tall)
        return float(found.degrees[0, 0]), float(found.error_deg[0, 0])

    def _row(self, people: Poses) -> int:
        same = np.flatnonzero((people.ids == self._person) & (people.ids >= 0))
        if len(same):
            return int(same[0])
        sides = people.boxes[:, 2:] - people.boxes[:, :2]
        row = int(np.argmax(sides.prod(1)))
        self._person = int(people.ids[row])
        return row


class _Depth:
    """Depth images of one camera; a failure is logged once and the picture serves alone."""

    def __init__(self, camera: str, source: DepthSource) -> None:
        self._camera, self._source = camera, source
        self._lift: Optional[Lift] = None
        self._said = ""

    def points(self, frame: Frame, people: Poses) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        """Points [N,K,3] m and scores [N,K]; None = there is no image of this frame."""
        try:
            image = self._source.image(frame.index, frame.t_ns)
        except EdgeError as error:
            self._say(str(error))
            return None
        if image is None:
            return None
        known = self._source.camera
        width, height = frame.size
        if abs(width * known.height - height * known.width) > 0.01 * width * known.height:
            self._say(f"depth is of {known.width}x{known.height}, pictures are {width}x{height}")
            return None
        lens = Intrinsics(known.width, known.height, known.fx, known.fy, known.cx, known.cy)
        self._lift = self._lift or Lift(skeletons.get(people.skeleton))
        found = self._lift(people, image, known.scale_m, lens.of_size(width, height))
        return found.points, found.scores

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            log.warning("camera %s: depth is left out: %s", self._camera, line)
