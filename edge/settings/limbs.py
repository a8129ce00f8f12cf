"""Sections of the configuration about sensors beside the cameras, and checks of them."""

import dataclasses
from dataclasses import dataclass
from typing import List, Sequence

from edge.errors import ConfigError
from edge.settings.schema import key, name_problem


@dataclass(frozen=True)
class Sensor:
    """One inertial sensor."""

    name: str = key(help="name in messages", check=name_problem)
    source: str = key(help="URI: mpu6050:///dev/i2c-1?address=0x68 file:///PATH.csv synthetic://")


@dataclass(frozen=True)
class Joint:
    """A joint whose angle is measured by a camera and, where there are any, by sensors."""

    angle: str = key(help="left_knee_flexion, right_elbow_flexion ... (edge.people.angles)")
    camera: str = key("", "name of the camera that sees it; empty = the first")
    far: str = key("", "sensor on the limb beyond the joint, such as the shank; empty = none")
    near: str = key("", "sensor on the limb before the joint, such as the thigh; empty = none")
    far_axis: str = key(
        "y", "axis of the joint in the axes of `far`, positive for bending: y, -x, or '0.1 0.99 0'"
    )
    near_axis: str = key("y", "the same in the axes of `near`")
    delay_ms: float = key(
        50.0, "by how much the camera's times are late, before it is measured", -300, 300
    )
    unseen_deg: float = key(
        5.0,
        "without `near`: how far the limb before the joint turns in a second, a standard deviation",
        0,
        180,
    )


def completed(
    sensors: Sequence[Sensor], joints: Sequence[Joint], cameras: Sequence[str]
) -> List[Joint]:
    """Joints with the names of their cameras.

    Raises:
        ConfigError: two sensors or joints have one name, or a joint names what is not there.
    """
    names = [s.name for s in sensors]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ConfigError(
                f"sensors[{i}].name: {name!r} is taken by an earlier sensor; choose another name"
            )
    done: List[Joint] = []
    for i, joint in enumerate(joints):
        full = dataclasses.replace(joint, camera=joint.camera or (cameras[0] if cameras else ""))
        _check(full, f"joints[{i}]", names, cameras)
        if (full.angle, full.camera) in [(j.angle, j.camera) for j in done]:
            raise ConfigError(f"joints[{i}].angle: {full.angle!r} is there twice; remove one")
        done.append(full)
    return done


def _check(joint: Joint, where: str, sensors: Sequence[str], cameras: Sequence[str]) -> None:
    if joint.camera and joint.camera not in cameras:
        raise ConfigError(
            f"{where}.camera: no camera {joint.camera!r}; there are: {', '.join(cameras)}"
        )
    for name in ("far", "near"):
        value = getattr(joint, name)
        if value and value not in sensors:
            there = ", ".join(sensors) or "none; add a [[sensors]] table"
            raise ConfigError(f"{where}.{name}: no sensor {value!r}; there are: {there}")
    if joint.near and not joint.far:
        raise ConfigError(f"{where}.far: is empty, but near is {joint.near!r}; name both or far")
    if joint.far and joint.far == joint.near:
        raise ConfigError(f"{where}.near: is the same sensor as far; name another one")
