"""Predictions of recorded poses: what `[record]` of the daemon keeps.

A frame belongs to the picture of the same number: of the video that has the camera's name, or, with
one camera and one video or folder, of that. The pictures of a folder are numbered as the daemon
plays them: by name, 10 after 9.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Optional

import numpy as np

from edge import skeletons
from edge.capture.file import natural
from edge.errors import DataError, NoInputError
from edge.recording.record import RecordedFrame, unpack
from edge.recording.ring import SUFFIX, read_segment
from tools.evaluation.found.record import Found, Seen, Translation
from tools.evaluation.truth import Picture, Truth


def segments(path: Path) -> List[Path]:
    """The segments of a recording, oldest first.

    Raises:
        NoInputError: there are none.
    """
    found = sorted(path.glob("*" + SUFFIX)) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise NoInputError(f"{path}: no recording here; [record] max_mb turns them on")
    return found


def frames(path: Path) -> Iterator[RecordedFrame]:
    """All frames of a recording in their order."""
    for segment in segments(path):
        for kind, payload in read_segment(segment):
            if kind == "P":
                yield unpack(payload)


def read(path: Path, truth: Truth) -> Found:
    """The poses of a recording for the pictures of a data set.

    Raises:
        NoInputError, DataError: it is no recording, or of other pictures.
    """
    plays = _plays(truth)
    skeleton: Optional[str] = None
    translate: Optional[Translation] = None
    found: Dict[str, Seen] = {}
    strange = 0
    for frame in frames(path):
        if translate is None or skeleton != frame.poses.skeleton:
            skeleton = frame.poses.skeleton
            translate = Translation(truth.points, skeletons.get(skeleton).names)
        pictures = plays.get(frame.camera) or plays.get("", {})
        picture = pictures.get(frame.index)
        if picture is None:
            strange += 1
            continue
        found[picture.key] = translate(frame.poses, frame.t_ns)
    if translate is None or not found:
        cameras = ", ".join(name for name in plays if name)
        raise DataError(
            f"{path}: no frame is of a labelled picture; its cameras must be called as the videos "
            f"of the data: {cameras or 'any name, for there is one'}"
        )
    notes = [f"{strange} recorded frames have no labels and are left out"] if strange else []
    return Found(path.name, np.asarray(translate.given), found, notes)


def _plays(truth: Truth) -> Dict[str, Dict[int, Picture]]:
    """Camera -> frame number -> picture; the camera "" stands for any."""
    videos = truth.sequences()
    if not videos:
        order = sorted(truth.pictures, key=lambda p: natural(Path(p.file)))
        return {"": dict(enumerate(order))}
    found = {name: {p.index: p for p in pictures} for name, pictures in videos.items()}
    found.update({Path(name).stem: all_ for name, all_ in list(found.items())})
    if len(videos) == 1:
        found[""] = next(iter(found.values()))
    return found
