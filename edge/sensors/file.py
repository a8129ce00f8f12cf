"""Recorded samples of an inertial sensor: file:///PATH.csv.

The first line names the columns, in any order: t_s, gyro_x_dps, gyro_y_dps, gyro_z_dps, and, where
there are any, accel_x_g, accel_y_g, accel_z_g, temp_c. `edge-tools imu record` writes such files.
Options:

- pace=native (default): samples come at their own pace, the first one at the opening; pace=max: all
  at once, for tools.
- delay_s: seconds from the opening to the first sample.
- calibration: a file of `edge-tools imu calibrate`.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Dict, List, Sequence, TextIO

import numpy as np

from edge.errors import ConfigError, DataError, NoInputError
from edge.sensors import EndOfSensor, ImuSamples, ImuSource, Now
from edge.sensors._address import Address
from edge.sensors._calibration import calibrated

COLUMNS = (
    *("t_s", "gyro_x_dps", "gyro_y_dps", "gyro_z_dps"),
    *("accel_x_g", "accel_y_g", "accel_z_g", "temp_c"),
)
_NEEDED = COLUMNS[:4]


def check(address: Address) -> None:
    """Refuse wrong options.

    Raises:
        ConfigError: a wrong option, or no path.
    """
    address.only(("pace", "delay_s", "calibration"))
    address.choice("pace", ("native", "max"))
    address.number("delay_s", 0, -3600, 3600)
    if not address.path:
        raise ConfigError(f"{address.uri}: names no file; write file:///PATH.csv")


def open_source(address: Address, now_ns: Now = time.monotonic_ns) -> ImuSource:
    """Read a recording.

    Raises:
        NoInputError: it is not there. DataError: it is damaged; names the line.
    """
    check(address)
    samples = read_csv(Path(address.path))
    native = address.choice("pace", ("native", "max")) == "native"
    delay_ns = round(address.number("delay_s", 0, -3600, 3600) * 1e9)
    source = Recorded(address.uri, samples, native, delay_ns, now_ns)
    return calibrated(source, address.query.get("calibration", ""))


class Recorded:
    """Plays samples.

    Args:
        name: for people.
        samples: times from any zero.
        native: at their own pace.
        delay_ns: from now to the first sample.
        now_ns: the monotonic clock.
    """

    def __init__(
        self, name: str, samples: ImuSamples, native: bool, delay_ns: int, now_ns: Now
    ) -> None:
        self.about = f"{name}, {len(samples)} samples"
        self._samples, self._native, self._now_ns = samples, native, now_ns
        self._shift_ns = now_ns() + delay_ns - int(samples.t_ns[0])
        self._next = 0

    def read(self) -> ImuSamples:
        """The samples whose time has come.

        Raises:
            EndOfSensor: all have been read.
        """
        record, start = self._samples, self._next
        if start == len(record):
            raise EndOfSensor
        limit_ns = self._now_ns() - self._shift_ns
        end = int(np.searchsorted(record.t_ns, limit_ns, "right")) if self._native else len(record)
        self._next = end = max(end, start)
        rows = slice(start, end)
        return ImuSamples(
            record.t_ns[rows] + self._shift_ns,
            record.gyro_dps[rows],
            record.accel_g[rows],
            record.temp_c[rows],
        )

    def close(self) -> None:
        """Nothing is open."""


def read_csv(path: Path) -> ImuSamples:
    """The samples of a file; times start where the file's start.

    Raises:
        NoInputError: it is not there. DataError: it is damaged; names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = _rows(path, file)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}; give a CSV file of samples") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no CSV file of samples: {error}") from error
    if not rows:
        raise DataError(f"{path}: holds no samples")
    table = np.array(rows)
    t_ns = np.rint(table[:, 0] * 1e9).astype(np.int64)
    late = np.flatnonzero(np.diff(t_ns) <= 0)
    if len(late):
        raise DataError(f"{path}: line {late[0] + 3}: t_s does not rise; sort the lines by time")
    return ImuSamples(t_ns, table[:, 1:4], table[:, 4:7], table[:, 7])


def _rows(path: Path, file: TextIO) -> List[List[float]]:
    reader = csv.DictReader(file)
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: line 1: lacks the column {missing[0]}; {', '.join(COLUMNS)}")
    return [_row(path, number, line) for number, line in enumerate(reader, 2)]


def _row(path: Path, number: int, line: Dict[str, str]) -> List[float]:
    row = []
    for name in COLUMNS:
        text = line.get(name) or ("" if name in _NEEDED else "nan")
        try:
            value = float(text)
        except ValueError:
            value = float("inf")
        if np.isinf(value) or (name in _NEEDED and np.isnan(value)):
            raise DataError(f"{path}: line {number}: {name}: {text!r} is no finite number")
        row.append(value)
    return row


def write_csv(path: Path, records: Sequence[ImuSamples]) -> None:
    """Write samples; times start at 0.

    Raises:
        NoInputError: the file cannot be written.
    """
    samples = ImuSamples.join(records)
    t_s = (samples.t_ns - samples.t_ns[:1]) * 1e-9
    table = np.column_stack((t_s, samples.gyro_dps, samples.accel_g, samples.temp_c))
    lines = [",".join(COLUMNS)] + [",".join(f"{v:.6f}" for v in row) for row in table.tolist()]
    try:
        path.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
