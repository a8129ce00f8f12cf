"""Poses as COCO keypoints that CVAT and others import; points go by name, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.durable import READABLE, write_whole
from edge.structures import VISIBLE

UNSURE = 0.05  # a point of a lower score is not written: a person places it, or leaves it out


def table(rows: Sequence[Tuple[str, Any]], skeleton: str, names: Sequence[str]) -> Dict[str, Any]:
    """The content of a COCO file.

    Args:
        rows: file name of the picture and its labels.found.FramePoses.
        skeleton: of the poses.
        names: the points to write, some of the skeleton's.
    """
    known = skeletons.get(skeleton)
    places = known.index(*names)
    edges = _edges(known, places)
    images: List[Dict[str, Any]] = []
    annotations: List[Dict[str, Any]] = []
    for number, (file, frame) in enumerate(rows, 1):
        wide, high = frame.size
        images.append(
            {
                "id": number,
                "file_name": file,
                "width": wide,
                "height": high,
                "video_id": frame.camera,
                "frame_index": frame.index,
            }
        )
        for row in range(len(frame.poses)):
            annotations.append(_person(len(annotations) + 1, number, frame, row, places))
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(names),
        # COCO counts from 1 (coco-annotator #304).
        "skeleton": [[a + 1, b + 1] for a, b in edges],
    }
    return {"images": images, "categories": [category], "annotations": annotations}


def _person(number: int, image: int, frame: Any, row: int, places: np.ndarray) -> Dict[str, Any]:
    poses = frame.poses
    points, scores = poses.keypoints[row, places], poses.scores[row, places]
    marks: List[float] = []
    for (x, y), score in zip(points.tolist(), scores.tolist()):
        seen = 2 if score > VISIBLE else 1 if score > UNSURE else 0
        marks += [round(x, 2), round(y, 2), seen] if seen else [0, 0, 0]
    x1, y1, x2, y2 = (round(float(v), 2) for v in poses.boxes[row])
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        "area": round((x2 - x1) * (y2 - y1), 1),
        "keypoints": marks,
        "num_keypoints": sum(v > 0 for v in marks[2::3]),
        "attributes": {"track_id": int(poses.ids[row]), "occluded": False},
        "score": round(float(poses.person_scores[row]), 3),
    }


def _edges(known: skeletons.Skeleton, places: np.ndarray) -> List[Tuple[int, int]]:
    order = {int(place): i for i, place in enumerate(places)}
    return [(order[a], order[b]) for a, b in known.edges.tolist() if a in order and b in order]


def write(path: Path, content: Dict[str, Any]) -> None:
    """Write the file."""
    write_whole(path, json.dumps(content).encode(), READABLE)
