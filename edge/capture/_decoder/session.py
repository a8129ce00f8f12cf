"""A decoder process: opens one stream and writes its frames into shared memory, on request."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from typing import Any, Dict, List, Optional, Protocol, Tuple

import numpy as np

from edge.capture import _opencv
from edge.capture._decoder import wire
from edge.capture._decoder.backlog import Backlog
from edge.capture._decoder.http_stream import HttpStream
from edge.capture._decoder.libav_log import LibavLog
from edge.capture._decoder.redirects import Redirects
from edge.capture._decoder.wire import Link
from edge.capture._memory import FrameMemory, PlainMemory
from edge.capture._ring import Slot
from edge.capture._rtsp_probe import failure_reason
from edge.capture._woven import WovenVideo
from edge.errors import DataError, EdgeError, TempError

INTERLACED = (
    "its picture is interlaced, which this OpenCV cannot convert; set a progressive format in the "
    "camera (1080p instead of 1080i)"
)


class Stream(Protocol):
    """What a decoder reads from: `_opencv.Video` or `HttpStream`."""

    is_open: bool  # whether it gives frames

    @property
    def coded_size(self) -> Tuple[int, int]:
        """Width and height in px of the next frame, (0, 0) if unknown."""

    def grab(self) -> bool:
        """Decode the next frame; False if there is none."""

    def fill(self, slot: Slot, memory: FrameMemory) -> bool:
        """Convert the decoded frame into a slot; False if that fails."""


class _Target(Slot):
    """A slot over shared memory; a frame of another shape goes into memory of its own."""

    def __init__(self, shared: np.ndarray) -> None:
        super().__init__()
        self.shared = self.image = shared

    def shape_to(self, shape: Tuple[int, ...], memory: FrameMemory) -> np.ndarray:
        self.image = self.shared if self.shared.shape == shape else memory.allocate(shape)
        return self.image


class Session:
    """The requests of the program, one after the other.

    Args:
        link: to the program.
        log: of libav, if this process has it for itself.
    """

    def __init__(self, link: Link, log: Optional[LibavLog] = None) -> None:
        self._log = log
        self._link = link
        self._stream: Optional[Stream] = None
        self._asked: Dict[str, Any] = {}  # how `_stream` was opened, if it is a video
        self._pieces: Dict[int, np.ndarray] = {}
        self._late: Optional[np.ndarray] = None  # a frame whose shape the program did not expect
        self._memory = PlainMemory()
        self._backlog: Optional[Backlog] = None  # until the first frame

    def run(self) -> None:
        """Serve until the program hangs up, or until a request fails."""
        with contextlib.suppress(OSError):  # the program has hung up
            try:
                while True:
                    self._obey(*self._link.receive())
            except EdgeError as error:
                told = {"class": type(error).__name__, "text": str(error)}
                self._link.send(wire.WRONG, wire.packed(told))

    def _obey(self, kind: bytes, body: bytes, fds: List[int]) -> None:
        try:
            self._serve(kind, body, fds[0] if fds else -1)
        except (EdgeError, OSError):
            raise
        except MemoryError:
            raise TempError(
                "it needs more memory than capture.decoder_max_mb allows; set a smaller picture in "
                "the camera"
            ) from None
        except Exception as error:  # a bug of ours, or of OpenCV's binding
            raise TempError(f"its decoder failed with {type(error).__name__}") from error

    def _serve(self, kind: bytes, body: bytes, fd: int) -> None:
        if kind == wire.GRAB:
            self._grab()
        elif kind == wire.FILL:
            number, *shape = wire.PIECE.unpack(body)
            self._fill(number, wire.shape_of(*shape), fd)
        elif kind == wire.OPEN:
            self._open(wire.unpacked(body))
        elif kind == wire.PROBE:
            asked = wire.unpacked(body)
            reason = failure_reason(asked["url"], asked["timeout_s"])
            self._link.send(wire.PROBE, wire.packed({"reason": reason[:500]}))

    def _open(self, asked: Dict[str, Any]) -> None:
        stream: Stream
        if "http" in asked:
            stream = HttpStream(**asked["http"])
        else:
            with Redirects(self._link, self._log):
                stream = _opencv.Video(**asked)
            self._asked = asked
            self._backlog = Backlog()
        if self._log is not None:
            self._log.change()
        self._stream = stream
        width, height = stream.coded_size
        told = {"open": stream.is_open, "width": width, "height": height}
        self._link.send(wire.OPEN, wire.packed(told))

    def _grab(self) -> None:
        assert self._stream is not None
        self._late = None
        got = self._stream.grab()
        if self._backlog is not None and isinstance(self._stream, _opencv.Video):
            self._changed()  # a decoder chooses its format at its start, too
            got = self._backlog.skip(self._stream, got)
            self._backlog = None
        t_ns = time.monotonic_ns()
        size = self._changed()
        if size:
            raise TempError(f"its picture has changed to {size}; it is opened again")
        self._link.send(wire.GRAB, wire.FRAME.pack(got, t_ns, *self._stream.coded_size))

    def _weave(self, target: _Target) -> bool:
        """Open the stream again for interlaced pictures, and convert its next one."""
        assert self._stream is not None
        if isinstance(self._stream, _opencv.Video):
            self._stream.close()
            try:
                with Redirects(self._link, self._log):
                    woven = WovenVideo(**self._asked)
            except LookupError:
                raise DataError(INTERLACED) from None
            self._stream = woven
            if Backlog().skip(woven, woven.grab()):
                self._changed()  # its decoder has begun, too
                return woven.fill(target, self._memory)
        raise DataError(INTERLACED)

    def _changed(self) -> str:
        return self._log.change() if self._log is not None else ""

    def _fill(self, number: int, shape: Tuple[int, ...], fd: int) -> None:
        assert self._stream is not None
        target = _Target(self._piece(number, shape, fd))
        if self._late is not None:
            fine, image, copies = True, self._late, 1
        else:
            fine = self._stream.fill(target, self._memory)
            if self._log is not None and self._log.is_interlaced():
                fine = self._weave(target)
            image, copies = target.image, target.copies
        if fine and image.shape != shape:
            self._late = image
            self._link.send(wire.SIZE, wire.shape_bytes(image.shape))
            return
        if self._late is not None:
            np.copyto(target.shared, image)
            self._late = None
        self._link.send(wire.FILL, wire.FILLED.pack(fine, copies, target.aspect))

    def _piece(self, number: int, shape: Tuple[int, ...], fd: int) -> np.ndarray:
        """A piece of the program's memory; its descriptor comes with its first use."""
        if fd >= 0:
            self._pieces = {n: p for n, p in self._pieces.items() if p.shape == shape}
            try:
                memory = mmap.mmap(fd, int(np.prod(shape)))
            finally:
                os.close(fd)
            self._pieces[number] = np.frombuffer(memory, np.uint8).reshape(shape)
        return self._pieces[number]
