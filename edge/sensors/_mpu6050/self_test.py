"""The chip's self-test: it moves its own masses electrically, and the answer is compared.

MPU-6050: register map RM-MPU-6000A rev. 4.2, sections 4.1 and 4.4 to 4.6: the change from the
factory's answer is within 14 %. Later chips: application note AN-MPU-9250A-03: the answer is more
than half of the factory's (gyroscopes), or .5 to 1.5 times it (accelerometers); a chip without
values of the factory must answer by 60 deg/s, and by .225 to .675 g.
"""

from __future__ import annotations

import time
from typing import Callable, List, Tuple

import numpy as np

from edge.errors import TempError
from edge.sensors._mpu6050 import registers as reg
from edge.sensors._mpu6050.bus import Bus
from edge.sensors._mpu6050.registers import Chip

_READINGS = 40
_SETTLE_S = 0.03
_OLD_MOST_CHANGE = 0.14
_GYRO_LEAST, _ACCEL_LEAST, _ACCEL_MOST = 0.5, 0.5, 1.5  # of the factory's answer
_NO_CODE_GYRO_DPS, _NO_CODE_ACCEL_G = 60.0, (0.225, 0.675)
_AXES = ("x", "y", "z")
Sleep = Callable[[float], None]


def self_test(bus: Bus, chip: Chip, sleep: Sleep = time.sleep) -> None:
    """Test all six axes; the chip must be awake, and lies or hangs still.

    Changes ranges and filters: set the chip up afterwards.

    Raises:
        TempError: the chip does not answer, or an axis fails; names it.
    """
    bus.write(reg.CONFIG, 2)
    if not chip.old:
        bus.write(reg.ACCEL_CONFIG_2, 2)
    gyro_full, accel_full = 0x00, 0x10 if chip.old else 0x00  # 250 deg/s; 8 g, later chips 2 g
    plain = _mean(bus, gyro_full, accel_full, sleep)
    moved = _mean(bus, gyro_full | reg.SELF_TEST_ALL, accel_full | reg.SELF_TEST_ALL, sleep)
    bus.write(reg.GYRO_CONFIG, gyro_full)
    bus.write(reg.ACCEL_CONFIG, accel_full)
    accel, gyro = (moved - plain)[:3], (moved - plain)[3:]
    wrong = _old(bus, accel, gyro) if chip.old else _new(bus, chip, accel, gyro)
    if wrong:
        raise TempError(
            f"{bus.name}: {chip.name} fails its self-test: {', '.join(wrong)}; hold it still, or "
            "replace it (self_test=off skips the test)"
        )


def _mean(bus: Bus, gyro_config: int, accel_config: int, sleep: Sleep) -> np.ndarray:
    """Mean raw accelerometer and gyroscope [6] in these settings."""
    bus.write(reg.GYRO_CONFIG, gyro_config)
    bus.write(reg.ACCEL_CONFIG, accel_config)
    sleep(_SETTLE_S)
    rows = []
    for _ in range(_READINGS):
        rows.append(np.frombuffer(bus.read(reg.ACCEL_OUT, 14), ">i2")[[0, 1, 2, 4, 5, 6]])
        sleep(0.001)
    return np.asarray(np.mean(rows, 0))


def old_trims(four: bytes) -> Tuple[np.ndarray, np.ndarray]:
    """The factory's answers of an MPU-6050, raw, from its registers 0x0D to 0x10.

    Returns:
        Accelerometers [3] at 8 g and gyroscopes [3] at 250 deg/s; 0 = the axis has none.
    """
    low = [(four[3] >> shift) & 3 for shift in (4, 2, 0)]
    accel = np.array([(four[i] >> 5) << 2 | low[i] for i in range(3)], float)
    gyro = np.array([four[i] & 0x1F for i in range(3)], float)
    accel_raw = 4096 * 0.34 * (0.92 / 0.34) ** ((accel - 1) / (2**5 - 2))
    gyro_raw = 25 * 131 * 1.046 ** (gyro - 1) * (1, -1, 1)
    return np.where(accel > 0, accel_raw, 0), np.where(gyro > 0, gyro_raw, 0)


def _old(bus: Bus, accel: np.ndarray, gyro: np.ndarray) -> List[str]:
    wrong = []
    trims = old_trims(bus.read(reg.SELF_TEST_ACCEL, 4))
    for kind, found, trim in zip(("accelerometer", "gyroscope"), (accel, gyro), trims):
        for axis, answer, factory in zip(_AXES, found, trim):
            if factory == 0:  # the map: without a code, there is nothing to compare with
                continue
            change = (answer - factory) / factory
            if abs(change) > _OLD_MOST_CHANGE:
                wrong.append(f"{kind} {axis} answers {100 * change:+.0f} % (14 % are allowed)")
    return wrong


def new_trims(codes: bytes) -> np.ndarray:
    """The factory's answers [3] of later chips at the smallest range, raw; 0 = none."""
    code = np.frombuffer(codes, np.uint8).astype(float)
    return np.where(code > 0, 2620 * 1.01 ** (code - 1), 0)


def _new(bus: Bus, chip: Chip, accel: np.ndarray, gyro: np.ndarray) -> List[str]:
    wrong = []
    gyro_trim = new_trims(bus.read(chip.self_test_gyro, 3))
    accel_trim = new_trims(bus.read(reg.SELF_TEST_ACCEL, 3))
    for axis, answer, factory in zip(_AXES, np.abs(gyro), gyro_trim):
        least = _GYRO_LEAST * factory or _NO_CODE_GYRO_DPS * reg.LSB_PER_DPS[250]
        if answer <= least:
            wrong.append(f"gyroscope {axis} answers by {answer:.0f} of at least {least:.0f}")
    for axis, answer, factory in zip(_AXES, np.abs(accel), accel_trim):
        least, most = (_ACCEL_LEAST * factory, _ACCEL_MOST * factory)
        if factory == 0:
            least, most = (g * reg.LSB_PER_G[2] for g in _NO_CODE_ACCEL_G)
        if not least < answer < most:
            wrong.append(
                f"accelerometer {axis} answers by {answer:.0f}, not {least:.0f} to {most:.0f}"
            )
    return wrong
