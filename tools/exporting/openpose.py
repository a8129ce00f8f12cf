"""OpenPose JSON, one file a frame: `CAM_json/CAM_000000000012_keypoints.json`.

This is the layout that Pose2Sim reads.

With BODY_25, hands and face have lists of their own, as OpenPose writes them. With another set, all
its points stand in `pose_keypoints_2d` in its order: Pose2Sim's `pose_model` names it (HALPE_26,
COCO_133, COCO_17).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Set

import numpy as np

from edge import codec, skeletons
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline

BODY = "openpose25"
VERSION = 1.3  # of the format that is written
_PUPILS = 2  # of OpenPose's 70 points of a face the last two; no other set has them


class Writer:
    """Writes the frames of cameras into a folder.

    Args:
        folder: made if it is missing.
        timeline: numbers the frames.
        body_25: convert to BODY_25; else the points stay as they are.
    """

    def __init__(self, folder: Path, timeline: Timeline, body_25: bool) -> None:
        self._folder, self._timeline, self._body_25 = folder, timeline, body_25
        self._made: Set[str] = set()
        self.files = 0

    def add(self, sight: Sight) -> None:
        """Write one frame."""
        number, label = self._timeline.number(sight), self._timeline.label(sight)
        folder = f"{self._folder}/{label}_json"
        if folder not in self._made:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)
        body = codec.to_json({"version": VERSION, "people": self._people(sight)})
        with open(f"{folder}/{label}_{number:012d}_keypoints.json", "wb") as file:  # noqa: PTH123
            file.write(body)
        self.files += 1

    def close(self) -> List[str]:
        """Notes for the user."""
        return [f"{self.files} files in {self._folder}"]

    def _people(self, sight: Sight) -> List[Dict[str, Any]]:
        if not len(sight):
            return []
        pose = sight.converted(BODY) if self._body_25 else sight
        flat = triplets(sight)
        rows = {
            "pose": triplets(pose) if self._body_25 else flat,
            "face": self._part(sight, flat, "face"),
            "hand_left": self._part(sight, flat, "left_hand"),
            "hand_right": self._part(sight, flat, "right_hand"),
        }
        return [
            {
                "person_id": [who],
                **{f"{part}_keypoints_2d": rows[part][i] for part in rows},
                **{f"{part}_keypoints_3d": [] for part in rows},
            }
            for i, who in enumerate(sight.ids.tolist())
        ]

    def _part(self, sight: Sight, flat: np.ndarray, part: str) -> np.ndarray:
        which = skeletons.get(sight.skeleton).parts[part]
        if not self._body_25 or not len(which):
            return flat[:, :0]
        found = np.ascontiguousarray(flat[:, (which[:, None] * 3 + np.arange(3)).ravel()])
        return np.pad(found, ((0, 0), (0, 3 * _PUPILS))) if part == "face" else found


def triplets(sight: Sight) -> np.ndarray:
    """Return x y score of each point [N,K*3] f64, to 0.01 px; a missing point is 0 0 0."""
    there = sight.scores > 0
    flat = np.zeros((*sight.scores.shape, 3))
    flat[..., :2] = np.where(there[..., None], np.round(sight.points, 2), 0)
    flat[..., 2] = np.where(there, np.round(sight.scores, 3), 0)
    # f32 has digits that mean nothing: 0.1 is 0.10000000149
    return np.round(flat, 3).reshape(len(sight), -1)
