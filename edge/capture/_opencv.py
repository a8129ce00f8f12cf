"""OpenCV's video streams and image files, decoded into the ring's memory."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import numpy as np

from edge.capture._memory import FrameMemory
from edge.capture._refusals import Refusals
from edge.capture._ring import Ring, Slot
from edge.errors import DataError, UnavailableError
from edge.view import pixel_aspect

# OpenCV reads this when it is loaded: a second limit behind our check of each image header.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(256 * 10**6))
# OpenCV reads this at the first stream: libav's log lines may show URIs with passwords.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

try:
    import cv2 as cv2  # for the other files of this room
except ImportError as error:
    raise UnavailableError(
        f"OpenCV cannot be loaded ({error}): install opencv-python-headless, or on a Jetson the "
        "system's python3-opencv"
    ) from error

log = logging.getLogger(__name__)

FATAL_ONLY = 1  # cv2's log level: our errors say the same in one line
if hasattr(cv2, "setLogLevel"):
    cv2.setLogLevel(FATAL_ONLY)
else:
    cv2.utils.logging.setLogLevel(FATAL_ONLY)

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_CLOCK_HZ = 90_000  # libav gives the clock of MPEG as the rate of a picture without one
_HAS_ASPECT = hasattr(cv2, "CAP_PROP_SAR_NUM")
FFMPEG = cv2.CAP_FFMPEG
GSTREAMER = cv2.CAP_GSTREAMER
VERSION = tuple(int("".join(filter(str.isdigit, p)) or 0) for p in cv2.__version__.split(".")[:2])


def has(backend: int) -> bool:
    """Whether this OpenCV has a backend built in or as a plugin."""
    return bool(cv2.videoio_registry.hasBackend(backend))


def is_text(path: Path) -> bool:
    """Whether a path is UTF-8; on other paths, OpenCV's binding (5.0) crashes the process."""
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def timeouts(backend: int, timeout_s: float) -> List[int]:
    """Parameters that limit the time to open and to read, if this OpenCV has them.

    FFmpeg has them since 4.5.4 (pull request 20549), GStreamer since 4.7 (22919).
    """
    if backend == GSTREAMER and VERSION < (4, 7):
        return []
    limit_ms = max(1, round(timeout_s * 1e3))
    return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit_ms]


def threads(count: int) -> List[int]:
    """The parameter for FFmpeg's decoding threads, if this OpenCV has it."""
    return [cv2.CAP_PROP_N_THREADS, count] if hasattr(cv2, "CAP_PROP_N_THREADS") else []


