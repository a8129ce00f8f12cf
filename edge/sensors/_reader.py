"""Reads one inertial sensor in a thread, and opens it again when it was unplugged."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Callable, Deque, Optional

from edge.errors import EdgeError
from edge.sensors import Address, EndOfSensor, ImuSamples, ImuSource, open_source

log = logging.getLogger(__name__)

_PAUSE_S = 0.02  # between two readings; the smallest FIFO holds .2 s at 200 Hz
_TRIES = 3  # failed readings before the sensor is opened again
_BACKOFF_S, _BACKOFF_MOST_S = 0.25, 5.0
_MOST_BATCHES = 3000  # waiting for `take`: a minute
Open = Callable[[Address], ImuSource]


@dataclass(frozen=True)
class SensorState:
    """The condition of a sensor."""

    name: str
    state: str = "starting"  # starting | ok | lost | ended
    detail: str = ""  # one line for the operator; empty if ok
    about: str = ""
    samples: int = 0  # since the start of the program
    lost: int = 0  # samples that the sensor took and nobody read, while it was connected
    reopened: int = 0
    temp_c: float = float("nan")


class SensorReader:
    """Reads a sensor until it is closed.

    Args:
        name: of the sensor in the configuration.
        address: from `edge.sensors.check`.
        opener: opens the sensor.
    """

    def __init__(self, name: str, address: Address, opener: Open = open_source) -> None:
        self._address, self._open = address, opener
        self._lock = threading.Lock()
        self._state = SensorState(name)
        self._batches: Deque[ImuSamples] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"sensor {name}", daemon=True)

    @property
    def state(self) -> SensorState:
        """The condition now."""
        with self._lock:
            return self._state

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self) -> ImuSamples:
        """All samples since the last call; `lost` counts those that were missed."""
        with self._lock:
            batches, self._batches = list(self._batches), deque()
        return ImuSamples.join(batches)

    def close(self) -> None:
        """Stop reading and close the sensor; may be called twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)  # a bus that hangs must not keep the program alive

    def _loop(self) -> None:
        backoff_s = _BACKOFF_S
        while not self._stop.is_set():
            source = self._opened()
            if source is not None:
                backoff_s = _BACKOFF_S
                try:
                    ended = self._read_all(source)
                finally:
                    source.close()
                if ended:
                    return
            self._stop.wait(backoff_s)
            backoff_s = min(2 * backoff_s, _BACKOFF_MOST_S)

    def _opened(self) -> Optional[ImuSource]:
        try:
            source = self._open(self._address)
        except EdgeError as error:
            self._lose(error)
            return None
        state = self.state
        again = state.state == "lost"
        self._tell(state="ok", detail="", about=source.about, reopened=state.reopened + again)
        log.info("sensor %s: %s", state.name, source.about)
        return source

    def _read_all(self, source: ImuSource) -> bool:
        """Read until the sensor is lost or the program ends; says whether it is over for good."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._keep(source.read())
                failures = 0
            except EndOfSensor:
                self._tell(state="ended", detail="the recording has ended")
                return True
            except EdgeError as error:
                failures += 1
                if failures == _TRIES:
                    self._lose(error)
                    return False
            self._stop.wait(_PAUSE_S)
        return True

    def _keep(self, batch: ImuSamples) -> None:
        if not len(batch) and not batch.lost:
            return
        with self._lock:
            self._batches.append(batch)
            while len(self._batches) > _MOST_BATCHES:
                self._batches.popleft()
        state = self.state
        temp_c = float(batch.temp_c[-1]) if len(batch) else state.temp_c
        self._tell(samples=state.samples + len(batch), lost=state.lost + batch.lost, temp_c=temp_c)

    def _lose(self, error: EdgeError) -> None:
        state = self.state
        if state.detail != str(error):
            log.warning("sensor %s: %s; trying again", state.name, error)
        self._tell(state="lost", detail=str(error))

    def _tell(self, **changes: object) -> None:
        with self._lock:
            self._state = SensorState(**{**vars(self._state), **changes})


def wait_for_samples(reader: SensorReader, limit_s: float) -> SensorState:
    """Wait until a started reader has samples or cannot have any.

    Args:
        reader: started.
        limit_s: gives up after this time.
    """
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        state = reader.state
        if state.samples or state.state in ("lost", "ended"):
            break
        time.sleep(0.01)
    return reader.state
