"""`edge-tools imu`: record, calibrate, axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.sensors import ImuSamples
from edge.sensors._calibration import read_calibration
from edge.sensors.file import read_csv, write_csv
from tools.__main__ import main


def write(path: Path, rates: np.ndarray) -> Path:
    n = len(rates)
    accel = np.tile((0.0, 0.0, 1.0), (n, 1))
    write_csv(path, [ImuSamples(np.arange(n) * 5_000_000, rates, accel, np.full(n, 30.0))])
    return path


def test_a_sensor_is_recorded_and_calibrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = "synthetic://?amplitude_deg=0&bias_dps=1.5"
    out = tmp_path / "rest.csv"
    assert main(["imu", "record", rest, "--seconds", "0.6", "--out", str(out)]) == 0
    assert len(read_csv(out)) > 20
    made = tmp_path / "c.json"
    assert main(["imu", "calibrate", str(out), "--out", str(made)]) == 0
    np.testing.assert_allclose(read_calibration(made).gyro_bias_dps, 1.5, atol=0.1)
    assert "deg/s at 30.0 C" in capsys.readouterr().out


def test_a_recording_ends_with_its_source_and_a_missing_sensor_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "a.csv", np.zeros((50, 3)))
    out = tmp_path / "b.csv"
    words = ["imu", "record", f"file://{source}?pace=max", "--seconds", "600", "--out", str(out)]
    assert main(words) == 0
    assert len(read_csv(out)) == 50
    assert main(["imu", "record", "mpu6050:///dev/i2c-none", "--out", str(out)]) == 75
    told = capsys.readouterr().err
    assert "/dev/i2c-none: No such file" in told
    assert told.count("\n") == 1


def test_the_axis_is_the_one_that_turned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swing = 60 * np.sin(np.arange(2000) * 0.02)
    rng = np.random.default_rng(0)
    rates = np.outer(swing, (0.6, -0.8, 0)) + rng.normal(0, 1, (2000, 3)) + (3, 2, 1)
    assert main(["imu", "axis", str(write(tmp_path / "a.csv", rates))]) == 0
    found = [float(v) for v in capsys.readouterr().out.split()]
    np.testing.assert_allclose(found, (-0.6, 0.8, 0), atol=0.02)
    still = write(tmp_path / "s.csv", rng.normal(0, 1, (2000, 3)))
    assert main(["imu", "axis", str(still)]) == 65
    around = write(tmp_path / "r.csv", rng.normal(0, 40, (2000, 3)))
    assert main(["imu", "axis", str(around)]) == 65
    told = capsys.readouterr().err
    assert "hardly any motion" in told
    assert "is about one axis" in told
