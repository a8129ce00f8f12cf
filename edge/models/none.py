"""The family `none`: a detector without a network, for one-stage models and for tests."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence

from edge.models import Detector, Gives, ModelOptions
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.structures import Detections, Frame

GIVES = Gives.BOXES


class Nobody(Detector):
    """A models.Detector that finds nobody."""

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """An empty Detections for each frame."""
        return [Detections.empty() for _ in frames]

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """An empty Detections for each frame."""
        return self(frames)


def load(
    recipe: Optional[Recipe] = None,
    runners: Optional[Mapping[str, Runner]] = None,
    options: Optional[ModelOptions] = None,
) -> Nobody:
    """Make the detector; all arguments are ignored."""
    return Nobody()
