"""Supervision of one source: its ring, its reading thread and its state."""

from __future__ import annotations

import logging
import threading
import time
from typing import Callable, List, Optional, Tuple

from edge.capture._memory import FrameMemory
from edge.capture._reader import FINAL_STATES, Progress, Reader, SourceSpec
from edge.capture._ring import Ring
from edge.capture._source import CAMERA, RECORDING, CaptureOptions, hung_of, kind, parse
from edge.errors import EdgeError
from edge.settings import config
from edge.structures import CameraState
from edge.view import View

log = logging.getLogger(__name__)

MAX_HUNG = 3  # with this many threads hanging in a driver, a camera gets no new one


class Supervisor:
    """Reads one source into its ring and knows its state.

    A camera that breaks is opened again; an error or the end of a recording is final. `state`
    detects stalls, because the reading thread itself may hang in a driver. A new reader then
    takes over, and the old one changes nothing if its driver call ever returns.

    Args:
        camera: name and source; a wrong source gives the state "failed", not an exception.
        settings: time-outs.
        memory: holds the ring's frames.
        wake: called by the reading thread after each frame and each change of state.
    """

    def __init__(
        self,
        camera: config.Camera,
        settings: config.Capture,
        memory: FrameMemory,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = camera.name
        self.settings_key = (camera, settings)
        self._wake = wake
        self._progress = Progress()
        self._spec = self._spec_of(camera, settings)
        self.kind = self._spec.kind
        live = self.kind != RECORDING
        self.ring = Ring(settings.buffers, live, memory, wake)
        self._lock = threading.Lock()
        self._reader = Reader(self._spec, self.ring, self._progress, wake)
        self._hung: List[Reader] = []
        self._logged = "starting"

    def _spec_of(self, camera: config.Camera, settings: config.Capture) -> SourceSpec:
        """Describe the source without opening it."""
        shown, what, hung = camera.name, CAMERA, View()
        try:
            shown = parse(camera.source).uri
            what = kind(camera.source)
            hung = hung_of(camera.source, camera.rotate, camera.flip)
        except EdgeError as error:
            self._progress.error = error
            self._progress.enter("failed", str(error))
        options = CaptureOptions(
            settings.timeout_s,
            settings.max_megapixels,
            settings.decoder_max_mb,
            masked=bool(camera.mask),
        )
        return SourceSpec(
            camera.name,
            camera.source,
            shown,
            what,
            options,
            hung,
            settings.stall_s,
            settings.backoff_max_s,
            camera.mask,
        )

    def start(self) -> None:
        """Start the reading thread, which opens the source."""
        if self._progress.error is not None:
            log.error("%s: %s", self.name, self._progress.error)
            return
        self._progress.since_ns = self._progress.alive_ns = time.monotonic_ns()
        self._reader.start()

    @property
    def finished(self) -> bool:
        """Whether it ended or failed for good; its last frame may still be in the ring."""
        return self._progress.state in FINAL_STATES

    @property
    def error(self) -> Optional[EdgeError]:
        """Why it failed for good; None = it did not."""
        return self._progress.error

    @property
    def waits_for_loop(self) -> bool:
        """Whether it is a recording: the reader waits for the loop and loses no frame."""
        live = self._progress.live
        return self.kind == RECORDING if live is None else not live

    def deadline_ns(self) -> int:
        """Monotonic time at which it counts as stalled; 0 = no frame is expected now."""
        progress = self._progress
        if progress.state not in ("starting", "ok") or progress.detail:
            return 0  # it is finished, or pauses before it is opened again
        if self.ring.resting:
            return time.monotonic_ns() + int(self._spec.stall_s * 1e9)
        patience_s = self._spec.stall_s
        if progress.state == "starting":
            patience_s += self._spec.options.timeout_s
        return max(progress.alive_ns, self.ring.rested_ns) + int(patience_s * 1e9)

    def state(self) -> CameraState:
        """Its state now; also replaces a reader that hangs in a driver."""
        with self._lock:
            self._replace_hung()
            state, detail, since_ns = self._current()
            self._log_change(state, detail)
        progress = self._progress
        return CameraState(
            self.name,
            state,
            detail,
            since_ns,
            progress.next_index,
            progress.skipped + self.ring.dropped,
            progress.reconnects,
            progress.size,
            self.ring.transfer,
            self.ring.host_copies,
        )

    def _log_change(self, state: str, detail: str) -> None:
        """Log what `_current` found; the reader logs its own errors."""
        if state != self._logged and state == "ok":
            log.info("%s: ok", self.name)
        elif state != self._logged and state == "stalled" != self._progress.state:
            log.warning("%s: stalled: %s", self.name, detail)
        self._logged = state

    def _current(self) -> Tuple[str, str, int]:
        progress, deadline_ns = self._progress, self.deadline_ns()
        state, detail, since_ns = progress.state, progress.detail, progress.since_ns
        if 0 < deadline_ns < time.monotonic_ns():
            detail = f"no frame for more than {self._spec.stall_s:g} s"
            if state == "starting":
                detail = "it does not open, or gives no frame"
            return "stalled", f"{self._spec.shown}: {detail}", deadline_ns
        return state, detail, since_ns

    def _replace_hung(self) -> None:
        progress, old = self._progress, self._reader
        limit_s = self._spec.stall_s + 2 * self._spec.options.timeout_s
        asleep = self.ring.resting or progress.call_since_ns == 0 or old.stopped.is_set()
        if asleep or time.monotonic_ns() - progress.call_since_ns < limit_s * 1e9:
            return
        self._hung = [r for r in self._hung if r.is_alive()]
        if len(self._hung) >= MAX_HUNG:
            return
        log.warning(
            "%s: no answer from the driver for %.0f s; a new thread replaces the one that hangs",
            self.name,
            limit_s,
        )
        old.stop()
        self._hung.append(old)
        self.ring.renew()
        progress.call_since_ns = 0
        progress.reconnects += 1
        progress.enter("stalled", f"{self._spec.shown}: the driver hangs; trying again")
        self._reader = Reader(self._spec, self.ring, progress, self._wake)
        self._reader.start()

    def stop(self) -> None:
        """Tell the reading thread to end; returns at once."""
        with self._lock:
            self._reader.stop()
        self.ring.close()

    def join(self, timeout_s: float) -> None:
        """Wait for the reading thread; one that hangs in a driver is left behind."""
        if self._reader.ident is None:
            return
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            log.warning("%s: its driver does not answer; its thread is left behind", self.name)
