"""The worst pictures: labels on the left, predictions on the right, as embedded JPEG."""

from __future__ import annotations

from typing import Any, List, NamedTuple

import cv2
import numpy as np

from edge.errors import EdgeError
from tools.evaluation.found.networks import read_picture
from tools.evaluation.judge import Result
from tools.evaluation.page.drawing import COLOURS, draw, embedded
from tools.evaluation.truth import Picture

WORST = 12
_LONG_PX = 560  # of one side of a pair


class Pair(NamedTuple):
    """One picture of the page."""

    file: str
    text: str  # OKS of its people, missed and false ones
    jpeg: str  # base64


def worst(result: Result, count: int = WORST) -> List[Pair]:
    """The pictures that lose most: missed and false people count 1 each, others 1 - OKS."""
    rows = result.figures["pictures"]
    losses = [_loss(row) for row in rows]
    order = np.argsort(-np.array(losses), kind="stable").tolist() if losses else []
    found: List[Pair] = []
    for place in order:
        if len(found) == count or losses[place] <= 0:
            break
        image = _image(result, result.truth.pictures[place])
        if image is not None:
            found.append(Pair(rows[place]["file"], _text(rows[place]), image))
    return found


def _loss(row: Any) -> float:
    return float(row["false"] + sum(1 - value for value in row["oks"] if value is not None))


def _text(row: Any) -> str:
    each = ", ".join("-" if v is None else f"{v:.2f}" for v in row["oks"]) or "nobody"
    return f"OKS {each}; {row['missed']} missed, {row['false']} false"


def _image(result: Result, picture: Picture) -> Any:
    if picture.path is None and picture.sequence not in result.truth.videos:
        return None
    try:
        image = _frame(result, picture)
    except EdgeError:  # a picture that cannot be read any more is no reason to give no page
        return None
    scale = _LONG_PX / max(image.shape[:2])
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    left, right = small.copy(), small.copy()
    people, seen, points = picture.people, result.found.of(picture.key), result.truth.points
    draw(left, people.keypoints * scale, people.labelled, people.boxes * scale, points, COLOURS[0])
    draw(right, seen.keypoints * scale, seen.scores > 0, seen.boxes * scale, points, COLOURS[1])
    return embedded([left, right])


def _frame(result: Result, picture: Picture) -> np.ndarray:
    if picture.path is not None:
        return read_picture(picture)
    capture = cv2.VideoCapture(str(result.truth.videos[picture.sequence]))
    capture.set(cv2.CAP_PROP_POS_FRAMES, picture.index)
    fine, frame = capture.read()
    capture.release()
    return np.asarray(frame) if fine else np.zeros((90, 160, 3), np.uint8)
