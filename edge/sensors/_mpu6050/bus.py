"""SMBus transactions with one chip, by the kernel's ioctl and nothing else.

Block reads are I2C_SMBUS_I2C_BLOCK_DATA: real buses have it, and the kernel's `i2c-stub`, too.
Constants and structures: linux/i2c.h, linux/i2c-dev.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from typing import Any, Callable

from edge.errors import NoInputError, TempError, UnavailableError

I2C_SLAVE, I2C_FUNCS, I2C_SMBUS = 0x0703, 0x0705, 0x0720
READ, WRITE = 1, 0
BYTE_DATA, I2C_BLOCK_DATA = 2, 8
MOST_BYTES = 32  # of one block
FUNC_BYTE_READ, FUNC_BYTE_WRITE, FUNC_BLOCK_READ = 0x00080000, 0x00100000, 0x04000000
NEEDED = FUNC_BYTE_READ | FUNC_BYTE_WRITE | FUNC_BLOCK_READ
# ENXIO and EREMOTEIO: nobody acknowledges; which one it is depends on the adapter's driver.
# ENODEV: the adapter itself is gone.
ABSENT = (errno.ENXIO, errno.EREMOTEIO, errno.ENODEV)
IN_USE = "another program is using it; stop it first"
TRIES = 3  # lost arbitration, a spike on the wires
FIFO_R_W = 0x74  # of the chip: a second reading gives other bytes


class Data(ctypes.Union):
    """union i2c_smbus_data."""

    _fields_ = [
        ("byte", ctypes.c_uint8),
        ("word", ctypes.c_uint16),
        ("block", ctypes.c_uint8 * (MOST_BYTES + 2)),
    ]


class Call(ctypes.Structure):
    """struct i2c_smbus_ioctl_data."""

    _fields_ = [
        ("read_write", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("data", ctypes.POINTER(Data)),
    ]


Ioctl = Callable[[int, int, Any], Any]


class Bus:
    """The transactions.

    Args:
        device: file of the adapter, such as /dev/i2c-1.
        address: 7 bits.
        ioctl: the system call; tests give that of a chip made of Python.

    Raises:
        NoInputError: no such adapter, it may not be opened, or a driver has the chip.
        UnavailableError: the adapter cannot read blocks.
    """

    def __init__(self, device: str, address: int, ioctl: Ioctl = fcntl.ioctl) -> None:
        self.name = f"{device} address {address:#04x}"
        self._ioctl = ioctl
        try:
            self._fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise NoInputError(f"{device}: {error.strerror}; {_way_out(error, device)}") from error
        try:
            self._claim(device, address)
            self._lock(address)
        except BaseException:
            self.close()
            raise

    def _claim(self, device: str, address: int) -> None:
        functions = ctypes.c_ulong()
        try:
            self._ioctl(self._fd, I2C_FUNCS, functions)
            self._ioctl(self._fd, I2C_SLAVE, address)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise NoInputError(
                    f"{self.name}: a driver of the kernel has it; rmmod inv_mpu6050_i2c"
                ) from error
            raise NoInputError(
                f"{device}: {error.strerror}; is it an I2C adapter such as /dev/i2c-1?"
            ) from error
        if functions.value & NEEDED != NEEDED:
            raise UnavailableError(
                f"{device}: this adapter cannot read blocks (I2C_FUNC_SMBUS_READ_I2C_BLOCK); use "
                "another adapter"
            )

    def _lock(self, address: int) -> None:
        """Keep other programs of ours from setting the chip up while this one reads it."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, address)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise TempError(f"{self.name}: {IN_USE}") from error
            # The device knows no locks: two programs at once are then the user's to avoid.

    def read(self, register: int, count: int) -> bytes:
        """Bytes of successive registers, or of the FIFO, in one transaction.

        Args:
            register: the first.
            count: 1 to 32.

        Raises:
            TempError: the chip does not answer.
        """
        data = Data()
        data.block[0] = count
        self._transfer(READ, register, I2C_BLOCK_DATA, data)
        if data.block[0] != count:
            raise TempError(f"{self.name}: gave {data.block[0]} of {count} bytes; trying again")
        return bytes(data.block[1 : count + 1])

    def write(self, register: int, value: int) -> None:
        """Set one register.

        Raises:
            TempError: the chip does not answer.
        """
        self._transfer(WRITE, register, BYTE_DATA, Data(byte=value))

    def close(self) -> None:
        """Close the adapter; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _transfer(self, read_write: int, register: int, size: int, data: Data) -> None:
        call = Call(read_write, register, size, ctypes.pointer(data))
        for left in reversed(range(TRIES)):
            try:
                self._ioctl(self._fd, I2C_SMBUS, call)
                return
            except OSError as error:
                if left and register != FIFO_R_W:
                    continue
                raise TempError(f"{self.name}: {_said(error)}; check its wires") from error


def _said(error: OSError) -> str:
    if error.errno in ABSENT:
        return f"nobody answers ({errno.errorcode[error.errno or 0]})"
    return error.strerror or str(error)


def _way_out(error: OSError, device: str) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "add the user to the group i2c: usermod -aG i2c edge"
    if error.errno == errno.ENOENT:
        return "modprobe i2c-dev, and `i2cdetect -l` lists adapters"
    return f"is {device} an I2C adapter?"
