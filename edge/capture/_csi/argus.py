"""Sources of csi:// whose frames the GPU reads in place, without a copy.

Argus writes block-linear surfaces; the board's converter (VIC) writes them as rows of YUYV.
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
        pipeline: running; closed by `close`.
        calls: the board's surface library.
        size: width and height of the frames in px.
        memory: imports EGLImages into the GPU.
        shown: the URI.
        timeout_s: the camera counts as broken after this time without a frame.
        advice: added to the error; says what to check.
        written: the CPU writes to the frames, too.
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
        written: bool = False,
    ) -> None:
        self._pipeline = pipeline
        self._surfaces = Surfaces(calls, size, memory, written)
        self._shown, self._timeout_s, self._advice = shown, timeout_s, advice
        self._lock = threading.Lock()  # close() must not stop what read() waits on
        self._closing = self._closed = False
        self._index = -1
        self._slots: List[Slot] = []
        self._ring: Optional[Ring] = None

    def read(self, ring: Ring) -> Optional[Slot]:
        """The newest frame; without a free slot it is lost, and the index counts it.

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
        """Use the camera's surface as the slot's memory."""
        slot.return_lent()
        held = self._surfaces.hold(sample)
        slot.lend(held.image, held, ring.memory, held.sync_for_device)
        slot.layout, slot.transfer, slot.copies = "yuyv", DMABUF, 0
        self._ring = ring
        if slot not in self._slots:
            self._slots.append(slot)

    def close(self) -> None:
        """Stop the camera; a frame held by the loop stays valid until its slot is filled again."""
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


class InPlaceOrCopied:
    """Opens one of two sources at the first read, when the ring is known, and reads from it.

    Args:
        in_place: opens the camera for a GPU that reads its frames in place, in a ring's slots.
        copied: opens it with OpenCV; its argument: whether a GPU converts the colours.
        in_place_only: raise instead of copying.
        shown: the URI.
    """

    live = True

    def __init__(
        self,
        in_place: Callable[[Ring], Source],
        copied: Callable[[bool], Source],
        in_place_only: bool,
        shown: str,
    ) -> None:
        self._in_place, self._copied, self._in_place_only, self._shown = (
            in_place,
            copied,
            in_place_only,
            shown,
        )
        self._source: Optional[Source] = None
        self._decided = self._closed = False

    def read(self, ring: Ring) -> Optional[Slot]:
        """Read from the chosen source.

        Raises:
            TempError: the camera does not start or broke, or memory=dmabuf was refused.
        """
        if self._closed:
            return None
        try:
            source = self._source or self._use(self._open_in_place(ring))
            slot = source.read(ring)
        except UnavailableError as why:
            if self._decided:
                raise TempError(f"{self._shown}: {why}") from why
            return self._use(self._open_copied(why, ring)).read(ring)
        self._decided = self._decided or slot is not None
        return slot

    def _open_in_place(self, ring: Ring) -> Source:
        if not ring.memory.gpu_reads:
            raise UnavailableError("no GPU here reads the board's surfaces")
        return self._in_place(ring)

    def _open_copied(self, why: UnavailableError, ring: Ring) -> Source:
        if self._in_place_only:
            raise TempError(f"{self._shown}: memory=dmabuf refused ({why}); use memory=auto")
        self._decided = True
        log.info("%s: frames are copied once: %s", self._shown, why)
        if self._source is not None:
            self._source.close()
        return self._copied(ring.memory.gpu_reads)

    def _use(self, source: Source) -> Source:
        """Use a source from now on; it is closed if `close` was called while it was opened."""
        self._source = source
        if self._closed:
            source.close()
        return source

    def close(self) -> None:
        """Release the camera; may be called twice."""
        self._closed = True
        if self._source is not None:
            self._source.close()
