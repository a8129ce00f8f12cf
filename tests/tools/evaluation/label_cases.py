"""Small labelled data sets and predictions that tests write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import cv2
import numpy as np

from edge import skeletons
from tools.evaluation import point_sets
from tools.evaluation.found.record import Found, Seen
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Gathering, Picture, Truth

COCO17 = point_sets.named("coco17")
WHOLE_FIELDS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
CUTS = (17, 23, 91, 112)


def person(seed: int = 0, count: int = 17, at: Sequence[float] = (100, 100)) -> np.ndarray:
    """[K,3] labelled points within 80 x 200 px."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (count, 2)) * (80, 200) + at
    return np.column_stack((points, np.full(count, 2.0)))


def annotation(points: np.ndarray, image: Any = 1, **more: Any) -> Dict[str, Any]:
    """One of COCO."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    box = [*low.tolist(), *(high - low).tolist()]
    row: Dict[str, Any] = {
        "id": 1,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": box,
        "area": 0.6 * box[2] * box[3],
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "keypoints": points.ravel().tolist(),
    }
    row.update(more)
    return {name: value for name, value in row.items() if value is not ...}


def wholebody(points: np.ndarray, **more: Any) -> Dict[str, Any]:
    """One of COCO-WholeBody, of [133,3]."""
    parts = dict(zip(WHOLE_FIELDS, (p.ravel().tolist() for p in np.split(points, CUTS))))
    valid = {f"{n}_valid": True for n in ("foot", "face", "lefthand", "righthand")}
    return annotation(points[:17], **{**parts, **valid, **more})


def table(annotations: List[Dict[str, Any]], images: int = 1, **more: Any) -> Dict[str, Any]:
    """A COCO file."""
    listed = [
        {"id": i + 1, "file_name": f"{i + 1}.jpg", "width": 640, "height": 480}
        for i in range(images)
    ]
    categories = [{"id": 1, "name": "person", "keypoints": list(skeletons.get("coco17").names)}]
    return {"images": listed, "categories": categories, "annotations": annotations, **more}


def write(path: Path, content: Any) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
    return path


def picture(path: Path, width: int = 640, height: int = 480) -> Path:
    """A grey picture."""
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return path


def results(points: Sequence[np.ndarray], image: Any = 1, **more: Any) -> List[Dict[str, Any]]:
    """Rows of a COCO result file, of [K,3] each."""
    return [
        {
            "image_id": image,
            "category_id": 1,
            "score": 0.9 - 0.01 * i,
            "keypoints": p.ravel().tolist(),
            **more,
        }
        for i, p in enumerate(points)
    ]


def truth_of(
    pictures: Sequence[Sequence[np.ndarray]],
    points: PointSet = COCO17,
    sequence: str = "",
    tracks: Optional[Sequence[int]] = None,
) -> Truth:
    """A data set of people [K,3] in each picture."""
    found = []
    for index, people in enumerate(pictures):
        group = Gathering(len(points))
        for number, marks in enumerate(people):
            group.add(marks, track=-1 if tracks is None else tracks[number])
        key = str(index)
        found.append(Picture(key, f"{key}.jpg", None, (640, 480), group.people(), sequence, index))
    return Truth("trial", "COCO", points, found)


def seen_of(people: Sequence[np.ndarray], count: int = 17, ids: Sequence[int] = ()) -> Seen:
    """Found people [K,3] x y score."""
    points = np.array(people, np.float64).reshape(len(people), count, 3)
    there = np.where(points[..., 2:] > 0, points[..., :2], np.nan)
    boxes = [[*np.nanmin(p, 0), *np.nanmax(p, 0)] for p in there]
    return Seen(
        points[..., :2],
        points[..., 2],
        np.linspace(0.9, 0.5, len(people)),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(ids or [-1] * len(people), np.int64),
    )


def found_of(pictures: Sequence[Seen], count: int = 17) -> Found:
    """Predictions of the pictures of `truth_of`."""
    return Found("trial", np.ones(count, bool), {str(i): s for i, s in enumerate(pictures)})
