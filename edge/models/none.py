"""Finds no one and runs nothing: the detector beside one-stage models, and of the tests."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence

from edge.models import Detector, Gives, ModelOptions
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.structures import Detections, Frame

GIVES = Gives.BOXES


class Nobody(Detector):
    """The contract is models.Detector."""

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """An empty Detections for each frame."""
        return [Detections.empty() for _ in frames]


def load(
    recipe: Optional[Recipe] = None,
    runners: Optional[Mapping[str, Runner]] = None,
    options: Optional[ModelOptions] = None,
) -> Nobody:
    """A detector that needs nothing; all arguments are ignored."""
    return Nobody()
