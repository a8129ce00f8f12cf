"""Skeletons around a moment, side by side on one picture."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.errors import TempError
from edge.recording.record import RecordedFrame
from edge.structures import VISIBLE

BEFORE_S, AFTER_S = 1.5, 1.5
_PANELS, _SIDE_PX = 6, 240


def write(path: Path, frames: Sequence[RecordedFrame], title: str) -> None:
    """Write a row of at most six panels, evenly through `frames`.

    Raises:
        TempError: the file cannot be written.
    """
    picks = sorted(set(np.linspace(0, len(frames) - 1, _PANELS).astype(int).tolist()))
    row = np.hstack([_panel(frames[i], frames[0].t_ns) for i in picks])
    banner = np.full((28, row.shape[1], 3), 255, np.uint8)
    cv2.putText(banner, title, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    if not cv2.imwrite(str(path), np.vstack((banner, row))):
        raise TempError(f"{path}: cannot be written")


def _panel(frame: RecordedFrame, begin_ns: int) -> np.ndarray:
    width, height = frame.size
    scale = _SIDE_PX / max(width, height, 1)
    size: Tuple[int, int] = (max(round(height * scale), 1), _SIDE_PX)
    image = np.full((*size, 3), 32, np.uint8)
    skeleton = skeletons.get(frame.poses.skeleton)
    points = np.nan_to_num(frame.poses.keypoints * scale).clip(-4000, 4000).astype(int)
    there = frame.poses.scores > VISIBLE
    for person in range(len(points)):
        for (a, b), colour in zip(skeleton.edges.tolist(), skeleton.colours.tolist()):
            if there[person, a] and there[person, b]:
                ends: List[List[int]] = points[person, [a, b]].tolist()
                cv2.line(image, ends[0], ends[1], colour, 2, cv2.LINE_AA)
    text = f"{(frame.t_ns - begin_ns) * 1e-9:.1f} s"
    cv2.putText(image, text, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    padded = np.zeros((_SIDE_PX, _SIDE_PX + 2, 3), np.uint8)
    padded[: size[0], :_SIDE_PX] = image
    return padded
