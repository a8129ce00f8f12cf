"""gpio://, with a fake of /dev/gpiochipN that reads the bytes of ioctls as linux/gpio.h says."""

from __future__ import annotations

import ctypes
import errno
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from edge.errors import ConfigError, EdgeError, NoInputError, UnavailableError
from edge.messages import Message
from edge.publish import SinkOptions, _gpio_line, open_sink, parse
from edge.publish._gpio_line import Io, OutputLine
from edge.publish.gpio import GpioSink, check
from tests.waiting import until

URI = "gpio://gpiochip0/17?kind=fall&hold_s=0.05"


class Chip(Io):
    """A chip of 32 lines. Offsets of fields are written out, not taken from our structures."""

    def __init__(self) -> None:
        self.fails: Dict[str, int] = {}
        self.levels: List[bool] = []  # physical
        self.taken: List[Tuple[int, str, int]] = []  # offset, consumer, flags
        self.open_fds: List[int] = []
        self.consumer = b""
        self.changed = threading.Event()

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise OSError(self.fails[what], "refused")

    def open(self, path: str) -> int:
        self._fail("open")
        assert path == "/dev/gpiochip0"
        self.open_fds.append(7)
        return 7

    def close(self, fd: int) -> None:
        self.open_fds.remove(fd)

    def ioctl(self, fd: int, number: int, argument: Any) -> None:
        assert fd in self.open_fds
        raw = memoryview(argument).cast("B")
        size = number >> 16 & 0x3FFF
        assert (number >> 8 & 0xFF, size) == (0xB4, len(raw))
        {1: self._chip, 5: self._line, 7: self._request, 15: self._set}[number & 0xFF](raw)

    def _chip(self, raw: memoryview) -> None:
        self._fail("info")
        struct.pack_into("<I", raw, 64, 32)

    def _line(self, raw: memoryview) -> None:
        (offset,) = struct.unpack_from("<I", raw, 64)
        raw[:32] = f"PAC.{offset:02}".encode().ljust(32, b"\0")
        raw[32:64] = self.consumer.ljust(32, b"\0")

    def _request(self, raw: memoryview) -> None:
        self._fail("request")
        (offset,) = struct.unpack_from("<I", raw, 0)
        consumer = bytes(raw[256:288]).rstrip(b"\0").decode()
        flags, attributes = struct.unpack_from("<QI", raw, 288)
        kind, _, values, mask = struct.unpack_from("<IIQQ", raw, 320)
        (lines,) = struct.unpack_from("<I", raw, 560)
        assert (attributes, kind, values, mask, lines) == (1, 2, 0, 1, 1)
        self.taken.append((offset, consumer, flags))
        self.levels.append(bool(flags & 2))
        self.open_fds.append(9)
        struct.pack_into("<i", raw, 588, 9)

    def _set(self, raw: memoryview) -> None:
        self._fail("set")
        bits, mask = struct.unpack_from("<QQ", raw)
        assert mask == 1
        self.levels.append(bool(bits & 1) != bool(self.taken[-1][2] & 2))
        self.changed.set()


def event(kind: str = "fall", camera: str = "door") -> Message:
    return Message("t", "event", {"kind": kind, "camera": camera}, qos=1)


def sink(chip: Chip, uri: str = URI) -> GpioSink:
    return GpioSink(check(uri, SinkOptions()), "hall", chip)


def test_the_line_is_on_for_a_while_after_an_event() -> None:
    chip = Chip()
    one = sink(chip)
    assert chip.taken == [(17, "edge hall", 8)]
    assert chip.levels == [False]
    one(event())
    until(lambda: chip.levels == [False, True, False])
    one(event())
    until(lambda: chip.levels == [False, True, False, True, False])
    one.close(60.0)
    one.close(60.0)
    assert chip.levels[-1] is False
    assert not chip.open_fds
    assert one.counters.sent == 2


def test_other_events_and_messages_do_not_switch_it() -> None:
    chip = Chip()
    one = sink(chip, "gpio://gpiochip0/17?kind=fall,zone&camera=door,hall&hold_s=3600")
    one(event("presence"))
    one(event("fall", "yard"))
    one(Message("t", "state", {"kind": "fall", "camera": "door"}))
    one(event("zone", "hall"))
    until(lambda: True in chip.levels)
    one.close(60.0)
    assert chip.levels == [False, True, False], "closing switches it off"
    assert one.counters.sent == 1


def test_active_low_and_a_line_by_its_name() -> None:
    chip = Chip()
    one = sink(chip, "gpio://gpiochip0/PAC.06?kind=fall&active=low&hold_s=0.05")
    assert chip.taken == [(6, "edge hall", 8 | 2)]
    one(event())
    until(lambda: chip.levels == [True, False, True])
    one.close(60.0)


def test_a_further_event_makes_it_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    chip = Chip()
    one = sink(chip, "gpio://gpiochip0/17?kind=fall&hold_s=3600")
    one(event())
    until(lambda: True in chip.levels)
    first_s = one._until_s
    one(event())
    assert one._until_s > first_s
    assert chip.levels.count(True) == 1
    one.close(60.0)


