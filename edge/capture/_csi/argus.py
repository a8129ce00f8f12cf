"""Frames of csi:// that the GPU reads where the camera put them; nothing is copied.

Argus gives tiles; the board's converter (VIC) makes rows of YUYV of them, in its own memory.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Callable, List, Optional, Tuple

from edge.capture._csi.nvmm import Surfaces
from edge.capture._gstreamer_calls import Pipeline, Sample
from edge.capture._memory import FrameMemory
from edge.capture._ring import DMABUF, SLICE_S, Ring, Slot, taken_ns
from edge.capture._source import Source
from edge.errors import TempError, UnavailableError

log = logging.getLogger(__name__)


class InPlace:
    """A running camera; the contract is `edge.capture.Source`.

    Args:
        pipeline: running; closed by this.
        calls: the board's surface library.
        size: width and height in pixels of its frames.
        memory: brings EGLImages to the GPU.
        shown: the URI.
        timeout_s: without a frame for so long the camera is broken.
        advice: what to look at then.
    """

    live = True

    def __init__(
        self,
        pipeline: Pipeline,
        calls: Any,
        size: Tuple[int, int],
        memory: FrameMemory,
        shown: str,
        timeout_s: float,
        advice: str,
    ) -> None:
        self._pipeline, self._surfaces = pipeline, Surfaces(calls, size, memory)
        self._shown, self._timeout_s, self._advice = shown, timeout_s, advice
        self._lock = threading.Lock()  # close() must not stop what read() waits on
        self._closing = self._closed = False
        self._index = -1
        self._slots: List[Slot] = []
        self._ring: Optional[Ring] = None

    def read(self, ring: Ring) -> Optional[Slot]:
        """The newest frame; it is lost, and counted, while the loop holds every slot.

        Raises:
            TempError: the stream broke. UnavailableError: the GPU cannot read these frames.
        """
        with self._lock:
            sample = self._next()
            if sample is None:
                return None
            arrival_ns = time.monotonic_ns()
            self._index += 1
            slot = ring.acquire(0.0)
            if slot is None:
                sample.close()
                return None
            try:
                self._lend(slot, ring, sample)
            except BaseException:
                sample.close()
                ring.cancel(slot)
                raise
            slot.index, slot.arrival_ns = self._index, arrival_ns
            slot.t_ns = taken_ns(self._pipeline.time_ns(sample), arrival_ns)
            return slot

    def _next(self) -> Optional[Sample]:
        end_s = time.monotonic() + self._timeout_s
        while not self._closing:
            left_s = end_s - time.monotonic()
            sample = self._pipeline.pull(max(0.0, min(SLICE_S, left_s)))
            if sample is not None:
                return sample
            error = self._pipeline.error()
            if error or self._pipeline.ended() or left_s <= 0:
                why = f" ({error})" if error else ""
                raise TempError(f"{self._shown}: no more frames{why}; {self._advice}")
        return None

    def _lend(self, slot: Slot, ring: Ring, sample: Sample) -> None:
        """Make the camera's surface the slot's memory."""
        slot.return_lent()
        held = self._surfaces.hold(sample)
        slot.lend(held.image, held, ring.memory)
        slot.layout, slot.transfer, slot.copies = "yuyv", DMABUF, 0
        self._ring = ring
        if slot not in self._slots:
            self._slots.append(slot)

    def close(self) -> None:
        """Stop the camera; a frame that the loop holds stays until its slot is filled anew."""
        self._closing = True
        with self._lock:
            if self._closed:
                return
            self._closed = True
            unused = self._ring.withdraw(self._slots) if self._ring is not None else []
            for slot in unused:
                slot.return_lent()
            self._surfaces.close()
            self._pipeline.close()
            for slot in unused:
                assert self._ring is not None
                self._ring.cancel(slot)


class Choice:
    """Decides at the first read, when the ring is known, how frames come; then is that source.

    Args:
        in_place: opens the camera for a GPU that reads its frames in place, in a ring's slots.
        copied: opens it with OpenCV; told whether a GPU converts the colours.
        must: copy in no case.
        shown: the URI.
    """

    live = True

    def __init__(
        self,
        in_place: Callable[[Ring], Source],
        copied: Callable[[bool], Source],
        must: bool,
        shown: str,
    ) -> None:
        self._in_place, self._copied, self._must, self._shown = in_place, copied, must, shown
        self._source: Optional[Source] = None
        self._settled = self._closed = False

    def read(self, ring: Ring) -> Optional[Slot]:
        """As the source that was chosen.

        Raises:
            TempError: the camera does not start or broke, or memory=dmabuf was refused.
        """
        if self._closed:
            return None
        try:
            source = self._source or self._keep(self._first(ring))
            slot = source.read(ring)
        except UnavailableError as why:
            if self._settled:
                raise TempError(f"{self._shown}: {why}") from why
            return self._keep(self._instead(why, ring)).read(ring)
        self._settled = self._settled or slot is not None
        return slot

    def _first(self, ring: Ring) -> Source:
        if not ring.memory.gpu_reads:
            raise UnavailableError("no GPU that takes the board's surfaces reads the frames")
        return self._in_place(ring)

    def _instead(self, why: UnavailableError, ring: Ring) -> Source:
        if self._must:
            raise TempError(f"{self._shown}: memory=dmabuf refused ({why}); use memory=auto")
        self._settled = True
        log.info("%s: frames are copied once: %s", self._shown, why)
        if self._source is not None:
            self._source.close()
        return self._copied(ring.memory.gpu_reads)

    def _keep(self, source: Source) -> Source:
        """`close` may have been called while the camera was opened."""
        self._source = source
        if self._closed:
            source.close()
        return source

    def close(self) -> None:
        """Let go of the camera; may be called twice."""
        self._closed = True
        if self._source is not None:
            self._source.close()
