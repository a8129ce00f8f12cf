"""Videos with interlaced pictures: both fields are woven into one picture.

OpenCV reads the packets. libav decodes them, because OpenCV 5 cannot convert what it decodes
itself. A moving person shows the comb of two fields, which are 1/50 s apart; poses stand it.
"""

from __future__ import annotations

import heapq
import threading
import time
from typing import List, Optional, Sequence, Tuple

import numpy as np

from edge.capture._libav import Decoder
from edge.capture._memory import FrameMemory
from edge.capture._opencv import FFMPEG, cv2
from edge.capture._ring import Ring, Slot
from edge.view import pixel_aspect

_MOST_WAITING = 32  # packets in a decoder: H.264 reorders 16 pictures at most (annex A.3.1)
_MAX_BAD = 64  # packets in a row without a picture


class WovenVideo:
    """A video stream with the interface of `_opencv.Video`.

    Args:
        target: path or URL.
        backend: FFMPEG.
        parameters: property, value, property, value ...
        layout: bgr.

    Raises:
        LookupError: it cannot be decoded here.
    """

    def __init__(
        self, target: str, backend: int, parameters: Sequence[int] = (), layout: str = "bgr"
    ) -> None:
        raw = [cv2.CAP_PROP_FORMAT, -1]
        self._capture = cv2.VideoCapture(target, backend, [*parameters, *raw])
        self._lock = threading.Lock()
        self._closed = self._ended = False
        self._times_ms: List[float] = []  # of packets whose pictures did not come yet
        self._yuv = np.empty((0, 0), np.uint8)
        self._planes: Optional[Tuple[List[np.ndarray], int]] = None
        self.is_open = bool(self._capture.isOpened())
        self.is_interlaced = False  # whether the last picture could not be converted
        self.media_ms, self.grabbed_ns = 0.0, 0
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        if not self.is_open or layout != "bgr" or backend != FFMPEG:
            self._capture.release()
            raise LookupError("it does not open")
        self._decoder = Decoder(code.to_bytes(4, "little").decode("latin-1"))
        self._aspect = 1.0
        if hasattr(cv2, "CAP_PROP_SAR_NUM"):
            ratio = (self._capture.get(p) for p in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
            self._aspect = pixel_aspect(*ratio)
        self._send_head()

    def _send_head(self) -> None:
        """Give the decoder the stream's head; that of MP4 is another form, and comes in packets."""
        index = int(self._capture.get(cv2.CAP_PROP_CODEC_EXTRADATA_INDEX))
        fine, head = self._capture.retrieve(flag=index)
        if fine and head is not None and head.ravel()[:3].tolist() == [0, 0, head.ravel()[2]]:
            self._decoder.send(np.ascontiguousarray(head.ravel()))

    @property
    def coded_size(self) -> Tuple[int, int]:
        """Width and height in px of the next frame."""
        width, height = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
        return int(self._capture.get(width)), int(self._capture.get(height))

    def grab(self) -> bool:
        """Decode the next picture; False if there is none or the stream was closed."""
        with self._lock:
            got = not self._closed and self._next()
        self.grabbed_ns = time.monotonic_ns()
        return got and not self._release_if_closed()

    def _next(self) -> bool:
        for _ in range(_MAX_BAD):
            got = self._decoder.receive()
            if got:
                self._planes = self._decoder.planes()
                if self._times_ms:
                    self.media_ms = heapq.heappop(self._times_ms)
                return True
            if self._ended or got is False:
                return False
            self._feed()
        return False

    def _feed(self) -> None:
        fine = bool(self._capture.grab())
        data = self._capture.retrieve()[1] if fine else None
        if data is None:
            self._ended = True
            self._decoder.send(None)
            return
        heapq.heappush(self._times_ms, float(self._capture.get(cv2.CAP_PROP_POS_MSEC)))
        if len(self._times_ms) > _MOST_WAITING:  # a damaged packet gave no picture
            heapq.heappop(self._times_ms)
        self._decoder.send(np.ascontiguousarray(data.ravel()))

    def retrieve(self, slot: Slot, ring: Ring) -> bool:
        """Convert the picture into a slot's memory; False if that fails."""
        return self.fill(slot, ring.memory)

    def fill(self, slot: Slot, memory: FrameMemory) -> bool:
        """Convert the picture into a slot whose memory comes from `memory`."""
        with self._lock:
            got = not self._closed and self._weave(slot, memory)
        return got and not self._release_if_closed()

    def _weave(self, slot: Slot, memory: FrameMemory) -> bool:
        if self._planes is None:
            self.is_interlaced = True
            return False
        (luma, *chroma), shift = self._planes
        height, width = (n - n % 2 for n in luma.shape)
        if self._yuv.shape != (height * 3 // 2, width):
            self._yuv = np.empty((height * 3 // 2, width), np.uint8)
        np.right_shift(luma[:height, :width], shift, out=self._yuv[:height], casting="unsafe")
        halves = self._yuv[height:].reshape(2, height // 2, width // 2)
        for half, plane in zip(halves, chroma):
            down, across = (-(-a // b) for a, b in zip(luma.shape, plane.shape))
            small = plane[:: 3 - down, :: 3 - across][: height // 2, : width // 2]
            np.right_shift(small, shift, out=half, casting="unsafe")
        cv2.cvtColor(
            self._yuv, cv2.COLOR_YUV2BGR_I420, dst=slot.shape_to((height, width, 3), memory)
        )
        slot.layout, slot.copies, slot.aspect = "bgr", 1, self._aspect
        return True

    def close(self) -> None:
        """Release the stream at once, or when a running call of the reading thread returns."""
        self._closed = True
        self._release_if_closed()

    def _release_if_closed(self) -> bool:
        if self._closed and self._lock.acquire(blocking=False):
            try:
                self._planes = None
                self._capture.release()
                self._decoder.close()
            finally:
                self._lock.release()
        return self._closed
