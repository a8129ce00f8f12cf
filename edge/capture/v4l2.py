"""Cameras of the Linux kernel: v4l2:///dev/video0?width=1280&height=720&fps=30&format=auto.

Options: width and height (px), fps, format (auto, or one of BGR3 NV12 YUYV UYVY RGB3 MJPG JPEG
GREY), memory (auto, mmap, userptr, dmabuf), layout (bgr; raw = NV12, YUYV, RGB3, GREY as the
camera gives them; auto = raw where a GPU reads the frames, else bgr). With memory=userptr the
camera writes straight into the ring's slots, with dmabuf the GPU reads the driver's buffers; auto
does the first of these that driver and GPU take if nothing is converted, else it copies once.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import time
from dataclasses import replace
from typing import Callable, Iterator, List, Optional, Tuple

from edge.capture import CAMERA, Address, CaptureOptions, _query
from edge.capture._ring import SLICE_S, Ring, Slot, taken_ns
from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.buffers import Buffers, Garbage, Lent, Mapped, Refused
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.errors import explain, explained
from edge.capture._v4l2.exported import Exported
from edge.capture._v4l2.format import KINDS, Wish, agree
from edge.capture._v4l2.picture import Convert
from edge.errors import ConfigError, NoInputError, TempError

log = logging.getLogger(__name__)

_WARN_EVERY_NS = 10_000_000_000
_JUMP = 10_000  # more frames lost at once than this is a driver that counts wrongly


def open_source(address: Address, options: CaptureOptions) -> V4l2:
    """Open a camera.

    Raises:
        ConfigError: an option, or no usable format. NoInputError: no such camera, or not allowed.
        TempError: it is busy or went away. DataError: the driver answers nonsense.
    """
    return V4l2(_wish(address), options, Io())


def kind(address: Address) -> str:
    """A camera, if its address can be one.

    Raises:
        ConfigError: an option.
    """
    _wish(address)
    return CAMERA


def _wish(address: Address) -> Wish:
    address.only("width", "height", "fps", "format", "memory", "layout")
    if not address.path.startswith("/"):
        raise ConfigError(f"{address.uri}: expected v4l2:///dev/video0 (three slashes)")
    return Wish(
        device=address.path,
        width=_query.whole(address, "width", 1280, 16, 16384),
        height=_query.whole(address, "height", 720, 16, 16384),
        rate_hz=_query.number(address, "fps", 30, 0.1, 1000),
        format=_query.choice(address, "format", ("auto", *KINDS)),
        memory=_query.choice(address, "memory", ("auto", "mmap", "userptr", "dmabuf")),
        layout=_query.choice(address, "layout", ("auto", "bgr", "raw")),
    )


class V4l2:
    """One open camera. The stream starts at the first read, when the ring is known.

    Args:
        wish: what to ask for.
        options: time-out and size limit.
        io: the way to the kernel.
    """

    live = True

    def __init__(self, wish: Wish, options: CaptureOptions, io: Io) -> None:
        self.garbage = 0  # frames skipped because they were damaged
        self._wish, self._options, self._io = wish, options, io
        self._lock = threading.Lock()  # close() must not unmap what read() looks at
        self._closing = False
        self._buffers: Optional[Buffers] = None
        self._index, self._sequence = -1, -1
        self._warned_ns = -_WARN_EVERY_NS
        with explained(wish.device, "open it"):
            self._fd = io.open(wish.device)
        with contextlib.ExitStack() as undo, explained(wish.device, "set its picture format"):
            undo.callback(io.close, self._fd)
            self._check()
            self.picture = agree(io, self._fd, wish, options.max_megapixels)
            self._convert = Convert(self.picture, "raw" if wish.layout == "raw" else "bgr")
            undo.pop_all()

    def read(self, ring: Ring) -> Optional[Slot]:
        """The newest frame the camera has, in a slot of the ring.

        Damaged frames are skipped and counted. Returns None when the ring gave no slot or the
        camera was closed meanwhile.

        Raises:
            TempError: no whole frame within the time-out, or the camera went away.
        """
        with self._lock:
            if self._closing:
                return None
            with explained(self._wish.device, "read from it"):
                buffers = self._buffers or self._start(ring)
                return self._next(ring, buffers)

    def close(self) -> None:
        """Stop the camera and let go of its memory; waits for a read that is under way."""
        self._closing = True
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                held = self._halt(fd)
                self._io.close(fd)
                if held is not None:
                    held.drop()

    def _check(self) -> None:
        capability = calls.query_capability(self._io, self._fd)
        all_caps = capability.capabilities
        caps = capability.device_caps if all_caps & raw.CAP_DEVICE_CAPS else all_caps
        device = self._wish.device
        if caps & raw.CAP_VIDEO_CAPTURE and caps & raw.CAP_STREAMING:
            return
        if caps & raw.CAP_VIDEO_CAPTURE:
            raise NoInputError(f"{device}: has no streaming input/output; use another camera")
        if caps & raw.CAP_VIDEO_CAPTURE_MPLANE:
            raise NoInputError(
                f"{device}: gives its planes apart (multi-planar), which is not supported; "
                "a camera of the board is opened by csi://"
            )
        raise NoInputError(f"{device}: gives no pictures; try another of: ls /dev/video*")

    def _start(self, ring: Ring) -> Buffers:
        with contextlib.ExitStack() as undo:
            undo.callback(self._undo)
            buffers = self._prepare(ring)
            calls.stream_on(self._io, self._fd)
            undo.pop_all()
        kind = "mmap"
        if not isinstance(buffers, Mapped):
            kind = f"{'userptr' if isinstance(buffers, Lent) else 'dmabuf'}, zero copy"
        picture = self.picture
        log.info(
            "%s: %dx%d %s %.4g fps, memory %s",
            self._wish.device,
            picture.width,
            picture.height,
            picture.format,
            picture.rate_hz,
            kind,
        )
        return buffers

    def _prepare(self, ring: Ring) -> Buffers:
        """The ring's memory where the driver takes it, else the driver's."""
        self._settle_layout(ring)
        wish = self._wish
        for name, ways in self._ways(ring):
            self._buffers = ways()
            try:
                self._buffers.prepare(ring)
                return self._buffers
            except Refused as why:
                if wish.memory == name:
                    raise TempError(
                        f"{wish.device}: the driver refuses memory={name} ({why}); use memory=auto"
                    ) from why
                log.info("%s: %s refused (%s)", wish.device, name, why)
                self._undo()
        raise TempError(
            f"{wish.device}: memory={wish.memory} needs a GPU that takes it; use memory=auto"
        )

    def _settle_layout(self, ring: Ring) -> None:
        """A GPU converts as it samples; for the CPU it is done here, once."""
        readable = ring.memory.gpu_reads and bool(KINDS[self.picture.format].layout)
        if self._wish.layout == "auto" and readable:
            self._wish = replace(self._wish, layout="raw")
            self._convert = Convert(self.picture, "raw")

    def _ways(self, ring: Ring) -> Iterator[Tuple[str, Callable[[], Buffers]]]:
        """Ways to get at frames, the cheapest first."""
        wish, io, fd, picture = self._wish, self._io, self._fd, self.picture
        shape = self._convert.shape
        direct = wish.direct(picture.format)
        if direct and wish.memory in ("auto", "userptr"):
            yield "userptr", lambda: Lent(io, fd, picture, shape, ring)
        if direct and wish.memory in ("auto", "dmabuf") and ring.memory.gpu_reads:
            yield "dmabuf", lambda: Exported(io, fd, picture, shape, ring)
        if wish.memory in ("auto", "mmap"):
            yield "mmap", lambda: Mapped(io, fd, self._convert)

    def _next(self, ring: Ring, buffers: Buffers) -> Optional[Slot]:
        end_ns = time.monotonic_ns() + int(self._options.timeout_s * 1e9)
        while not self._closing:
            if not buffers.feed(ring):
                return None
            filled = self._newest(buffers, end_ns)
            if filled is not None:
                arrival_ns = time.monotonic_ns()
                try:
                    slot = buffers.deliver(ring, filled.index, filled.bytesused)
                except Garbage:
                    self._skip("it is no picture")
                else:
                    return self._stamp(slot, filled, arrival_ns) if slot else None
            if time.monotonic_ns() >= end_ns:
                raise TempError(
                    f"{self._wish.device}: no frame for {self._options.timeout_s:g} s; "
                    "is the camera still connected?"
                )
        return None

    def _newest(self, buffers: Buffers, end_ns: int) -> Optional[raw.Buffer]:
        """The last whole frame that is waiting; those before it go back to the driver."""
        left_s = (end_ns - time.monotonic_ns()) / 1e9
        events = self._io.poll(self._fd, max(1, round(1e3 * min(SLICE_S, left_s))))
        waiting = self._waiting(buffers) if events else []
        if not waiting and events & ~select.POLLIN:
            raise TempError(f"{self._wish.device}: the camera is in an error state")
        whole = [b for b in waiting if self._whole(b)]
        for buffer in waiting:
            if not whole or buffer is not whole[-1]:
                buffers.requeue(buffer.index)
        return whole[-1] if whole else None

    def _waiting(self, buffers: Buffers) -> List[raw.Buffer]:
        found: List[raw.Buffer] = []
        buffer = calls.dequeue(self._io, self._fd, buffers.memory)
        while buffer is not None:
            self._count(buffer.sequence)
            found.append(buffer)
            buffer = calls.dequeue(self._io, self._fd, buffers.memory)
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
        self.garbage += 1
        now_ns = time.monotonic_ns()
        if now_ns - self._warned_ns >= _WARN_EVERY_NS:
            self._warned_ns = now_ns
            log.warning(
                "%s: damaged frame skipped: %s (%d so far)", self._wish.device, why, self.garbage
            )

    def _count(self, sequence: int) -> None:
        """The driver's counter shows frames it lost; one that stands still counts as one each."""
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

    def _undo(self) -> None:
        held = self._halt(self._fd)
        if held is not None:
            held.drop()

    def _halt(self, fd: int) -> Optional[Buffers]:
        """Stop the stream, unmap, have the driver forget its buffers: in this order."""
        held, self._buffers = self._buffers, None
        if held is not None:
            self._try("stop it", lambda: calls.stream_off(self._io, fd))
            held.unmap()
            self._try("free it", lambda: calls.request_buffers(self._io, fd, held.memory, 0))
        return held

    def _try(self, doing: str, call: Callable[[], object]) -> None:
        """Last requests to a camera that may be gone: nothing depends on them."""
        try:
            call()
        except OSError as error:
            log.debug("%s", explain(self._wish.device, doing, error))
