"""COCO results of keypoints: `results.json`, and `images.json` with the frames that they name.

The keypoints are COCO's 17. People with a whole body have the lists of COCO-WholeBody, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Dict, List

import numpy as np

from edge import codec, skeletons
from tools.exporting.openpose import triplets
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline

PARTS = {"foot": "feet", "face": "face", "lefthand": "left_hand", "righthand": "right_hand"}
_WHOLE = "wholebody133"


class Writer:
    """Writes two files into a folder.

    Args:
        folder: made if it is missing.
        timeline: numbers the frames.
    """

    def __init__(self, folder: Path, timeline: Timeline) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._timeline = folder, timeline
        self._results = _List(folder / "results.json", b"[", b"]\n")
        categories = codec.to_json({"categories": [_category()]})[1:-1]
        self._images = _List(
            folder / "images.json", b"{" + categories + b',"annotations":[],"images":[', b"]}\n"
        )

    def add(self, sight: Sight) -> None:
        """Write one frame and its people."""
        number = self._images.count + 1
        label = self._timeline.label(sight)
        self._images.add(
            {
                "id": number,
                "file_name": f"{label}/{self._timeline.number(sight):012d}.jpg",
                "width": sight.size[0],
                "height": sight.size[1],
                "camera": sight.camera,
                "seq": sight.seq,
                "t_utc_ns": sight.t_utc_ns,
            }
        )
        for result in _results(sight):
            self._results.add({"image_id": number, **result})

    def close(self) -> List[str]:
        """Complete the files; notes for the user."""
        self._results.close()
        self._images.close()
        counts = f"{self._results.count} people in {self._images.count} frames"
        return [f"{counts}: {self._folder}/results.json, images.json"]


class _List:
    """A JSON list that grows on the disk."""

    def __init__(self, path: Path, start: bytes, end: bytes) -> None:
        self._file: BinaryIO = path.open("wb")
        self._file.write(start)
        self._end = end
        self.count = 0

    def add(self, item: Dict[str, Any]) -> None:
        self._file.write((b",\n" if self.count else b"\n") + codec.to_json(item))
        self.count += 1

    def close(self) -> None:
        if not self._file.closed:
            self._file.write(b"\n" + self._end)
            self._file.close()


def _category() -> Dict[str, Any]:
    body = skeletons.get("coco17")
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(body.names),
        "skeleton": (body.edges + 1).tolist(),
    }


def _results(sight: Sight) -> List[Dict[str, Any]]:
    if not len(sight):
        return []
    boxes = np.round(sight.boxes.astype(np.float64), 2)
    boxes[:, 2:] = np.round(boxes[:, 2:] - boxes[:, :2], 2)
    columns = {"keypoints": triplets(sight.converted("coco17"))}
    if sight.skeleton == _WHOLE:
        flat = triplets(sight)
        for name, part in PARTS.items():
            which = skeletons.get(_WHOLE).parts[part][:, None] * 3 + np.arange(3)
            columns[f"{name}_kpts"] = np.ascontiguousarray(flat[:, which.ravel()])
    scores = np.round(sight.person_scores.astype(np.float64), 4).tolist()
    return [
        {
            "category_id": 1,
            "bbox": boxes[i],
            "score": scores[i],
            **{name: rows[i] for name, rows in columns.items()},
        }
        for i in range(len(sight))
    ]
