"""Pictures that may leave the loop: only for a signed command, with everybody painted over.

Whole people are painted over, since the place of a head is often wrong: networks see a lying or an
upside-down body the wrong way round. They are painted over with the mean colours of a coarse grid;
unlike a blur this cannot be undone. A person whom the networks do not see is not painted over.
Therefore pictures are off unless the configuration allows them.
"""

from __future__ import annotations

import math
from typing import Dict, List, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.errors import DataError
from edge.structures import VISIBLE, Frame, Poses

MAX_BYTES = 150_000  # of a JPEG: with base64 and signature below brokers' usual 262144
CELLS = 4  # cells of the grid in each direction
MARGIN = 0.15  # of a box's sides, on each side: detectors cut heads off, and people move
LEAST_PX = 4.0
HEAD = 0.30  # size of a head's square, share of the longer side of the person's box
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
Box = Tuple[float, ...]  # x1 y1 x2 y2 px
TO_BGR = {
    "nv12": cv2.COLOR_YUV2BGR_NV12,
    "yuyv": cv2.COLOR_YUV2BGR_YUYV,
    "rgb": cv2.COLOR_RGB2BGR,
    "gray": cv2.COLOR_GRAY2BGR,
}


def to_bgr(frame: Frame) -> np.ndarray:
    """Return the upright picture as [H,W,3] u8 BGR, a copy."""
    if frame.layout == "bgr":
        image = frame.image.copy()
    else:
        image = np.asarray(cv2.cvtColor(frame.image, TO_BGR[frame.layout]))
    if frame.view is None:
        return image
    if frame.view.aspect != 1:
        image = cv2.resize(image, frame.view.stretched(frame.stored_size))
    return np.ascontiguousarray(frame.view.upright(image))


def hide_people(image: np.ndarray, poses: Poses, boxes: np.ndarray) -> None:
    """Paint over everybody, in place.

    Args:
        image: [H,W,3] u8 BGR of the full frame.
        poses: people in it, px of the full frame; keypoints of any score are used.
        boxes: [N,4] px, where anybody else may be.
    """
    everywhere = [*_widened(boxes), *_widened(poses.boxes), *_widened(_seen(poses))]
    for person in range(len(poses)):
        everywhere += _head(poses, person)
    for place in everywhere:
        x1, y1, x2, y2 = _inside(place, image.shape[1], image.shape[0])
        part = image[y1:y2, x1:x2]
        if part.size:
            small = cv2.resize(part, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(small, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)


def _widened(boxes: np.ndarray) -> List[Box]:
    """Boxes with a margin; those with a coordinate that is not finite are left out."""
    boxes = boxes[np.isfinite(boxes).all(1)].astype(np.float64)
    margins = np.maximum(MARGIN * (boxes[:, 2:] - boxes[:, :2]), LEAST_PX)
    wide = np.concatenate((boxes[:, :2] - margins, boxes[:, 2:] + margins), 1)
    return [tuple(box) for box in wide.tolist()]


def _seen(poses: Poses) -> np.ndarray:
    """Boxes [n,4] px around the visible keypoints of each person who has some."""
    seen = (poses.scores > VISIBLE) & np.isfinite(poses.keypoints).all(-1)
    ones = [p[s] for p, s in zip(poses.keypoints, seen) if s.any()]
    around = [np.concatenate((points.min(0), points.max(0))) for points in ones]
    return np.array(around, np.float32).reshape(-1, 4)


def _head(poses: Poses, person: int) -> List[Box]:
    """A square around a person's head, also where its keypoints are hardly sure; [] without them.

    It may lie outside the person's box, which the network may have given too small.
    """
    which = _head_points(poses.skeleton)
    points, scores = poses.keypoints[person][which], poses.scores[person][which]
    points = points[(scores > 0) & np.isfinite(points).all(1)]
    if not len(points):
        return []
    x1, y1, x2, y2 = (float(v) for v in np.nan_to_num(poses.boxes[person]))
    centre = (points.min(0) + points.max(0)) / 2
    half = max(float(np.ptp(points, 0).max()) / 2 * REACH, HEAD / 2 * max(y2 - y1, x2 - x1))
    return [(*(centre - half).tolist(), *(centre + half).tolist())]


def _inside(box: Box, width: int, height: int) -> Tuple[int, int, int, int]:
    limits = (width, height, width, height)
    x1, y1, x2, y2 = (min(max(v, 0), m) for v, m in zip(_whole(box), limits))
    return x1, y1, x2, y2


def _whole(box: Box) -> Tuple[int, int, int, int]:
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
