"""Recordings: file://clip.mp4, a single image, a folder of images, or a glob of images.

Options: loop=1 starts again at the end. rate=max (default) gives every frame and waits for the
loop; rate=native plays at the recording's frame rate and drops late frames. fps=25: pictures are
frames of one video of this rate. Without it each picture stands for itself: the detector looks at
each, its people are published at once, and nothing is smoothed. A `?` in a name is written %3F.
Several pictures of one source are joined by %0A, a line break.
"""

from __future__ import annotations

import glob
import logging
import re
import threading
import time
from pathlib import Path
from typing import List, Optional, Tuple

from edge.capture import _query
from edge.capture._addresses import file_uri
from edge.capture._image_size import image_size
from edge.capture._opencv import FFMPEG, has, is_text
from edge.capture._picture_files import (
    Pages,
    foreign,
    is_animated_png,
    is_animated_webp,
    webp_rate_hz,
)
from edge.capture._reels import ASSUMED_HZ, PictureReel, Reel, VideoReel, unreadable
from edge.capture._ring import Ring, Slot
from edge.capture._source import PLAYBACK, RECORDING, Address, CaptureOptions, EndOfStream
from edge.capture._start_together import START, TOGETHER_NATIVE_NS, TOGETHER_NS
from edge.errors import DataError, NoInputError

log = logging.getLogger(__name__)

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts"),
    *(".m2ts", ".vob", ".wmv", ".flv", ".dv", ".ogv", ".gif"),
)
_LATE_NS = 500_000_000  # if it is later than this, playback shifts its clock
_SLOW_HZ = 4.0  # nobody waits for the second frame of a slower recording to confirm the first
_TEXT = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]+")


def kind(address: Address) -> str:
    """RECORDING at rate=max, PLAYBACK at rate=native.

    Raises:
        ConfigError: a wrong option.
    """
    address.only("loop", "rate", "fps")
    _query.number(address, "fps", ASSUMED_HZ, 0.01, 1000)
    _query.choice(address, "loop", ("0", "1"))
    native = _query.choice(address, "rate", ("max", "native")) == "native"
    return PLAYBACK if native else RECORDING


def open_source(address: Address, options: CaptureOptions) -> FileSource:
    """Open a file, a folder or a glob.

    Raises:
        ConfigError: a wrong option. NoInputError: nothing is there. DataError: no video, no image,
            damaged, or larger than `max_megapixels`.
    """
    native = kind(address) == PLAYBACK
    rate_hz = _query.number(address, "fps", ASSUMED_HZ, 0.01, 1000)
    loop = _query.choice(address, "loop", ("0", "1")) == "1"
    try:
        reel = open_reel(address, rate_hz, options)
    except OSError as error:
        raise NoInputError(f"{address.uri}: {unreadable(error)}") from error
    return FileSource(address.uri, reel, loop, native)


def open_reel(address: Address, rate_hz: float, options: CaptureOptions) -> Reel:
    """The frames of a file, a folder or a glob, for callers without a reading thread.

    Raises:
        NoInputError, DataError: as `open_source`. OSError: it cannot be read.
    """
    path, paths = _find(address)
    limit, still = options.max_megapixels, "fps" not in address.query or len(paths) == 1
    for one in paths:
        if not is_text(one):
            raise NoInputError(f"{one}: its name or folder is not in UTF-8; rename it")
    if path.is_dir() or len(paths) > 1:
        return PictureReel(paths, rate_hz, still, limit)
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty (zero bytes); copy it again")
    if foreign(path) or path.suffix.lower() in IMAGES or image_size(path) is not None:
        return _one_picture(path, rate_hz, "fps" in address.query, limit)
    with path.open("rb") as file:
        # libav renders some text files as video, and follows playlists.
        if _TEXT.fullmatch(file.read(4096)):
            raise DataError(f"{path}: is text, not a video or an image; check the file's name")
    return VideoReel(path, limit)


def _one_picture(path: Path, rate_hz: float, timed: bool, max_megapixels: float) -> Reel:
    """A file of one picture or of several; `timed`: whether `rate_hz` was asked for."""
    if is_animated_png(path) and has(FFMPEG):
        return VideoReel(path, max_megapixels)
    if is_animated_webp(path):
        own_hz = 0.0 if timed else webp_rate_hz(path)
        return PictureReel([path], own_hz or rate_hz, False, max_megapixels)
    still = not timed or Pages.count(path) == 1
    return PictureReel([path], rate_hz, still, max_megapixels)


def _find(address: Address) -> Tuple[Path, List[Path]]:
    """The named path and its files."""
    raw = address.secret_uri.partition("://")[2].partition("?")[0]
    for name in (address.path, raw):  # a name may contain percent signs that encode nothing
        path = Path(name)
        if name and path.is_dir():
            return path, _images(path, list(path.iterdir()))
        if name and path.exists():
            return path, [path]
    if "\n" in address.path:
        several = [Path(line) for line in address.path.split("\n")]
        missing = next((path for path in several if not path.is_file()), None)
        if missing is not None:
            raise NoInputError(f"{missing}: no such file")
        return several[0], several
    if set("*?[") & set(address.path):
        found = [Path(p) for p in glob.glob(address.path, recursive=True)]  # noqa: PTH207
        films = _films(found)
        if len(films) == 1 and not _pictures(found):
            return films[0], films
        images = _images(Path(address.path), found)
        return images[0], images
    raise NoInputError(f"{address.path or address.uri}: no such file or folder")


