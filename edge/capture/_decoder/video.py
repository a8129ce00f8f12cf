"""A stream that a decoder process reads; the program's side."""

from __future__ import annotations

import signal
import socket
import struct
import threading
import time
from typing import Any, Dict, NoReturn, Optional, Tuple

from edge.capture._decoder import wire
from edge.capture._decoder.processes import Decoder, death, decoders
from edge.capture._decoder.shared import SharedFrames, piece
from edge.capture._ring import SLICE_S, Ring, Slot
from edge.capture._source import CaptureOptions
from edge.errors import DataError, EdgeError, TempError, UnavailableError
from edge.view import pixel_aspect

_ERRORS = {e.__name__: e for e in (DataError, TempError, UnavailableError)}
_MB = 1e6


class _Late(Exception):
    """The decoder did not answer in time."""


class RemoteVideo:
    """A stream in a process of its own, with the interface of `_opencv.Video`.

    Every wait has a limit. A decoder that exceeds it, that dies or that answers nonsense is killed,
    and the stream is over.

    Args:
        shown: the address without secrets, for errors.
        options: limits of time, size and memory.
        layout: of the frames.
    """

    def __init__(self, shown: str, options: CaptureOptions, layout: str = "bgr") -> None:
        self.layout = layout
        self.is_open = False
        self.coded_size = (0, 0)
        self.grabbed_ns = 0  # monotonic, when the last frame was decoded
        self._shown, self._options = shown, options
        self._shape: Tuple[int, ...] = ()
        self._sent: Dict[int, None] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._decoder: Decoder = decoders.start(options.decoder_max_mb)

    def open(self, asked: Dict[str, Any], limit_s: float) -> bool:
        """Open a stream; False if it does not open in time.

        Args:
            asked: what `Session` needs to open it.
            limit_s: the decoder is killed after this time.

        Raises:
            EdgeError: the decoder says why, or died.
        """
        try:
            body = self._asked(wire.OPEN, wire.packed(asked), limit_s, wire.OPEN)
            told = wire.unpacked(body)
            self.is_open = bool(told["open"])
            self._expect(int(told["width"]), int(told["height"]))
        except _Late:
            self.is_open = False
        except (KeyError, TypeError, ValueError, OverflowError):
            self._nonsense()
        return self.is_open

    def probe(self, url: str, timeout_s: float) -> str:
        """Why the camera gives no video, as one clause."""
        asked = wire.packed({"url": url, "timeout_s": timeout_s})
        try:
            told = wire.unpacked(self._asked(wire.PROBE, asked, 3 * timeout_s, wire.PROBE))
            return _plain(told["reason"])
        except (_Late, KeyError, TypeError, ValueError):
            return "it does not answer in time"

    def grab(self) -> bool:
        """Decode the next frame; False if there is none in time or the stream was closed.

        Raises:
            EdgeError: the decoder died, or refuses the frame.
        """
        began_ns = time.monotonic_ns()
        try:
            limit_s = self._options.timeout_s + self._options.grace_s
            body = self._asked(wire.GRAB, b"", limit_s, wire.GRAB)
            got, t_ns, width, height = wire.FRAME.unpack(body)
        except _Late:
            return False
        except struct.error:
            self._nonsense()
        self.grabbed_ns = min(max(began_ns, t_ns), time.monotonic_ns())
        if (width, height) not in (self.coded_size, (0, 0)):
            self._expect(width, height)
        return bool(got) and not self._closed

    def retrieve(self, slot: Slot, ring: Ring) -> bool:
        """Have the decoded frame written into a slot's memory; False if that fails.

        Raises:
            DataError: the frame is larger than the configuration allows.
            EdgeError: the decoder died.
        """
        for _ in range(3):
            self._check(ring.count)
            try:
                done = self._filled(slot, ring)
            except _Late:
                return False
            except (struct.error, ValueError):
                self._nonsense()
            if done is not None:
                return done and not self._closed
        return False

    def close(self) -> None:
        """Kill the decoder; a running call of another thread returns soon."""
        self._closed = True
        decoders.end(self._decoder)
        if self._lock.acquire(blocking=False):
            try:
                self._decoder.link.close()
            finally:
                self._lock.release()

    def _filled(self, slot: Slot, ring: Ring) -> Optional[bool]:
        """Whether the frame is in the slot; None = it has another shape, which is known now."""
        image = slot.shape_to(self._shape, SharedFrames(ring.memory))
        number, fd = piece(image)
        body = wire.PIECE.pack(number, *wire.SHAPE.unpack(wire.shape_bytes(self._shape)))
        fds = [] if number in self._sent else [fd]
        kind, answer = self._answer(wire.FILL, body, self._options.timeout_s, fds)
        self._sent[number] = None
        if kind == wire.SIZE:
            self._shape, self._sent = wire.shape_of(*wire.SHAPE.unpack(answer)), {}
            return None
        if kind != wire.FILL:
            self._nonsense()
        fine, copies, aspect = wire.FILLED.unpack(answer)
        slot.layout, slot.copies = self.layout, copies
        slot.aspect = pixel_aspect(aspect, 1.0)
        return bool(fine)

    def _expect(self, width: int, height: int) -> None:
        """The size of the next frames."""
        self.coded_size = (max(0, width), max(0, height))
        rows, columns = self.coded_size[1], self.coded_size[0]
        self._shape = (rows * 3 // 2, columns) if self.layout == "nv12" else (rows, columns, 3)
        self._sent = {}

    def _check(self, slots: int) -> None:
        """Refuse a size that the configuration does not allow, before anything is allocated."""
        rows, columns = self._shape[:2]
        too_large(self._shown, columns, rows, self._options)
        needed_mb = rows * columns * (self._shape[2] if len(self._shape) == 3 else 1) * slots / _MB
        if needed_mb > self._options.decoder_max_mb:
            raise DataError(
                f"{self._shown}: {slots} frames of {columns}x{rows} need {needed_mb:.0f} MB, "
                f"more than capture.decoder_max_mb = {self._options.decoder_max_mb}; raise it, or "
                "set a smaller picture in the camera"
            )

    def _asked(self, kind: bytes, body: bytes, limit_s: float, wanted: bytes) -> bytes:
        got, answer = self._answer(kind, body, limit_s)
        if got != wanted:
            self._nonsense()
        return answer

    def _answer(
        self, kind: bytes, body: bytes, limit_s: float, fds: Any = ()
    ) -> Tuple[bytes, bytes]:
        """Ask the decoder and wait for its answer.

        Raises:
            _Late: it did not answer in time, or `close` was called; it is killed.
            EdgeError: it says what is wrong, or it died.
        """
        with self._lock:
            try:
                self._decoder.link.send(kind, body, fds)
                got, answer, _ = self._wait(time.monotonic() + limit_s)
            except OSError:
                if self._closed:
                    raise _Late from None
                self._died()
            finally:
                if self._closed:
                    self._decoder.link.close()
        if got == wire.WRONG:
            self._refused(answer)
        return got, answer

    def _wait(self, end: float) -> wire.Message:
        while not self._closed and not self._options.stopped:
            left_s = end - time.monotonic()
            if left_s <= 0:
                break
            try:
                return self._decoder.link.receive(min(SLICE_S, left_s))
            except socket.timeout:
                continue
        decoders.end(self._decoder)
        raise _Late

    def _died(self) -> NoReturn:
        number, name = death(decoders.how_ended(self._decoder))
        if number == signal.SIGKILL:
            raise TempError(
                f"{self._shown}: its decoder process was killed; is the machine short of memory?"
            ) from None
        how = f"died of {name}" if name else "ended"
        raise TempError(
            f"{self._shown}: its decoder process {how} while it decoded the stream; if its picture "
            "is large, raise capture.decoder_max_mb"
        ) from None

    def _refused(self, answer: bytes) -> NoReturn:
        decoders.end(self._decoder)
        try:
            told = wire.unpacked(answer)
            kind, text = _ERRORS[told["class"]], _plain(told["text"])
        except (KeyError, TypeError, ValueError):
            self._nonsense()
        error: EdgeError = kind(f"{self._shown}: {text}")
        raise error

    def _nonsense(self) -> NoReturn:
        decoders.end(self._decoder)
        raise TempError(f"{self._shown}: its decoder process answers nonsense") from None


def too_large(shown: str, width: int, height: int, options: CaptureOptions) -> None:
    """Refuse a picture that is larger than `capture.max_megapixels`.

    Raises:
        DataError: it is.
    """
    if width * height > options.max_megapixels * 1e6:
        raise DataError(
            f"{shown}: {width}x{height} pixels are more than capture.max_megapixels = "
            f"{options.max_megapixels:g}; set a smaller picture in the camera"
        )


def _plain(text: Any) -> str:
    """A text of another process as one printable line."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:500])
