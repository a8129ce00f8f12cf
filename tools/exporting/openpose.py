"""OpenPose JSON, one file a frame: `CAM_json/CAM_000000000012_keypoints.json`.

This is the layout that Pose2Sim reads.

With BODY_25, hands and face have lists of their own, as OpenPose writes them. With another set, all
its points stand in `pose_keypoints_2d` in its order: Pose2Sim's `pose_model` names it (HALPE_26,
COCO_133, COCO_17).
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

import numpy as np

from edge import codec, skeletons
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline
from tools.exporting.together import Together

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
        self._frames: Together[str] = Together(self._write)
        self.files = 0

    def add(self, sight: Sight) -> None:
        """Write one frame, as soon as there are some more."""
        number, label = self._timeline.number(sight), self._timeline.label(sight)
        folder = f"{self._folder}/{label}_json"
        if folder not in self._made:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)
        self._frames.add(f"{folder}/{label}_{number:012d}_keypoints.json", sight)

    def close(self) -> List[str]:
        """Write the last frames; notes for the user."""
        self._frames.flush()
        return [f"{self.files} files in {self._folder}"]

    def _write(self, frames: Sequence[Tuple[str, Sight]], people: Sight) -> None:
        rows = self._rows(people)
        ids, first = people.ids.tolist(), 0
        for path, sight in frames:
            end = first + len(sight)
            told = [
                {
                    "person_id": [ids[i]],
                    **{f"{part}_keypoints_2d": rows[part][i] for part in rows},
                    **{f"{part}_keypoints_3d": [] for part in rows},
                }
                for i in range(first, end)
            ]
            body = codec.to_json({"version": VERSION, "people": told})
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(body)
            first = end
        self.files += len(frames)

    def _rows(self, people: Sight) -> Dict[str, np.ndarray]:
        """The numbers of each list [N,3*points]."""
        flat = triplets(people)
        return {
            "pose": triplets(people.converted(BODY)) if self._body_25 else flat,
            "face": self._part(people, flat, "face"),
            "hand_left": self._part(people, flat, "left_hand"),
            "hand_right": self._part(people, flat, "right_hand"),
        }

    def _part(self, sight: Sight, flat: np.ndarray, part: str) -> np.ndarray:
        which = skeletons.get(sight.skeleton).parts[part]
        if not self._body_25 or not len(which):
            return flat[:, :0]
        found = np.ascontiguousarray(flat[:, (which[:, None] * 3 + np.arange(3)).ravel()])
        return np.pad(found, ((0, 0), (0, 3 * _PUPILS))) if part == "face" else found


def triplets(sight: Sight) -> np.ndarray:
    """Return x y score of each point [N,K*3] f64, to 0.01 px; a missing point is 0 0 0."""
    flat = np.empty((*sight.scores.shape, 3))
    flat[..., :2] = np.round(sight.points, 2)
    flat[..., 2] = np.round(sight.scores, 3)
    flat[~(sight.scores > 0)] = 0
    # f32 has digits that mean nothing: 0.1 is 0.10000000149
    return np.round(flat, 3, out=flat).reshape(len(sight), 3 * sight.scores.shape[1])
