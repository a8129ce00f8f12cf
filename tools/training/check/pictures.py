"""Mistakes of pictures: not there, of another size, turned, or there twice."""

from __future__ import annotations

import hashlib
from typing import Dict, List, Tuple

import cv2
import numpy as np

from edge.errors import EdgeError
from tools.evaluation.found.networks import read_picture
from tools.evaluation.truth import Picture, Truth
from tools.progress import Progress
from tools.training.check import exif, labels
from tools.training.check.faults import Fault
from tools.training.data.sources import recordings_of

_SMALL = (40, 40)  # px of the copy by which pictures are compared
_ALIKE = 12  # grey levels: the most by which two copies of one picture differ, coded in two ways
_LEVEL = 4.0  # of mean brightness: only pictures that are about as bright are compared
_OUTSIDE = 0.15  # share of the labelled points outside the picture from which it is the other turn


class Seen:
    """The pictures that were read so far, by their content.

    Pictures of one recording that look alike are frames of a still scene, so there only the same
    bytes count. Of two recordings, the same look counts, too.
    """

    def __init__(self) -> None:
        self._by_bytes: Dict[str, str] = {}
        self._looks: Dict[Tuple[int, ...], List[Tuple[np.ndarray, str, str]]] = {}

    def twin(self, picture: Picture, recording: str, image: np.ndarray) -> str:
        """The file that has the same content, or looks the same; empty if there is none."""
        if picture.path is None:
            return ""
        digest = hashlib.sha256(picture.path.read_bytes()).hexdigest()
        small = cv2.resize(image, _SMALL, interpolation=cv2.INTER_AREA).astype(np.int16)
        level = int(small.mean() / _LEVEL)
        found = self._by_bytes.get(digest, "")
        for near in (level - 1, level, level + 1):
            for other, where, file in self._looks.get((*image.shape, near), []):
                if where != recording and np.abs(other - small).max() <= _ALIKE:
                    found = found or file
        self._by_bytes.setdefault(digest, picture.file)
        self._looks.setdefault((*image.shape, level), []).append((small, recording, picture.file))
        return found


def faults(truth: Truth, seen: Seen, quiet: bool) -> List[Fault]:
    """What is wrong with the pictures of a data set and with their labels.

    Args:
        truth: the data set.
        seen: shared by all data sets.
        quiet: show no progress.
    """
    found: List[Fault] = []
    with Progress(f"reading {truth.name}", len(truth.pictures), "pictures", quiet) as bar:
        for picture, recording in zip(truth.pictures, recordings_of(truth)):
            found += _picture(truth, picture, recording, seen)
            bar.update()
    return found


def _picture(truth: Truth, picture: Picture, recording: str, seen: Seen) -> List[Fault]:
    if picture.path is None:
        if picture.sequence in truth.videos:
            return labels.faults(truth, picture, picture.size)
        lost = Fault("missing", "no such picture", truth, picture)
        return [lost, *labels.faults(truth, picture, picture.size)]
    try:
        image = read_picture(picture)
    except EdgeError as error:
        return [_unreadable(truth, picture, str(error))]
    size = (image.shape[1], image.shape[0])
    turned = _other_turn(picture, size)
    if turned:
        return [Fault("turn", turned, truth, picture)]
    found = labels.faults(truth, picture, size)
    twin = seen.twin(picture, recording, image)
    if twin:
        found.append(Fault("duplicate", f"looks like {twin}", truth, picture))
    return found


def _unreadable(truth: Truth, picture: Picture, error: str) -> Fault:
    assert picture.path is not None
    if "its labels are of a picture" not in error:
        return Fault("missing", error, truth, picture)
    turned = exif.is_turned(picture.path)
    return Fault("turn" if turned else "size", error, truth, picture)


def _other_turn(picture: Picture, size: Tuple[int, int]) -> str:
    """Why the labels belong to the picture in its other turn; empty if they do not."""
    assert picture.path is not None
    turn = exif.orientation(picture.path)
    people = picture.people
    points = people.keypoints[people.labelled]
    if turn == 1 or not len(points):
        return ""
    if turn > 4:
        off = _share_outside(points, size)
        if off > _OUTSIDE and _share_outside(points, (size[1], size[0])) < off / 2:
            return f"EXIF turn {turn}: {off:.0%} of the points are outside as it is shown"
    return ""


def _share_outside(points: np.ndarray, size: Tuple[int, int]) -> float:
    return float(((points < 0) | (points >= np.array(size))).any(1).mean())
