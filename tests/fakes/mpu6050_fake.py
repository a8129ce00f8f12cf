"""An MPU-6050 or a later chip of its family on an I2C bus, behind the ioctl of the kernel.

It has the registers that the driver uses, a FIFO that overflows as the chip's does, a clock that is
not quite right, a self-test, a thermometer, and wires that fail (`fail`, `plugged`).
"""

from __future__ import annotations

import errno
import struct
from typing import Any, Callable, List, Optional, Sequence, Tuple

from edge.sensors._mpu6050 import registers as reg
from edge.sensors._mpu6050.bus import (
    BYTE_DATA,
    I2C_BLOCK_DATA,
    I2C_FUNCS,
    I2C_SLAVE,
    I2C_SMBUS,
    NEEDED,
    READ,
    Call,
)
from edge.sensors._mpu6050.self_test import new_trims, old_trims

Raw = Tuple[int, int, int, int, int, int]


class Clock:
    """A monotonic clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.ns = 10**12

    def __call__(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


def counting(number: int) -> Raw:
    """Accelerometers at rest, gyroscopes that hold the number of the sample."""
    return (0, 0, 4096, number >> 15 & 0x7FFF, number & 0x7FFF, 0)


class FakeChip:
    """The chip; `ioctl` is the seam.

    Args:
        clock: of the program.
        code: WHO_AM_I.
        raw: raw accelerometers and gyroscopes of sample number n.
        rate_error: how much faster than nominal it samples, as a share.
        transfer_s: time of one transaction.
        functions: of the adapter.
    """

    def __init__(
        self,
        clock: Clock,
        code: int = 0x68,
        raw: Callable[[int], Raw] = counting,
        rate_error: float = 0.0,
        transfer_s: float = 0.0006,
        functions: int = NEEDED,
    ) -> None:
        self.clock, self.chip, self._raw = clock, reg.CHIPS.get(code, reg.CHIPS[0x68]), raw
        self._code, self._rate_error, self._transfer_s = code, rate_error, transfer_s
        self._functions = functions
        self.fail: List[Optional[int]] = []  # errno of each coming transfer; None = it works
        self.fail_at: Sequence[int] = ()  # registers that the entries of `fail` are for; () = all
        self.torn = 0  # bytes that a failed reading of the FIFO takes away all the same
        self.plugged = True
        self.address = -1
        self.taken = 0  # samples so far
        self.taken_ns: List[float] = []  # their times
        self.weak_axis = -1  # 0..5: gives no answer in the self-test
        self.power_up()

    def power_up(self) -> None:
        self.registers = bytearray(128)
        self.registers[reg.WHO_AM_I] = self._code
        self.registers[reg.PWR_MGMT_1] = reg.ASLEEP
        codes = (0xB0 | 14, 0x90 | 12, 0xD0 | 13, 0x15)
        for i, value in enumerate(codes):
            self.registers[reg.SELF_TEST_ACCEL + i] = value
        for i in range(3):
            self.registers[self.chip.self_test_gyro + i] |= 0 if self.chip.old else 120 + i
        self.registers[reg.TEMP_OUT : reg.TEMP_OUT + 2] = struct.pack(">h", -1000)
        self.fifo = bytearray()
        self._next_ns: float = self.clock.ns

    def replug(self) -> None:
        self.plugged = True
        self.power_up()

    def ioctl(self, fd: int, request: int, argument: Any) -> int:
        if request == I2C_FUNCS:
            argument.value = self._functions
        elif request == I2C_SLAVE:
            self.address = argument
        elif request == I2C_SMBUS:
            self.clock.sleep(self._transfer_s)
            self._transfer(argument)
        else:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl")
        return 0

    def _transfer(self, call: Call) -> None:
        if not self.plugged or self.address not in (0x68, 0x69):
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        self._advance()
        mine = not self.fail_at or call.command in self.fail_at
        error = self.fail.pop(0) if self.fail and mine else None
        if error is not None:
            if call.command == reg.FIFO_R_W:
                del self.fifo[: self.torn]
            raise OSError(error, "bus error")
        data = call.data.contents
        if call.read_write == READ:
            assert call.size == I2C_BLOCK_DATA
            for i, value in enumerate(self._read(call.command, data.block[0]), 1):
                data.block[i] = value
        else:
            assert call.size == BYTE_DATA
            self._write(call.command, data.byte)

    def _read(self, register: int, count: int) -> bytes:
        if register == reg.FIFO_R_W:
            part = bytes(self.fifo[:count])
            del self.fifo[:count]
            return part.ljust(count, b"\xff")
        if register == reg.FIFO_COUNT:
            self.registers[register : register + 2] = struct.pack(">H", len(self.fifo))
        found = bytes(self.registers[register : register + count])
        if register == reg.INT_STATUS:
            self.registers[register] = 0
        return found

    def _write(self, register: int, value: int) -> None:
        if register == reg.PWR_MGMT_1 and value & reg.RESET:
            self.power_up()
            return
        if register == reg.USER_CTRL and value & reg.FIFO_RESET:
            self.fifo.clear()
            value &= ~reg.FIFO_RESET
        self.registers[register] = value

    def _advance(self) -> None:
        """Take the samples that are due."""
        if self.registers[reg.PWR_MGMT_1] & reg.ASLEEP:
            self._next_ns = self.clock.ns
            return
        period_ns = 1e6 * (self.registers[reg.SMPLRT_DIV] + 1) / (1 + self._rate_error)
        while self._next_ns + period_ns <= self.clock.ns:
            self._next_ns += period_ns
            self._take()

    def _take(self) -> None:
        words = self._answer(self._raw(self.taken))
        packed = struct.pack(">6h", *words)
        at = reg.ACCEL_OUT
        self.registers[at : at + 6], self.registers[at + 8 : at + 14] = packed[:6], packed[6:]
        if self.registers[reg.USER_CTRL] & reg.FIFO_ON and self.registers[reg.FIFO_EN] == 0x78:
            self.taken += 1
            self.taken_ns.append(self._next_ns)
            self._push(packed)

    def _push(self, packed: bytes) -> None:
        over = len(self.fifo) + len(packed) - self.chip.fifo_bytes
        if over > 0:
            self.registers[reg.INT_STATUS] |= reg.FIFO_OVERFLOW & self.registers[reg.INT_ENABLE]
            if self.registers[reg.CONFIG] & reg.KEEP_OLD:
                packed = packed[: max(len(packed) - over, 0)]
            else:
                del self.fifo[:over]
        self.fifo += packed

    def _answer(self, words: Raw) -> Tuple[int, ...]:
        """The sample, and what the self-test adds."""
        testing = self.registers[reg.GYRO_CONFIG] & reg.SELF_TEST_ALL == reg.SELF_TEST_ALL
        if not testing:
            return words
        if self.chip.old:
            accel, gyro = old_trims(bytes(self.registers[0x0D:0x11]))
        else:
            first = self.chip.self_test_gyro
            accel = new_trims(bytes(self.registers[0x0D:0x10]))
            gyro = new_trims(bytes(self.registers[first : first + 3]))
        moved = [*accel, *gyro]
        if self.weak_axis >= 0:
            moved[self.weak_axis] *= 0.2
        return tuple(round(word + more) for word, more in zip(words, moved))
