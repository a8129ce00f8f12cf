"""JPEG pictures over HTTP, read and decoded in a decoder process."""

from __future__ import annotations

import http.client
import time
from typing import Optional, Tuple

import numpy as np

from edge.capture._decoder.http_parts import Parts, whole
from edge.capture._decoder.http_request import Request
from edge.capture._image_size import jpeg_size
from edge.capture._memory import FrameMemory
from edge.capture._opencv import decode_picture
from edge.capture._ring import Slot
from edge.errors import DataError, TempError

MAX_BYTES = 32 << 20  # of one JPEG
MAX_BAD = 20  # parts in a row that are no whole JPEG
_HLS = ("application/vnd.apple.mpegurl", "application/x-mpegurl", "application/dash+xml")


class HttpStream:
    """An MJPEG stream, or a single JPEG that is asked for again and again.

    Args:
        url: with user and password.
        timeout_s: limit of each wait for the server.
        poll_hz: how often a single JPEG is asked for.
        trust: as for `Request`.
        max_pixels: of a picture.

    Raises:
        TempError, DataError: no picture came; the text says why.
    """

    def __init__(
        self, url: str, timeout_s: float, poll_hz: float, trust: str, max_pixels: float
    ) -> None:
        self._request = Request(url, timeout_s, trust)
        self._period_s, self._max_pixels = 1.0 / poll_hz, max_pixels
        self._due = time.monotonic()
        self._picture: Optional[np.ndarray] = None
        self.coded_size = (0, 0)
        answer = self._request.get()
        self._parts = self._parts_of(answer)
        self._answer: Optional[http.client.HTTPResponse] = answer
        self.is_open = self._forward()
        self._first = True

    def grab(self) -> bool:
        """Read the next JPEG; False at the end of the stream.

        Raises:
            TempError, DataError: it broke, or gives no pictures.
        """
        if self._first:  # it was read when the stream was opened, for its size
            self._first = False
            return True
        return self._forward()

    def fill(self, slot: Slot, memory: FrameMemory) -> bool:
        """Decode the JPEG into a slot; False if it is damaged."""
        assert self._picture is not None
        image = decode_picture(self._picture)
        if image is None:
            return False
        np.copyto(slot.shape_to(image.shape, memory), image)
        slot.copies = 1
        return True

    def _forward(self) -> bool:
        for _ in range(MAX_BAD):
            try:
                data = self._next()
            except (OSError, http.client.HTTPException) as error:
                raise TempError(f"the stream broke ({type(error).__name__})") from None
            if data is None:
                return False
            if self._accept(np.frombuffer(data, np.uint8)):
                return True
        raise DataError("it sends no JPEG pictures")

    def _next(self) -> Optional[bytes]:
        if self._parts is not None:
            return self._parts.next()
        answer, self._answer = self._answer, None
        if answer is None:
            self._due = max(self._due + self._period_s, time.monotonic() - self._period_s)
            time.sleep(max(0.0, self._due - time.monotonic()))
            answer = self._request.get()
        data = whole(answer, MAX_BYTES)
        if answer.will_close:
            self._request.close()
        return data

    def _accept(self, picture: np.ndarray) -> bool:
        """Whether it is a whole JPEG of an allowed size."""
        size = jpeg_size(picture)
        if size is None or b"\xff\xd9" not in picture[-64:].tobytes():
            return False
        if size[0] * size[1] > self._max_pixels:
            raise DataError(
                f"{size[0]}x{size[1]} pixels are more than capture.max_megapixels = "
                f"{self._max_pixels / 1e6:g}; set a smaller picture in the camera"
            )
        self._picture, self.coded_size = picture, size
        return True

    def _parts_of(self, answer: http.client.HTTPResponse) -> Optional[Parts]:
        """The parts of a multipart answer; None for a single picture."""
        kind, boundary = _content(answer)
        if kind.startswith("multipart/"):
            return Parts(answer, boundary, MAX_BYTES)
        if kind in ("image/jpeg", "image/jpg", "image/pjpeg", "application/octet-stream", ""):
            return None
        if kind in _HLS:
            what = "HLS or DASH, which is seconds late; use the camera's rtsp:// address"
        elif kind == "text/html":
            what = (
                "a web page; open it in a browser and copy the address of the picture in it "
                '("copy image address")'
            )
        else:
            what = f"{kind[:60]}; use the address of its MJPEG stream, or rtsp://"
        raise DataError(f"the address gives {what}")


def _content(answer: http.client.HTTPResponse) -> Tuple[str, str]:
    """Type and boundary of the Content-Type header."""
    kind, _, rest = (answer.getheader("Content-Type") or "").partition(";")
    for one in rest.split(";"):
        name, _, value = one.partition("=")
        if name.strip().lower() == "boundary":
            return kind.strip().lower(), value
    return kind.strip().lower(), ""
