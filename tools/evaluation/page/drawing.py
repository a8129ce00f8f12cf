"""People drawn into pictures, and pictures side by side as embedded JPEG."""

from __future__ import annotations

import base64
from typing import List, Sequence, Tuple

import cv2
import numpy as np

from edge import skeletons
from tools.evaluation.point_sets import PointSet

COLOURS = ((60, 200, 60), (40, 140, 250), (250, 170, 60))  # BGR: labels, found, found by another
_LONG_PX = 420  # of one picture in a row
_COCO = skeletons.get("coco17")


def drawn(
    image: np.ndarray, points: np.ndarray, there: np.ndarray, of: PointSet, colour: int
) -> np.ndarray:
    """A small copy of a picture with people in it.

    Args:
        image: [H,W,3] u8 BGR.
        points: [N,K,2] px.
        there: [N,K] bool.
        of: their names.
        colour: index of COLOURS.
    """
    scale = _LONG_PX / max(image.shape[:2])
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    draw(small, points * scale, there, np.zeros((len(points), 4)), of, COLOURS[colour])
    return small


def embedded(pictures: Sequence[np.ndarray]) -> str:
    """Pictures of one height side by side: JPEG in base64."""
    bar = np.full((len(pictures[0]), 6, 3), 128, np.uint8)
    row: List[np.ndarray] = []
    for picture in pictures:
        row += [picture, bar]
    coded = cv2.imencode(".jpg", np.concatenate(row[:-1], 1), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return base64.b64encode(coded.tobytes()).decode()


def draw(
    image: np.ndarray,
    points: np.ndarray,
    there: np.ndarray,
    boxes: np.ndarray,
    of: PointSet,
    colour: Tuple[int, int, int],
) -> None:
    """Draw people into a picture, in place; a box without a size is not drawn."""
    edges = _edges(of)
    at = np.clip(np.nan_to_num(points), -1e4, 1e4).round().astype(int)
    for person in range(len(points)):
        x1, y1, x2, y2 = np.clip(np.nan_to_num(boxes[person]), -1e4, 1e4).astype(int).tolist()
        if x2 > x1 and y2 > y1:
            cv2.rectangle(image, (x1, y1), (x2, y2), colour, 1)
        for a, b in edges:
            if there[person, a] and there[person, b]:
                cv2.line(
                    image, at[person, a].tolist(), at[person, b].tolist(), colour, 2, cv2.LINE_AA
                )
        for point in at[person][there[person]].tolist():
            cv2.circle(image, point, 2, (255, 255, 255), -1, cv2.LINE_AA)


def _edges(of: PointSet) -> List[Tuple[int, int]]:
    """Lines to draw: the set's own, or COCO's between points of the same names."""
    if of.name in skeletons.names():
        return [tuple(edge) for edge in skeletons.get(of.name).edges.tolist()]
    named = [(_COCO.names[a], _COCO.names[b]) for a, b in _COCO.edges.tolist()]
    named.append(("neck", "head"))
    pairs = [(of.index(a), of.index(b)) for a, b in named]
    return [pair for pair in pairs if min(pair) >= 0]
