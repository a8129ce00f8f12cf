"""The sparse mode of a large crowd: most people are looked at in turns, and have a small skeleton.

From `crowd.sparse_people` people in a frame on, the body network sees the largest
`crowd.whole_people` in each frame, and each of the others in every _TURNS-th. In between, a person
has the keypoints that the detector saw in the frame, or else those that the tracker predicts. What
is told of these people is the head and the shoulders: they move as one, so a prediction of them
holds over a few frames. The tracker gets all keypoints.

Measured on a still of 29 rendered people, of whom 22 are found, with a bound of 12: bodies take 148
instead of 247 ms of processor time a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np

from edge import geometry
from edge.models._blazepose import points
from edge.models._blazepose.batch import LEAST_SEEN
from edge.settings.sections import Crowd
from edge.structures import VISIBLE, Frame, Poses

_TURNS = 3
_BACK = 0.8  # the mode ends below this share of the people with whom it began
HEAD_SHOULDERS = slice(0, 7)  # of COCO's keypoints: nose, eyes, ears, shoulders
_PLACES = 33  # BlazePose's points, of which nothing is known without its network


@dataclass
class _Camera:
    on: bool = False
    changes: int = 0
    turn: int = 0


class SparseMode:
    """Whether each camera is in the sparse mode, and whose turn it is there."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._cameras: Dict[str, _Camera] = {}

    def turns(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Optional[np.ndarray]]:
        """For each frame, [N] bool: the candidates to look at with the network; None = all.

        To be called once for each frame.
        """
        return [self._turn(self._noted(f, len(p)), p) for f, p in zip(frames, people)]

    def is_on(self, frame: Frame) -> bool:
        """Whether the frame's camera is in the mode."""
        return self._cameras.get(frame.camera, _Camera()).on

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """Whether each camera is in the mode (1), and how often that changed."""
        cameras = list(self._cameras.items())
        return {
            "sparse": {name: int(camera.on) for name, camera in cameras},
            "sparse_changes": {name: camera.changes for name, camera in cameras},
        }

    def _noted(self, frame: Frame, people: int) -> _Camera:
        camera = self._cameras.setdefault(frame.camera, _Camera())
        least = self._crowd.sparse_people
        on = least > 0 and people >= least * (_BACK if camera.on else 1)
        camera.changes += on != camera.on
        camera.on, camera.turn = on, (camera.turn + 1) % _TURNS
        return camera

    def _turn(self, camera: _Camera, people: Poses) -> Optional[np.ndarray]:
        if not camera.on:
            return None
        due = (people.ids % _TURNS == camera.turn) | ~(_predicted(people) | _sighted(people))
        largest = np.argsort(-geometry.areas_of(people.boxes), kind="stable")
        due[largest[: self._crowd.whole_people]] = True
        return due


def rested(people: Poses) -> Poses:
    """The people at whom the network does not look: as the detector saw them, or as predicted."""
    n, sighted = len(people), _sighted(people)
    keypoints = np.zeros((n, points.KEYPOINTS, 2), np.float32)
    scores = np.zeros((n, points.KEYPOINTS), np.float32)
    keypoints[:, points.BODY_FEET] = people.keypoints[:, points.BODY_FEET]
    scores[:, points.BODY_FEET] = people.scores[:, points.BODY_FEET]
    if people.sightings is not None:
        keypoints[sighted, points.BODY] = people.sightings[sighted, :, :2]
        scores[sighted, points.BODY] = np.maximum(people.sightings[sighted, :, 2], 0)  # < 0: a hint
        scores[sighted, points.BODY.stop :] = 0
    places = np.zeros((n, _PLACES, 3), np.float32)
    return Poses(
        keypoints, scores, people.boxes, people.ids, people.person_scores, people.skeleton, places
    )


def small(keypoints: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> None:
    """Leave head and shoulders only to `rows` [N] bool of keypoints [N,133,2] and their scores."""
    keypoints[rows, HEAD_SHOULDERS.stop :] = 0
    scores[rows, HEAD_SHOULDERS.stop :] = 0


def _predicted(people: Poses) -> np.ndarray:
    return np.asarray((people.scores[:, points.BODY] > VISIBLE).sum(1) >= LEAST_SEEN)


def _sighted(people: Poses) -> np.ndarray:
    if people.sightings is None:
        return np.zeros(len(people), bool)
    return np.asarray((people.sightings[..., 2] > VISIBLE).sum(1) >= LEAST_SEEN)
