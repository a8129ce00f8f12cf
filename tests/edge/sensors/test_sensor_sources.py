"""Recorded and drawn sensors, their reader, and calibration."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
import pytest

from edge import sensors
from edge.errors import ConfigError, DataError, EdgeError, NoInputError, TempError
from edge.sensors import Address, ImuSamples, ImuSource
from edge.sensors._calibration import Calibration, at_rest, read_calibration
from edge.sensors._reader import SensorReader, wait_for_samples
from edge.sensors.file import read_csv, write_csv
from tests.fakes.mpu6050_fake import Clock
from tests.waiting import GIVE_UP_S, until


def opened(uri: str, clock: Clock) -> ImuSource:
    return sensors.open_source(sensors.check(uri, "sensors[0].source"), clock)


def record(path: Path, seconds: float = 1.0) -> ImuSamples:
    clock = Clock()
    source = opened("synthetic://?amplitude_deg=30", clock)
    clock.sleep(seconds)
    samples = source.read()
    write_csv(path, [samples])
    return samples


def test_a_swing_has_the_rate_and_the_turn_that_were_asked_for() -> None:
    clock = Clock()
    source = opened("synthetic://?hz=100&axis=z&amplitude_deg=30&period_s=1&bias_dps=2", clock)
    batches: List[ImuSamples] = []
    for _ in range(50):
        clock.sleep(0.02)
        batches.append(source.read())
    found = ImuSamples.join(batches)
    assert len(found) == 100
    assert (np.diff(found.t_ns) == 10_000_000).all()
    turned = np.cumsum(found.gyro_dps[:, 2] - 2) * 0.01
    assert np.ptp(turned) == pytest.approx(60, abs=1)
    assert found.gyro_dps[:, 0].mean() == pytest.approx(2, abs=0.05)
    assert np.linalg.norm(found.accel_g, axis=1).mean() == pytest.approx(1, abs=0.01)


def test_a_recording_comes_at_its_own_pace_or_at_once_and_ends(tmp_path: Path) -> None:
    was = record(tmp_path / "a.csv")
    clock = Clock()
    source = opened(f"file://{tmp_path}/a.csv?delay_s=0.5", clock)
    assert len(source.read()) == 0
    clock.sleep(1.0)
    first = source.read()
    assert 95 <= len(first) <= 105
    assert first.t_ns[0] == 10**12 + 500_000_000
    clock.sleep(1.0)
    rest = source.read()
    assert len(first) + len(rest) == len(was)
    np.testing.assert_allclose(ImuSamples.join([first, rest]).gyro_dps, was.gyro_dps, atol=1e-6)
    with pytest.raises(sensors.EndOfSensor):
        source.read()
    assert len(opened(f"file://{tmp_path}/a.csv?pace=max", clock).read()) == len(was)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: lacks the column t_s"),
        ("t_s,gyro_x_dps,gyro_y_dps\n", "line 1: lacks the column gyro_z_dps"),
        ("t_s,gyro_x_dps,gyro_y_dps,gyro_z_dps\n", "holds no samples"),
        ("t_s,gyro_x_dps,gyro_y_dps,gyro_z_dps\n0,1,2,x\n", "line 2: gyro_z_dps: 'x'"),
        ("t_s,gyro_x_dps,gyro_y_dps,gyro_z_dps\n0,1,2,nan\n", "line 2: gyro_z_dps: 'nan'"),
        ("t_s,gyro_x_dps,gyro_y_dps,gyro_z_dps\n0,1,2\n", "line 2: gyro_z_dps: ''"),
        ("t_s,gyro_x_dps,gyro_y_dps,gyro_z_dps\n1,1,2,3\n1,1,2,3\n", "line 3: t_s does not rise"),
        ("\udcff", "is no CSV file of samples"),
    ],
)
def test_damaged_recordings_are_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=said) as told:
        read_csv(path)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)


def test_columns_that_are_not_needed_may_be_missing_and_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "gyro_z_dps,gyro_y_dps,gyro_x_dps,t_s\n3,2,1,0\n3,2,1,0.005\n", encoding="utf-8"
    )
    found = read_csv(path)
    np.testing.assert_array_equal(found.gyro_dps, [[1, 2, 3]] * 2)
    assert np.isnan(found.temp_c).all()
    with pytest.raises(NoInputError, match=r"none\.csv: No such file"):
        read_csv(tmp_path / "none.csv")


def test_wrong_options_of_files_and_swings_are_refused() -> None:
    for uri, said in (
        ("file://", "names no file"),
        ("file:///a.csv?pace=slow", "use one of native, max"),
        ("synthetic://?axis=w", "use one of y, x, z"),
        ("synthetic://?hertz=3", "unknown option 'hertz'"),
    ):
        with pytest.raises(ConfigError, match=said):
            sensors.check(uri, "sensors[1].source")


class Flaky:
    """Gives a sample at each reading but where it fails."""

    about = "flaky"

    def __init__(self, fails: List[bool]) -> None:
        self.fails, self.closed, self._t_ns = fails, 0, 0

    def read(self) -> ImuSamples:
        if self.fails and self.fails.pop(0):
            raise TempError("bus: nobody answers; check its wires")
        self._t_ns += 1
        return ImuSamples(
            np.array([self._t_ns]), np.zeros((1, 3)), np.zeros((1, 3)), np.array([31.0]), lost=2
        )

    def close(self) -> None:
        self.closed += 1


def test_a_sensor_that_comes_back_is_opened_again_and_one_bad_transfer_is_none() -> None:
    address = Address("fake://", "fake", "", {})
    sources = [Flaky([False, True, True, False, True, True, True]), Flaky([])]
    opening: List[object] = [sources[0], NoInputError("gone"), sources[1]]

    def opener(address: Address) -> ImuSource:
        found = opening.pop(0)
        if isinstance(found, EdgeError):
            raise found
        return found  # type: ignore[return-value]

    reader = SensorReader("knee", address, opener)
    reader.start()
    until(lambda: reader.state.reopened == 1 and reader.state.samples > 3, "the return")
    state = reader.state
    assert (state.state, state.detail, state.about, state.temp_c) == ("ok", "", "flaky", 31.0)
    assert sources[0].closed == 1
    taken = reader.take()
    assert len(taken) >= 3
    assert taken.lost == 2 * len(taken)
    reader.close()
    until(lambda: sources[1].closed == 1, "the closing")
    reader.close()


def test_a_sensor_that_is_not_there_is_lost_and_says_why() -> None:
    reader = SensorReader("knee", sensors.check("mpu6050:///dev/i2c-none", "x"))
    reader.start()
    state = wait_for_samples(reader, GIVE_UP_S)
    reader.close()
    assert state.state == "lost"
    assert "/dev/i2c-none: No such file" in state.detail


def test_a_recording_ends_its_reader(tmp_path: Path) -> None:
    was = record(tmp_path / "a.csv")
    reader = SensorReader("knee", sensors.check(f"file://{tmp_path}/a.csv?pace=max", "x"))
    reader.start()
    until(lambda: reader.state.state == "ended", "the end")
    assert len(reader.take()) == len(was) == reader.state.samples
    reader.close()


def still(up: np.ndarray, temp_c: float, rng: np.random.Generator) -> ImuSamples:
    """A sensor at rest with known errors."""
    true = np.tile(up / np.linalg.norm(up), (400, 1))
    accel = true / (1.02, 0.98, 1.01) + (0.03, -0.02, 0.05) + rng.normal(0, 0.003, true.shape)
    bias = np.array([1.5, -2.0, 0.7]) + (temp_c - 30) * np.array([0.02, -0.01, 0.03])
    gyro = bias + rng.normal(0, 0.05, true.shape)
    return ImuSamples(np.arange(400), gyro, accel, np.full(400, temp_c))


def test_calibration_finds_biases_scales_and_their_change_with_temperature(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ups = [s * np.eye(3)[i] + rng.normal(0, 0.1, 3) for i in range(3) for s in (1, -1)]
    records = [still(up, t, rng) for up, t in zip([*ups, ups[0]], [30, 30, 30, 30, 30, 30, 45])]
    found = at_rest(records)
    found.write(tmp_path / "c.json")
    again = read_calibration(tmp_path / "c.json")
    assert again == found
    np.testing.assert_allclose(found.accel_bias_g, (0.03, -0.02, 0.05), atol=2e-3)
    np.testing.assert_allclose(found.accel_scale, (1.02, 0.98, 1.01), atol=2e-3)
    np.testing.assert_allclose(found.gyro_slope_dps_per_c, (0.02, -0.01, 0.03), atol=2e-3)
    cold = found.applied(still(np.array([1.0, 2.0, 3.0]), 20, rng))
    np.testing.assert_allclose(cold.gyro_dps.mean(0), 0, atol=0.03)
    assert np.linalg.norm(cold.accel_g.mean(0)) == pytest.approx(1, abs=3e-3)


def test_calibration_refuses_motion_and_damaged_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    moving = still(np.ones(3), 30, rng)
    moving.gyro_dps[::2] += 40
    with pytest.raises(DataError, match="recording 1: the sensor must lie still"):
        at_rest([moving])
    assert at_rest([still(np.ones(3), 30, rng)]).accel_scale == (1.0, 1.0, 1.0)
    path = tmp_path / "c.json"
    for text, said in (
        ("{", "is no JSON"),
        ("[]", "is no imu-calibration/1"),
        ('{"schema": "imu-calibration/1", "gyro_bias_dps": [1, 2]}', "is not 3 finite numbers"),
        ('{"schema": "imu-calibration/1", "temp_c": "x"}', "is not 1 finite numbers"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=said):
            read_calibration(path)
    with pytest.raises(NoInputError, match="edge-tools imu calibrate makes it"):
        read_calibration(tmp_path / "none.json")


def test_a_source_with_a_calibration_gives_calibrated_samples(tmp_path: Path) -> None:
    was = record(tmp_path / "a.csv")
    Calibration(gyro_bias_dps=(1.0, 2.0, 3.0)).write(tmp_path / "c.json")
    source = opened(f"file://{tmp_path}/a.csv?pace=max&calibration={tmp_path}/c.json", Clock())
    np.testing.assert_allclose(source.read().gyro_dps, was.gyro_dps - (1, 2, 3), atol=1e-5)
    source.close()
