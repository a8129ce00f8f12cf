"""One output line of a GPIO chip, by the ioctls of /dev/gpiochipN.

The structures are those of linux/gpio.h, second version of the interface (Linux 5.10 and newer,
JetPack 5 and newer).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from typing import Any, Optional

from edge.errors import ConfigError, EdgeError, NoInputError, TempError, UnavailableError

_U32, _S32, _U64 = ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint64
_NAME, _LINES, _ATTRIBUTES = 32, 64, 10
ACTIVE_LOW, OUTPUT = 1 << 1, 1 << 3
OUTPUT_VALUES = 2  # id of an attribute


class ChipInfo(ctypes.Structure):
    """gpiochip_info."""

    _fields_ = [("name", ctypes.c_char * _NAME), ("label", ctypes.c_char * _NAME), ("lines", _U32)]


class Attribute(ctypes.Structure):
    """gpio_v2_line_attribute; its union holds flags, values or a time."""

    _fields_ = [("id", _U32), ("padding", _U32), ("values", _U64)]


class LineInfo(ctypes.Structure):
    """gpio_v2_line_info."""

    _fields_ = [
        ("name", ctypes.c_char * _NAME),
        ("consumer", ctypes.c_char * _NAME),
        ("offset", _U32),
        ("attributes", _U32),
        ("flags", _U64),
        ("attribute", Attribute * _ATTRIBUTES),
        ("padding", _U32 * 4),
    ]


class ConfigAttribute(ctypes.Structure):
    """gpio_v2_line_config_attribute."""

    _fields_ = [("attribute", Attribute), ("mask", _U64)]


class LineConfig(ctypes.Structure):
    """gpio_v2_line_config."""

    _fields_ = [
        ("flags", _U64),
        ("attributes", _U32),
        ("padding", _U32 * 5),
        ("attribute", ConfigAttribute * _ATTRIBUTES),
    ]


class LineRequest(ctypes.Structure):
    """gpio_v2_line_request."""

    _fields_ = [
        ("offsets", _U32 * _LINES),
        ("consumer", ctypes.c_char * _NAME),
        ("config", LineConfig),
        ("lines", _U32),
        ("event_buffer_size", _U32),
        ("padding", _U32 * 5),
        ("fd", _S32),
    ]


class LineValues(ctypes.Structure):
    """gpio_v2_line_values."""

    _fields_ = [("bits", _U64), ("mask", _U64)]


def _number(direction: int, command: int, size: int) -> int:
    """An ioctl number of linux/gpio.h (asm-generic/ioctl.h)."""
    return direction << 30 | size << 16 | 0xB4 << 8 | command


GET_CHIP_INFO = _number(2, 0x01, ctypes.sizeof(ChipInfo))
GET_LINE_INFO = _number(3, 0x05, ctypes.sizeof(LineInfo))
GET_LINE = _number(3, 0x07, ctypes.sizeof(LineRequest))
SET_VALUES = _number(3, 0x0F, ctypes.sizeof(LineValues))


class Io:
    """The system calls; tests replace them."""

    def open(self, path: str) -> int:
        """Open a file for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def ioctl(self, fd: int, number: int, argument: Any) -> None:
        """Do an ioctl, which fills the argument; raises OSError."""
        fcntl.ioctl(fd, number, argument)

    def close(self, fd: int) -> None:
        """Close a file."""
        os.close(fd)


class OutputLine:
    """A line that this program drives; it is off at first.

    Args:
        chip: path of the chip, such as /dev/gpiochip0.
        line: number of the line, or its name.
        active_low: whether "on" is the low level.
        consumer: what `gpioinfo` shows as the user of the line.
        io: the system calls.

    Raises:
        NoInputError: no such chip, or no permission. ConfigError: no such line.
        UnavailableError: the line is in use, is no output, or the kernel is too old.
    """

    def __init__(
        self, chip: str, line: str, active_low: bool, consumer: str, io: Optional[Io] = None
    ) -> None:
        self._io, self._chip, self._fd = io or Io(), chip, -1
        try:
            handle = self._io.open(chip)
        except OSError as error:
            raise _cannot_open(chip, error) from error
        try:
            self.offset = self._found(handle, line)
            self._fd = self._request(handle, active_low, consumer)
        except OSError as error:
            raise self._refused(handle, line, error) from error
        finally:
            self._io.close(handle)

    def set(self, on: bool) -> None:
        """Switch the line.

        Raises:
            TempError: the kernel refuses.
        """
        try:
            self._io.ioctl(self._fd, SET_VALUES, LineValues(int(on), 1))
        except OSError as error:
            raise TempError(f"{self._chip}: line {self.offset}: {error.strerror}") from error

    def close(self) -> None:
        """Give the line back; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._io.close(fd)

    def _found(self, handle: int, line: str) -> int:
        info = ChipInfo()
        self._io.ioctl(handle, GET_CHIP_INFO, info)
        if line.isdecimal():
            if int(line) >= info.lines:
                raise ConfigError(
                    f"{self._chip}: no line {line}; it has 0 to {info.lines - 1}: gpioinfo"
                )
            return int(line)
        names = [
            self._line_info(handle, i).name.decode("ascii", "replace") for i in range(info.lines)
        ]
        if line not in names:
            raise ConfigError(f"{self._chip}: no line is called {line!r}; `gpioinfo` lists them")
        return names.index(line)

    def _line_info(self, handle: int, offset: int) -> LineInfo:
        info = LineInfo(offset=offset)
        self._io.ioctl(handle, GET_LINE_INFO, info)
        return info

    def _request(self, handle: int, active_low: bool, consumer: str) -> int:
        request = LineRequest(consumer=consumer.encode("ascii", "replace")[: _NAME - 1], lines=1)
        request.offsets[0] = self.offset
        request.config.flags = OUTPUT | (ACTIVE_LOW if active_low else 0)
        request.config.attributes = 1
        request.config.attribute[0] = ConfigAttribute(Attribute(OUTPUT_VALUES, 0, 0), 1)
        self._io.ioctl(handle, GET_LINE, request)
        return int(request.fd)

    def _refused(self, handle: int, line: str, error: OSError) -> EdgeError:
        where = f"{self._chip}: line {line}"
        if error.errno == errno.EBUSY:
            user = self._user(handle)
            return UnavailableError(f"{where}: is in use{user}; choose another line")
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            return UnavailableError(
                f"{where}: {error.strerror}: is it a GPIO chip, the line an output, and the kernel "
                "5.10 or newer?"
            )
        return UnavailableError(f"{where}: {error.strerror}")

    def _user(self, handle: int) -> str:
        try:
            name = self._line_info(handle, self.offset).consumer.decode("ascii", "replace")
        except OSError:
            return ""
        return f" by {name!r}" if name else ""


def _cannot_open(chip: str, error: OSError) -> EdgeError:
    if error.errno == errno.EACCES:
        fix = "the program's user must be in the chip's group (usermod -aG gpio edge)"
    else:
        fix = "`ls /dev/gpiochip*` lists the chips; this machine may have none"
    return NoInputError(f"{chip}: {error.strerror}; {fix}")
