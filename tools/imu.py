"""`edge-tools imu`: record an inertial sensor, calibrate it, and find the axis of a joint."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import List

import numpy as np

from edge import sensors
from edge.errors import DataError, TempError
from edge.sensors import ImuSamples
from edge.sensors._calibration import at_rest
from edge.sensors._reader import SensorReader
from edge.sensors.file import read_csv, write_csv

HELP = "inertial sensors: record samples, calibrate biases and scales, find the axis of a joint"
_LEAST_TURN_DPS = 10.0  # rms; below, nothing turned
_LEAST_SHARE = 0.7  # of the turning that a hinge has about its axis


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="record|calibrate|axis")
    record = deeds.add_parser("record", help="write samples of a sensor to a CSV file")
    record.add_argument("source", metavar="URI", help="mpu6050:///dev/i2c-1?address=0x68 ...")
    record.add_argument("--seconds", type=float, default=10.0, metavar="S")
    record.add_argument("--out", type=Path, required=True, metavar="FILE.csv")
    calibrate = deeds.add_parser(
        "calibrate",
        help="from recordings at rest: one gives the gyroscopes' biases, two at temperatures 5 C "
        "apart their slopes, six positions the accelerometers",
    )
    calibrate.add_argument("recordings", type=Path, nargs="+", metavar="FILE.csv")
    calibrate.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    axis = deeds.add_parser("axis", help="the axis about which a recorded limb turned")
    axis.add_argument("recording", type=Path, metavar="FILE.csv")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    if arguments.deed == "record":
        return _record(arguments.source, arguments.seconds, arguments.out)
    if arguments.deed == "axis":
        print(axis_text(read_csv(arguments.recording), arguments.recording))
        return 0
    found = at_rest([read_csv(path) for path in arguments.recordings])
    found.write(arguments.out)
    bias = ", ".join(f"{v:.2f}" for v in found.gyro_bias_dps)
    print(f"{arguments.out}: bias {bias} deg/s at {found.temp_c:.1f} C; add ?calibration=PATH")
    return 0


def _record(source: str, seconds: float, out: Path) -> int:
    reader = SensorReader("sensor", sensors.check(source, "URI"))
    batches: List[ImuSamples] = []
    reader.start()
    try:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and reader.state.state not in ("lost", "ended"):
            time.sleep(0.05)
            batches.append(reader.take())
    finally:
        reader.close()
    batches.append(reader.take())
    state, samples = reader.state, ImuSamples.join(batches)
    if not len(samples):
        raise TempError(state.detail or f"{source}: gave no samples")
    write_csv(out, [samples])
    print(f"{out}: {len(samples)} samples, {samples.lost} lost; {state.about}")
    return 0


def axis_text(samples: ImuSamples, path: Path) -> str:
    """The axis of a recording as `far_axis` and `near_axis` take it; its sign is arbitrary.

    It is the first principal axis of the turning rates without their mean.

    Raises:
        DataError: the limb did not turn, or not about one axis.
    """
    rates = samples.gyro_dps - samples.gyro_dps.mean(0)
    values, vectors = np.linalg.eigh(rates.T @ rates / max(len(rates), 1))
    if values[-1] < _LEAST_TURN_DPS**2:
        raise DataError(f"{path}: hardly any motion; bend and stretch the joint for 10 s")
    share = values[-1] / values.sum()
    if share < _LEAST_SHARE:
        raise DataError(f"{path}: only {100 * share:.0f} % of the turning is about one axis")
    axis = vectors[:, -1] * np.sign(vectors[np.abs(vectors[:, -1]).argmax(), -1])
    return " ".join(f"{v:.3f}" for v in axis)