def _images(where: Path, found: List[Path]) -> List[Path]:
    images = _pictures(found)
    if images:
        return images
    films = _films(found)
    if films:
        raise NoInputError(
            f"{where}: has no images, but {len(films)} video{'s' * (len(films) > 1)}; give each as "
            f"a camera of its own: {file_uri(films[0])}"
        )
    others = [p for p in found if p.is_file() and not p.name.startswith(".") and foreign(p)]
    if others:
        raise NoInputError(f"{where}: has no images: {others[0].name} {foreign(others[0])}")
    folders = sorted(p.name for p in found if p.is_dir())
    inside = f"; did you mean its folder {folders[0]}?" if folders else ""
    raise NoInputError(f"{where}: has no images ({' '.join(IMAGES)}){inside}")


def _pictures(found: List[Path]) -> List[Path]:
    """The images among files, in their order."""
    images = [p for p in found if p.suffix.lower() in IMAGES and not p.name.startswith(".")]
    return sorted(images, key=natural)


def _films(found: List[Path]) -> List[Path]:
    films = [p for p in found if p.suffix.lower() in VIDEOS and not p.name.startswith(".")]
    return sorted(films, key=natural)


def natural(path: Path) -> List[Tuple[int, int, str]]:
    """A sort key by which frame 10 follows frame 9."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]


class FileSource:
    """The source of a recording.

    `t_ns` is the recording's time, shifted so that the first frame lies at its monotonic time. The
    first frames of recordings that are opened together have one time. It keeps rising when the
    recording starts again. At native rate, a frame is given at its time.

    Args:
        name: for messages.
        reel: the frames.
        loop: whether to start again at the end.
        native: keep the recording's frame rate and drop late frames, instead of giving every one.
    """

    def __init__(self, name: str, reel: Reel, loop: bool, native: bool) -> None:
        self.live = native
        self._name, self._reel, self._loop = name, reel, loop
        self._closed = threading.Event()
        self._index = 0
        self._start_ns: Optional[int] = None  # monotonic time of media time 0
        self._last_ns = 0  # media time of the previous frame
        self._warned = False

    def read(self, ring: Ring) -> Optional[Slot]:
        """The next frame; waits for a free slot and, at native rate, for the frame's time.

        Raises:
            EndOfStream: there are no more frames. DataError: the frame cannot be decoded.
        """
        slot = ring.acquire()
        if slot is None or self._closed.is_set():
            return _give_back(slot, ring)
        try:
            due_ns = self._due_ns(self._forward_ns())
            self._reel.fill(slot, ring)
        except BaseException:
            ring.cancel(slot)
            if self._closed.is_set():
                return None
            raise
        slot.t_ns, slot.index = due_ns, self._index
        slow = self._index == 0 and self._reel.rate_hz < _SLOW_HZ
        slot.still = self._reel.still or slow
        self._index += 1
        if self.live and self._wait(due_ns, ring):
            return _give_back(slot, ring)
        slot.arrival_ns = time.monotonic_ns()
        return slot

    def close(self) -> None:
        """Close the file; a running read returns soon."""
        self._closed.set()
        self._reel.close()

    def _forward_ns(self) -> int:
        """Go to the next frame, after the end to the first if it loops; returns its media time."""
        media_ns = self._reel.next_ns()
        if media_ns is None:
            self._start_again()
            media_ns = self._reel.next_ns()
        if media_ns is None:
            raise DataError(f"{self._name}: cannot be played again: no frame after its start")
        return media_ns

    def _start_again(self) -> None:
        early_end = self._reel.early_end()
        if self._index == 0:
            raise DataError(f"{self._name}: {early_end}")
        if not self._loop or self._closed.is_set():
            raise EndOfStream(early_end)
        if early_end and not self._warned:
            log.warning("%s", early_end)
        self._warned = True
        self._reel.rewind()
        if self._start_ns is not None:
            self._start_ns += self._last_ns + round(1e9 / self._reel.rate_hz)

    def _due_ns(self, media_ns: int) -> int:
        now_ns = time.monotonic_ns()
        if self._start_ns is None:
            within_ns = TOGETHER_NATIVE_NS if self.live else TOGETHER_NS
            self._start_ns = START.begin_ns(now_ns, within_ns) - media_ns
        late_ns = now_ns - (self._start_ns + media_ns)
        if self.live and late_ns > _LATE_NS:
            self._start_ns += late_ns
        self._last_ns = media_ns
        return self._start_ns + media_ns

    def _wait(self, due_ns: int, ring: Ring) -> bool:
        """Wait until a monotonic time; True if `close` was called meanwhile."""
        with ring.rest():
            return self._closed.wait(max(0, due_ns - time.monotonic_ns()) / 1e9)


def _give_back(slot: Optional[Slot], ring: Ring) -> Optional[Slot]:
    if slot is not None:
        ring.cancel(slot)
    return None
