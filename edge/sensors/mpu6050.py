"""Inertial sensors of the MPU-6050's family on an I2C bus: mpu6050:///dev/i2c-1?address=0x68.

MPU-6050, 6500, 9250, ICM-206xx and their relatives, told apart by WHO_AM_I. Options:

- address: 0x68 (default), or 0x69 where the pin AD0 is high.
- hz: samples a second, a whole share of 1000; 200 by default.
- gyro_dps 250, 500, 1000 or 2000, accel_g 2, 4, 8 or 16: ranges; 1000 and 8 by default.
- low_pass_hz: 184, 94, 44 (default), 21, 10 or 5.
- fifo=off: read the newest sample from the registers instead. Samples may be lost.
- self_test=off: skip the self-test at the opening, which needs the sensor to be still.
- calibration: a file of `edge-tools imu calibrate`.

The FIFO of an MPU-6050 holds .42 s at 200 Hz, that of an MPU-9250 .21 s; so long may the program
stand still without a loss. What is lost is counted.
"""

from __future__ import annotations

import time

from edge.sensors import ImuSource, Now
from edge.sensors._address import Address
from edge.sensors._calibration import calibrated
from edge.sensors._mpu6050.bus import Bus
from edge.sensors._mpu6050.chip import Mpu6050
from edge.sensors._mpu6050.request import read_request


def check(address: Address) -> None:
    """Refuse wrong options.

    Raises:
        ConfigError: a wrong option.
    """
    read_request(address)


def open_source(address: Address, now_ns: Now = time.monotonic_ns) -> ImuSource:
    """Open, test and start a chip.

    Raises:
        NoInputError: no such adapter, or another chip. TempError: the chip does not answer.
    """
    request = read_request(address)
    bus = Bus(request.device, request.address)
    try:
        return calibrated(Mpu6050(bus, request, now_ns), request.calibration)
    except BaseException:
        bus.close()
        raise
