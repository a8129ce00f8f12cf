"""Converts a camera's bytes into a frame by one OpenCV call, from driver's buffer to slot.

MJPG costs one more copy, because OpenCV's Python interface cannot decompress into given memory.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import cv2
import numpy as np

from edge.capture._image_size import jpeg_size
from edge.capture._memory import FrameMemory
from edge.capture._ring import Slot
from edge.capture._v4l2.format import PictureFormat
from edge.capture._v4l2.request import PIXEL_LAYOUTS

_CODES = {
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "YUYV": cv2.COLOR_YUV2BGR_YUYV,
    "UYVY": cv2.COLOR_YUV2BGR_UYVY,
    "RGB3": cv2.COLOR_RGB2BGR,
    "GREY": cv2.COLOR_GRAY2BGR,
}
_END = b"\xff\xd9"
_TAIL = 4096  # cameras pad the end of an image by fewer bytes than this


def shape_of(picture: PictureFormat, layout: str) -> Tuple[int, ...]:
    """The shape of a frame: [H,W,3] for BGR, else the rows as they lie in memory."""
    if layout == "bgr":
        return picture.height, picture.width, 3
    channels = PIXEL_LAYOUTS[picture.format].row_bytes
    return (picture.rows, picture.width, channels)[: 2 if channels == 1 else 3]


def rows_view(memory: Any, picture: PictureFormat, shape: Tuple[int, ...]) -> np.ndarray:
    """A view of the driver's bytes in this shape, without the rows' padding; borrowed."""
    strides = (picture.stride, shape[-1] if len(shape) > 2 else 1, 1)[: len(shape)]
    return np.ndarray(shape, np.uint8, memory, strides=strides)


class Converter:
    """Converts frames of one format.

    Args:
        picture: the camera's format.
        layout: "bgr", or "raw" for the camera's format.
    """

    def __init__(self, picture: PictureFormat, layout: str) -> None:
        self.layout = "bgr" if layout == "bgr" else PIXEL_LAYOUTS[picture.format].layout
        self.shape = shape_of(picture, layout)
        self._picture = picture
        self._has_end = False
        self._own = shape_of(picture, "raw") if picture.stride else ()
        same = layout == "raw" or picture.format == "BGR3"
        ways: Dict[bool, Callable[[np.ndarray, np.ndarray], bool]] = {
            True: self._copy,
            False: self._colour if picture.stride else self._decompress,
        }
        self._fill = ways[same]

    def convert(self, slot: Slot, memory: FrameMemory, data: np.ndarray) -> bool:
        """Fill a slot from a complete frame.

        Args:
            slot: receives the frame, in its own memory.
            memory: of the ring; allocates if the slot has another shape.
            data: u8, the driver's bytes, only those that the frame uses; borrowed.

        Returns:
            False if the bytes are no valid image; the slot then holds no frame.
        """
        return self._fill(data, slot.shape_to(self.shape, memory))

    def _copy(self, data: np.ndarray, image: np.ndarray) -> bool:
        np.copyto(image, rows_view(data, self._picture, self._own))
        return True

    def _colour(self, data: np.ndarray, image: np.ndarray) -> bool:
        source = rows_view(data, self._picture, self._own)
        cv2.cvtColor(source, _CODES[self._picture.format], dst=image)
        return True

    def _decompress(self, data: np.ndarray, image: np.ndarray) -> bool:
        # Check the size first: a damaged header could demand gigabytes.
        if jpeg_size(data) != (self._picture.width, self._picture.height):
            return False
        end = data[-_TAIL:].tobytes().rfind(_END) >= 0
        self._has_end |= end
        # OpenCV needs an end marker. If this camera never writes one, add it, which copies the
        # compressed bytes; from other cameras, the frame is cut off.
        if not end and not self._has_end:
            data, end = np.append(data, np.frombuffer(_END, np.uint8)), True
        found = self._decoded(data) if end else None
        if found is None or found.shape != image.shape:
            return False
        np.copyto(image, found)
        return True

    @staticmethod
    def _decoded(data: np.ndarray) -> Optional[np.ndarray]:
        try:
            found: Optional[np.ndarray] = cv2.imdecode(
                data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            )
        except cv2.error:
            return None
        return found
