"""COCO results of keypoints: `results.json`, and `images.json` with the frames that they name.

The keypoints are COCO's 17. People with a whole body have the lists of COCO-WholeBody, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Sequence, Tuple

import numpy as np

from edge import codec, skeletons
from tools.exporting.openpose import triplets
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline
from tools.exporting.together import Together

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
        self._frames: Together[int] = Together(self._write)
        self._results = _List(folder / "results.json", b"[", b"]\n")
        categories = codec.to_json({"categories": [_category()]})[1:-1]
        self._images = _List(
            folder / "images.json", b"{" + categories + b',"annotations":[],"images":[', b"]}\n"
        )

    def add(self, sight: Sight) -> None:
        """Write one frame, and its people as soon as there are some more frames."""
        number = self._images.count + 1
        label = self._timeline.label(sight)
        image = {
            "id": number,
            "file_name": f"{label}/{self._timeline.number(sight):012d}.jpg",
            "width": sight.size[0],
            "height": sight.size[1],
            "camera": sight.camera,
            "seq": sight.seq,
            "t_utc_ns": sight.t_utc_ns,
        }
        self._images.add([image])
        self._frames.add(number, sight)

    def close(self) -> List[str]:
        """Complete the files; notes for the user."""
        self._frames.flush()
        self._results.close()
        self._images.close()
        counts = f"{self._results.count} people in {self._images.count} frames"
        return [f"{counts}: {self._folder}/results.json, images.json"]

    def _write(self, frames: Sequence[Tuple[int, Sight]], people: Sight) -> None:
        numbers = [number for number, sight in frames for _ in range(len(sight))]
        if numbers:
            self._results.add(_results(people, numbers))


class _List:
    """A JSON list that grows on the disk."""

    def __init__(self, path: Path, start: bytes, end: bytes) -> None:
        self._file: BinaryIO = path.open("wb")
        self._file.write(start)
        self._end = end
        self.count = 0

    def add(self, items: List[Dict[str, Any]]) -> None:
        text = b",\n".join([codec.to_json(item) for item in items])
        self._file.write((b",\n" if self.count else b"\n") + text)
        self.count += len(items)

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


def _results(people: Sight, images: Sequence[int]) -> List[Dict[str, Any]]:
    """One result a person; `images` has the number of the image of each."""
    boxes = np.round(people.boxes.astype(np.float64), 2)
    boxes[:, 2:] = np.round(boxes[:, 2:] - boxes[:, :2], 2)
    columns = {"keypoints": triplets(people.converted("coco17"))}
    if people.skeleton == _WHOLE:
        flat = triplets(people)
        for name, part in PARTS.items():
            which = skeletons.get(_WHOLE).parts[part][:, None] * 3 + np.arange(3)
            columns[f"{name}_kpts"] = np.ascontiguousarray(flat[:, which.ravel()])
    scores = np.round(people.person_scores.astype(np.float64), 4).tolist()
    return [
        {
            "image_id": image,
            "category_id": 1,
            "bbox": boxes[i],
            "score": scores[i],
            **{name: rows[i] for name, rows in columns.items()},
        }
        for i, image in enumerate(images)
    ]
