"""gpio://gpiochip0/17?kind=fall&hold_s=5: an output line is on for a while after an event.

The line is a number of the chip or a name (`gpioinfo` lists both). Options:

- kind: kinds of events, separated by commas; required.
- camera: only events of these cameras, separated by commas.
- hold_s: seconds that the line stays on after the last such event (5).
- active: high (the default) or low, the level that means on.

An event during that time makes it longer. Historical events do not switch the line. When the
program ends it switches the line off; when it is killed, the kernel gives the line back and its
level depends on the board. It is no safety device.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import FrozenSet, Optional
from urllib.parse import parse_qsl, unquote, urlsplit

from edge.errors import ConfigError, EdgeError
from edge.messages import Message
from edge.publish import SinkOptions
from edge.publish._counters import Counters
from edge.publish._gpio_line import Io, OutputLine
from edge.settings.schema import name_problem

log = logging.getLogger(__name__)

HOLD_S, LEAST_S, MOST_S = 5.0, 0.05, 3600.0
OPTIONS = ("kind", "camera", "hold_s", "active")
_EXAMPLE = "expected gpio://gpiochip0/17?kind=fall&hold_s=5"


@dataclass(frozen=True)
class Wiring:
    """A checked address."""

    chip: str  # path of the device
    line: str  # number or name
    kinds: FrozenSet[str]
    cameras: FrozenSet[str]  # empty = all
    hold_s: float
    active_low: bool

    @property
    def name(self) -> str:
        """The address for people."""
        return f"gpio://{self.chip[len('/dev/') :]}/{self.line}"


def open_sink(uri: str, options: SinkOptions) -> GpioSink:
    """Take the line and switch it off.

    Raises:
        ConfigError, NoInputError, UnavailableError: the line cannot be used.
    """
    wiring = check(uri, options)
    try:
        return GpioSink(wiring, options.device)
    except EdgeError as error:
        raise type(error)(f"sink {wiring.name}: {error}") from error


def check(uri: str, options: SinkOptions) -> Wiring:
    """Check an address, without looking at the chip.

    Raises:
        ConfigError: not a valid address.
    """
    parts = urlsplit(uri)
    chip, line = parts.netloc, unquote(parts.path.strip("/"))
    if not chip or not line or "/" in line or parts.fragment:
        raise ConfigError(f"sink {uri!r}: {_EXAMPLE}")
    if not (chip.startswith("gpiochip") and chip[len("gpiochip") :].isdecimal()):
        raise ConfigError(f"sink {uri!r}: no GPIO chip is called {chip!r}; {_EXAMPLE}")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in given:
        if name not in OPTIONS:
            raise ConfigError(f"sink {uri!r}: unknown option {name!r}: {', '.join(OPTIONS)}")
    kinds, cameras = (_names(uri, given.get(name, ""), name) for name in ("kind", "camera"))
    if not kinds:
        raise ConfigError(f"sink {uri!r}: kind is missing: which events switch the line?")
    active = given.get("active", "high")
    if active not in ("high", "low"):
        raise ConfigError(f"sink {uri!r}: active={active}: use high or low")
    hold_s = _seconds(uri, given.get("hold_s", str(HOLD_S)))
    return Wiring(f"/dev/{chip}", line, kinds, cameras, hold_s, active == "low")


def _names(uri: str, text: str, option: str) -> FrozenSet[str]:
    names = frozenset(n for n in text.split(",") if n)
    wrong = sorted(n for n in names if name_problem(n))
    if wrong:
        raise ConfigError(f"sink {uri!r}: {option}={wrong[0]}: {name_problem(wrong[0])}")
    return names


def _seconds(uri: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not LEAST_S <= seconds <= MOST_S:
        raise ConfigError(f"sink {uri!r}: hold_s={text}: use {LEAST_S:g} to {MOST_S:g} seconds")
    return seconds


class GpioSink:
    """Switches one line, in a thread of its own.

    Args:
        wiring: a checked address.
        device: name of the box; `gpioinfo` shows it.
        io: the system calls.

    Raises:
        ConfigError, NoInputError, UnavailableError: the line cannot be used.
    """

    reader_left = False

    def __init__(self, wiring: Wiring, device: str, io: Optional[Io] = None) -> None:
        self.name, self.ok, self.counters = wiring.name, True, Counters()
        self._wiring = wiring
        self._line = OutputLine(wiring.chip, wiring.line, wiring.active_low, f"edge {device}", io)
        self._changed = threading.Condition()
        self._until_s = 0.0  # monotonic, when the line goes off
        self._on = self._closed = False
        self._thread = threading.Thread(target=self._run, name="gpio", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """0: an event is not kept."""
        return 0

    def __call__(self, message: Message) -> None:
        """Take a message; never blocks."""
        if message.kind != "event" or not self._means(message):
            return
        with self._changed:
            if not self._closed:
                self._until_s = time.monotonic() + self._wiring.hold_s
                self.counters.add("sent")
                self._changed.notify_all()

    def _means(self, message: Message) -> bool:
        cameras, payload = self._wiring.cameras, message.payload
        here = not cameras or payload.get("camera") in cameras
        return here and payload.get("kind") in self._wiring.kinds

    def _run(self) -> None:
        while True:
            with self._changed:
                left_s = self._until_s - time.monotonic()
                if self._closed:
                    break
                if self._on == (left_s > 0):
                    self._changed.wait(left_s if self._on else None)
                    continue
            self._switch(left_s > 0)
        self._switch(False)
        self._line.close()

    def _switch(self, on: bool) -> None:
        try:
            self._line.set(on)
            self.ok = True
        except EdgeError as error:
            if self.ok:
                log.error("%s: %s", self.name, error)
            self.ok = False
            self.counters.add("refused")
        self._on = on

    def close(self, timeout_s: float) -> None:
        """Switch the line off and give it back; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
