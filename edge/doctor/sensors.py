"""Whether every configured inertial sensor gives samples, and every depth source opens."""

from __future__ import annotations

from typing import List

from edge import sensors as room
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.errors import EdgeError
from edge.sensors import depth
from edge.sensors._mpu6050.bus import IN_USE
from edge.sensors._reader import SensorReader, SensorState, wait_for_samples
from edge.settings.config import Camera, Config

LIMIT_S = 5.0  # an MPU-6050 needs .6 s to wake and to test itself
BUSY = "the service itself may use it: its metrics messages show the state of its sensors"
ANY = "is it wired to this bus, and powered? `i2cdetect -y 1` shows addresses"


def sensors(settings: Config) -> List[Finding]:
    """Open all sensors at once, and wait for samples of each; then open the depth sources."""
    try:
        addresses = [
            room.check(s.source, f"sensors[{i}].source") for i, s in enumerate(settings.sensors)
        ]
    except EdgeError as error:
        return [Finding("sensors", FAIL, str(error), "correct the configuration")]
    readers = [SensorReader(s.name, a) for s, a in zip(settings.sensors, addresses)]
    for reader in readers:
        reader.start()
    found = [_judge(wait_for_samples(reader, LIMIT_S)) for reader in readers]
    for reader in readers:
        reader.close()
    return found + [_depth(camera) for camera in settings.cameras if camera.depth]


def _judge(state: SensorState) -> Finding:
    what = f"sensor {state.name}"
    if state.samples:
        return Finding(what, OK, state.about)
    if IN_USE in state.detail:
        return Finding(what, WARN, state.detail, BUSY)
    found, _, fix = (state.detail or "gives no samples").partition("; ")
    return Finding(what, FAIL, found, fix or ANY)


def _depth(camera: Camera) -> Finding:
    what = f"depth of camera {camera.name}"
    try:
        source = depth.open_depth(depth.check(camera.depth, "cameras.depth"))
    except EdgeError as error:
        found, _, fix = str(error).partition("; ")
        return Finding(what, FAIL, found, fix or "correct cameras.depth")
    source.close()
    return Finding(what, OK, source.about)
