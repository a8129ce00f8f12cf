"""Poses of a recording or a video, frame by frame, with the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.errors import DataError, NoInputError
from edge.models import halves
from edge.recording.ring import SUFFIX
from edge.structures import Frame, Poses
from tools.evaluation.found import recordings
from tools.training.judging.looks import looked, opened_detector, opened_pose
from tools.training.judging.reference import VIDEOS


@dataclass(frozen=True, eq=False)
class FramePoses:
    """The poses of one frame."""

    camera: str
    index: int
    t_ns: int
    size: Tuple[int, int]  # width, height px
    poses: Poses


def of_recording(path: Path) -> List[FramePoses]:
    """What `[record]` of the daemon kept, oldest first.

    Raises:
        NoInputError, DataError: it is no recording.
    """
    return [FramePoses(f.camera, f.index, f.t_ns, f.size, f.poses) for f in recordings.frames(path)]


def of_video(
    path: Path, camera: str, model: Path, detector: Path, wanted: Optional[Set[int]], step: int
) -> Iterator[FramePoses]:
    """Poses of a video's frames, each looked at by itself.

    Args:
        path: the video.
        camera: its name.
        model: folder of the pose model.
        detector: folder of the detector.
        wanted: numbers of the frames; None: every `step`-th.
        step: from frame to frame.
    """
    with opened_pose(model) as pose, opened_detector(detector) as detect:
        look, count = halves(pose)[0], len(skeletons.get(pose.skeleton))
        for index, t_ns, image in frames_of(path, wanted, step):
            boxes = detect([Frame(image, index, t_ns, camera, still=True)])[0]
            sure = np.asarray(boxes.boxes[boxes.scores >= 0.4], np.float32)
            poses = looked(look, image, sure, count, pose.skeleton, index)
            yield FramePoses(camera, index, t_ns, (image.shape[1], image.shape[0]), poses)


def frames_of(
    path: Path, wanted: Optional[Set[int]] = None, step: int = 1
) -> Iterator[Tuple[int, int, np.ndarray]]:
    """Number, time in ns and picture of some frames of a video.

    Raises:
        NoInputError: it cannot be opened. DataError: it has not all wanted frames.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise NoInputError(f"{path}: is no video that can be read")
        rate_hz = capture.get(cv2.CAP_PROP_FPS) or 30.0
        index, left = 0, None if wanted is None else set(wanted)
        while left is None or left:
            if not capture.grab():
                break
            if index % step == 0 if left is None else index in left:
                fine, image = capture.retrieve()
                if fine:
                    yield index, int(index / rate_hz * 1e9), image
                if left is not None:
                    left.discard(index)
            index += 1
        if left:
            raise DataError(f"{path}: has {index} frames, and frame {min(left)} is asked for")
    finally:
        capture.release()


def videos_of(paths: Sequence[Path]) -> Dict[str, Path]:
    """Camera -> its video: files by their names without suffix, and those in folders.

    Raises:
        NoInputError: one is not there. DataError: two have one name.
    """
    found: Dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise NoInputError(f"{path}: no such file or folder")
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            if file.suffix.lower() in VIDEOS:
                if file.stem in found:
                    raise DataError(f"{file}: there is a second video called {file.stem}")
                found[file.stem] = file
    return found


def is_recording(path: Path) -> bool:
    """Whether a path is a recording of the daemon."""
    return path.suffix == SUFFIX or (path.is_dir() and any(path.glob("*" + SUFFIX)))
