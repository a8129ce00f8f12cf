"""Write a video of frames with skeletons, for people to watch; it is never published."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.capture._opencv import is_text
from edge.commands.snapshot import to_bgr
from edge.errors import NoInputError
from edge.structures import VISIBLE, Frame, Poses, RuleSummary

log = logging.getLogger(__name__)

RESERVE_BYTES = 16 << 20  # the video stops while other programs still have this much disk
TILE_PX = 720  # longer side of one camera in a mosaic
_LONGER_PX = 700  # a picture whose longer side has this many px gets lines of one px
BOX_COLOUR = (220, 190, 60)  # BGR
RULE_COLOUR = (60, 200, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(
    image: np.ndarray,
    poses: Poses,
    scale: float = 1.0,
    min_score: float = VISIBLE,
    thickness_px: int = 0,
) -> None:
    """Draw all poses into an image, in place.

    Args:
        image: [H,W,3] u8 BGR.
        poses: keypoints in px of the full frame.
        scale: image px per frame px.
        min_score: keypoints with a lower score are left out.
        thickness_px: of lines; 0 = 1 or 2, by the scale.
    """
    skeleton = skeletons.get(poses.skeleton)
    shift = 4  # fractional bits of the fixed-point coordinates that cv2 takes
    points = np.round(np.clip(poses.keypoints * scale, -1e4, 1e4) * (1 << shift)).astype(np.int32)
    seen = poses.scores > min_score
    start, end = skeleton.edges.T
    colours, kinds = np.unique(skeleton.colours, axis=0, return_inverse=True)
    thickness = thickness_px or 1 + (scale > 0.5)
    for person in range(len(poses)):
        _draw_box(image, poses, person, scale, max(1, thickness // 2))
        whole = seen[person, start] & seen[person, end]
        for kind, colour in enumerate(colours.tolist()):
            lines = list(points[person][skeleton.edges[whole & (kinds.ravel() == kind)]])
            cv2.polylines(image, lines, False, colour, thickness, cv2.LINE_AA, shift)
        for point in points[person][seen[person]].tolist():
            cv2.circle(image, point, 10 * thickness, (255, 255, 255), -1, cv2.LINE_AA, shift)


def _draw_box(
    image: np.ndarray, poses: Poses, person: int, scale: float, thickness_px: int
) -> None:
    x1, y1, x2, y2 = (int(v) for v in np.clip(poses.boxes[person] * scale, -1e4, 1e4))
    cv2.rectangle(image, (x1, y1), (x2, y2), BOX_COLOUR, thickness_px)
    text = f"{int(poses.ids[person])} {poses.person_scores[person]:.2f}"
    _label(image, text, (x1, max(y1, 0)))


def draw_rules(
    image: np.ndarray, poses: Poses, summaries: Sequence[RuleSummary], scale: float = 1.0
) -> None:
    """Draw what rules watch and what they know of each person, in place.

    Args:
        image: [H,W,3] u8 BGR.
        poses: the people in view, with ids.
        summaries: of the rules of this camera.
        scale: image px per frame px.
    """
    for outline in (outline for summary in summaries for outline in summary.outlines):
        points = np.stack([outline.points.real, outline.points.imag], 1) * scale
        corners = np.clip(points, -1e4, 1e4).astype(np.int32)
        cv2.polylines(image, [corners], outline.closed, RULE_COLOUR, 2, cv2.LINE_AA)
        x, y = corners.min(0).tolist()
        _label(image, outline.label, (max(x, 0), max(y, 0)))
    line_px = round(max(0.45, image.shape[0] / 1600) * 40)
    for person, (x1, y1) in zip(poses.ids.tolist(), (poses.boxes[:, :2] * scale).tolist()):
        words = [s.labels[person] for s in summaries if person in s.labels]
        for i, text in enumerate(words, 1):
            _label(image, text, (int(max(x1, 0)), int(max(y1, 0)) + i * line_px))
    notes = [f"{s.name}: {s.unsure}" for s in summaries if s.unsure]
    for i, text in enumerate(notes, 1):
        _label(image, text, (0, i * line_px))


def _label(image: np.ndarray, text: str, at: Tuple[int, int]) -> None:
    """White text on black can be read on any picture."""
    size = max(0.45, image.shape[0] / 1600)
    (width, height), _ = cv2.getTextSize(text, FONT, size, 1)
    x, y = at
    cv2.rectangle(image, (x, y), (x + width + 6, y + height + 8), (0, 0, 0), -1)
    cv2.putText(image, text, (x + 3, y + height + 3), FONT, size, (255,) * 3, 1, cv2.LINE_AA)


def picture(
    frame: Frame, poses: Poses, summaries: Sequence[RuleSummary], suffix: str = ".jpg"
) -> bytes:
    """An annotated picture as the content of a file.

    Args:
        frame: of any layout; borrowed.
        poses: the people in it.
        summaries: of the rules of its camera.
        suffix: .jpg or .png
    """
    image = to_bgr(frame)
    draw(image, poses, thickness_px=max(2, round(max(frame.size) / _LONGER_PX)))
    draw_rules(image, poses, summaries)
    options = (cv2.IMWRITE_JPEG_QUALITY, 92) if suffix == ".jpg" else ()
    return cv2.imencode(suffix, image, options)[1].tobytes()


class Annotator:
    """Writes one video: all cameras side by side, one picture for each step of the loop.

    Attributes:
        pictures: how many were written.
        stopped: why the video ended early; empty = it did not.

    Args:
        path: the video, .mp4 or .avi.
        cameras: names of all cameras, in the order of their tiles.
        summaries: gives what the rules of a camera know now; it is drawn, too.

    Raises:
        NoInputError: the folder is missing, or the path is not UTF-8.
    """

    def __init__(
        self,
        path: Path,
        cameras: Sequence[str],
        summaries: Callable[[str], Sequence[RuleSummary]] = lambda camera: (),
    ) -> None:
        if not path.parent.is_dir():
            raise NoInputError(f"{path.parent}: no such folder for the annotated video; create it")
        # libav takes a colon in a relative path for a protocol.
        self._path = path.absolute()
        if not is_text(self._path):  # OpenCV crashes on such a path
            raise NoInputError(f"{path}: is not a name in UTF-8; choose another name for the video")
        self._cameras, self._summaries = list(cameras), summaries
        self._columns = math.ceil(math.sqrt(len(cameras)))
        self._writer: Optional[Any] = None
        self._canvas: Optional[np.ndarray] = None
        self._tile = (0, 0)
        self._first_ns: Dict[str, int] = {}
        self._pending = np.zeros((0, 0, 3), np.uint8)
        self.pictures = 0
        self.stopped = ""

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        """Draw a step of the loop. A full disk ends the video, not the program."""
        if self.stopped or not frames or self._disk_is_full():
            return
        if self._canvas is None:
            self._begin(frames[0])
        for frame, people in zip(frames, poses):
            self._place(frame, people)
        self._write(frames[0])

    def close(self) -> None:
        """Finish the file. A video of one picture gets a rate of 1 Hz."""
        if self._writer is None and self._pending.size and not self.stopped:
            self._open(1.0)
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def _disk_is_full(self) -> bool:
        free = shutil.disk_usage(self._path.parent).free
        if free < RESERVE_BYTES:
            self._stop(f"only {free >> 20} MB are free; make room, or write to another disk")
        return bool(self.stopped)

    def _stop(self, why: str) -> None:
        self.stopped = why
        log.warning(
            "%s: annotated video stopped after %d pictures: %s; the program goes on",
            self._path,
            self.pictures,
            why,
        )
        self.close()

    def _begin(self, frame: Frame) -> None:
        width, height = frame.size
        scale = min(1.0, TILE_PX / max(width, height)) if len(self._cameras) > 1 else 1.0
        # Codecs require even sizes, and a side of a thin picture must not become 0.
        self._tile = (max(int(width * scale) // 2, 1) * 2, max(int(height * scale) // 2, 1) * 2)
        rows = math.ceil(len(self._cameras) / self._columns)
        shape = (self._tile[1] * rows, self._tile[0] * self._columns, 3)
        self._canvas = np.zeros(shape, np.uint8)

    def _place(self, frame: Frame, poses: Poses) -> None:
        assert self._canvas is not None
        row, column = divmod(self._cameras.index(frame.camera), self._columns)
        (w, h), (width, height) = self._tile, frame.size
        tile = self._canvas[row * h : (row + 1) * h, column * w : (column + 1) * w]
        scale = min(w / width, h / height)
        inner = tile[: max(int(height * scale), 1), : max(int(width * scale), 1)]
        plain = frame.layout == "bgr" and frame.view is None
        image = frame.image if plain else to_bgr(frame)
        if inner.shape == image.shape:
            inner[:] = image
        else:
            size = (inner.shape[1], inner.shape[0])
            inner[:] = cv2.resize(image, size, None, 0, 0, cv2.INTER_AREA)
        drawn = np.ascontiguousarray(inner)
        draw(drawn, poses, scale)
        draw_rules(drawn, poses, self._summaries(frame.camera), scale)
        _label(drawn, frame.camera, (0, 0))
        inner[:] = drawn

    def _write(self, frame: Frame) -> None:
        """Write the canvas; the first one waits, as the second gives the frame rate."""
        assert self._canvas is not None
        if self._writer is None:
            first_ns = self._first_ns.setdefault(frame.camera, frame.t_ns)
            if frame.t_ns == first_ns:
                self._pending = self._canvas.copy()
                return
            self._open(min(max(1e9 / (frame.t_ns - first_ns), 1.0), 120.0))
        if self._writer is not None:
            self._writer.write(self._canvas)
            self.pictures += 1

    def _open(self, rate_hz: float) -> None:
        assert self._canvas is not None
        size: Tuple[int, int] = (self._canvas.shape[1], self._canvas.shape[0])
        mp4 = self._path.suffix.lower() == ".mp4"
        codec = cv2.VideoWriter.fourcc(*("mp4v" if mp4 else "MJPG"))
        self._writer = cv2.VideoWriter(str(self._path), codec, rate_hz, size)
        if not self._writer.isOpened():
            self._stop("the file cannot be opened; use a writable path that ends in .mp4 or .avi")
            return
        self._writer.write(self._pending)
        self._pending = self._pending[:0]
        self.pictures += 1


def contact_sheet(pictures: List[np.ndarray], columns: int = 2) -> np.ndarray:
    """Put pictures of one size side by side, row by row.

    Args:
        pictures: each [H,W,3] u8.
        columns: pictures in a row.

    Returns:
        [rows*H,columns*W,3] u8; empty places are black.
    """
    rows = math.ceil(len(pictures) / columns)
    height, width = pictures[0].shape[:2]
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = picture
    return sheet
