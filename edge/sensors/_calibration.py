"""Calibration of an inertial sensor: biases, scales, and how they change with temperature.

The model of each axis: measured = true / scale + bias + slope * (temperature - reference). The
biases of the gyroscopes come from a sensor at rest; two temperatures give the slope. Those of the
accelerometers come from six or more positions at rest, in which the length of gravity is 1 g.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge.errors import DataError, NoInputError
from edge.sensors import ImuSamples, ImuSource

_SCHEMA = "imu-calibration/1"
_MOST_REST_DPS = 1.0  # standard deviation of a gyroscope at rest
_APART_C = 5.0  # of two temperatures from which a slope is taken
_ROUNDS = 20  # of Gauss-Newton; it converges in five
Three = Tuple[float, float, float]


@dataclass(frozen=True)
class Calibration:
    """Biases and scales of the six axes."""

    gyro_bias_dps: Three = (0.0, 0.0, 0.0)
    gyro_slope_dps_per_c: Three = (0.0, 0.0, 0.0)
    gyro_scale: Three = (1.0, 1.0, 1.0)
    accel_bias_g: Three = (0.0, 0.0, 0.0)
    accel_scale: Three = (1.0, 1.0, 1.0)
    temp_c: float = 25.0  # of gyro_bias_dps

    def applied(self, samples: ImuSamples) -> ImuSamples:
        """The samples without biases, in new arrays."""
        warmer_c = np.nan_to_num(samples.temp_c - self.temp_c)[:, None]
        bias = np.array(self.gyro_bias_dps) + warmer_c * self.gyro_slope_dps_per_c
        gyro = (samples.gyro_dps - bias) * self.gyro_scale
        accel = (samples.accel_g - self.accel_bias_g) * self.accel_scale
        return ImuSamples(samples.t_ns, gyro, accel, samples.temp_c, samples.lost)

    def write(self, path: Path) -> None:
        """Write the file.

        Raises:
            NoInputError: it cannot be written.
        """
        table = {"schema": _SCHEMA, **asdict(self)}
        try:
            path.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
        except OSError as error:
            raise NoInputError(f"{path}: {error.strerror}") from error


def read_calibration(path: Path) -> Calibration:
    """Read a file of `Calibration.write`.

    Raises:
        NoInputError: it is not there. DataError: it is damaged.
    """
    try:
        table = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise NoInputError(
            f"{path}: {error.strerror}; edge-tools imu calibrate makes it"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: is no JSON; edge-tools imu calibrate makes it") from error
    if not isinstance(table, dict) or table.pop("schema", None) != _SCHEMA:
        raise DataError(f"{path}: is no {_SCHEMA}; edge-tools imu calibrate makes it")
    return Calibration(**_numbers(path, table))


def _numbers(path: Path, table: Dict[str, Any]) -> Dict[str, Any]:
    wanted = asdict(Calibration())
    found: Dict[str, Any] = {}
    for name, default in wanted.items():
        value = table.get(name, default)
        try:
            numbers = np.asarray(value, float)
        except (TypeError, ValueError):
            numbers = np.array(np.nan)
        if numbers.shape != np.shape(default) or not np.isfinite(numbers).all():
            raise DataError(f"{path}: {name}: {value!r} is not {np.size(default)} finite numbers")
        found[name] = tuple(numbers.tolist()) if numbers.ndim else float(numbers)
    return found


class _Calibrated:
    """A source whose samples are calibrated."""

    def __init__(self, source: ImuSource, calibration: Calibration) -> None:
        self.about = source.about
        self._source, self._calibration = source, calibration

    def read(self) -> ImuSamples:
        return self._calibration.applied(self._source.read())

    def close(self) -> None:
        self._source.close()


def calibrated(source: ImuSource, path: str) -> ImuSource:
    """The source with the calibration of a file; an empty path gives the source itself.

    Raises:
        NoInputError, DataError: the file cannot be used.
    """
    return _Calibrated(source, read_calibration(Path(path))) if path else source


def at_rest(records: Sequence[ImuSamples]) -> Calibration:
    """Calibration from recordings of a sensor that lies still, each in one position.

    One recording gives the gyroscopes' biases; two at temperatures 5 C apart their slopes; six in
    different positions the accelerometers' biases and scales.

    Raises:
        DataError: a recording is empty or has motion in it.
    """
    for i, record in enumerate(records):
        if len(record) < 2 or record.gyro_dps.std(0).max() > _MOST_REST_DPS:
            raise DataError(f"recording {i + 1}: the sensor must lie still for a second or more")
    temps = np.array([np.nan_to_num(r.temp_c.mean(), nan=25.0) for r in records])
    gyro = np.array([r.gyro_dps.mean(0) for r in records])
    weights = np.array([len(r) for r in records], float)
    mean_c = float(np.average(temps, weights=weights))
    slope = np.zeros(3)
    if np.ptp(temps) >= _APART_C:
        apart = temps - mean_c
        slope = (weights * apart) @ gyro / (weights * apart**2).sum()
    bias = np.average(gyro, axis=0, weights=weights)
    accel_bias, accel_scale = _accel([r.accel_g.mean(0) for r in records])
    return Calibration(
        _three(bias), _three(slope), (1.0, 1.0, 1.0), accel_bias, accel_scale, mean_c
    )


def _accel(means: List[np.ndarray]) -> Tuple[Three, Three]:
    """Bias and scale such that all positions measure 1 g; six unknowns by Gauss-Newton."""
    points = np.array(means)
    unknown = np.concatenate((np.zeros(3), np.ones(3)))
    if len(points) < 6 or np.linalg.svd(points - points.mean(0))[1][-1] < 0.5:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    for _ in range(_ROUNDS):
        bias, scale = unknown[:3], unknown[3:]
        off = points - bias
        miss = ((off * scale) ** 2).sum(1) - 1
        jacobian = np.concatenate((-2 * off * scale**2, 2 * off**2 * scale), 1)
        unknown = unknown - np.linalg.lstsq(jacobian, miss, rcond=None)[0]
    return _three(unknown[:3]), _three(unknown[3:])


def _three(values: np.ndarray) -> Three:
    x, y, z = (float(v) for v in values)
    return x, y, z
