"""The pictures in an HTTP answer: the parts of multipart/x-mixed-replace, or the only one."""

from __future__ import annotations

import http.client
from typing import Optional

from edge.errors import DataError, TempError

MAX_LINE = 4096
MAX_HEADERS = 64  # of a part
MAX_SKIPPED = 1 << 20  # bytes before the first part, or between two
_BLOCK = 65536


class Parts:
    """Reads parts one after the other (RFC 2046, section 5.1).

    Args:
        answer: its body starts with the first boundary.
        boundary: of the Content-Type header; "" = the first line is the boundary.
        max_bytes: of one part.
    """

    def __init__(self, answer: http.client.HTTPResponse, boundary: str, max_bytes: int) -> None:
        self._answer, self._max_bytes = answer, max_bytes
        # Many cameras count the leading dashes as a part of the name, and some forget them.
        self._mark = boundary.strip().strip('"').strip("-").encode("latin-1", "replace")
        self._at_headers = False

    def next(self) -> Optional[bytes]:
        """The content of the next part; None at the end.

        Raises:
            DataError: it has no parts, or one that is too large.
        """
        if not self._at_headers and not self._to_headers():
            return None
        self._at_headers = False
        length = self._length()
        return self._exactly(length) if length is not None else self._to_boundary()

    def _to_headers(self) -> bool:
        """Read up to the boundary, and over it."""
        skipped = 0
        while skipped < MAX_SKIPPED:
            line = self._answer.readline(MAX_LINE)
            if not line:
                return False
            if self._is_boundary(line):
                return True
            skipped += len(line)
        raise DataError("its stream has no parts (multipart boundary)")

    def _is_boundary(self, line: bytes) -> bool:
        text = line.strip()
        if not self._mark and text.startswith(b"--"):
            self._mark = text.strip(b"-")
        return bool(text) and bool(self._mark) and text.strip(b"-") == self._mark

    def _length(self) -> Optional[int]:
        """Read the part's headers; its Content-Length if it has a usable one."""
        length: Optional[int] = None
        for _ in range(MAX_HEADERS):
            line = self._answer.readline(MAX_LINE)
            if not line:
                raise TempError("the stream ended in a header")
            name, _, value = line.strip().partition(b":")
            if not line.strip():
                return length
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value.strip()[:18])
        raise DataError("a part of its stream has headers without end")

    def _exactly(self, length: int) -> bytes:
        if length > self._max_bytes:
            raise self._too_long()
        data = self._answer.read(length)
        if len(data) < length:
            raise TempError("the stream ended in a picture")
        return data

    def _to_boundary(self) -> bytes:
        """Content without a length: it ends before the next boundary."""
        found = bytearray()
        while True:
            line = self._answer.readline(_BLOCK)
            if not line or (len(line) < MAX_LINE and self._is_boundary(line)):
                self._at_headers = bool(line)
                return bytes(found)
            found += line
            if len(found) > self._max_bytes:
                raise self._too_long()

    def _too_long(self) -> DataError:
        return DataError(f"a picture of its stream has more than {self._max_bytes >> 20} MB")


def whole(answer: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """The body of an answer with one picture.

    Raises:
        DataError: it is too long.
    """
    data = answer.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise DataError(f"its picture has more than {max_bytes >> 20} MB")
    return data
