"""A source whose every move the test decides."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Callable, Dict, Iterator, List, Optional, Union

import numpy as np
import pytest

from edge import plug
from edge.capture import CAMERA, Address, CaptureOptions, EndOfStream, Ring, Slot
from tests.waiting import GIVE_UP_S

Step = Union[np.ndarray, BaseException, Callable[[], object]]


def plain(value: int = 0, height: int = 8, width: int = 12) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


class Scripted:
    """Gives the steps of a script: an image, an error to raise, or something to call first."""

    def __init__(self, script: List[Step], live: bool) -> None:
        self.live = live
        self.closed = 0
        self._script = iter(script)
        self._index = -1

    def read(self, ring: Ring) -> Optional[Slot]:
        slot, self._ring = ring.acquire(0.2), ring
        if slot is None:
            return None
        step = next(self._script, EndOfStream())
        while callable(step):
            step()
            step = next(self._script, EndOfStream())
        if isinstance(step, BaseException):
            ring.cancel(slot)
            raise step
        if step.dtype == np.uint8:
            slot.shape_to(step.shape, ring.memory)[...] = step
        else:
            slot.image = step
        self._index += 1
        slot.index, slot.t_ns = self._index, time.monotonic_ns()
        slot.arrival_ns = slot.t_ns
        return slot

    def hoard(self) -> None:
        """Take all free slots and keep them, as a driver does that is handed them ahead of time."""
        while self._ring.acquire_free() is not None:
            pass

    def close(self) -> None:
        self.closed += 1


class Plug:
    """Stands in for a plug file: each opening takes the next script of its path."""

    def __init__(self) -> None:
        self.scripts: Dict[str, List[Union[List[Step], BaseException]]] = {}
        self.sources: List[Scripted] = []
        self.opened = 0
        self.kind = CAMERA
        self.live = True

    def module(self) -> SimpleNamespace:
        return SimpleNamespace(open_source=self.open_source, kind=lambda address: self.kind)

    def open_source(self, address: Address, options: CaptureOptions) -> Scripted:
        self.opened += 1
        waiting = self.scripts[address.path]
        script = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(script, BaseException):
            raise script
        self.sources.append(Scripted(script, self.live))
        return self.sources[-1]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """fake://NAME opens the script of that name; all other plugs stay as they are."""
    made = Plug()
    load = plug.load
    monkeypatch.setattr(
        plug, "load", lambda room, name: made.module() if name == "fake" else load(room, name)
    )
    yield made
    while Gate.made:
        Gate.made.pop().open()


class Gate:
    """A step that waits until the test opens it or ends, as a driver that hangs does."""

    made: List[Gate] = []

    def __init__(self) -> None:
        Gate.made.append(self)
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        self._open.wait(GIVE_UP_S)

    def open(self) -> None:
        self._open.set()
