"""Scan recordings: a few numbers about each frame, to choose frames by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Sequence, Tuple

import cv2
import numpy as np

from edge.structures import Detections
from tools.calib import media

CELLS = 16  # a frame, and its largest person, are each reduced to CELLS x CELLS grey cells
BLUR_HEIGHT_PX = 360  # frames are resized to this height, so that sharpness can be compared
FindPeople = Callable[[np.ndarray], Detections]


@dataclass(frozen=True)
class ScannedFrames:
    """The scanned frames of all clips. F frames."""

    clip: np.ndarray  # [F] i64 index of the clip
    index: np.ndarray  # [F] i64 frame in the clip
    t_s: np.ndarray  # [F] f64 time in the clip
    people: np.ndarray  # [F] i64 number of people
    height: np.ndarray  # [F] f32 median height of the boxes, share of the frame's; 0: no people
    brightness: np.ndarray  # [F] f32 mean grey level, 0..255
    sharpness: np.ndarray  # [F] f32 variance of the Laplacian
    cells: np.ndarray  # [F,2*CELLS²] u8 cells of the frame, then of its largest person

    def __len__(self) -> int:
        return len(self.clip)


Row = Tuple[int, int, float, int, float, float, float, np.ndarray]


def strides(lengths: Sequence[int], budget: int) -> List[int]:
    """For each clip, n: every n-th frame is scanned, about `budget` frames in all.

    Each clip gets the same number of frames. Of a short clip all frames are scanned, and its
    unused share goes to longer clips.
    """
    left, share = budget, {}
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for place, i in enumerate(order):
        share[i] = max(1, min(lengths[i], left // (len(order) - place)))
        left = max(0, left - share[i])
    return [max(1, -(-lengths[i] // share[i])) for i in range(len(lengths))]


def scan(
    clips: Sequence[media.Clip], every: Sequence[int], look: FindPeople, step: Callable[[], None]
) -> ScannedFrames:
    """Scan every n-th frame of each clip.

    Args:
        clips: recordings.
        every: n of each clip; 0 = skip the clip.
        look: finds the people in a picture [H,W,3] u8 BGR.
        step: called after every frame of a clip.
    """
    rows: List[Row] = []
    for number, (clip, stride) in enumerate(zip(clips, every)):
        if not stride:
            continue
        for index, t_s, image in media.read(clip, lambda i, n=stride: i % n == 0, step):  # type: ignore[misc]
            rows.append((number, index, t_s) + describe(image, look(image)))
    return _table(rows)


def describe(image: np.ndarray, people: Detections) -> Tuple[int, float, float, float, np.ndarray]:
    """Number of people, their median height, brightness, sharpness and cells of a picture."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    high = people.boxes[:, 3] - people.boxes[:, 1]
    scale = BLUR_HEIGHT_PX / grey.shape[0]
    # Both sides keep at least one pixel, even of a very narrow picture.
    wide = max(scale, 1 / grey.shape[1])
    small = cv2.resize(grey, None, fx=wide, fy=scale, interpolation=cv2.INTER_AREA)
    return (
        len(people),
        float(np.median(high) / grey.shape[0]) if len(people) else 0.0,
        float(small.mean()),
        float(cv2.Laplacian(small, cv2.CV_32F).var()),
        np.concatenate((_cells(small), _cells(_largest(grey, people.boxes)))),
    )


def _largest(grey: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    if not len(boxes):
        return np.zeros((CELLS, CELLS), np.uint8)
    high, wide = grey.shape
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    x1, y1, x2, y2 = (int(v) for v in boxes[int(area.argmax())])
    x1, y1 = min(max(x1, 0), wide - 1), min(max(y1, 0), high - 1)
    return grey[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]


def _cells(grey: np.ndarray) -> np.ndarray:
    return cv2.resize(grey, (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel()


def _table(rows: List[Row]) -> ScannedFrames:
    columns = list(zip(*rows)) if rows else [()] * 8
    kinds = (np.int64, np.int64, np.float64, np.int64, np.float32, np.float32, np.float32)
    arrays = [np.array(column, kind) for column, kind in zip(columns, kinds)]
    arrays.append(np.array(columns[7], np.uint8).reshape(len(rows), 2 * CELLS * CELLS))
    return ScannedFrames(*arrays)
