"""Predictions of a COCO result file: a list of {image_id, category_id, keypoints, score}."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping

import numpy as np

from edge.errors import DataError
from edge.geometry import FARTHEST_PX
from tools.evaluation.found.record import Found, Seen
from tools.evaluation.read import coco
from tools.evaluation.read.values import number, whole
from tools.evaluation.truth import Truth, hull


def read(table: Any, path: Path, truth: Truth) -> Found:
    """The predictions of such a file, in the data's own keypoints.

    Args:
        table: its content.
        path: of it, for messages.
        truth: the data that they are of.

    Raises:
        DataError: it is no such file, or of other pictures.
    """
    if not isinstance(table, list) or not all(isinstance(r, dict) for r in table):
        raise DataError(f"{path}: is no result file: a list of objects is expected")
    rows: Dict[str, List[Mapping[str, Any]]] = {}
    for place, row in enumerate(table):
        if "image_id" not in row or "keypoints" not in row:
            raise DataError(f"{path}: result {place} needs image_id and keypoints")
        rows.setdefault(str(row["image_id"]), []).append(row)
    known = {p.key for p in truth.pictures}
    strange = [key for key in rows if key not in known]
    if rows and len(strange) == len(rows):
        raise DataError(
            f"{path}: none of its pictures is in {truth.name}; the first is image_id {strange[0]}"
        )
    found = {key: _seen(some, truth, path) for key, some in rows.items() if key in known}
    notes = [f"results of {len(strange)} pictures without labels are left out"] if strange else []
    lacking: List[str] = next(
        (r["left_out"] for r in table if isinstance(r.get("left_out"), list)), []
    )
    given = np.array([name not in lacking for name in truth.points.names])
    return Found(path.name, given, found, notes)


def _seen(rows: List[Mapping[str, Any]], truth: Truth, path: Path) -> Seen:
    points = np.array([_points(row, truth, path) for row in rows], np.float64)
    boxes = [_box(row, marks) for row, marks in zip(rows, points)]
    return Seen(
        points[..., :2],
        np.maximum(points[..., 2], 0),
        np.array([number(r.get("score"), 1.0) for r in rows]),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array([whole(r.get("track_id"), -1) for r in rows], np.int64),
        whole(rows[0].get("t_ns"), -1),
    )


def _points(row: Mapping[str, Any], truth: Truth, path: Path) -> np.ndarray:
    count = len(truth.points)
    fields = [name for name, _ in coco.WHOLE] if "foot_kpts" in row else ["keypoints"]
    try:
        flat = np.concatenate([np.array(row.get(name, []), np.float64).ravel() for name in fields])
    except (TypeError, ValueError):
        raise DataError(f"{path}: keypoints of image {row['image_id']} are no numbers") from None
    if len(flat) != 3 * count:
        raise DataError(
            f"{path}: a result of image {row['image_id']} has {len(flat) / 3:g} keypoints, "
            f"{truth.points.name} has {count}"
        )
    if not (np.abs(flat) < FARTHEST_PX).all():
        raise DataError(f"{path}: a keypoint of image {row['image_id']} is no place in a picture")
    return flat.reshape(-1, 3)


def _box(row: Mapping[str, Any], points: np.ndarray) -> List[float]:
    box = row.get("bbox")
    if isinstance(box, list) and len(box) == 4:
        x, y, wide, high = (number(v) for v in box)
        return [x, y, x + wide, y + high]
    return hull(points)


def rows_of(found: Found, truth: Truth) -> List[Dict[str, Any]]:
    """Predictions as the rows of a result file, which `read` reads again."""
    lacking = [truth.points.names[i] for i in np.flatnonzero(~found.given)]
    ids = {p.key: int(p.key) if p.key.isdecimal() else p.key for p in truth.pictures}
    rows: List[Dict[str, Any]] = []
    for key, seen in found.pictures.items():
        points = np.concatenate((seen.keypoints, seen.scores[..., None]), -1)
        for i in range(len(seen)):
            x1, y1, x2, y2 = seen.boxes[i].tolist()
            rows.append(
                {
                    "image_id": ids[key],
                    "category_id": 1,
                    "score": float(seen.person_scores[i]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "track_id": int(seen.ids[i]),
                    "t_ns": seen.t_ns,
                    "keypoints": np.round(points[i], 4).ravel().tolist(),
                }
            )
    if rows and lacking:
        rows[0]["left_out"] = lacking  # a key of ours: points that such predictions cannot have
    return rows
