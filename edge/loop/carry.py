"""Runs the pose network less often: between its runs, optical flow carries keypoints on.

One `Carry` serves all cameras. It keeps a small crop of each person and never a frame.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge.models._preprocess import luma
from edge.people import flow
from edge.settings.config import Pose
from edge.skeletons import Skeleton
from edge.structures import VISIBLE, Frame, Poses
from edge.view import stored_of_upright, upright_of_stored

Look = Callable[[Sequence[Frame], Sequence[Poses]], List[Poses]]

SIDE_PX = 192  # of a crop
_GROWTH = 1.35  # of the window over the box of the visible keypoints
_LEAST_PX = 24.0  # side of a window
_APART_NS = 250_000_000  # frames further apart have no flow
_LEAST_CARRIED = 0.6  # share of a person's visible keypoints that the flow must carry
_LOST_SHARE = 0.5  # of its score is left to a keypoint that the flow lost


@dataclass
class _Person:
    """The people of a camera in its last frame; rows are people."""

    t_ns: int
    size: Tuple[int, int]
    poses: Poses  # own arrays
    windows: np.ndarray  # [N,3] f32 left, top, side, px of the stored picture
    crops: np.ndarray  # [N,S,S] u8


class Carry:
    """Decides for each frame whether the pose network runs, and carries keypoints if not.

    The network runs where `pose.every_s` has passed, where the detector has found somebody new or
    has given keypoints, where a person is not known from the last frame, and where the flow loses
    too many keypoints of anybody.

    Args:
        options: `every_s` and `flow`.
        skeleton: keypoint set of the pose model.
    """

    def __init__(self, options: Pose, skeleton: Skeleton) -> None:
        self._every_ns = int(options.every_s * 1e9)
        self._method = options.flow
        self._parts = _Parts(skeleton)
        self._people: Dict[str, _Person] = {}
        self._run_ns: Dict[str, int] = {}
        self.carried = 0  # frames so far

    @staticmethod
    def of(options: Pose, skeleton: Skeleton) -> Optional[Carry]:
        """The carrying that a configuration asks for; None = the network runs on every frame."""
        return Carry(options, skeleton) if options.every_s > 0 else None

    def look(self, pose: Look, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame: of the network, or carried; see `pipeline.Pose`."""
        found = [self._carried(frame, who) for frame, who in zip(frames, people)]
        due = [i for i, poses in enumerate(found) if poses is None]
        looked = iter(pose([frames[i] for i in due], [people[i] for i in due]) if due else [])
        for i in due:
            self._run_ns[frames[i].camera] = frames[i].t_ns
        self.carried += len(found) - len(due)
        return [next(looked) if poses is None else poses for poses in found]

    def keep(self, frames: Sequence[Frame], tracked: Sequence[Poses]) -> None:
        """Remember the tracked people of frames; crops of the next frames are compared to theirs.

        Args:
            frames: borrowed.
            tracked: people with ids; borrowed.
        """
        for frame, poses in zip(frames, tracked):
            windows = _windows(frame, poses)
            self._people[frame.camera] = _Person(
                frame.t_ns,
                frame.size,
                poses.take(np.arange(len(poses))),
                windows,
                luma.crops(frame, windows, SIDE_PX),
            )

    def fill_in(self, parts: Look, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """Run the second half of the model on the frames on which the first one ran."""
        due = [i for i, poses in enumerate(people) if poses.places is not None or not len(poses)]
        filled = iter(parts([frames[i] for i in due], [people[i] for i in due]) if due else [])
        whole = [
            next(filled) if i in due else self._parts.moved(frames[i].camera, poses)
            for i, poses in enumerate(people)
        ]
        for frame, poses in zip(frames, whole):
            self._parts.keep(frame.camera, poses)
        return whole

    def _carried(self, frame: Frame, people: Poses) -> Optional[Poses]:
        """The candidates' keypoints carried into this frame; None = the network must look."""
        last = self._people.get(frame.camera)
        if last is None or not len(people) or self._is_due(frame, last):
            return None
        if people.sightings is not None:  # a finder that gives keypoints looked at this frame
            return None
        same = people.ids[:, None] == last.poses.ids
        if not same.any(1).all():
            return None
        rows = same.argmax(1)
        known = last.poses.take(rows)
        points, good = self._flow(frame, last, rows, people)
        seen = known.scores > VISIBLE
        share = (good & seen).sum(1) / np.maximum(seen.sum(1), 1)
        if not (share >= _LEAST_CARRIED).all():
            return None
        return dataclasses.replace(
            people,
            keypoints=np.where(good[..., None], points, people.keypoints),
            scores=known.scores * np.where(good, np.float32(1), np.float32(_LOST_SHARE)),
            person_scores=known.person_scores,
            sightings=None,
            world=known.world,  # of the last run of the network
        )

    def _is_due(self, frame: Frame, last: _Person) -> bool:
        """Whether it is time to look, or this frame does not follow the last one."""
        step_ns = frame.t_ns - last.t_ns
        if frame.still or frame.size != last.size or not 0 < step_ns <= _APART_NS:
            return True
        since_ns = frame.t_ns - self._run_ns.get(frame.camera, -self._every_ns)
        return since_ns + step_ns // 2 >= self._every_ns

    def _flow(
        self, frame: Frame, last: _Person, rows: np.ndarray, people: Poses
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Keypoints [N,K,2] px carried from the last frame, and whether they are accepted [N,K].

        The crop moves as the tracker expects the person to move.
        """
        before = last.poses.take(rows)
        some = np.flatnonzero((before.scores > 0).any(0))
        stored = _stored(frame, before.keypoints[:, some])
        windows = last.windows[rows]
        step = _stored(frame, people.boxes.reshape(-1, 2, 2)) - _stored(
            frame, before.boxes.reshape(-1, 2, 2)
        )
        moved = windows.copy()
        moved[:, :2] += np.rint(step.mean(1))
        scale = SIDE_PX / windows[:, None, 2:]
        start = (stored - windows[:, None, :2] + 0.5) * scale - 0.5
        crops = luma.crops(frame, moved, SIDE_PX)
        ends, fine = flow.carried(last.crops[rows], crops, start.astype(np.float32), self._method)
        ends = (ends + 0.5) / scale - 0.5 + moved[:, None, :2]
        points, good = before.keypoints.copy(), np.zeros(before.scores.shape, bool)
        points[:, some] = _upright(frame, ends)
        good[:, some] = fine & (before.scores[:, some] > 0)
        return points, good


class _Parts:
    """Hands and faces in frames that the network did not see: they follow wrists and eyes."""

    def __init__(self, skeleton: Skeleton) -> None:
        anchors = {
            "left_hand": ("left_wrist",),
            "right_hand": ("right_wrist",),
            "face": ("nose", "left_eye", "right_eye"),
        }
        self._parts = [
            (skeleton.parts[part], skeleton.index(*names))
            for part, names in anchors.items()
            if len(skeleton.parts[part]) and (skeleton.index(*names) >= 0).all()
        ]
        self._last: Dict[str, Poses] = {}

    def keep(self, camera: str, poses: Poses) -> None:
        """Remember the people of a frame; the arrays stay valid."""
        self._last[camera] = poses

    def moved(self, camera: str, poses: Poses) -> Poses:
        """The same people with the hands and faces of the last frame, each moved as one."""
        last = self._last.get(camera)
        if last is None or not len(last) or not self._parts:
            return poses
        same = poses.ids[:, None] == last.ids
        known, rows = same.any(1)[:, None], same.argmax(1)
        keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
        for part, anchors in self._parts:
            step = (poses.keypoints[:, anchors] - last.keypoints[rows][:, anchors]).mean(1)
            keypoints[:, part] = last.keypoints[rows][:, part] + step[:, None]
            scores[:, part] = last.scores[rows][:, part] * known
        return dataclasses.replace(poses, keypoints=keypoints, scores=scores)


def _windows(frame: Frame, poses: Poses) -> np.ndarray:
    """Squares [N,3] f32 around the visible keypoints, or the box, px of the stored picture."""
    seen = (poses.scores > VISIBLE)[..., None]
    none = ~seen.any(1)
    low = np.where(seen, poses.keypoints, np.float32(np.inf)).min(1)
    high = np.where(seen, poses.keypoints, np.float32(-np.inf)).max(1)
    corners = np.stack(
        (np.where(none, poses.boxes[:, :2], low), np.where(none, poses.boxes[:, 2:], high)), 1
    )
    ends = _stored(frame, corners)
    low, high = ends.min(1), ends.max(1)
    side = np.maximum(_GROWTH * (high - low).max(1), _LEAST_PX)
    first = np.floor((low + high) / 2 - side[:, None] / 2)
    return np.column_stack((first, side)).astype(np.float32)


def _stored(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Points [...,2] of the upright picture in px of the stored one."""
    if frame.view is None:
        return points
    matrix = stored_of_upright(frame.view, frame.stored_size)
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def _upright(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Points [...,2] of the stored picture in px of the upright one."""
    if frame.view is None:
        return points
    matrix = upright_of_stored(frame.view, frame.stored_size)
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)
