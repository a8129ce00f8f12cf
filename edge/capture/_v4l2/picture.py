"""A camera's bytes into the frame: one OpenCV call, from the driver's buffer into the ring's slot.

OpenCV's Python interface cannot decompress into given memory, so MJPG alone costs one copy more.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import cv2
import numpy as np

from edge.capture._image_size import jpeg_size
from edge.capture._memory import FrameMemory
from edge.capture._ring import Slot
from edge.capture._v4l2.format import KINDS, Picture

_CODES = {
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "YUYV": cv2.COLOR_YUV2BGR_YUYV,
    "UYVY": cv2.COLOR_YUV2BGR_UYVY,
    "RGB3": cv2.COLOR_RGB2BGR,
    "GREY": cv2.COLOR_GRAY2BGR,
}
_END = b"\xff\xd9"
_TAIL = 4096  # cameras pad the end of a picture, by less than this


def shape_of(picture: Picture, layout: str) -> Tuple[int, ...]:
    """The frame's shape: [H,W,3] converted to BGR, or rows as they lie in memory."""
    if layout == "bgr":
        return picture.height, picture.width, 3
    channels = KINDS[picture.format].row_bytes
    return (picture.rows, picture.width, channels)[: 2 if channels == 1 else 3]


def look(memory: Any, picture: Picture, shape: Tuple[int, ...]) -> np.ndarray:
    """A view of the driver's bytes as rows of that shape, padding skipped; borrowed from memory."""
    strides = (picture.stride, shape[-1] if len(shape) > 2 else 1, 1)[: len(shape)]
    return np.ndarray(shape, np.uint8, memory, strides=strides)


class Convert:
    """Makes frames of one picture format.

    Args:
        picture: what the camera gives.
        layout: "bgr", or "raw" for the bytes as they are.
    """

    def __init__(self, picture: Picture, layout: str) -> None:
        self.layout = "bgr" if layout == "bgr" else KINDS[picture.format].layout
        self.shape = shape_of(picture, layout)
        self._picture = picture
        self._has_end = False
        self._own = shape_of(picture, "raw") if picture.stride else ()
        same = layout == "raw" or picture.format == "BGR3"
        ways: Dict[bool, Callable[[np.ndarray, np.ndarray], bool]] = {
            True: self._copy,
            False: self._colour if picture.stride else self._decompress,
        }
        self._way = ways[same]

    def into(self, slot: Slot, memory: FrameMemory, data: np.ndarray) -> bool:
        """Fill a slot from a whole picture.

        Args:
            slot: gets the frame, in its own memory.
            memory: of the ring; used when the slot has another shape.
            data: u8 bytes of the driver, exactly those used; borrowed.

        Returns:
            False when the bytes are garbage; the slot then holds no frame.
        """
        return self._way(data, slot.shape_to(self.shape, memory))

    def _copy(self, data: np.ndarray, image: np.ndarray) -> bool:
        np.copyto(image, look(data, self._picture, self._own))
        return True

    def _colour(self, data: np.ndarray, image: np.ndarray) -> bool:
        source = look(data, self._picture, self._own)
        cv2.cvtColor(source, _CODES[self._picture.format], dst=image)
        return True

    def _decompress(self, data: np.ndarray, image: np.ndarray) -> bool:
        # The size is read first: a damaged header could ask for gigabytes.
        if jpeg_size(data) != (self._picture.width, self._picture.height):
            return False
        end = data[-_TAIL:].tobytes().rfind(_END) >= 0
        self._has_end |= end
        # Cut short, or of a camera that never writes the end: OpenCV wants one. The copy is of
        # compressed bytes, in such cameras only.
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
