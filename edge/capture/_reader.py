"""The thread that opens one source, again and again if need be, and reads it into the ring."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import Callable, Iterator, Optional, Tuple

import numpy as np

from edge.capture._ring import Ring, Slot
from edge.capture._source import CAMERA, CaptureOptions, EndOfStream, Source, open_source
from edge.errors import (
    ConfigError,
    DataError,
    EdgeError,
    InternalError,
    TempError,
    UnavailableError,
)
from edge.threads import Dispensable

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
SAY_AGAIN_S = 600.0  # a trouble that lasts is logged again after this
OVER = ("ended", "failed")


@dataclass(frozen=True)
class Order:
    """What to read and how."""

    name: str
    uri: str
    shown: str  # the URI without its password
    kind: str
    options: CaptureOptions
    stall_s: float
    backoff_max_s: float


@dataclass
class Progress:
    """How far a camera is. Written by the reader in charge, read by anyone."""

    state: str = "starting"  # starting | ok | stalled | ended | failed
    detail: str = ""
    since_ns: int = field(default_factory=time.monotonic_ns)
    call_ns: int = 0  # since when the reader is inside the source's code; 0 = it is not
    sign_ns: int = field(default_factory=time.monotonic_ns)  # last sign of life of the source
    live: Optional[bool] = None  # unknown until first opened
    next_index: int = 0
    skipped: int = 0  # frames the source itself lost
    reconnects: int = 0
    size: Tuple[int, int] = (0, 0)
    error: Optional[EdgeError] = None  # why it failed for good

    def turn(self, state: str, detail: str = "") -> None:
        """Enter a state; its time starts when its name changes."""
        if state != self.state:
            self.since_ns = time.monotonic_ns()
        self.detail = detail
        self.state = state


class Reader(Dispensable):
    """Reads until the source is over or `left` is set; then it touches nothing any more."""

    def __init__(self, order: Order, ring: Ring, progress: Progress, wake: Callable[[], None]):
        super().__init__(name=f"camera {order.name}", daemon=True)
        self.left = threading.Event()
        self.source: Optional[Source] = None
        self._order, self._ring, self._progress, self._wake = order, ring, progress, wake
        self._said, self._said_at = "", 0.0
        self._closer: Optional[threading.Thread] = None

    def run(self) -> None:
        """Session after session, with pauses that double, until there is nothing to hope for."""
        try:
            self._sessions()
        finally:
            if not self.left.is_set() and self._progress.state not in OVER:
                # Only a mistake of ours gets here; the thread's hook shows its traceback.
                self._fail(InternalError(f"{self._order.shown}: the reading thread died, see log"))
            self._wake()

    def leave(self) -> None:
        """Tell the thread to end; a closer of its own, as drivers may hang in closing, too."""
        self.left.set()
        source = self.source
        if source is not None and self.is_alive():
            self._closer = Dispensable(target=source.close, daemon=True)
            self._closer.start()

    def join(self, timeout: Optional[float] = None) -> None:
        """Wait for the closer, too: a decoder half released when the process ends aborts it."""
        super().join(timeout)
        if self._closer is not None:
            self._closer.join(timeout)

    def _sessions(self) -> None:
        wait_s = min(FIRST_WAIT_S, self._order.backoff_max_s)
        while not self.left.is_set():
            frames, began = self._progress.next_index, time.monotonic()
            error = self._session()
            if error is None or self.left.is_set():
                return
            if self._order.kind != CAMERA or isinstance(error, (ConfigError, UnavailableError)):
                self._fail(error)
                return
            if self._progress.next_index > frames and time.monotonic() - began > wait_s:
                wait_s = min(FIRST_WAIT_S, self._order.backoff_max_s)
            self._pause(error, wait_s * spread(self._order.name))
            wait_s = min(wait_s * 2, self._order.backoff_max_s)

    def _session(self) -> Optional[EdgeError]:
        """Open and read until it breaks (the error), is over or this reader left (None)."""
        try:
            self._open()
            self._read()
        except EndOfStream as end:
            return self._end(str(end))
        except EdgeError as error:
            return error
        except OSError as error:
            return TempError(f"{self._order.shown}: {error.strerror or error}")
        finally:
            self._close()
        return None

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        """Marks the time inside a driver, from which it may not come back in time."""
        self._progress.call_ns = time.monotonic_ns()
        try:
            yield
        finally:
            if not self.left.is_set():
                self._progress.call_ns = 0

    def _open(self) -> None:
        with self._calling():
            self.source = open_source(self._order.uri, self._order.options)
        if not self.left.is_set():
            self._progress.sign_ns = time.monotonic_ns()
            self._progress.live = self._ring.live = self.source.live

    def _read(self) -> None:
        base = self._progress.next_index
        while self.source is not None and not self.left.is_set():
            with self._calling():
                slot = self.source.read(self._ring)
            if slot is not None and not self.left.is_set():
                self._deliver(slot, base)

    def _close(self) -> None:
        source, self.source = self.source, None
        if source is not None and not self.left.is_set():
            with self._calling():
                source.close()
        elif source is not None:
            source.close()

    def _deliver(self, slot: Slot, base: int) -> None:
        problem = _problem(slot, self._order.options.max_megapixels)
        if problem:
            slot.image = Slot().image  # no later frame may be written into what this was
            self._ring.cancel(slot)
            raise DataError(f"{self._order.shown}: gave {problem} instead of a picture")
        progress, now_ns = self._progress, time.monotonic_ns()
        slot.index += base
        progress.skipped += slot.index - progress.next_index
        progress.next_index = slot.index + 1
        self._note_size(_size(slot))
        quiet_s = (now_ns - max(progress.sign_ns, self._ring.rested_ns)) / 1e9
        if progress.state != "ok":
            progress.turn("ok")
        elif quiet_s > self._order.stall_s:
            progress.since_ns = now_ns
        progress.sign_ns = now_ns
        self._ring.publish(slot)

    def _note_size(self, size: Tuple[int, int]) -> None:
        if size != self._progress.size:
            if self._progress.size != (0, 0):
                log.warning(
                    "%s: size changed from %dx%d to %dx%d",
                    self._order.name,
                    *self._progress.size,
                    *size,
                )
            self._progress.size = size

    def _end(self, why: str) -> Optional[EdgeError]:
        if self.left.is_set():
            return None
        if self._order.kind == CAMERA and self._progress.live:
            return TempError(f"{self._order.shown}: the stream ended" + (f": {why}" if why else ""))
        log.log(
            logging.WARNING if why else logging.INFO,
            "%s: ended after %d frames%s",
            self._order.name,
            self._progress.next_index,
            f": {why}" if why else "",
        )
        self._progress.turn("ended", why)
        return None

    def _fail(self, error: EdgeError) -> None:
        log.error("%s: %s", self._order.name, error)
        self._progress.error = error
        self._progress.turn("failed", str(error))

    def _pause(self, error: EdgeError, wait_s: float) -> None:
        """A camera that never worked is still starting; one that did is stalled."""
        progress = self._progress
        now = time.monotonic()
        said = self._said == str(error) and now - self._said_at < SAY_AGAIN_S
        log.log(
            logging.DEBUG if said else logging.WARNING,
            "%s: %s; trying again in %.1f s",
            self._order.name,
            error,
            wait_s,
        )
        if not said:
            self._said, self._said_at = str(error), now
        progress.turn("stalled" if progress.next_index else "starting", f"{error}; trying again")
        self._wake()
        self.left.wait(wait_s)
        progress.reconnects += 1


def spread(name: str) -> float:
    """A factor of 0.75..1.25, the same for ever, so that cameras do not knock all at once."""
    return 0.75 + 0.5 * (zlib.crc32(name.encode()) % 1024) / 1023


def _problem(slot: Slot, max_megapixels: float) -> str:
    """What is wrong with a filled slot, "" if nothing is."""
    image = slot.image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        return f"{getattr(image, 'dtype', type(image).__name__)} data"
    wanted = {"bgr": (3, 3), "rgb": (3, 3), "yuyv": (3, 2)}.get(slot.layout, (2, 0))
    if image.ndim != wanted[0] or (image.ndim == 3 and image.shape[2] != wanted[1]):
        return f"an array of shape {list(image.shape)}"
    width, height = _size(slot)
    if width * height == 0:
        return "an empty picture"
    if width * height > max_megapixels * 1e6:
        return f"{width}x{height} pixels, more than capture.max_megapixels = {max_megapixels:g},"
    return ""


def _size(slot: Slot) -> Tuple[int, int]:
    rows, columns = slot.image.shape[:2]
    return columns, rows * 2 // 3 if slot.layout == "nv12" else rows
