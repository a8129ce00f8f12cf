"""Square crops of brightness out of a frame, for optical flow. Nothing frame-sized is made."""

from __future__ import annotations

import cv2
import numpy as np

from edge.structures import Frame


def crops(frame: Frame, windows: np.ndarray, side_px: int) -> np.ndarray:
    """Cut squares out of the stored picture of a frame.

    Args:
        frame: borrowed.
        windows: [N,3] f32 left, top and side of each square, px of the stored picture; they may
            reach outside, where the crop is black.
        side_px: S, of the crops.

    Returns:
        [N,S,S] u8 luma. Crop px p shows the stored px left + (p + 0.5) * side / S - 0.5.
    """
    out = np.zeros((len(windows), side_px, side_px), np.uint8)
    for crop, window in zip(out, windows):
        _cut(frame, window, crop)
    return out


def _cut(frame: Frame, window: np.ndarray, crop: np.ndarray) -> None:
    """Fill one crop. A region that is much larger is shrunk by a whole factor first (area mean)."""
    width, height = frame.stored_size
    left, top, side = (float(v) for v in window)
    x1, y1 = max(int(left), 0), max(int(top), 0)
    x2, y2 = min(int(left + side) + 2, width), min(int(top + side) + 2, height)
    factor = max(int(side / len(crop)), 1)
    across, down = (x2 - x1) // factor, (y2 - y1) // factor
    if across < 1 or down < 1:
        return
    region = _region(frame, x1, y1, x1 + across * factor, y1 + down * factor)
    if factor > 1:
        region = cv2.resize(region, (across, down), interpolation=cv2.INTER_AREA)
    if region.ndim == 3:
        code = cv2.COLOR_RGB2GRAY if frame.layout == "rgb" else cv2.COLOR_BGR2GRAY
        region = cv2.cvtColor(region, code)
    scale = len(crop) / side
    matrix = np.array([[scale * factor, 0, 0], [0, scale * factor, 0]])
    first = np.array([x1, y1]) + (factor - 1) / 2  # stored px of the region's first pixel
    matrix[:, 2] = (first - [left, top] + 0.5) * scale - 0.5
    cv2.warpAffine(region, matrix, crop.shape[::-1], dst=crop, flags=cv2.INTER_LINEAR)


def _region(frame: Frame, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    """The luma, or the colours, of a part of the stored picture; a view where there can be one."""
    part = frame.image[y1:y2, x1:x2]  # the Y plane of nv12 comes first
    if frame.layout == "yuyv":
        return np.ascontiguousarray(part[..., 0])
    return part[..., 0] if frame.layout == "gray" and part.ndim == 3 else part
