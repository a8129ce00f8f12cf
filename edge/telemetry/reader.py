"""Read the state of the machine every few seconds.

Reading has its own thread, because some of the kernel's files ask another processor and take
milliseconds. Figures come from jetson-stats if its service runs, else from the kernel's files;
throttling always comes from the kernel's files.
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
from edge.threads import NonCriticalThread

log = logging.getLogger(__name__)

RETRY_S = 300.0  # pause before jetson-stats is tried again
# Over-current circuits that count as throttling: under-voltage (oc1) and average current (oc2).
# oc3 counts short spikes. It rises many times a second on healthy boards under load (7 a second in
# reports from Orin NX), so it is published but does not count.
SERIOUS = ("oc1", "oc2")


class NotInstalledError(UnavailableError):
    """jetson-stats is not installed, as on every machine that is no Jetson."""


class Service(Protocol):
    """A source of figures: jetson-stats (edge.telemetry.jtop)."""

    def read(self) -> Dict[str, Any]:
        """Some fields of a Reading; raises UnavailableError."""

    def close(self) -> None:
        """Close the connection; may be called twice."""


def open_jtop(every_s: float) -> Service:
    """Connect to jetson-stats.

    Raises:
        NotInstalledError: the package is not installed. UnavailableError: its service does not
            run, or has another version.
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

    Attributes:
        reading: the newest reading.

    Args:
        settings: which source, how often.
        root: the folder in place of /.
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
        self._retry_s = 0.0 if settings.source != "sysfs" else float("inf")
        self._logged = ""
        self._events: Optional[Dict[str, int]] = None
        self._stop = threading.Event()
        self._thread = NonCriticalThread(target=self._loop, name="telemetry", daemon=True)
        self.reading = Reading()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; may be called twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)  # a service that hangs must not keep the program alive
        else:
            self._disconnect()

    def read(self) -> Reading:
        """Read now; one thread at a time may call this."""
        reading = self._sysfs.read()
        reading.throttled.extend(self._over_current(reading.over_current))
        self.reading = dataclasses.replace(reading, **self._service_fields())
        return self.reading

    def report(self) -> Dict[str, Any]:
        """The newest reading, as the metrics message has it."""
        return dict(vars(self.reading))

    def _loop(self) -> None:
        while not self._stop.is_set():
            self.read()
            self._stop.wait(self._settings.every_s)
        self._disconnect()

    def _over_current(self, events: Dict[str, int]) -> List[str]:
        """Circuits whose count rose since the last reading; none at the first reading."""
        before, self._events = self._events, events
        if before is None:
            return []
        return [f"over-current {n}" for n in SERIOUS if events.get(n, 0) > before.get(n, 1 << 62)]

    def _service_fields(self) -> Dict[str, Any]:
        """The fields that jetson-stats knows; empty while it is not there."""
        if self._service is None and time.monotonic() < self._retry_s:
            return {}
        try:
            if self._service is None:
                self._service = self._open(self._settings.every_s)
                self._log_once("machine figures come from jetson-stats")
            return self._service.read()
        except EdgeError as error:
            self._disconnect()
            self._retry_s = time.monotonic() + RETRY_S
            missed = self._settings.source == "jtop" or not isinstance(error, NotInstalledError)
            if missed:
                self._log_once(f"machine figures come from the kernel's files: {error}")
            return {}

    def _disconnect(self) -> None:
        service, self._service = self._service, None
        if service is not None:
            service.close()

    def _log_once(self, line: str) -> None:
        """Log a line unless it is the last one logged."""
        if line != self._logged:
            self._logged = line
            log.info("%s", line)
