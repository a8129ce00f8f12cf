"""A contact sheet: many pictures in one, with boxes and skeletons of the truth."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence

import cv2
import numpy as np

from edge import skeletons
from edge.durable import READABLE, write_whole
from tools.render.truth.labels import OUTSIDE, SEEN, Label

TILE_PX = 256
COLUMNS = 6
_SEEN_BGR, _HIDDEN_BGR, _BOX_BGR = (60, 230, 60), (60, 60, 255), (220, 190, 60)


def tile(image: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """[256,256,3] u8: a picture with its truth; red points are hidden."""
    scale = TILE_PX / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    for label in labels:
        _draw(small, label, scale)
    out = np.full((TILE_PX, TILE_PX, 3), 24, np.uint8)
    top, left = (TILE_PX - size[1]) // 2, (TILE_PX - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = small
    return out


def _draw(image: np.ndarray, label: Label, scale: float) -> None:
    skeleton = skeletons.get("wholebody133")
    points = np.round((label.keypoints + 0.5) * scale * 16 - 8).astype(int)
    fine = label.visible > OUTSIDE
    radius = int(np.clip(np.ptp(label.box[[1, 3]]) * scale * 0.12, 5, 16))  # 1/16 px
    corners = np.round(label.box * scale).astype(int)
    cv2.rectangle(image, tuple(corners[:2].tolist()), tuple(corners[2:].tolist()), _BOX_BGR, 1)
    for (a, b), colour in zip(skeleton.edges.tolist(), skeleton.colours.tolist()):
        if fine[a] and fine[b]:
            ends = [tuple(points[i].tolist()) for i in (a, b)]
            cv2.line(image, ends[0], ends[1], colour, 1, cv2.LINE_AA, 4)
    for point, visible in zip(points[fine].tolist(), label.visible[fine].tolist()):
        colour = _SEEN_BGR if visible == SEEN else _HIDDEN_BGR
        cv2.circle(image, tuple(point), radius, colour, -1, cv2.LINE_AA, 4)


def save(path: Path, tiles: List[np.ndarray]) -> None:
    """Write a sheet of tiles as PNG."""
    blank = np.full((TILE_PX, TILE_PX, 3), 24, np.uint8)
    columns = min(COLUMNS, len(tiles))
    padded = tiles + [blank] * (-len(tiles) % columns)
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    data: bytes = cv2.imencode(".png", np.vstack(rows))[1].tobytes()
    write_whole(path, data, READABLE)
