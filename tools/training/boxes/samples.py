"""Labelled pictures as samples of a detector: boxes, boxes that do not count, the recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Pattern, Sequence

import numpy as np

from tools.evaluation.truth import People, Picture, Truth
from tools.training.data.sources import recordings_of


@dataclass(frozen=True, eq=False)
class Labelled:
    """One picture."""

    truth: Truth
    picture: Picture
    recording: str
    boxes: np.ndarray  # [G,4] f32 x1 y1 x2 y2 px
    ignored: np.ndarray  # [I,4] f32 neither people nor background


def gather(truths: Sequence[Truth], pattern: Optional[Pattern[str]] = None) -> List[Labelled]:
    """The pictures of data sets, those without anybody too: they show what is nobody.

    Crowds, and people of whom every labelled point is hidden, do not count.

    Args:
        truths: data sets.
        pattern: see sources.recordings_of.
    """
    found: List[Labelled] = []
    for truth in truths:
        for picture, recording in zip(truth.pictures, recordings_of(truth, pattern)):
            boxes = picture.people.boxes.astype(np.float32)
            counts = counted(picture.people)
            found.append(Labelled(truth, picture, recording, boxes[counts], boxes[~counts]))
    return found


def counted(people: People) -> np.ndarray:
    """[G] bool: people whom a detector has to find."""
    empty = (people.boxes[:, 2:] <= people.boxes[:, :2]).any(1)
    hidden = people.labelled.any(1) & ~(people.visible > 1).any(1)
    return np.asarray(~people.crowd & ~hidden & ~empty)
