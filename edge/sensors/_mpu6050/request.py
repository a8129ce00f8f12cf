"""Options of the plug `mpu6050`."""

from __future__ import annotations

from dataclasses import dataclass

from edge.errors import ConfigError
from edge.sensors._address import Address
from edge.sensors._mpu6050.registers import INTERNAL_HZ

OPTIONS = (
    "address",
    "hz",
    "gyro_dps",
    "accel_g",
    "low_pass_hz",
    "fifo",
    "self_test",
    "calibration",
)


@dataclass(frozen=True)
class Request:
    """How the chip is set up."""

    device: str  # of the adapter, such as /dev/i2c-1
    address: int
    divider: int  # SMPLRT_DIV + 1
    gyro_range_dps: int
    accel_range_g: int
    low_pass_hz: int
    fifo: bool
    self_test: bool
    calibration: str  # path; empty = none

    @property
    def rate_hz(self) -> float:
        """Samples a second."""
        return INTERNAL_HZ / self.divider


def read_request(address: Address) -> Request:
    """Read an address.

    Raises:
        ConfigError: a wrong option.
    """
    address.only(OPTIONS)
    if not address.path.startswith("/"):
        raise ConfigError(f"{address.uri}: name the adapter: mpu6050:///dev/i2c-1")
    hz = address.number("hz", 200, 4, 1000)
    divider = round(INTERNAL_HZ / hz)
    if abs(INTERNAL_HZ / divider - hz) > 1e-6 * hz:
        raise ConfigError(
            f"{address.uri}: hz={hz:g}: the chip divides 1000 Hz; use 500, 250, 200, 100 or "
            f"another whole share, such as {INTERNAL_HZ / divider:g}"
        )
    return Request(
        address.path,
        _whole(address, "address", 0x68, 0x03, 0x77),
        divider,
        int(address.choice("gyro_dps", ("1000", "2000", "500", "250"))),
        int(address.choice("accel_g", ("8", "16", "4", "2"))),
        int(address.choice("low_pass_hz", ("44", "184", "94", "21", "10", "5"))),
        address.choice("fifo", ("on", "off")) == "on",
        address.choice("self_test", ("on", "off")) == "on",
        address.query.get("calibration", ""),
    )


def _whole(address: Address, name: str, default: int, low: int, high: int) -> int:
    value = address.number(name, default, low, high)
    if value != int(value):
        raise ConfigError(f"{address.uri}: {name}={value:g}: use a whole number")
    return int(value)
