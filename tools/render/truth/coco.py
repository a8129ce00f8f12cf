"""COCO-WholeBody folders: pictures, `annotations.json`, and `scenes.jsonl` with truth in space.

`annotations.json` has the 133 points in the four lists of COCO-WholeBody v1.0. `scenes.jsonl` has
one line for each picture: camera, split, and for each person the motion, the build and the 133
points in metres. https://github.com/jin-s13/COCO-WholeBody describes the format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from edge import skeletons
from edge.durable import READABLE, write_whole
from tools.render.body.files import LICENCE
from tools.render.scene.camera import LENSES, Camera
from tools.render.scene.stage import Stage
from tools.render.truth.labels import OUTSIDE, Label

ANNOTATIONS, SCENES, IMAGES = "annotations.json", "scenes.jsonl", "images"
PARTS = (("foot", slice(17, 23)), ("face", slice(23, 91)))
HANDS = (("lefthand", slice(91, 112)), ("righthand", slice(112, 133)))


def annotation(label: Label, image_id: int, number: int) -> Dict[str, Any]:
    """One person as COCO-WholeBody writes it; hidden points have 1, unlabelled ones 0, 0, 0."""
    x1, y1, x2, y2 = label.box.tolist()
    out: Dict[str, Any] = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": _rounded([x1 + 0.5, y1 + 0.5, x2 - x1, y2 - y1]),
        "area": round(label.area_px, 2),
        "keypoints": _triples(label, slice(0, 17)),
        "num_keypoints": int((label.visible[:17] > OUTSIDE).sum()),
        "whole": round(label.whole, 3),
    }
    for name, part in (*PARTS, *HANDS):
        out[f"{name}_kpts"] = _triples(label, part)
        fine = bool((label.visible[part] > OUTSIDE).sum() >= len(label.visible[part]) / 2)
        out[f"{name}_valid"] = fine
        if name != "foot":
            out[f"{name}_box"] = _box_of(label, part) if fine else [0.0, 0.0, 0.0, 0.0]
    return out


def _triples(label: Label, part: slice) -> List[float]:
    """x, y, v of points. Pixel centres are whole numbers, as in COCO's keypoints."""
    rows = np.concatenate([label.keypoints[part], label.visible[part, None]], axis=1)
    rows[label.visible[part] == OUTSIDE] = 0
    return _rounded(rows.ravel().tolist())


def _box_of(label: Label, part: slice) -> List[float]:
    """Box of the points that lie in the picture, a little larger."""
    points = label.keypoints[part][label.visible[part] > OUTSIDE]
    low, high = points.min(0), points.max(0)
    spare = 0.1 * float((high - low).max()) + 1
    return _rounded([*(low - spare), *(high - low + 2 * spare)])


def _rounded(values: Sequence[float]) -> List[float]:
    return [round(float(v), 2) for v in values]


def camera_record(camera: Camera) -> Dict[str, Any]:
    """A camera as JSON: pixels = focal_px * lens(rotation @ (world - position)) + centre."""
    return {
        "width": camera.width,
        "height": camera.height,
        "focal_px": round(camera.focal_px, 4),
        "centre_px": list(camera.centre),
        "lens": LENSES[camera.lens],
        "k1": round(camera.k1, 6),
        "rotation": np.round(camera.rotation, 7).tolist(),
        "position_m": np.round(camera.position, 5).tolist(),
    }


def person_record(stage: Stage, index: int) -> Dict[str, Any]:
    """Who somebody is and what they do."""
    actor = stage.actors[index]
    return {
        "person": index,
        "motion": actor.act.name,
        "stature_m": round(actor.person.stature, 4),
        "traits": {k: round(v, 3) for k, v in actor.person.traits.items()},
    }


def scene_record(name: str, stage: Stage, labels: Sequence[Label], split: str) -> Dict[str, Any]:
    """A line of `scenes.jsonl`."""
    people = [
        {**person_record(stage, label.index), "keypoints_m": np.round(label.space, 4).tolist()}
        for label in labels
    ]
    return {
        "file_name": name,
        "split": split,
        "camera": camera_record(stage.camera),
        "people": people,
    }


def save(folder: Path, records: List[Dict[str, Any]], about: str) -> None:
    """Write the JSON files of a folder.

    Args:
        folder: of the set.
        records: for each picture in order: `image`, `annotations` and `scene`.
        about: description of the set.
    """
    skeleton = skeletons.get("wholebody133")
    annotations = [a for r in records for a in r["annotations"]]
    for number, row in enumerate(annotations, 1):
        row["id"] = number
    document = {
        "info": {"description": about, "version": "1.0", "licence": LICENCE},
        "licenses": [{"id": 1, "name": LICENCE, "url": ""}],
        "images": [r["image"] for r in records],
        "annotations": annotations,
        "categories": [
            {
                "id": 1,
                "name": "person",
                "supercategory": "person",
                "keypoints": list(skeleton.names[:17]),
                "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges.tolist() if max(a, b) < 17],
            }
        ],
    }
    write_whole(folder / ANNOTATIONS, json.dumps(document).encode(), READABLE)
    lines = "".join(json.dumps(r["scene"]) + "\n" for r in records)
    write_whole(folder / SCENES, lines.encode(), READABLE)
