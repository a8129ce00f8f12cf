"""Cameras of the Linux kernel: v4l2:///dev/video0?width=1280&height=720&fps=30&format=auto.

Options:

- width and height (px), fps, format (auto, or one of BGR3 NV12 YUYV UYVY RGB3 MJPG JPEG GREY).
- layout: bgr; raw = NV12, YUYV, RGB3 or GREY as the camera gives them; auto = raw if a GPU reads
  the frames, else bgr.
- memory: userptr = the camera writes into the ring's slots; dmabuf = the GPU reads the driver's
  buffers; mmap = each frame is copied once; auto = the first of these that driver and GPU accept.
  userptr and dmabuf need a format that is not converted.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import time
from dataclasses import replace
from typing import Callable, Iterator, List, Optional, Tuple

from edge.capture import CAMERA, Address, CaptureOptions
from edge.capture._ring import SLICE_S, Ring, Slot, taken_ns
from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.buffers import Buffers, DamagedFrame, MmapBuffers, Refused, UserptrBuffers
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.dmabuf import DmabufBuffers
from edge.capture._v4l2.errors import explain, explained
from edge.capture._v4l2.format import negotiate
from edge.capture._v4l2.picture import Converter
from edge.capture._v4l2.request import PIXEL_LAYOUTS, V4l2Request, read_request
from edge.errors import NoInputError, TempError

log = logging.getLogger(__name__)

_WARN_EVERY_NS = 10_000_000_000
_JUMP = 10_000  # a larger jump of the frame counter is an error of the driver


def open_source(address: Address, options: CaptureOptions) -> V4l2:
    """Open a camera.

    Raises:
        ConfigError: a wrong option, or no usable format.
        NoInputError: no such camera, or no permission.
        TempError: the camera is busy or was unplugged. DataError: the driver's answer is invalid.
    """
    return V4l2(read_request(address), options, Io())


def kind(address: Address) -> str:
    """CAMERA; checks the options.

    Raises:
        ConfigError: a wrong option.
    """
    read_request(address)
    return CAMERA


class V4l2:
    """One open camera. The stream starts at the first read, when the ring is known.

    Args:
        request: the options of the address.
        options: time-out and size limit.
        io: the system calls.
    """

    live = True

    def __init__(self, request: V4l2Request, options: CaptureOptions, io: Io) -> None:
        self.damaged = 0  # frames skipped because they were damaged
        self._request, self._options, self._io = request, options, io
        self._lock = threading.Lock()  # close() must not unmap memory that read() uses
        self._closing = False
        self._buffers: Optional[Buffers] = None
        self._index, self._sequence = -1, -1
        self._warned_ns = -_WARN_EVERY_NS
        with explained(request.device, "open it"):
            self._fd = io.open(request.device)
        with contextlib.ExitStack() as undo, explained(request.device, "set its picture format"):
            undo.callback(io.close, self._fd)
            self._check()
            self.picture = negotiate(io, self._fd, request, options.max_megapixels)
            self._convert = Converter(self.picture, "raw" if request.layout == "raw" else "bgr")
            undo.pop_all()

    def read(self, ring: Ring) -> Optional[Slot]:
        """The newest frame of the camera, in a slot of the ring.

        Damaged frames are skipped and counted. Returns None if the ring had no free slot or the
        camera was closed meanwhile.

        Raises:
            TempError: no complete frame within the time-out, or the camera was unplugged.
        """
        with self._lock:
            if self._closing:
                return None
            with explained(self._request.device, "read from it"):
                buffers = self._buffers or self._start(ring)
                return self._next(ring, buffers)

    def close(self) -> None:
        """Stop the camera and release its memory; waits for a running read."""
        self._closing = True
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                held = self._stop_stream(fd)
                self._io.close(fd)
                if held is not None:
                    held.return_slots()

    def _check(self) -> None:
        capability = calls.query_capability(self._io, self._fd)
        all_caps = capability.capabilities
        caps = capability.device_caps if all_caps & raw.CAP_DEVICE_CAPS else all_caps
        device = self._request.device
        if caps & raw.CAP_VIDEO_CAPTURE and caps & raw.CAP_STREAMING:
            return
        if caps & raw.CAP_VIDEO_CAPTURE:
            raise NoInputError(f"{device}: has no streaming input/output; use another camera")
        if caps & raw.CAP_VIDEO_CAPTURE_MPLANE:
            raise NoInputError(
                f"{device}: gives separate planes (multi-planar), which is not supported; "
                "use csi:// for a camera on the board"
            )
        raise NoInputError(f"{device}: gives no pictures; try another of: ls /dev/video*")

    def _start(self, ring: Ring) -> Buffers:
        with contextlib.ExitStack() as undo:
            undo.callback(self._undo_start)
            buffers = self._prepare(ring)
            calls.stream_on(self._io, self._fd)
            undo.pop_all()
        kind = "mmap"
        if not isinstance(buffers, MmapBuffers):
            kind = f"{'userptr' if isinstance(buffers, UserptrBuffers) else 'dmabuf'}, zero copy"
        picture = self.picture
        log.info(
            "%s: %dx%d %s %.4g fps, memory %s",
            self._request.device,
            picture.width,
            picture.height,
            picture.format,
            picture.rate_hz,
            kind,
        )
        return buffers

    def _prepare(self, ring: Ring) -> Buffers:
        """Prepare the cheapest kind of buffers that the driver and the GPU accept."""
        self._choose_layout(ring)
        device, memory = self._request.device, self._request.memory
        for name, make_buffers in self._attempts(ring):
            self._buffers = make_buffers()
            try:
                self._buffers.prepare(ring)
                return self._buffers
            except Refused as why:
                if memory == name:
                    raise TempError(
                        f"{device}: the driver refuses memory={name} ({why}); use memory=auto"
                    ) from why
                log.info("%s: %s refused (%s)", device, name, why)
                self._undo_start()
        if memory == "dmabuf" and self._options.masked:
            raise TempError(
                f"{device}: a mask cannot be painted with memory=dmabuf; use memory=auto"
            )
        raise TempError(f"{device}: memory={memory} needs a GPU that accepts it; use memory=auto")

    def _choose_layout(self, ring: Ring) -> None:
        """Decide for layout=auto: a GPU converts colours while it samples, a CPU needs BGR."""
        readable = ring.memory.gpu_reads and bool(PIXEL_LAYOUTS[self.picture.format].layout)
        if self._request.layout == "auto" and readable:
            self._request = replace(self._request, layout="raw")
            self._convert = Converter(self.picture, "raw")

    def _attempts(self, ring: Ring) -> Iterator[Tuple[str, Callable[[], Buffers]]]:
        """The kinds of buffers to try, the cheapest first."""
        request, io, fd, picture = self._request, self._io, self._fd, self.picture
        shape = self._convert.shape
        direct = request.direct(picture.format)
        if direct and request.memory in ("auto", "userptr"):
            yield "userptr", lambda: UserptrBuffers(io, fd, picture, shape, ring)
        # What the CPU paints on a driver's buffer would not reach a GPU for certain.
        shared = ring.memory.gpu_reads and not self._options.masked
        if direct and request.memory in ("auto", "dmabuf") and shared:
            yield "dmabuf", lambda: DmabufBuffers(io, fd, picture, shape, ring)
        if request.memory in ("auto", "mmap"):
            yield "mmap", lambda: MmapBuffers(io, fd, self._convert)

    def _next(self, ring: Ring, buffers: Buffers) -> Optional[Slot]:
        end_ns = time.monotonic_ns() + int(self._options.timeout_s * 1e9)
        while not self._closing:
            if not buffers.queue_free(ring):
                return None
            filled = self._newest(buffers, end_ns)
            if filled is not None:
                arrival_ns = time.monotonic_ns()
                try:
                    slot = buffers.deliver(ring, filled.index, filled.bytesused)
                except DamagedFrame:
                    self._skip("it is no image")
                else:
                    return self._stamp(slot, filled, arrival_ns) if slot else None
            if time.monotonic_ns() >= end_ns:
                raise TempError(
                    f"{self._request.device}: no frame for {self._options.timeout_s:g} s; "
                    "is the camera still connected?"
                )
        return None

    def _newest(self, buffers: Buffers, end_ns: int) -> Optional[raw.Buffer]:
        """The newest complete frame that is ready; the earlier ones go back to the driver."""
        left_s = (end_ns - time.monotonic_ns()) / 1e9
        events = self._io.poll(self._fd, max(1, round(1e3 * min(SLICE_S, left_s))))
        waiting = self._waiting(buffers) if events else []
        if not waiting and events & ~select.POLLIN:
            raise TempError(f"{self._request.device}: the camera is in an error state")
        whole = [b for b in waiting if self._whole(b)]
        for buffer in waiting:
            if not whole or buffer is not whole[-1]:
                buffers.requeue(buffer.index)
        return whole[-1] if whole else None

    def _waiting(self, buffers: Buffers) -> List[raw.Buffer]:
        found: List[raw.Buffer] = []
        buffer = calls.dequeue(self._io, self._fd, buffers.memory_type)
        while buffer is not None:
            self._count(buffer.sequence)
            found.append(buffer)
            buffer = calls.dequeue(self._io, self._fd, buffers.memory_type)
        return found

    def _whole(self, buffer: raw.Buffer) -> bool:
        if buffer.flags & raw.FLAG_ERROR:
            self._skip("the driver marks it as damaged")
        elif not self.picture.least_bytes <= buffer.bytesused <= buffer.length:
            self._skip(f"it has {buffer.bytesused} bytes")
        else:
            return True
        return False

    def _skip(self, why: str) -> None:
        self.damaged += 1
        now_ns = time.monotonic_ns()
        if now_ns - self._warned_ns >= _WARN_EVERY_NS:
            self._warned_ns = now_ns
            log.warning(
                "%s: damaged frame skipped: %s (%d so far)", self._request.device, why, self.damaged
            )

    def _count(self, sequence: int) -> None:
        """Advance the index by the driver's frame counter; by one if that repeats or jumps."""
        step = (sequence - self._sequence) & 0xFFFF_FFFF if self._sequence >= 0 else 1
        self._index += step if 0 < step < _JUMP else 1
        self._sequence = sequence

    def _stamp(self, slot: Slot, buffer: raw.Buffer, arrival_ns: int) -> Slot:
        taken = buffer.timestamp
        t_ns = taken.tv_sec * 1_000_000_000 + taken.tv_usec * 1000
        monotonic = buffer.flags & raw.FLAG_TIMESTAMP_MASK == raw.FLAG_TIMESTAMP_MONOTONIC
        slot.t_ns = taken_ns(t_ns, arrival_ns) if monotonic else arrival_ns
        slot.arrival_ns = arrival_ns
        slot.index, slot.layout = self._index, self._convert.layout
        return slot

    def _undo_start(self) -> None:
        held = self._stop_stream(self._fd)
        if held is not None:
            held.return_slots()

    def _stop_stream(self, fd: int) -> Optional[Buffers]:
        """Stop the stream, unmap, free the driver's buffers: the driver needs this order."""
        held, self._buffers = self._buffers, None
        if held is not None:
            self._try("stop it", lambda: calls.stream_off(self._io, fd))
            held.unmap()
            self._try("free it", lambda: calls.request_buffers(self._io, fd, held.memory_type, 0))
        return held

    def _try(self, doing: str, call: Callable[[], object]) -> None:
        """A request to a camera that may be unplugged; its failure is only logged."""
        try:
            call()
        except OSError as error:
            log.debug("%s", explain(self._request.device, doing, error))
