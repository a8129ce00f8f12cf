"""The first look at recordings: what is to be seen in each frame, in a few bytes a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Sequence, Tuple

import cv2
import numpy as np

from edge.structures import Detections
from tools.calib import media

CELLS = 16  # a frame and its largest person are each described by so many grey cells squared
BLUR_HEIGHT_PX = 360  # sharpness is comparable only at one size
Look = Callable[[np.ndarray], Detections]


@dataclass(frozen=True)
class Seen:
    """Frames of all clips, one row each. F frames."""

    clip: np.ndarray  # [F] i64 index of the clip
    index: np.ndarray  # [F] i64 frame in the clip
    t_s: np.ndarray  # [F] f64 in the clip
    people: np.ndarray  # [F] i64
    height: np.ndarray  # [F] f32 median height of the boxes, share of the frame's; 0: no one
    brightness: np.ndarray  # [F] f32 mean grey, 0..255
    sharpness: np.ndarray  # [F] f32 variance of the Laplacian
    cells: np.ndarray  # [F,2*CELLS²] u8 the frame, then its largest person

    def __len__(self) -> int:
        return len(self.clip)


Row = Tuple[int, int, float, int, float, float, float, np.ndarray]


def strides(lengths: Sequence[int], budget: int) -> List[int]:
    """Every how many frames to look, so that about `budget` of all are seen; even over clips.

    Short clips are seen whole; what they leave goes to the longer ones.
    """
    left, share = budget, {}
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for place, i in enumerate(order):
        share[i] = max(1, min(lengths[i], left // (len(order) - place)))
        left = max(0, left - share[i])
    return [max(1, -(-lengths[i] // share[i])) for i in range(len(lengths))]


def scan(
    clips: Sequence[media.Clip], every: Sequence[int], look: Look, step: Callable[[], None]
) -> Seen:
    """Look at every n-th frame of each clip.

    Args:
        clips: recordings.
        every: n of each; 0: not at all.
        look: finds the people of a picture [H,W,3] u8 BGR.
        step: called after every frame of a clip, looked at or not.
    """
    rows: List[Row] = []
    for number, (clip, stride) in enumerate(zip(clips, every)):
        if not stride:
            continue
        for index, t_s, image in media.read(clip, lambda i, n=stride: i % n == 0, step):  # type: ignore[misc]
            rows.append((number, index, t_s) + describe(image, look(image)))
    return _table(rows)


def describe(image: np.ndarray, people: Detections) -> Tuple[int, float, float, float, np.ndarray]:
    """People, their median height, brightness, sharpness, and cells of a picture."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    high = people.boxes[:, 3] - people.boxes[:, 1]
    scale = BLUR_HEIGHT_PX / grey.shape[0]
    # No side below one pixel, however long and thin the picture is.
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


def _table(rows: List[Row]) -> Seen:
    columns = list(zip(*rows)) if rows else [()] * 8
    kinds = (np.int64, np.int64, np.float64, np.int64, np.float32, np.float32, np.float32)
    arrays = [np.array(column, kind) for column, kind in zip(columns, kinds)]
    arrays.append(np.array(columns[7], np.uint8).reshape(len(rows), 2 * CELLS * CELLS))
    return Seen(*arrays)
