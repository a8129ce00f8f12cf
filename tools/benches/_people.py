"""A loop over a given number of real people, each with both hands and a face."""

from __future__ import annotations

import queue
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.capture._synthetic.scene import Scene, Setup
from edge.errors import DataError
from edge.loop.assemble import Models
from edge.models import halves
from edge.structures import Detections, Frame, Poses
from tools.benches.memory import Loop

_PARTS = ("left_hand", "right_hand", "face")
_GREY = 127  # the background
_ROOM = 0.05  # margin around a person, as a share of the height


def loop_of(
    models: Path,
    picture: np.ndarray,
    cameras: int,
    people: int,
    steps: int,
    runtime: Optional[Mapping[str, Any]] = None,
) -> Loop:
    """A loop in which each camera shows `people` copies of the picture's person, for `steps` steps.

    Args:
        models: the models folder.
        picture: shows a person with both hands and the face, [H,W,3] u8 BGR.
        cameras: how many.
        people: in each of them.
        steps: of the loop.
        runtime: the section [runtime]; None = ONNX Runtime in FP32.

    Raises:
        DataError: the picture has no such person, or not enough room for the copies.
    """
    tables = {
        "detect": {"model": "yolov4-tiny"},
        "models": {"dir": str(models)},
        "track": {"min_hits": 1},
        "runtime": dict(runtime or {"prefer": "onnx"}),
    }
    alone = Loop([[picture]], tables)
    alone.publisher.close()
    try:
        person = look_twice(alone.models, picture)
        full, shifts = crowded(picture, person, people)
        loop = Loop([[full] * steps] * cameras, tables, alone.models)
        copies = CopiedPeople(loop, person, shifts, steps)
    except DataError:
        alone.models.close()
        raise
    loop.pipeline.detect, loop.pipeline.pose = copies.detect, copies.bodies
    loop.pipeline.parts = copies.parts
    return loop


class CopiedPeople:
    """Copies of a real person, so that the number of people is exact.

    All networks run on real crops of all copies. Tracking and all later stages get the poses of a
    synthetic scene with the same number of people, who move.

    Raises:
        DataError: the networks do not find two hands and a face for every copy.
    """

    def __init__(self, loop: Loop, person: Poses, shifts: np.ndarray, steps: int) -> None:
        self._detect, self._pose = loop.models.detect, loop.models.pose
        self._bodies, parts = halves(self._pose)
        assert parts
        self._parts = parts
        self._candidates = _moved(person, shifts)
        picture = loop.cameras.take(0.0)[0].image
        scene = Scene(Setup(people=len(shifts), motion="wave"), picture.shape[1], picture.shape[0])
        self._truth = [_nameless(scene.poses(i, person.skeleton)) for i in range(steps)]
        self._seen: queue.SimpleQueue[List[Poses]] = queue.SimpleQueue()  # from `bodies` to `parts`
        self._check(Frame(picture, 0, 0, "still"))

    def detect(self, frames: Sequence[Frame]) -> List[Detections]:
        """The boxes of the scene, after the real detector has run."""
        self._detect(frames)
        truth = [self._of(f) for f in frames]
        return [Detections(t.boxes, t.person_scores) for t in truth]

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The keypoints of the scene, after the real network has run on all people."""
        self._seen.put(self._bodies(frames, [self._candidates for _ in frames]))
        return [self._of(f) for f in frames]

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The same people, after the real networks have run on all hands and faces."""
        self._parts(frames, self._seen.get())
        return list(people)

    def _of(self, frame: Frame) -> Poses:
        return self._truth[frame.index % len(self._truth)]

    def _check(self, frame: Frame) -> None:
        found = self._pose([frame], [self._candidates])[0]
        places = skeletons.get(found.skeleton).parts
        here = [(found.scores[:, places[n]] > 0).any(1).sum() for n in _PARTS]
        whole, wanted = int(sum(here)), len(_PARTS) * len(self._candidates)
        if whole < wanted:
            raise DataError(
                f"bench: {whole} of {wanted} hands and faces were found in the picture; choose a "
                "frame in which the networks find both hands and the face of its best person"
            )


def crowded(picture: np.ndarray, person: Poses, people: int) -> Tuple[np.ndarray, np.ndarray]:
    """Paste the cut-out person `people` times, side by side on grey.

    Returns:
        A picture of the same size, and the shift of each copy [N,2] px.

    Raises:
        DataError: the picture has not enough room.
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = _patch(person, width, height)
    columns, rows = width // (x2 - x1), height // (y2 - y1)
    if people > columns * rows:
        raise DataError(
            f"bench: the picture has room for {columns * rows} people, not for {people}"
        )
    rows = -(-people // columns)
    columns = -(-people // rows)
    out = np.full_like(picture, _GREY)
    places = np.arange(people)
    lefts = (places % columns + 0.5) * width / columns - (x2 - x1) / 2
    tops = (places // columns + 0.5) * height / rows - (y2 - y1) / 2
    corners = np.stack((lefts, tops), -1).astype(np.int64)
    for left, top in corners.tolist():
        out[top : top + y2 - y1, left : left + x2 - x1] = picture[y1:y2, x1:x2]
    return out, (corners - (x1, y1)).astype(np.float32)


def _patch(person: Poses, width: int, height: int) -> Tuple[int, int, int, int]:
    """The person's rectangle in the picture, with a margin."""
    x1, y1, x2, y2 = person.boxes[0].tolist()
    room = _ROOM * (y2 - y1)
    left, top = max(0, int(x1 - room)), max(0, int(y1 - room))
    return left, top, min(width, int(x2 + room)), min(height, int(y2 + room))


def _moved(person: Poses, shifts: np.ndarray) -> Poses:
    """Copies of one person, moved by the shifts [N,2] px."""
    many = person.take(np.zeros(len(shifts), np.int64))
    return replace(
        many,
        keypoints=many.keypoints + shifts[:, None],
        boxes=many.boxes + np.tile(shifts, 2),
        ids=np.arange(len(shifts)),
    )


def look_twice(models: Models, picture: np.ndarray) -> Poses:
    """The person with the best score, detected in a picture and then tracked for one step.

    Raises:
        DataError: no person is found.
    """
    frame = Frame(picture, 0, 0, "still")
    found = models.detect([frame])[0]
    skeleton = models.pose.skeleton
    people = Poses.of_boxes(found, len(skeletons.get(skeleton)), skeleton)
    for _ in range(2):
        people = models.pose([frame], [people])[0]
    if not len(people):
        raise DataError("bench: no person was found in the picture, which shows one")
    return people.take(np.array([0]))


def _nameless(poses: Poses) -> Poses:
    nobody = np.full(len(poses), -1, np.int64)
    return replace(poses, ids=nobody, person_scores=np.ones(len(poses), np.float32))