class Video:
    """A video stream that one thread reads and any thread may close.

    `cv2.VideoCapture` crashes if it is released during a read, so `close` leaves the release to
    the reading thread while that is inside a call.

    Args:
        target: path, URL or pipeline.
        backend: FFMPEG or GSTREAMER.
        parameters: property, value, property, value ...
        layout: of the frames, bgr or nv12; nv12 frames are not converted.
        refusals: checks the conversions, where nothing else reads libav's log; None = none does.
    """

    def __init__(
        self,
        target: str,
        backend: int,
        parameters: Sequence[int] = (),
        layout: str = "bgr",
        refusals: Optional[Refusals] = None,
    ) -> None:
        self.layout = layout
        self._refusals = refusals
        self.is_interlaced = False  # whether the last frame could not be converted, therefore
        self._lock = threading.Lock()
        self._closed = False
        self.grabbed_ns = 0  # monotonic, when the last frame was decoded
        self._capture = cv2.VideoCapture(target, backend, list(parameters))
        self.is_open = bool(self._capture.isOpened())
        self._turn = self._take_over_turning() if self.is_open else 0
        self._aspect = self._read_aspect()
        width, height = self.coded_size
        self._coded: Tuple[int, ...] = (height, width, 3)
        if layout == "nv12":
            self._coded = (height * 3 // 2, width)
        self._unturned: np.ndarray = np.empty(self._coded if self._turn else 0, np.uint8)

    def _take_over_turning(self) -> int:
        """Switch off OpenCV's rotation of upright videos, which allocates; returns the degrees."""
        turn = round(self._get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        if turn not in TURNS or not self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0):
            return 0
        return turn

    def _read_aspect(self) -> float:
        """Width over height of a pixel of the frames that `fill` gives."""
        if not _HAS_ASPECT or not self.is_open:
            return 1.0
        aspect = pixel_aspect(self._get(cv2.CAP_PROP_SAR_NUM), self._get(cv2.CAP_PROP_SAR_DEN))
        return 1 / aspect if self._turn in (90, 270) else aspect

    def _get(self, name: int) -> float:
        return float(self._capture.get(name))

    @property
    def coded_size(self) -> Tuple[int, int]:
        """Width and height in px before rotation, (0, 0) if unknown."""
        width, height = self._get(cv2.CAP_PROP_FRAME_WIDTH), self._get(cv2.CAP_PROP_FRAME_HEIGHT)
        return max(0, int(width)), max(0, int(height))

    @property
    def rate_hz(self) -> float:
        """Frames per second, 0 if unknown."""
        rate_hz = self._get(cv2.CAP_PROP_FPS)
        return rate_hz if 0 < rate_hz <= 1000 else 0.0

    @property
    def count(self) -> int:
        """Estimated number of frames, 0 if unknown."""
        return max(0, int(self._get(cv2.CAP_PROP_FRAME_COUNT)))

    @property
    def length_s(self) -> float:
        """Estimated length, 0 if unknown; also where the frame rate itself is nonsense."""
        rate_hz = self._get(cv2.CAP_PROP_FPS)
        return self.count / rate_hz if rate_hz > 0 else 0.0

    @property
    def is_one_picture(self) -> bool:
        """Whether the video is the cover of an audio file, or one picture in a container."""
        return self.count == 1 or self._get(cv2.CAP_PROP_FPS) >= _CLOCK_HZ

    @property
    def fourcc(self) -> str:
        """Code of the codec, "" if unknown."""
        code = int(self._get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        text = code.to_bytes(4, "little").decode("latin-1")
        return text if text.isprintable() else ""

    @property
    def media_ms(self) -> float:
        """The stream's time stamp of the last decoded frame."""
        return self._get(cv2.CAP_PROP_POS_MSEC)

    def grab(self) -> bool:
        """Decode the next frame; False if there is none or the stream was closed."""
        with self._lock:
            got = not self._closed and bool(self._capture.grab())
        self.grabbed_ns = time.monotonic_ns()
        return got and not self._release_if_closed()

    def retrieve(self, slot: Slot, ring: Ring) -> bool:
        """Convert the decoded frame into a slot's memory; False if that fails."""
        return self.fill(slot, ring.memory)

    def fill(self, slot: Slot, memory: FrameMemory) -> bool:
        """Convert the decoded frame into a slot whose memory comes from `memory`."""
        with self._lock:
            got = not self._closed and self._convert(slot, memory)
        return got and not self._release_if_closed()

    def _convert(self, slot: Slot, memory: FrameMemory) -> bool:
        buffer = self._unturned if self._turn else slot.shape_to(self._coded, memory)
        got, image = self._capture.retrieve(buffer if buffer.size else None)
        if not got or not isinstance(image, np.ndarray):
            return False
        if self._refusals and self._refusals.is_stale(image, lambda: self._capture.retrieve(image)):
            self.is_interlaced = True
            return False
        slot.layout, slot.copies, slot.aspect = self.layout, 0, self._aspect
        if image.dtype != np.uint8 or image.ndim != len(self._coded):
            slot.image = image  # the reading thread refuses it
        elif self._turn:
            self._unturned = image
            flat = image.shape[:2] if self._turn == 180 else image.shape[1::-1]
            cv2.rotate(image, TURNS[self._turn], slot.shape_to((*flat, 3), memory))
            slot.copies = 1
        elif image is not buffer:
            self._coded = image.shape  # the size changed, which costs one copy
            np.copyto(slot.shape_to(image.shape, memory), image)
            slot.copies = 1
        return True

    def close(self) -> None:
        """Release the stream at once, or when a running call of the reading thread returns."""
        self._closed = True
        self._release_if_closed()

    def _release_if_closed(self) -> bool:
        if self._closed and self._lock.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._lock.release()
        return self._closed


def decode_picture(data: np.ndarray) -> Optional[np.ndarray]:
    """Decode an image in memory to BGR; None if it is damaged.

    Args:
        data: u8 bytes, borrowed; its header was checked before.
    """
    try:
        image: Optional[np.ndarray] = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return image


def read_picture(path: str, slot: Slot, ring: Ring) -> None:
    """Decode one image file into a slot.

    Args:
        path: the file; its header was checked before.
        slot: receives the image.
        ring: the slot's ring, which has the memory.

    Raises:
        DataError: it cannot be decoded.
    """
    try:
        # Not into the slot itself: with a given buffer, OpenCV (5.0) reports success on some TIFF
        # and PNG files that are cut off, and leaves the previous image in the buffer.
        image = cv2.imread(path, cv2.IMREAD_COLOR)
        if image is None:  # it may be a TIFF that lies on its side: imread (5.0) fails at those
            image = _decoded(path, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"{path}: cannot be decoded as an image: {error.err}") from error
    if image is None:
        raise DataError(f"{path}: {_why_not_decoded(path)}")
    copy_picture(image, slot, ring)


def _decoded(path: str, flags: int) -> Optional[np.ndarray]:
    """A TIFF from memory; None for a file of another format."""
    data = np.fromfile(path, np.uint8)
    return cv2.imdecode(data, flags) if data[:2].tobytes() in (b"II", b"MM") else None


def _why_not_decoded(path: str) -> str:
    raw = _decoded(path, cv2.IMREAD_UNCHANGED)
    if raw is None:
        return "cannot be decoded as an image: it is damaged or cut off"
    return f"has {raw.dtype} samples, which are not read; save it with 8 or 16 bits a sample"


def copy_picture(image: np.ndarray, slot: Slot, ring: Ring) -> None:
    """Copy a picture [H,W,3] u8 BGR into a slot."""
    np.copyto(slot.shape_to(image.shape, ring.memory), image)
    slot.layout, slot.copies = "bgr", 1
