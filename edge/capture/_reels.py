"""What a recording is made of: one video, or a list of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Protocol, Sequence, Tuple

from edge.capture import _opencv
from edge.capture._image_size import image_size, is_cut_off
from edge.capture._ring import Ring, Slot
from edge.errors import DataError, NoInputError, UnavailableError

ASSUMED_HZ = 25.0  # for pictures, and videos that do not tell their rate


class Reel(Protocol):
    """Frames in order, which can be wound back."""

    rate_hz: float

    def next_ns(self) -> Optional[int]:
        """Go to the next frame; its time from the first one, None when there is none."""

    def fill(self, slot: Slot, ring: Ring) -> None:
        """Decode that frame into a slot.

        Raises:
            DataError: it cannot be decoded.
        """

    def rewind(self) -> None:
        """Before the first frame again."""

    def complaint(self) -> str:
        """Why the end came too early, empty if it did not."""

    def close(self) -> None:
        """Let go of the file; may be called from another thread."""


class VideoReel:
    """A video file.

    Args:
        path: of the file; it exists.
        max_megapixels: larger pictures are refused before one is decoded.

    Raises:
        DataError: it is no video, or too large. UnavailableError: OpenCV cannot read videos.
    """

    def __init__(self, path: Path, max_megapixels: float) -> None:
        self._path = path
        self._limit = max_megapixels
        self._video = self._open()
        self.count = self._video.count  # as the container tells, often an estimate; 0: unknown
        self.rate_hz = self._video.rate_hz or ASSUMED_HZ
        self._seen = 0
        self._first_ms = 0.0
        self._last_ns = -1

    def _open(self) -> _opencv.Video:
        if not _opencv.has(_opencv.FFMPEG):
            raise UnavailableError(
                f"{self._path}: this OpenCV cannot read videos (built without FFmpeg): "
                "install opencv-python-headless, or give a folder of images"
            )
        # An absolute path: libav takes a colon in a relative one for a protocol.
        video = _opencv.Video(str(self._path.absolute()), _opencv.FFMPEG)
        if not video.is_open:
            raise DataError(
                f"{self._path}: is no video that can be played: unknown format, damaged, or cut "
                "off before its index was written (an MP4 needs a clean stop); re-export it"
            )
        refuse_large(self._path, video.coded_size, self._limit)
        return video

    def next_ns(self) -> Optional[int]:
        """Decode the next frame; its time from the container, else from the frame rate."""
        if not self._video.grab():
            return None
        media_ms = self._video.media_ms
        if self._seen == 0:
            self._first_ms = media_ms
        period_ns = round(1e9 / self.rate_hz)
        media_ns = round((media_ms - self._first_ms) * 1e6)
        # Some containers have no times, or times that stand still or jump back.
        self._last_ns = media_ns if media_ns > self._last_ns else self._last_ns + period_ns
        self._seen += 1
        return self._last_ns

    def fill(self, slot: Slot, ring: Ring) -> None:
        """Convert the decoded frame into the slot."""
        if not self._video.retrieve(slot, ring):
            raise DataError(f"{self._path}: frame {self._seen - 1} cannot be decoded")

    def rewind(self) -> None:
        """Open it again: not every container can seek to its first frame."""
        self._video.close()
        self._video = self._open()
        self._seen, self._last_ns = 0, -1

    def complaint(self) -> str:
        """Counts of frames are estimates in some containers: a few missing ones mean nothing."""
        if self._seen == 0:
            return "no frame of it can be decoded"
        if self._seen >= self.count - max(2, self.count // 50):
            return ""
        return (
            f"{self._path}: broke off at frame {self._seen} of about {self.count}: the file is "
            "damaged or cut off"
        )

    def close(self) -> None:
        """Let go of the file."""
        self._video.close()


class PictureReel:
    """Image files, one frame each.

    Args:
        paths: in order, at least one.
        rate_hz: how many make a second.
        max_megapixels: larger pictures are refused before they are decoded.

    Raises:
        DataError: the first is no image or too large.
    """

    def __init__(self, paths: Sequence[Path], rate_hz: float, max_megapixels: float) -> None:
        self._paths: List[Path] = list(paths)
        self._limit = max_megapixels
        self.rate_hz = rate_hz
        self._next = 0
        self._size = self._check(self._paths[0])

    def _check(self, path: Path) -> Tuple[int, int]:
        try:
            size = image_size(path)
        except OSError as error:
            raise NoInputError(f"{path}: {error.strerror or error}") from error
        if size is None:
            raise DataError(f"{path}: is no PNG, JPEG, BMP, WebP or TIFF image")
        if 0 in size:
            raise DataError(f"{path}: its header is damaged: no width and height")
        if is_cut_off(path):
            raise DataError(f"{path}: is cut off: the end of the JPEG is missing; copy it again")
        refuse_large(path, size, self._limit)
        return size

    def next_ns(self) -> Optional[int]:
        """Go to the next file."""
        if self._next >= len(self._paths):
            return None
        self._next += 1
        return round((self._next - 1) * 1e9 / self.rate_hz)

    def fill(self, slot: Slot, ring: Ring) -> None:
        """Decode it into the slot."""
        path = self._paths[self._next - 1]
        self._check(path)
        _opencv.read_picture(str(path), slot, ring)

    def rewind(self) -> None:
        """Start with the first file again."""
        self._next = 0

    def complaint(self) -> str:
        """A list of files has no early end."""
        return ""

    def close(self) -> None:
        """Nothing is held."""


def refuse_large(path: Path, size: Tuple[int, int], max_megapixels: float) -> None:
    """Stop before memory is given to a picture that is larger than anyone meant.

    Raises:
        DataError: it has more pixels than allowed.
    """
    width, height = size
    if width * height > max_megapixels * 1e6:
        raise DataError(
            f"{path}: {width}x{height} pixels are more than capture.max_megapixels = "
            f"{max_megapixels:g}; scale it down or raise the limit"
        )
