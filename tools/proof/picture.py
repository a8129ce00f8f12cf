"""A picture of the worst held-out frames: FP32 on the left, the candidate on the right."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import cv2
import numpy as np

from edge.service.annotate import FONT, contact_sheet, draw
from edge.structures import Detections
from tools.proof.compare import Comparison
from tools.proof.heldout import HeldOutFrames, Predictions

WORST = 4
LONG_PX, LEAST_PX = 640, 360  # longer side of a frame; least width of a tile, for its label
FIRST, SECOND = (80, 200, 80), (40, 140, 250)  # BGR of boxes


def write(
    path: Path,
    held: HeldOutFrames,
    fp32: Predictions,
    candidate: Predictions,
    figures: Comparison,
) -> None:
    """Draw the frames that differ most, the worst at the top."""
    worst = np.argsort(-figures.frame_errors, kind="stable")[:WORST]
    tiles: List[np.ndarray] = []
    shapes = [held.image(index).shape for index in worst.tolist()]
    scaled = [(h * LONG_PX // max(h, w), w * LONG_PX // max(h, w)) for h, w, _ in shapes]
    size = (max(h for h, _ in scaled), max(LEAST_PX, *(w for _, w in scaled)))
    for index in worst.tolist():
        name = f"{held.pictures[index].file}  differs by {figures.frame_errors[index]:.3f}"
        tiles.append(_tile(held.image(index), fp32, index, f"FP32  {name}", FIRST, size))
        tiles.append(_tile(held.image(index), candidate, index, f"candidate  {name}", SECOND, size))
    cv2.imwrite(str(path), contact_sheet(tiles, 2))


def _tile(
    image: np.ndarray,
    found: Predictions,
    index: int,
    label: str,
    colour: Tuple[int, int, int],
    size: Tuple[int, int],
) -> np.ndarray:
    high, wide = size
    scale = LONG_PX / max(image.shape[:2])
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    if found.skeleton is None:
        _boxes(small, found.people[index], scale, colour)
    else:
        draw(small, found.poses[index], scale)
    tile = np.zeros((high, wide, 3), np.uint8)
    small = small[:high, :wide]
    tile[: small.shape[0], : small.shape[1]] = small
    cv2.putText(tile, label, (4, high - 6), FONT, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def _boxes(
    image: np.ndarray, people: Detections, scale: float, colour: Tuple[int, int, int]
) -> None:
    for box, score in zip((people.boxes * scale).astype(int).tolist(), people.scores.tolist()):
        cv2.rectangle(image, (box[0], box[1]), (box[2], box[3]), colour, 2)
        cv2.putText(image, f"{score:.2f}", (box[0], box[1] + 12), FONT, 0.4, colour, 1)
