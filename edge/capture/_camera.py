"""One camera: a reader thread, its ring, and a judge of how it is."""

from __future__ import annotations

import logging
import threading
import time
from typing import Callable, List, Optional, Tuple

from edge.capture._memory import FrameMemory
from edge.capture._reader import OVER, Order, Progress, Reader
from edge.capture._ring import Ring
from edge.capture._source import CAMERA, RECORDING, CaptureOptions, kind, parse
from edge.errors import EdgeError
from edge.settings import config
from edge.structures import CameraState

log = logging.getLogger(__name__)

MAX_HUNG = 3  # threads of one camera that hang in a driver before no more are started


class Camera:
    """Supervises one source and never stops the others.

    A live source is opened again whenever it breaks; a recording's error or end is final. Stalls
    are judged by whoever asks, since the reader itself may hang in a driver: then a new reader
    takes over, and the old one, should it ever return, touches nothing.

    Args:
        camera: name and source; a wrong source shows as a failed state, not as an exception.
        settings: time-outs.
        memory: of the ring's frames.
        wake: called from the reader after each frame and change of state.
    """

    def __init__(
        self,
        camera: config.Camera,
        settings: config.Capture,
        memory: FrameMemory,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = camera.name
        self.made_of = (camera, settings)
        self._wake = wake
        self._progress = Progress()
        self._order = self._plan(camera, settings)
        self.kind = self._order.kind
        live = self.kind != RECORDING
        self.ring = Ring(settings.buffers, live, memory, wake)
        self._lock = threading.Lock()
        self._reader = Reader(self._order, self.ring, self._progress, wake)
        self._hung: List[Reader] = []
        self._said = "starting"

    def _plan(self, camera: config.Camera, settings: config.Capture) -> Order:
        """Look at the source without opening it."""
        shown, what = camera.name, CAMERA
        try:
            shown = parse(camera.source).uri
            what = kind(camera.source)
        except EdgeError as error:
            self._progress.error = error
            self._progress.turn("failed", str(error))
        options = CaptureOptions(settings.timeout_s, settings.max_megapixels)
        return Order(
            camera.name,
            camera.source,
            shown,
            what,
            options,
            settings.stall_s,
            settings.backoff_max_s,
        )

    def start(self) -> None:
        """Open the source in its own thread."""
        if self._progress.error is not None:
            log.error("%s: %s", self.name, self._progress.error)
            return
        self._progress.since_ns = self._progress.sign_ns = time.monotonic_ns()
        self._reader.start()

    @property
    def over(self) -> bool:
        """Whether it ended or failed for good; a last frame may still be in the ring."""
        return self._progress.state in OVER

    @property
    def error(self) -> Optional[EdgeError]:
        """Why it failed for good."""
        return self._progress.error

    @property
    def waits_for_loop(self) -> bool:
        """Whether it is a recording, of which no frame may be lost."""
        live = self._progress.live
        return self.kind == RECORDING if live is None else not live

    def due_ns(self) -> int:
        """When it is stalled unless a frame comes; 0 = no frame is expected of it now."""
        progress = self._progress
        if progress.state not in ("starting", "ok") or progress.detail:
            return 0  # over, or in the pause before it is opened again
        if self.ring.resting:
            return time.monotonic_ns() + int(self._order.stall_s * 1e9)
        patience_s = self._order.stall_s
        if progress.state == "starting":
            patience_s += self._order.options.timeout_s
        return max(progress.sign_ns, self.ring.rested_ns) + int(patience_s * 1e9)

    def state(self) -> CameraState:
        """How it is now."""
        with self._lock:
            self._replace_hung()
            state, detail, since_ns = self._judge()
            self._say(state, detail)
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

    def _say(self, state: str, detail: str) -> None:
        """Only what is judged here: the reader tells of its errors itself."""
        if state != self._said and state == "ok":
            log.info("%s: ok", self.name)
        elif state != self._said and state == "stalled" != self._progress.state:
            log.warning("%s: stalled: %s", self.name, detail)
        self._said = state

    def _judge(self) -> Tuple[str, str, int]:
        progress, due_ns = self._progress, self.due_ns()
        state, detail, since_ns = progress.state, progress.detail, progress.since_ns
        if 0 < due_ns < time.monotonic_ns():
            detail = f"no frame for more than {self._order.stall_s:g} s"
            if state == "starting":
                detail = "does not open, or gives no frame"
            return "stalled", f"{self._order.shown}: {detail}", due_ns
        return state, detail, since_ns

    def _replace_hung(self) -> None:
        progress, old = self._progress, self._reader
        limit_s = self._order.stall_s + 2 * self._order.options.timeout_s
        asleep = self.ring.resting or progress.call_ns == 0 or old.left.is_set()
        if asleep or time.monotonic_ns() - progress.call_ns < limit_s * 1e9:
            return
        self._hung = [r for r in self._hung if r.is_alive()]
        if len(self._hung) >= MAX_HUNG:
            return
        log.warning(
            "%s: no answer from the driver for %.0f s; a new thread takes over", self.name, limit_s
        )
        old.leave()
        self._hung.append(old)
        self.ring.renew()
        progress.call_ns = 0
        progress.reconnects += 1
        progress.turn("stalled", f"{self._order.shown}: the driver hangs; trying again")
        self._reader = Reader(self._order, self.ring, progress, self._wake)
        self._reader.start()

    def leave(self) -> None:
        """Tell the reader to end."""
        with self._lock:
            self._reader.leave()
        self.ring.close()

    def join(self, timeout_s: float) -> None:
        """Wait for the reader; one that hangs in a driver is left behind."""
        if self._reader.ident is None:
            return
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            log.warning("%s: its driver does not answer; its thread is left behind", self.name)