@pytest.mark.parametrize(
    ("step", "number", "error", "why"),
    [
        ("open", errno.ENOENT, NoInputError, "this machine may have none"),
        ("open", errno.EACCES, NoInputError, "usermod -aG gpio"),
        ("request", errno.EBUSY, UnavailableError, "in use by 'other'"),
        ("request", errno.EINVAL, UnavailableError, "5.10 or newer"),
        ("info", errno.ENOTTY, UnavailableError, "is it a GPIO chip"),
    ],
)
def test_what_the_kernel_refuses_is_one_line(step: str, number: int, error: type, why: str) -> None:
    chip = Chip()
    chip.fails, chip.consumer = {step: number}, b"other"
    with pytest.raises(error, match=why.replace(".", r"\.")):
        sink(chip)
    assert not chip.open_fds


@pytest.mark.parametrize("line", ["32", "PAC.32"])
def test_a_line_that_is_not_there(line: str) -> None:
    chip = Chip()
    with pytest.raises(ConfigError, match="no line"):
        sink(chip, f"gpio://gpiochip0/{line}?kind=fall")
    assert not chip.open_fds


def test_a_line_that_fails_later_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    chip = Chip()
    one = sink(chip)
    chip.fails = {"set": errno.EIO}
    one(event())
    until(lambda: one.counters.refused >= 2)
    assert not one.ok
    one.close(60.0)
    assert caplog.text.count("refused") == 1


def test_a_machine_without_the_chip_fails_clearly() -> None:
    assert not Path("/dev/gpiochip99").exists()
    with pytest.raises(NoInputError, match="sink gpio://gpiochip99/1: /dev/gpiochip99: No such"):
        open_sink("gpio://gpiochip99/1?kind=fall", SinkOptions())


def test_what_is_no_chip_fails_clearly() -> None:
    class Null(Io):
        def open(self, path: str) -> int:
            return super().open("/dev/null")

    with pytest.raises(UnavailableError, match="is it a GPIO chip"):
        OutputLine("/dev/gpiochip0", "1", False, "x", Null())


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("gpio://", "expected gpio://"),
        ("gpio://gpiochip0", "expected gpio://"),
        ("gpio://gpiochip0/17", "kind is missing"),
        ("gpio://sda/17?kind=fall", "no GPIO chip is called"),
        ("gpio://gpiochip0/1/2?kind=fall", "expected gpio://"),
        ("gpio://gpiochip0/17?kind=fall&hold_s=0", "hold_s=0"),
        ("gpio://gpiochip0/17?kind=fall&hold_s=nan", "hold_s=nan"),
        ("gpio://gpiochip0/17?kind=fall&active=up", "use high or low"),
        ("gpio://gpiochip0/17?kind=Fall", "kind=Fall"),
        ("gpio://gpiochip0/17?kind=fall&pin=2", "unknown option 'pin'"),
        ("gpio://gpiochip0/17?kind=fall&max_hz=2", "unknown option 'max_hz'"),
    ],
)
def test_a_wrong_address_is_refused(uri: str, why: str) -> None:
    with pytest.raises(EdgeError) as caught:
        parse(uri)
    assert isinstance(caught.value, ConfigError)
    assert why in str(caught.value)


def test_structures_and_numbers_are_those_of_the_kernel(tmp_path: Path) -> None:
    """The C compiler says what linux/gpio.h means."""
    names = {
        "gpiochip_info": _gpio_line.ChipInfo,
        "gpio_v2_line_info": _gpio_line.LineInfo,
        "gpio_v2_line_config": _gpio_line.LineConfig,
        "gpio_v2_line_config_attribute": _gpio_line.ConfigAttribute,
        "gpio_v2_line_request": _gpio_line.LineRequest,
        "gpio_v2_line_values": _gpio_line.LineValues,
    }
    code = "".join(f'printf("%zu\\n", sizeof(struct {n}));' for n in names)
    code += "".join(
        f'printf("%zu\\n", offsetof(struct {s}, {f}));'
        for s, f in [("gpio_v2_line_request", "fd"), ("gpio_v2_line_request", "config")]
    )
    calls = ["GPIO_GET_CHIPINFO_IOCTL", "GPIO_V2_GET_LINEINFO_IOCTL", "GPIO_V2_GET_LINE_IOCTL"]
    calls.append("GPIO_V2_LINE_SET_VALUES_IOCTL")
    code += "".join(f'printf("%lu\\n", (unsigned long){c});' for c in calls)
    source = tmp_path / "a.cpp"
    source.write_text(
        "#include <cstdio>\n#include <cstddef>\n#include <sys/ioctl.h>\n#include <linux/gpio.h>\n"
        f"int main() {{ {code} }}",
        encoding="utf-8",
    )
    subprocess.run(["g++", str(source), "-o", str(tmp_path / "a")], check=True)
    said = subprocess.run(
        [str(tmp_path / "a")], check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout
    ours = [ctypes.sizeof(s) for s in names.values()]
    ours += [_gpio_line.LineRequest.fd.offset, _gpio_line.LineRequest.config.offset]
    ours += [_gpio_line.GET_CHIP_INFO, _gpio_line.GET_LINE_INFO]
    ours += [_gpio_line.GET_LINE, _gpio_line.SET_VALUES]
    assert list(map(int, said.split())) == ours
