"""Reference clips: what the model could do before, and must not lose.

A labelled data set is taken as it is. A video has no labels: the poses of the old model, found with
the detector's boxes, stand for them, so a loss there is a departure from the old model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, Sequence, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.errors import DataError, NoInputError
from edge.models import halves
from edge.structures import VISIBLE, Frame
from tools.evaluation import point_sets
from tools.evaluation.truth import Gathering, Picture, Truth
from tools.fetch.by_name import ensure_set
from tools.progress import Progress
from tools.training.data.sources import open_all
from tools.training.judging.looks import looked, opened_detector, opened_pose

SETS = ("multiperson", "walker")  # judged
HELD_SETS = ("singleperson",)  # held in training, never judged
VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
FRAMES = 16  # of each clip
_SURE = 0.6  # a person of a lower score is no reference
_LEAST_POINTS = 8


def default_videos(names: Sequence[str], quiet: bool) -> List[Path]:
    """The clips of media sets; they are downloaded if they are missing."""
    found: List[Path] = []
    for name in names:
        found += sorted(p for p in ensure_set(name, quiet=quiet).iterdir() if _is_video(p))
    return found


def open_reference(
    paths: Sequence[Path], model: Path, detector: Path, frames: int = FRAMES, quiet: bool = False
) -> List[Truth]:
    """Label files as they are, and videos with the old model's poses.

    Args:
        paths: label files, videos, or folders of either.
        model: folder of the old model.
        detector: folder of the detector for videos.
        frames: of each video.
        quiet: show no progress.

    Raises:
        EdgeError: one cannot be read.
    """
    found: List[Truth] = []
    for path in paths:
        videos = videos_in(path)
        if not videos:
            found += open_all([path])
        for video in videos:
            found.append(_of_video(video, model, detector, frames, quiet))
    return [truth for truth in found if truth.people]


def videos_in(path: Path) -> List[Path]:
    """A video, or the videos of a folder without labels; none: the path has labels."""
    if path.is_dir() and not any(p.suffix in (".json", ".jsonl", ".xml") for p in path.iterdir()):
        return sorted(p for p in path.iterdir() if _is_video(p))
    return [path] if _is_video(path) else []


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEOS


def _of_video(path: Path, model: Path, detector: Path, count: int, quiet: bool) -> Truth:
    name = f"{path.parent.name}/{path.stem}"
    pictures: List[Picture] = []
    with opened_pose(model) as pose, opened_detector(detector) as detect:
        points = point_sets.named(pose.skeleton)
        look = halves(pose)[0]
        with Progress(f"poses of {name}", count, "frames", quiet) as bar:
            for index, image in spread(path, count):
                boxes = detect([Frame(image, index, 0, name, still=True)])[0]
                sure = np.asarray(boxes.boxes[boxes.scores >= 0.4], np.float32)
                poses = looked(look, image, sure, len(points), pose.skeleton, index)
                pictures.append(_picture(name, index, image, poses, len(points)))
                bar.update()
    notes = [f"labels are poses of {model.name}"]
    return Truth(name, "poses of the old model", points, pictures, notes, {name: path})


def spread(path: Path, count: int) -> Iterator[Tuple[int, np.ndarray]]:
    """Frames from all over a video, with their numbers."""
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise NoInputError(f"{path}: is no video that can be read")
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if total <= 0:
            raise DataError(f"{path}: does not say how many frames it has")
        wanted = set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())
        for index in range(total):
            if not capture.grab():
                break
            if index in wanted:
                fine, image = capture.retrieve()
                if fine:
                    yield index, image
    finally:
        capture.release()


def _picture(name: str, index: int, image: np.ndarray, poses: Any, count: int) -> Picture:
    group = Gathering(count)
    body = skeletons.get(poses.skeleton).body17
    some = np.zeros(count, bool)
    some[body[body >= 0]] = True
    some[skeletons.get(poses.skeleton).parts["feet"]] = True
    for row in range(len(poses)):
        there = (poses.scores[row] > VISIBLE) & some
        if poses.person_scores[row] >= _SURE and int(there.sum()) >= _LEAST_POINTS:
            marks = np.column_stack((poses.keypoints[row], 2.0 * there))
            group.add(marks, poses.boxes[row].tolist())
    size = (image.shape[1], image.shape[0])
    label = f"{name} frame {index}"
    return Picture(f"{name}/{index}", label, None, size, group.people(), name, index)
