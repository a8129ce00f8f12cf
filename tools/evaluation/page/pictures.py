"""The worst pictures: labels on the left, predictions on the right, as embedded JPEG."""

from __future__ import annotations

import base64
from typing import Any, List, NamedTuple, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.errors import EdgeError
from tools.evaluation.found.networks import read_picture
from tools.evaluation.judge import Result
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Picture

WORST = 12
_LONG_PX = 560  # of one side of a pair
_TRUTH, _FOUND = (60, 200, 60), (40, 140, 250)  # BGR
_COCO = skeletons.get("coco17")


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
    _draw(left, people.keypoints * scale, people.labelled, people.boxes * scale, points, _TRUTH)
    _draw(right, seen.keypoints * scale, seen.scores > 0, seen.boxes * scale, points, _FOUND)
    both = np.concatenate((left, np.full((len(left), 6, 3), 128, np.uint8), right), 1)
    coded = cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return base64.b64encode(coded.tobytes()).decode()


def _frame(result: Result, picture: Picture) -> np.ndarray:
    if picture.path is not None:
        return read_picture(picture)
    capture = cv2.VideoCapture(str(result.truth.videos[picture.sequence]))
    capture.set(cv2.CAP_PROP_POS_FRAMES, picture.index)
    fine, frame = capture.read()
    capture.release()
    return np.asarray(frame) if fine else np.zeros((90, 160, 3), np.uint8)


def _draw(
    image: np.ndarray,
    points: np.ndarray,
    there: np.ndarray,
    boxes: np.ndarray,
    of: PointSet,
    colour: Tuple[int, int, int],
) -> None:
    edges = _edges(of)
    at = np.clip(np.nan_to_num(points), -1e4, 1e4).round().astype(int)
    for person in range(len(points)):
        x1, y1, x2, y2 = np.clip(np.nan_to_num(boxes[person]), -1e4, 1e4).astype(int).tolist()
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
