"""Pictures that may leave the loop: only for a signed command, with heads painted over.

A head is painted over with the mean colours of a coarse grid; unlike a blur this cannot be undone.
A person whom the networks do not see is not painted over. Therefore pictures are off unless the
configuration allows them.
"""

from __future__ import annotations

import math
from typing import Dict, List, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.errors import DataError
from edge.structures import Frame, Poses

MAX_BYTES = 150_000  # of a JPEG: with base64 and signature below brokers' usual 262144
CELLS = 4  # cells of the grid in each direction
HEAD = 0.30  # share of the box's height in which a head is, if no keypoint shows it
REACH = 1.6  # the face's keypoints end at brows and chin: hair and ears are outside
HEADLESS = (
    "shoulder",
    "elbow",
    "wrist",
    "hip",
    "knee",
    "ankle",
    "toe",
    "heel",
    "neck",
    "hand",
    "thumb",
    "pinky",
    "index",
    "foot",
)
TO_BGR = {
    "nv12": cv2.COLOR_YUV2BGR_NV12,
    "yuyv": cv2.COLOR_YUV2BGR_YUYV,
    "rgb": cv2.COLOR_RGB2BGR,
    "gray": cv2.COLOR_GRAY2BGR,
}


def to_bgr(frame: Frame) -> np.ndarray:
    """Return the picture as [H,W,3] u8 BGR, a copy."""
    if frame.layout == "bgr":
        return frame.image.copy()
    return np.asarray(cv2.cvtColor(frame.image, TO_BGR[frame.layout]))


def hide_heads(image: np.ndarray, poses: Poses) -> None:
    """Paint over every head, in place.

    Args:
        image: [H,W,3] u8 BGR of the full frame.
        poses: all people in it, px of the full frame; keypoints of any score are used.
    """
    for person in range(len(poses)):
        for x1, y1, x2, y2 in head_boxes(poses, person, image.shape[1], image.shape[0]):
            part = image[y1:y2, x1:x2]
            if part.size:
                small = cv2.resize(part, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
                part[:] = cv2.resize(small, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)


def head_boxes(
    poses: Poses, person: int, width: int, height: int
) -> List[Tuple[int, int, int, int]]:
    """Return boxes around a person's head: one from the keypoints, one at the top of the box.

    Both are painted over because each may be wrong: a keypoint may be misplaced, and the head of a
    bent person is not at the top.

    Returns:
        x1 y1 x2 y2 in whole px, inside the picture.
    """
    boxes = []
    points = poses.keypoints[person][_head_points(poses.skeleton)]
    sure = poses.scores[person][_head_points(poses.skeleton)] > 0
    points = points[sure & np.isfinite(points).all(1)]
    x1, y1, x2, y2 = (float(v) for v in np.nan_to_num(poses.boxes[person]))
    if len(points):
        centre = (points.min(0) + points.max(0)) / 2
        half = max(float(np.ptp(points, 0).max()) / 2 * REACH, HEAD / 2 * min(y2 - y1, x2 - x1))
        boxes.append((*(centre - half), *(centre + half)))
    boxes.append((x1, y1, x2, y1 + HEAD * (y2 - y1)))
    limits = (width, height, width, height)
    return [
        tuple(min(max(v, 0), m) for v, m in zip(_whole(box), limits))  # type: ignore[misc]
        for box in boxes
    ]


def _whole(box: Tuple[float, ...]) -> Tuple[int, int, int, int]:
    x1, y1, x2, y2 = (min(max(v, -1e6), 1e6) for v in box)
    return math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2)


def _head_points(skeleton: str) -> np.ndarray:
    """Indices of keypoints on the head: the face, and body keypoints that are not HEADLESS."""
    known = skeletons.get(skeleton)
    body = [
        i
        for i in known.parts["body"].tolist()
        if not any(word in known.names[i] for word in HEADLESS)
    ]
    return np.concatenate((known.parts["face"], np.array(body, np.int64)))


def jpeg(image: np.ndarray, width_px: int, max_bytes: int = MAX_BYTES) -> bytes:
    """Encode a picture as JPEG within limits of width and size.

    Raises:
        DataError: OpenCV cannot write it.
    """
    scale = min(1.0, width_px / max(image.shape[1], 1))
    for quality in (85, 70, 50, 30, 30, 30, 30):
        size = tuple(max(1, round(n * scale)) for n in image.shape[1::-1])
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        fine, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if fine and len(data) <= max_bytes:
            return bytes(data)
        scale *= 1.0 if quality > 30 else 0.7
    raise DataError("the picture cannot be written as a JPEG of the size allowed")


def crops(image: np.ndarray, poses: Poses, margin: float = 0.25) -> Dict[int, np.ndarray]:
    """Cut out people with a margin, for calibration.

    Returns:
        Track id -> [h,w,3] u8, views into the image; people outside of it are left out.
    """
    found = {}
    height, width = image.shape[:2]
    for person, number in enumerate(poses.ids.tolist()):
        x1, y1, x2, y2 = (float(v) for v in np.nan_to_num(poses.boxes[person]))
        room = margin * max(x2 - x1, y2 - y1)
        left, top, right, bottom = _whole((x1 - room, y1 - room, x2 + room, y2 + room))
        part = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        if part.size:
            found[number] = part
    return found
