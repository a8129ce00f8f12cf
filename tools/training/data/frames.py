"""The pictures of a data set, decoded one after another."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Tuple

import numpy as np

from edge.errors import NoInputError
from tools.evaluation.found.networks import read_picture, video_frames
from tools.evaluation.truth import Picture, Truth


def each(truth: Truth, pictures: Iterable[Picture]) -> Iterator[Tuple[Picture, np.ndarray]]:
    """Pictures [H,W,3] u8 BGR, turned as their labels are; a video is decoded once.

    Args:
        truth: the data set.
        pictures: some of its pictures.

    Raises:
        NoInputError: a picture or its video is missing. DataError: it cannot be read.
    """
    of_video: Dict[str, List[Picture]] = {}
    for picture in pictures:
        if picture.path is None and picture.sequence in truth.videos:
            of_video.setdefault(picture.sequence, []).append(picture)
        elif picture.path is None and picture.sequence:
            raise NoInputError(f"{truth.name}: its video {picture.sequence} is not there")
        else:
            yield picture, read_picture(picture)
    for name, frames in of_video.items():
        wanted: Dict[int, List[Picture]] = {}
        for picture in frames:
            wanted.setdefault(picture.index, []).append(picture)
        for index, image in video_frames(truth, name, frames):
            for picture in wanted.get(index, ()):
                yield picture, image
