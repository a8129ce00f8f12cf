"""The thread that opens one source, reads it into the ring, and reopens it when it breaks."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import Callable, Iterator, Optional, Tuple

import numpy as np

from edge.capture._mask import Mask, Polygons
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
from edge.threads import NonCriticalThread
from edge.view import View

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LOG_AGAIN_S = 600.0  # an error that lasts is logged again after this time
FINAL_STATES = ("ended", "failed")


@dataclass(frozen=True)
class SourceSpec:
    """The source to read, and the time-outs for it."""

    name: str
    uri: str
    shown: str  # the URI without its password
    kind: str
    options: CaptureOptions
    hung: View  # how the camera hangs
    stall_s: float
    backoff_max_s: float
    mask: Polygons = ()  # what is painted over


@dataclass
class Progress:
    """State and counters of a source. Written by its current reader, read by all threads."""

    state: str = "starting"  # starting | ok | stalled | ended | failed
    detail: str = ""
    since_ns: int = field(default_factory=time.monotonic_ns)
    call_since_ns: int = 0  # when the running driver call began; 0 = none is running
    alive_ns: int = field(
        default_factory=time.monotonic_ns
    )  # when the source last opened or gave a frame
    live: Optional[bool] = None  # None = never opened yet
    next_index: int = 0
    skipped: int = 0  # frames that the source itself lost
    reconnects: int = 0
    size: Tuple[int, int] = (0, 0)
    error: Optional[EdgeError] = None  # why it failed for good

    def enter(self, state: str, detail: str = "") -> None:
        """Set state and detail; `since_ns` changes only with the state."""
        if state != self.state:
            self.since_ns = time.monotonic_ns()
        self.detail = detail
        self.state = state


class Reader(NonCriticalThread):
    """Reads until the source is finished or `stopped` is set, and then changes nothing more."""

    def __init__(self, spec: SourceSpec, ring: Ring, progress: Progress, wake: Callable[[], None]):
        super().__init__(name=f"camera {spec.name}", daemon=True)
        self.stopped = threading.Event()
        self.source: Optional[Source] = None
        self._spec, self._ring, self._progress, self._wake = spec, ring, progress, wake
        self._options = dataclasses.replace(spec.options, stop=self.stopped)
        self._logged, self._logged_s = "", 0.0
        self._closer: Optional[threading.Thread] = None
        self._view = spec.hung  # of the last frame
        self._mask = Mask(spec.mask) if spec.mask else None

    def run(self) -> None:
        """Open and read again and again, with doubling pauses, until an error or end is final."""
        try:
            self._sessions()
        finally:
            if not self.stopped.is_set() and self._progress.state not in FINAL_STATES:
                # Only a bug gets here; the thread's hook shows its traceback.
                self._fail(
                    InternalError(f"{self._spec.shown}: the reading thread died, see the log")
                )
            self._wake()

    def stop(self) -> None:
        """Tell the thread to end; another thread closes the source, since close may hang, too."""
        self.stopped.set()
        source = self.source
        if source is not None and self.is_alive():
            self._closer = NonCriticalThread(target=source.close, daemon=True)
            self._closer.start()

    def join(self, timeout: Optional[float] = None) -> None:
        """Wait for the closing thread, too: a half-released decoder aborts the process at exit."""
        super().join(timeout)
        if self._closer is not None:
            self._closer.join(timeout)

    def _sessions(self) -> None:
        wait_s = min(FIRST_WAIT_S, self._spec.backoff_max_s)
        while not self.stopped.is_set():
            frames, began = self._progress.next_index, time.monotonic()
            error = self._session()
            if error is None or self.stopped.is_set():
                return
            if self._spec.kind != CAMERA or isinstance(error, (ConfigError, UnavailableError)):
                self._fail(error)
                return
            if self._progress.next_index > frames and time.monotonic() - began > wait_s:
                wait_s = min(FIRST_WAIT_S, self._spec.backoff_max_s)
            self._pause(error, wait_s * jitter(self._spec.name))
            wait_s = min(wait_s * 2, self._spec.backoff_max_s)

    def _session(self) -> Optional[EdgeError]:
        """Open and read once. Returns the error, or None at a final end or after `stop`."""
        try:
            self._open()
            self._read()
        except EndOfStream as end:
            return self._end(str(end))
        except EdgeError as error:
            return error
        except OSError as error:
            return TempError(f"{self._spec.shown}: {error.strerror or error}")
        finally:
            self._close()
        return None

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        """Record when a driver call starts: the call may hang."""
        self._progress.call_since_ns = time.monotonic_ns()
        try:
            yield
        finally:
            if not self.stopped.is_set():
                self._progress.call_since_ns = 0

    def _open(self) -> None:
        with self._calling():
            self.source = open_source(self._spec.uri, self._options)
        if not self.stopped.is_set():
            self._progress.alive_ns = time.monotonic_ns()
            self._progress.live = self._ring.live = self.source.live

    def _read(self) -> None:
        base = self._progress.next_index
        while self.source is not None and not self.stopped.is_set():
            with self._calling():
                slot = self.source.read(self._ring)
            if slot is not None and not self.stopped.is_set():
                self._deliver(slot, base)

    def _close(self) -> None:
        source, self.source = self.source, None
        if source is not None and not self.stopped.is_set():
            with self._calling():
                source.close()
        elif source is not None:
            source.close()

    def _deliver(self, slot: Slot, base: int) -> None:
        problem = _problem(slot, self._spec.options.max_megapixels)
        if problem:
            slot.image = Slot().image  # no later frame may be written into this array
            self._ring.cancel(slot)
            raise DataError(f"{self._spec.shown}: gave {problem} instead of a picture")
        slot.view = self._view_of(slot)
        progress, now_ns = self._progress, time.monotonic_ns()
        slot.index += base
        progress.skipped += slot.index - progress.next_index
        progress.next_index = slot.index + 1
        size = _size(slot)
        size = size if slot.view is None else slot.view.size(size)
        self._paint(slot, size != progress.size)
        self._note_size(size, slot.still)
        quiet_s = (now_ns - max(progress.alive_ns, self._ring.rested_ns)) / 1e9
        if progress.state != "ok":
            progress.enter("ok")
        elif quiet_s > self._spec.stall_s:
            progress.since_ns = now_ns
        progress.alive_ns = now_ns
        self._ring.publish(slot)

    def _paint(self, slot: Slot, new_size: bool) -> None:
        """Paint over what nobody may look at, before anybody gets the frame."""
        if self._mask is None:
            return
        hides = self._mask.paint(slot.image, slot.layout, slot.view)
        slot.written()
        if not hides and new_size:
            log.warning("%s: mask: lies outside the picture and hides nothing", self._spec.name)

    def _view_of(self, slot: Slot) -> Optional[View]:
        """How the picture lies in the upright one."""
        if slot.aspect != self._view.aspect:
            self._view = dataclasses.replace(self._view, aspect=slot.aspect)
        return None if self._view.is_plain else self._view

    def _note_size(self, size: Tuple[int, int], still: bool) -> None:
        if size != self._progress.size:
            if self._progress.size != (0, 0) and not still:
                log.warning(
                    "%s: size changed from %dx%d to %dx%d",
                    self._spec.name,
                    *self._progress.size,
                    *size,
                )
            self._progress.size = size

    def _end(self, why: str) -> Optional[EdgeError]:
        if self.stopped.is_set():
            return None
        if self._spec.kind == CAMERA and self._progress.live:
            return TempError(f"{self._spec.shown}: the stream ended" + (f": {why}" if why else ""))
        log.log(
            logging.WARNING if why else logging.INFO,
            "%s: ended after %d frames%s",
            self._spec.name,
            self._progress.next_index,
            f": {why}" if why else "",
        )
        self._progress.enter("ended", why)
        return None

    def _fail(self, error: EdgeError) -> None:
        log.error("%s: %s", self._spec.name, error)
        self._progress.error = error
        self._progress.enter("failed", str(error))

    def _pause(self, error: EdgeError, wait_s: float) -> None:
        """Wait before the next try. A camera without any frame so far is still "starting"."""
        progress = self._progress
        now = time.monotonic()
        said = self._logged == str(error) and now - self._logged_s < LOG_AGAIN_S
        log.log(
            logging.DEBUG if said else logging.WARNING,
            "%s: %s; trying again in %.1f s",
            self._spec.name,
            error,
            wait_s,
        )
        if not said:
            self._logged, self._logged_s = str(error), now
        progress.enter("stalled" if progress.next_index else "starting", f"{error}; trying again")
        self._wake()
        self.stopped.wait(wait_s)
        progress.reconnects += 1


def jitter(name: str) -> float:
    """A fixed factor of 0.75..1.25 by name, so that cameras do not reconnect all at once."""
    return 0.75 + 0.5 * (zlib.crc32(name.encode()) % 1024) / 1023


def _problem(slot: Slot, max_megapixels: float) -> str:
    """What is wrong with a filled slot; "" = nothing."""
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
