"""Label files of a command line, opened and named so that recordings can be told apart."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import List, Optional, Pattern, Sequence

from edge.errors import ConfigError, DataError
from tools.evaluation import point_sets
from tools.evaluation.read import open_truth
from tools.evaluation.truth import Picture, Truth

# Names of label files that say nothing; the folder's name is taken instead.
_NAMELESS = re.compile(
    r"^(annotations?|labels?|default|(instances|person_keypoints)_(default|train|val|test))$", re.I
)
# Folders that hold pictures of any recording.
_PLAIN = re.compile(
    r"^(images?|img|imgs|pictures|frames|data|default|obj_train_data|(train|val|test)\d*|\.?)$",
    re.I,
)
_PLAIN_FOLDERS = ("annotations", "labels", "images")


def open_all(
    paths: Sequence[Path], pictures: Optional[Path] = None, keypoints: str = ""
) -> List[Truth]:
    """Read label files.

    Args:
        paths: files or folders, as tools.evaluation.read takes them.
        pictures: folder of the pictures; None: beside each file.
        keypoints: name of the labelled set, if the files do not say it.

    Raises:
        EdgeError: one cannot be read, or nobody is labelled in it.
    """
    points = point_sets.named(keypoints) if keypoints else None
    found: List[Truth] = []
    for path in paths:
        truth = open_truth(path, pictures, points)
        if not truth.people:
            raise ConfigError(f"{path}: nobody is labelled in it")
        found.append(dataclasses.replace(truth, name=_name_of(path, truth)))
    return found


def _name_of(path: Path, truth: Truth) -> str:
    if not _NAMELESS.match(truth.name):
        return truth.name
    where = path.resolve() if path.is_dir() else path.resolve().parent
    while where.name in _PLAIN_FOLDERS and where.parent != where:
        where = where.parent
    return where.name or truth.name


def recordings_of(truth: Truth, pattern: Optional[Pattern[str]] = None) -> List[str]:
    """The recording that each picture of a data set is a frame of.

    A frame of a video belongs to the video. A picture in a folder belongs to the folder, unless
    that is the one folder of all and has a name as `images` or `train2017`. Else the file name
    without its number counts: `ward-12_0007.jpg` is of `ward-12`; pictures that are named by
    numbers alone are one recording with the name of the data set.

    Args:
        truth: the data set.
        pattern: of a file name; its first group (or all of it) is the recording.

    Raises:
        DataError: a file name does not match the pattern.
    """
    folders = {_folder(p) for p in truth.pictures if not p.sequence}
    by_folder = len(folders) > 1 or not any(_PLAIN.match(f.rpartition("/")[2]) for f in folders)
    return [_recording(p, truth, by_folder, pattern) for p in truth.pictures]


def _recording(
    picture: Picture, truth: Truth, by_folder: bool, pattern: Optional[Pattern[str]]
) -> str:
    name = picture.file.replace("\\", "/")
    if pattern is not None:
        match = pattern.search(name)
        if match is None:
            raise DataError(f"{truth.name}: {name} does not match --recording {pattern.pattern}")
        return match.group(1) if match.groups() else match.group(0)
    if picture.sequence:
        return picture.sequence
    if by_folder and _folder(picture):
        return _folder(picture)
    stem = name.rpartition("/")[2].rpartition(".")[0] or name
    return re.sub(r"[-_ .]*(frame)?[-_ .]*\d+$", "", stem, flags=re.IGNORECASE) or truth.name


def _folder(picture: Picture) -> str:
    """The folder of a picture, without folders around it that only hold pictures."""
    parts = picture.file.replace("\\", "/").split("/")[:-1]
    while len(parts) > 1 and _PLAIN.match(parts[0]):
        parts = parts[1:]
    return "/".join(parts)
