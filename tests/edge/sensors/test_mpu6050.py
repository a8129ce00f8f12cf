"""The driver of the MPU-6050's family on a chip made of Python, at the seam of the ioctl."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from typing import Any, Iterator, List, Tuple

import numpy as np
import pytest

from edge import plug, sensors
from edge.errors import ConfigError, NoInputError, TempError, UnavailableError
from edge.sensors import ImuSamples
from edge.sensors._mpu6050 import registers as reg
from edge.sensors._mpu6050.bus import FUNC_BLOCK_READ, NEEDED, Bus
from edge.sensors._mpu6050.chip import Mpu6050
from edge.sensors._mpu6050.request import read_request
from tests.fakes.mpu6050_fake import Clock, FakeChip
from tests.waiting import SOAK

# Stands for the adapter's file; of this process alone, because programs lock it.
ADAPTER = tempfile.NamedTemporaryFile(prefix="i2c-")  # noqa: SIM115 - open while the tests run


def opened(chip: FakeChip, options: str = "") -> Mpu6050:
    address = sensors.check(f"mpu6050://{ADAPTER.name}?{options}", "sensors[0].source")
    request = read_request(address)
    bus = Bus(request.device, request.address, chip.ioctl)
    return Mpu6050(bus, request, chip.clock, chip.clock.sleep)


def numbers(samples: ImuSamples) -> np.ndarray:
    """The numbers that the fake puts into the gyroscopes."""
    raw = np.rint(samples.gyro_dps * 32.8).astype(int)
    return raw[:, 0] << 15 | raw[:, 1]


def play(sensor: Mpu6050, chip: FakeChip, pauses_s: Any) -> ImuSamples:
    batches = []
    for pause_s in pauses_s:
        chip.clock.sleep(pause_s)
        batches.append(sensor.read())
    return ImuSamples.join(batches)


def test_every_sample_comes_once_in_order_with_its_values_and_units() -> None:
    chip = FakeChip(Clock(), raw=lambda n: (4096, -4096, 8192, 328, -656, n % 1000))
    sensor = opened(chip)
    found = play(sensor, chip, [0.02] * 100)
    assert 390 < len(found) < 480  # transfers take time, too
    np.testing.assert_allclose(found.accel_g[0], (1, -1, 2))
    np.testing.assert_allclose(found.gyro_dps[0, :2], (10, -20))
    np.testing.assert_array_equal(np.rint(found.gyro_dps[:, 2] * 32.8), np.arange(len(found)))
    np.testing.assert_allclose(found.temp_c, -1000 / 340 + 36.53, rtol=1e-6)
    assert found.lost == 0
    assert "MPU-6050" in sensor.about


def loaded(seconds: float, longest_s: float) -> Iterator[float]:
    """Pauses of a thread on a busy machine: 20 ms, often more, sometimes as long as may be."""
    rng, passed = np.random.default_rng(5), 0.0
    while passed < seconds:
        pause_s = float(0.02 + min(rng.exponential(0.03), 0.15))
        pause_s = longest_s if rng.random() < 0.02 else pause_s
        passed += pause_s
        yield pause_s


@pytest.mark.parametrize(("code", "longest_s"), [(0x68, 0.38), (0x71, 0.17), (0x12, 0.38)])
def test_a_loaded_machine_loses_no_sample_in_ten_minutes_at_200_hz(
    code: int, longest_s: float
) -> None:
    chip = FakeChip(Clock(), code, rate_error=0.01)
    found = play(opened(chip), chip, loaded(600 if SOAK else 20, longest_s))
    np.testing.assert_array_equal(numbers(found), np.arange(len(found)))
    assert found.lost == 0
    assert len(found) > (119_000 if SOAK else 3900)


@pytest.mark.parametrize("rate_error", [-0.02, 0.0, 0.03])
def test_times_follow_the_chips_own_clock(rate_error: float) -> None:
    chip = FakeChip(Clock(), rate_error=rate_error)
    found = play(opened(chip), chip, loaded(30, 0.3))
    true_ns = np.array(chip.taken_ns[: len(found)])
    late_ms = (found.t_ns - true_ns) * 1e-6
    assert (np.diff(found.t_ns) > 0).all()
    assert np.abs(late_ms).max() < 6  # a period and a transfer, at the start
    assert np.abs(late_ms[len(late_ms) // 2 :]).max() < 1.5


@pytest.mark.parametrize("code", [0x68, 0x70, 0x12, 0x98])
def test_an_overflow_is_counted_and_mixes_nothing(code: int) -> None:
    chip = FakeChip(Clock(), code)
    sensor = opened(chip)
    before = play(sensor, chip, [0.02] * 10)
    found = play(sensor, chip, [3.0, *[0.02] * 20])
    got = numbers(found)
    np.testing.assert_array_equal(np.diff(got), 1)
    missing = chip.taken - len(chip.fifo) // 12 - len(before) - len(got)
    assert found.lost == pytest.approx(missing, abs=12)
    assert found.lost > 400


def test_a_transfer_that_is_refused_before_it_begins_loses_nothing() -> None:
    chip = FakeChip(Clock())
    sensor = opened(chip)
    chip.fail_at = (reg.FIFO_R_W, reg.FIFO_COUNT, reg.INT_STATUS)
    batches: List[ImuSamples] = []
    for _ in range(50):
        chip.clock.sleep(0.02)
        chip.fail = [None, errno.EREMOTEIO, None, errno.ENXIO]
        batches.append(sensor.read())
    found = ImuSamples.join(batches)
    np.testing.assert_array_equal(numbers(found), np.arange(len(found)))
    assert found.lost == 0


def test_a_transfer_that_breaks_off_loses_what_is_counted_and_mixes_nothing() -> None:
    chip = FakeChip(Clock())
    sensor = opened(chip)
    before = play(sensor, chip, [0.02] * 20)
    chip.clock.sleep(0.05)
    chip.fail_at, chip.fail, chip.torn = (reg.FIFO_R_W,), [errno.EREMOTEIO], 7
    with pytest.raises(TempError, match=r"EREMOTEIO.*check its wires"):
        sensor.read()
    found = play(sensor, chip, [0.02] * 20)
    first = int(numbers(found)[0])
    np.testing.assert_array_equal(numbers(found), np.arange(first, first + len(found)))
    assert found.lost == pytest.approx(first - len(before), abs=1)


def test_unplugged_says_so_and_a_return_without_set_up_is_noticed() -> None:
    chip = FakeChip(Clock())
    sensor = opened(chip)
    play(sensor, chip, [0.02] * 5)
    chip.plugged = False
    with pytest.raises(TempError, match="address 0x68: nobody answers"):
        sensor.read()
    chip.replug()
    with pytest.raises(TempError, match="gives no samples, as after a loss of power"):
        play(sensor, chip, [0.02] * 50)
    sensor.close()
    again = opened(chip)
    assert len(play(again, chip, [0.02] * 5)) > 10


@pytest.mark.parametrize("code", sorted(reg.CHIPS))
def test_each_chip_of_the_family_is_known_and_passes_its_self_test(code: int) -> None:
    chip = FakeChip(Clock(), code)
    sensor = opened(chip)
    assert sensor.about.startswith(reg.CHIPS[code].name)
    found = play(sensor, chip, [0.02] * 5)
    np.testing.assert_allclose(found.accel_g[:, 2], 1)
    known = reg.CHIPS[code]
    expected_c = -1000 / known.temp_lsb_per_c + known.temp_offset_c
    np.testing.assert_allclose(found.temp_c, expected_c, rtol=1e-6)


@pytest.mark.parametrize("code", [0x68, 0x71, 0x12])
@pytest.mark.parametrize("axis", range(6))
def test_a_dead_axis_fails_the_self_test(code: int, axis: int) -> None:
    chip = FakeChip(Clock(), code)
    chip.weak_axis = axis
    kind = "gyroscope" if axis > 2 else "accelerometer"
    with pytest.raises(TempError, match=f"fails its self-test: {kind} {'xyz'[axis % 3]}"):
        opened(chip)
    assert opened(chip, "self_test=off")


def test_another_chip_and_a_poor_adapter_are_refused() -> None:
    with pytest.raises(NoInputError, match="WHO_AM_I is 0xe5, which is none of MPU-6050"):
        opened(FakeChip(Clock(), 0xE5))
    with pytest.raises(UnavailableError, match="cannot read blocks"):
        opened(FakeChip(Clock(), functions=NEEDED & ~FUNC_BLOCK_READ))


def test_no_adapter_and_no_chip_are_told_apart() -> None:
    with pytest.raises(NoInputError, match="modprobe i2c-dev"):
        sensors.open_source(sensors.check("mpu6050:///dev/i2c-none", "x"))
    with pytest.raises(NoInputError, match="is it an I2C adapter"):
        sensors.open_source(sensors.check("mpu6050:///dev/null", "x"))
    chip = FakeChip(Clock())
    chip.plugged = False
    with pytest.raises(TempError, match="nobody answers"):
        opened(chip)


def test_a_driver_of_the_kernel_that_has_the_chip_is_named() -> None:
    def busy(fd: int, request: int, argument: Any) -> int:
        raise OSError(errno.EBUSY, "Device or resource busy")

    with pytest.raises(NoInputError, match="rmmod inv_mpu6050_i2c"):
        Bus(ADAPTER.name, 0x68, busy)


def test_a_sensor_that_another_program_uses_is_left_alone() -> None:
    program = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX, 1, 0x68)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program, ADAPTER.name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, **pipes) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(TempError, match="another program is using it"):
            opened(FakeChip(Clock()))
        assert opened(FakeChip(Clock()), "address=0x69")
        other.communicate()
    assert opened(FakeChip(Clock()))


def test_without_fifo_the_newest_sample_is_read_at_the_rate() -> None:
    chip = FakeChip(Clock(), raw=lambda n: (0, 0, 4096, 328, 0, 0))
    sensor = opened(chip, "fifo=off&hz=100")
    found = play(sensor, chip, [0.01] * 100)
    assert 90 <= len(found) <= 101
    np.testing.assert_allclose(found.gyro_dps[:, 0], 10)
    late = play(sensor, chip, [0.1])
    assert len(late) == 1
    assert late.lost == pytest.approx(9, abs=1)


def test_the_second_chip_of_a_bus_has_the_other_address() -> None:
    chip = FakeChip(Clock())
    opened(chip, "address=0x69")
    assert chip.address == 0x69


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("mpu6050://1", "name the adapter: mpu6050:///dev/i2c-1"),
        ("mpu6050:///dev/i2c-1?hz=300", "another whole share, such as 333.333"),
        ("mpu6050:///dev/i2c-1?hz=0", "use a number of 4 to 1000"),
        ("mpu6050:///dev/i2c-1?address=200", "use a number of 3 to 119"),
        ("mpu6050:///dev/i2c-1?address=104.5", "use a whole number"),
        ("mpu6050:///dev/i2c-1?gyro_dps=300", "use one of 1000, 2000, 500, 250"),
        ("mpu6050:///dev/i2c-1?speed=1", "unknown option 'speed'"),
        ("mpu6051:///dev/i2c-1", "did you mean 'mpu6050'"),
        ("/dev/i2c-1", "is no address of a sensor"),
    ],
)
def test_wrong_addresses_are_told_in_one_line(source: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as told:
        sensors.check(source, "sensors[0].source")
    assert str(told.value).startswith("sensors[0].source: ")
    assert "\n" not in str(told.value)


def test_the_room_has_sensors_that_need_no_hardware() -> None:
    assert plug.names("sensors") == ["file", "mpu6050", "synthetic"]


def test_the_sensor_sleeps_after_it_is_closed() -> None:
    chip = FakeChip(Clock())
    sensor = opened(chip)
    sensor.close()
    assert chip.registers[reg.PWR_MGMT_1] == reg.ASLEEP
    sensor.close()


def test_ranges_are_set_and_scaled() -> None:
    raw: Tuple[int, ...] = (1000, 1000, 1000, 1000, 1000, 1000)
    for gyro, accel in ((250, 2), (500, 4), (2000, 16)):
        chip = FakeChip(Clock(), 0x71, raw=lambda n: raw)  # type: ignore[arg-type,return-value]
        found = play(opened(chip, f"gyro_dps={gyro}&accel_g={accel}"), chip, [0.03])
        np.testing.assert_allclose(found.gyro_dps[0], 1000 * gyro / 32768, rtol=2e-3)
        np.testing.assert_allclose(found.accel_g[0], 1000 * accel / 32768, rtol=1e-6)
        assert chip.registers[reg.GYRO_CONFIG] >> 3 == [250, 500, 1000, 2000].index(gyro)
        assert chip.registers[reg.ACCEL_CONFIG] >> 3 == [2, 4, 8, 16].index(accel)
