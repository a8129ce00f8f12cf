"""How the machine is: temperatures, power, clocks, load, memory, power mode, throttling.

Read every few seconds in a thread of its own: some of the kernel's files ask another processor
and take milliseconds. jetson-stats gives the figures where its service runs; the kernel's files
give them everywhere else, and throttling always.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Protocol

from edge.errors import EdgeError, UnavailableError
from edge.settings.sections import Telemetry as Settings
from edge.telemetry.sysfs import Reading, Sysfs
from edge.threads import Dispensable

log = logging.getLogger(__name__)

AGAIN_S = 300.0  # after that a service that was not there is asked for again
# Events of the over-current circuit that count as throttling: under-voltage and average current.
# oc3, spikes of an instant, rises many times a second on healthy boards under load (field reports
# from Orin NX name 7 a second), so it is told and nothing is done about it.
SERIOUS = ("oc1", "oc2")


class NotInstalledError(UnavailableError):
    """There is no jetson-stats, as on every machine that is no Jetson."""


class Service(Protocol):
    """jetson-stats (edge.telemetry.jtop)."""

    def read(self) -> Dict[str, Any]:
        """Fields of a Reading; raises UnavailableError."""

    def close(self) -> None:
        """Leave; may be called twice."""


def open_jtop(every_s: float) -> Service:
    """Connect to jetson-stats.

    Raises:
        NotInstalledError: there is no such package. UnavailableError: its service is not there, or
        is another version's.
    """
    try:
        from edge.telemetry.jtop import Jtop
    except ImportError as error:
        raise NotInstalledError(
            "jetson-stats is not installed; pip install jetson-stats where jtop.service runs"
        ) from error
    return Jtop(every_s)


class Telemetry:
    """Reads the machine in a thread.

    Args:
        settings: what to ask, how often.
        root: where the kernel's files are.
        open_service: connects to jetson-stats.
    """

    def __init__(
        self,
        settings: Settings,
        root: Path = Path("/"),
        open_service: Callable[[float], Service] = open_jtop,
    ) -> None:
        self._settings = settings
        self._sysfs = Sysfs(root)
        self._open = open_service
        self._service: Optional[Service] = None
        self._again_s = 0.0 if settings.source != "sysfs" else float("inf")
        self._told = ""
        self._events: Optional[Dict[str, int]] = None
        self._stop = threading.Event()
        self._thread = Dispensable(target=self._loop, name="telemetry", daemon=True)
        self.reading = Reading()  # the newest

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read no more; may be called twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)  # a service that hangs must not keep the program
        else:
            self._leave()

    def read(self) -> Reading:
        """Read now; called by one thread at a time."""
        reading = self._sysfs.read()
        reading.throttled.extend(self._over_current(reading.over_current))
        self.reading = dataclasses.replace(reading, **self._asked())
        return self.reading

    def report(self) -> Dict[str, Any]:
        """The newest reading as the metrics tell it."""
        return dict(vars(self.reading))

    def _loop(self) -> None:
        while not self._stop.is_set():
            self.read()
            self._stop.wait(self._settings.every_s)
        self._leave()

    def _over_current(self, events: Dict[str, int]) -> List[str]:
        """Circuits that rose since the last reading; the first one is what others are held to."""
        before, self._events = self._events, events
        if before is None:
            return []
        return [f"over-current {n}" for n in SERIOUS if events.get(n, 0) > before.get(n, 1 << 62)]

    def _asked(self) -> Dict[str, Any]:
        """What jetson-stats says; nothing where it is not there."""
        if self._service is None and time.monotonic() < self._again_s:
            return {}
        try:
            if self._service is None:
                self._service = self._open(self._settings.every_s)
                self._tell("machine figures come from jetson-stats")
            return self._service.read()
        except EdgeError as error:
            self._leave()
            self._again_s = time.monotonic() + AGAIN_S
            missed = self._settings.source == "jtop" or not isinstance(error, NotInstalledError)
            if missed:
                self._tell(f"machine figures come from the kernel's files: {error}")
            return {}

    def _leave(self) -> None:
        service, self._service = self._service, None
        if service is not None:
            service.close()

    def _tell(self, line: str) -> None:
        """Each state once."""
        if line != self._told:
            self._told = line
            log.info("%s", line)
