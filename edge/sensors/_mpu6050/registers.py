"""Registers of the MPU-6050 and of its successors, and how the chips differ.

Sources: register maps RM-MPU-6000A rev. 4.2, RM-MPU-6500A rev. 2.1 and RM-MPU-9250A rev. 1.6, the
data sheets of ICM-20602, 20608 and 20689; sizes of the FIFO and scales of the thermometer as in
Linux, drivers/iio/imu/inv_mpu6050.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

SELF_TEST_ACCEL = 0x0D  # X, Y, Z; MPU-6050: 0x0D to 0x10 hold both kinds
SMPLRT_DIV, CONFIG, GYRO_CONFIG, ACCEL_CONFIG, ACCEL_CONFIG_2 = 0x19, 0x1A, 0x1B, 0x1C, 0x1D
FIFO_EN, INT_ENABLE, INT_STATUS, ACCEL_OUT, TEMP_OUT = 0x23, 0x38, 0x3A, 0x3B, 0x41
USER_CTRL, PWR_MGMT_1, PWR_MGMT_2 = 0x6A, 0x6B, 0x6C
FIFO_COUNT, FIFO_R_W, WHO_AM_I = 0x72, 0x74, 0x75

FIFO_GYRO_ACCEL = 0x78  # FIFO_EN: three gyroscopes and the accelerometer; 12 bytes a sample
FIFO_ON, FIFO_RESET = 0x40, 0x04  # USER_CTRL
FIFO_OVERFLOW = 0x10  # INT_ENABLE and INT_STATUS; reading the latter clears it
KEEP_OLD = 0x40  # CONFIG of the MPU-6500 and later: a full FIFO takes no more samples
RESET, AWAKE, ASLEEP = 0x80, 0x01, 0x40  # PWR_MGMT_1; awake: clock from the gyroscope's PLL
ALL_AXES = 0x00  # PWR_MGMT_2
SELF_TEST_ALL = 0xE0  # GYRO_CONFIG and ACCEL_CONFIG
SAMPLE_BYTES = 12
INTERNAL_HZ = 1000.0  # with the low-pass filter on
LSB_PER_DPS = {250: 131.0, 500: 65.5, 1000: 32.8, 2000: 16.4}
LSB_PER_G = {2: 16384.0, 4: 8192.0, 8: 4096.0, 16: 2048.0}
# Cut-off of the low-pass filter in Hz -> DLPF_CFG; gyroscopes of the MPU-6050 have 256, 188, 98 ...
LOW_PASS = {184: 1, 94: 2, 44: 3, 21: 4, 10: 5, 5: 6}


@dataclass(frozen=True)
class Chip:
    """What differs from chip to chip."""

    name: str
    fifo_bytes: int
    temp_lsb_per_c: float
    temp_offset_c: float  # at raw 0
    old: bool = False  # of the first generation: one low-pass filter, self-test of 5 bits
    self_test_gyro: int = 0x00  # first of three registers; not of the first generation


# WHO_AM_I -> the chip. The MPU-6000 and the MPU-9150 are MPU-6050s to us.
CHIPS: Dict[int, Chip] = {
    0x68: Chip("MPU-6050", 1024, 340.0, 36.53, old=True),
    0x70: Chip("MPU-6500", 512, 333.87, 21.0),
    0x74: Chip("MPU-6515", 512, 333.87, 21.0),
    0x78: Chip("MPU-6880", 4096, 333.87, 21.0),
    0x71: Chip("MPU-9250", 512, 333.87, 21.0),
    0x73: Chip("MPU-9255", 512, 333.87, 21.0),
    0x11: Chip("ICM-20600", 1008, 326.8, 25.0, self_test_gyro=0x50),
    0x12: Chip("ICM-20602", 1008, 326.8, 25.0, self_test_gyro=0x50),
    0xAF: Chip("ICM-20608", 512, 326.8, 25.0),
    0xAE: Chip("ICM-20608-D", 512, 326.8, 25.0),
    0x98: Chip("ICM-20689", 4096, 326.8, 25.0),
    0xA9: Chip("IAM-20680", 512, 326.8, 25.0),
}
NAMES: Tuple[str, ...] = tuple(chip.name for chip in CHIPS.values())
