"""The frames of a recording: a video file, or a list of image files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import List, Optional, Protocol, Sequence, Tuple, Union

from edge.capture import _opencv
from edge.capture._container import read_facts, why_undecoded
from edge.capture._image_size import image_size, is_cut_off
from edge.capture._picture_files import Pages, foreign, why_no_picture
from edge.capture._refusals import Refusals
from edge.capture._ring import Ring, Slot
from edge.capture._woven import WovenVideo
from edge.errors import DataError, NoInputError, UnavailableError

log = logging.getLogger(__name__)

# Of a Matroska file that is not cut off, this share of its time must have frames: in a recording of
# a screen none comes while nothing moves.
_WEBM_SHARE = 0.5
_MOST_HIDDEN = 1000  # pictures that a trimmed file decodes and does not show
ASSUMED_HZ = 25.0  # frame rate of image lists, and of videos that do not state theirs


INTERLACED = (
    "is interlaced, which this OpenCV cannot convert; deinterlace it: "
    "ffmpeg -i IN -vf yadif -c:v libx264 OUT.mp4"
)


class Reel(Protocol):
    """The frames of a recording in order."""

    rate_hz: float
    still: bool  # each picture stands for itself; see Frame

    def next_ns(self) -> Optional[int]:
        """Go to the next frame; its time since the first one, None at the end."""

    def fill(self, slot: Slot, ring: Ring) -> None:
        """Decode that frame into a slot.

        Raises:
            DataError: it cannot be decoded.
        """

    def rewind(self) -> None:
        """Go back before the first frame."""

    def early_end(self) -> str:
        """Why the end came too early, "" if it did not."""

    def close(self) -> None:
        """Close the file; may be called from another thread."""


class VideoReel:
    """A video file.

    Args:
        path: the file; it exists.
        max_megapixels: a larger frame size is refused before a frame is decoded.

    Raises:
        DataError: it is no video, or too large. UnavailableError: OpenCV cannot read videos.
    """

    def __init__(self, path: Path, max_megapixels: float) -> None:
        self._path = path
        self._max_megapixels = max_megapixels
        video = self._open()
        self._video: Union[_opencv.Video, WovenVideo] = video
        self.count = video.count  # from the container, often an estimate; 0 = unknown
        self.rate_hz = video.rate_hz or ASSUMED_HZ
        self.still = video.is_one_picture
        self._length_s, self._fourcc = video.length_s, video.fourcc
        self._seen = 0
        self._latest_ms = 0.0
        self._first_ms = 0.0
        self._last_ns = -1

    def _open(self) -> _opencv.Video:
        if not _opencv.has(_opencv.FFMPEG):
            raise UnavailableError(
                f"{self._path}: this OpenCV cannot read videos (built without FFmpeg): "
                "install opencv-python-headless, or give a folder of images"
            )
        # An absolute path, because libav reads a colon in a relative one as a protocol.
        video = _opencv.Video(str(self._path.absolute()), _opencv.FFMPEG, refusals=Refusals())
        if not video.is_open:
            raise DataError(f"{self._path}: {_why_closed(self._path)}")
        refuse_large(self._path, video.coded_size, self._max_megapixels)
        return video

    def next_ns(self) -> Optional[int]:
        """Decode the next frame; its time is the container's, else it follows the frame rate."""
        if not self._video.grab():
            return None
        media_ms = self._video.media_ms
        self._latest_ms = max(self._latest_ms, media_ms)
        if self._seen == 0:
            self._first_ms = media_ms
        period_ns = round(1e9 / self.rate_hz)
        media_ns = round((media_ms - self._first_ms) * 1e6)
        # Some containers have no time stamps, or ones that repeat or jump back.
        self._last_ns = media_ns if media_ns > self._last_ns else self._last_ns + period_ns
        self._seen += 1
        return self._last_ns

    def fill(self, slot: Slot, ring: Ring) -> None:
        """Convert the decoded frame into a slot."""
        if not self._video.retrieve(slot, ring):
            if self._video.is_interlaced and self._weave() and self._video.retrieve(slot, ring):
                return
            if self._video.is_interlaced:
                raise DataError(f"{self._path}: frame {self._seen - 1} {INTERLACED}")
            raise DataError(f"{self._path}: frame {self._seen - 1} cannot be decoded")

    def _weave(self) -> bool:
        """Open the file again for interlaced pictures, at the same picture; False if that fails."""
        if isinstance(self._video, WovenVideo):
            return False
        target_ms = self._video.media_ms
        try:
            woven = WovenVideo(str(self._path.absolute()), _opencv.FFMPEG)
        except LookupError:
            return False
        before, self._video = self._video, woven
        before.close()
        log.info("%s: is interlaced; both fields are woven into one picture", self._path)
        for number in range(1, _MOST_HIDDEN + self._seen):
            if not woven.grab():
                return False
            if woven.media_ms >= target_ms - 1 if woven.media_ms else number >= self._seen:
                return True
        return False

    def rewind(self) -> None:
        """Open the file again, since some containers cannot seek to their first frame."""
        self._video.close()
        self._video = self._open()
        self._seen, self._last_ns, self._latest_ms = 0, -1, 0.0

    def early_end(self) -> str:
        """Frame counts are estimates in some containers, so a few missing frames are ignored.

        A file that was trimmed without being encoded again counts frames that are not shown, and
        the count of a variable frame rate means nothing. So frames must be missing, and time.
        """
        if self._seen == 0:
            return why_undecoded(self._fourcc or read_facts(self._path).codec)
        enough = self._seen >= self.count - max(2, self.count // 50)
        if enough or self.still or self._is_shown_whole():
            return ""
        return (
            f"{self._path}: broke off at frame {self._seen} of about {self.count}: the file is "
            "damaged or cut off"
        )

    def _is_shown_whole(self) -> bool:
        """Whether the last frame lies at the end of the time that the file says it shows."""
        facts = read_facts(self._path)
        length_s = facts.shown_s or self._length_s
        period_s = 1 / self.rate_hz
        end_s = self._latest_ms / 1e3 + period_s if self._latest_ms else self._seen * period_s
        if facts.is_complete and not facts.shown_s:
            length_s *= _WEBM_SHARE
        return not facts.cut_off and end_s >= length_s - max(3 * period_s, 0.02 * length_s)

    def close(self) -> None:
        """Close the file."""
        self._video.close()


class PictureReel:
    """A list of image files, one frame each.

    Args:
        paths: at least one, in order.
        rate_hz: images per second.
        still: whether each picture stands for itself.
        max_megapixels: a larger image is refused before it is decoded.

    Raises:
        DataError: the first file is no image, or too large.
    """

    def __init__(
        self, paths: Sequence[Path], rate_hz: float, still: bool, max_megapixels: float
    ) -> None:
        self._paths: List[Path] = list(paths)
        self.still = still
        self._max_megapixels = max_megapixels
        self.rate_hz = rate_hz
        self._pages = Pages()
        # Next file; picture in the present one, of how many; pictures so far.
        self._next, self._page, self._count, self._shown = 0, -1, 0, 0
        self._check(self._paths[0])

    def _check(self, path: Path) -> Tuple[int, int]:
        try:
            other = foreign(path)
            size = None if other else image_size(path)
            why = other or ("" if size else why_no_picture(path))
        except OSError as error:
            raise NoInputError(f"{path}: {unreadable(error)}") from error
        if size is None:
            raise DataError(f"{path}: {why}")
        if 0 in size:
            raise DataError(f"{path}: its header is damaged: no width and height")
        refuse_large(path, size, self._max_megapixels)
        if is_cut_off(path):
            raise DataError(f"{path}: is cut off: the end of the file is missing; copy it again")
        return size

    def next_ns(self) -> Optional[int]:
        """Go to the next picture of the file, or to the next file."""
        self._page += 1
        if self._page >= self._count:
            if self._next >= len(self._paths):
                return None
            self._next += 1
            self._page, self._count = 0, self._count_of(self._paths[self._next - 1])
        self._shown += 1
        return round((self._shown - 1) * 1e9 / self.rate_hz)

    def _count_of(self, path: Path) -> int:
        try:
            return Pages.count(path)
        except OSError:
            return 1  # `fill` says why it cannot be read

    def fill(self, slot: Slot, ring: Ring) -> None:
        """Decode the file into a slot."""
        path = self._paths[self._next - 1]
        width, height = self._check(path)
        if self._count == 1:
            _opencv.read_picture(str(path), slot, ring)
            return
        image = self._pages.read(path, self._page, width * height * 3)
        if image is None:
            raise DataError(f"{path}: picture {self._page} in it is damaged or cut off")
        _opencv.copy_picture(image, slot, ring)

    def rewind(self) -> None:
        """Go back before the first file."""
        self._next, self._page, self._count, self._shown = 0, -1, 0, 0

    def early_end(self) -> str:
        """Empty: a list of files has no early end."""
        return ""

    def close(self) -> None:
        """Nothing to do: no file is open."""


def unreadable(error: OSError) -> str:
    """Why a file cannot be opened, and the fix if there is one."""
    why = error.strerror or str(error)
    if isinstance(error, PermissionError):
        return f"{why}; let the user of this program read it (chmod a+r, chmod a+x on its folders)"
    return why


def _why_closed(path: Path) -> str:
    """Why a file does not open as a video."""
    facts = read_facts(path)
    if facts.audio_only:
        return "has sound and no video; check the file's name"
    if facts.codec and not facts.cut_off:
        return why_undecoded(facts.codec)
    return (
        "cannot be played as a video: unknown format, damaged, or cut off before its index was "
        "written (an MP4 needs a clean stop); re-export it"
    )


def refuse_large(path: Path, size: Tuple[int, int], max_megapixels: float) -> None:
    """Check the size of an image before memory is allocated for it.

    Raises:
        DataError: it has more pixels than allowed.
    """
    width, height = size
    if width * height > max_megapixels * 1e6:
        raise DataError(
            f"{path}: {width}x{height} pixels are more than capture.max_megapixels = "
            f"{max_megapixels:g}; scale it down or raise the limit"
        )
