"""Sensors beside the cameras: inertial sensors on limbs.

A plug is one file: `check(address)` refuses wrong options before a run, and
`open_source(address, now_ns)` opens the sensor. The room has `mpu6050` (a chip on an I2C bus),
`file` (a recording) and `synthetic`. `edge.sensors.depth` is a room of its own, for depth images.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import ModuleType
from typing import Callable, Protocol, Sequence

import numpy as np

from edge import plug
from edge.errors import ConfigError
from edge.sensors._address import Address, parse

__all__ = ["Address", "ImuSamples", "ImuSource", "check", "open_source"]
Now = Callable[[], int]


@dataclass(frozen=True)
class ImuSamples:
    """S successive samples of an inertial sensor, oldest first, in arrays of their own."""

    t_ns: np.ndarray  # [S] i64 monotonic, strictly rising
    gyro_dps: np.ndarray  # [S,3] f64 deg/s, in the axes printed on the sensor
    accel_g: np.ndarray  # [S,3] f64, 1 = standard gravity; upwards at rest
    temp_c: np.ndarray  # [S] f64
    lost: int = 0  # samples that the sensor took and the program did not get, before these

    def __post_init__(self) -> None:
        shapes = {"gyro_dps": (len(self.t_ns), 3), "accel_g": (len(self.t_ns), 3)}
        for name, shape in {**shapes, "temp_c": (len(self.t_ns),)}.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"ImuSamples.{name}: expected {list(shape)}, got {list(found)}")

    def __len__(self) -> int:
        return len(self.t_ns)

    @staticmethod
    def empty(lost: int = 0) -> ImuSamples:
        """No sample."""
        nothing = np.zeros((0, 3))
        return ImuSamples(np.zeros(0, np.int64), nothing, nothing, np.zeros(0), lost)

    @staticmethod
    def join(records: Sequence[ImuSamples]) -> ImuSamples:
        """One record of several, in their order."""
        if not records:
            return ImuSamples.empty()
        return ImuSamples(
            np.concatenate([r.t_ns for r in records]),
            np.concatenate([r.gyro_dps for r in records]),
            np.concatenate([r.accel_g for r in records]),
            np.concatenate([r.temp_c for r in records]),
            sum(r.lost for r in records),
        )


class ImuSource(Protocol):
    """An open inertial sensor; one thread at a time may use it."""

    about: str  # one line for people: chip, rate, where it is

    def read(self) -> ImuSamples:
        """The samples since the last call; never waits for one. May be empty.

        Raises:
            TempError: the sensor does not answer, and may come back.
            EndOfSensor: there are no more samples.
        """

    def close(self) -> None:
        """Put the sensor to sleep, and give its device back; may be called twice."""


class EndOfSensor(Exception):
    """A recording has been read to its end; this is no error."""


def check(source: str, where: str) -> Address:
    """Parse a sensor's address and refuse wrong options, without opening anything.

    Args:
        source: URI, such as mpu6050:///dev/i2c-1?address=0x68.
        where: the key, for the message.

    Raises:
        EdgeError: an unknown scheme, or a wrong option; one line with the key.
    """
    try:
        address = parse(source)
        _plug(address).check(address)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return address


def open_source(address: Address, now_ns: Now = time.monotonic_ns) -> ImuSource:
    """Open a sensor.

    Args:
        address: from `check`.
        now_ns: the monotonic clock.

    Raises:
        NoInputError: it is not there. TempError: it does not answer. DataError: a file is damaged.
    """
    source: ImuSource = _plug(address).open_source(address, now_ns)
    return source


def _plug(address: Address) -> ModuleType:
    return plug.load("sensors", address.scheme)
