"""What a network means. One file per family, each with `load(recipe, runners, options)`.

A family turns frames into network inputs (preprocess) and outputs into records (decode). It never
executes a network itself: it fills `runner.feed(n)` and reads `runner.run()`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import (
    Callable,
    Dict,
    List,
    Literal,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

from edge import plug
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.structures import Detections, Frame, Poses


@dataclass(frozen=True)
class ModelOptions:
    """What the operator may tune."""

    min_score: float = 0.3  # below this a box or a person is dropped
    nms_iou: float = 0.45  # boxes that overlap more are one person
    max_people: int = 100  # per frame, best scores first


class Gives(enum.Enum):
    """What the models of a family give; each family file declares it as `GIVES`."""

    BOXES = "boxes"  # a detector
    POSES = "poses"  # of the people whom a detector or the tracker expects
    ONE_STAGE_POSES = "one-stage poses"  # finds the people itself: needs no detector


class Detector(Protocol):
    """Frames to boxes: one execution for all frames.

    Every detector derives from this class.
    """

    gives: Literal[Gives.BOXES] = Gives.BOXES

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """One Detections for each frame, boxes clipped to it, best score first."""


class PoseModel(Protocol):
    """Frames and candidates to skeletons: each network executed once for all people.

    Every pose model derives from this class. What it cannot do keeps the default given here.
    """

    gives: Literal[Gives.POSES, Gives.ONE_STAGE_POSES] = Gives.POSES
    skeleton: str
    # People of a step who get hands and a face, 0 = everybody; None = it cannot be limited.
    part_limit: Optional[int] = None

    @property
    def halved(self) -> Optional[Halves]:
        """The same model in two halves; None = it has one execution for everything."""
        return None

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame.

        Top-down models give rows for a subset of `people[i]`, in their order, with their ids;
        one-stage models give whoever they find with ids -1.
        """


class Halves(Protocol):
    """A pose model in two halves: `bodies` first, which the tracker needs, `parts` later.

    Where networks may run at once, the loop runs the halves in two threads: `parts` of one step
    runs while `bodies` runs on the next step, or on the one after. Calling the model does both.
    """

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """What tracking needs, with `places` for the other half."""

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The same people with everything, in new arrays; rows may have been left out or moved."""


Model = Union[Detector, PoseModel]
Half = Callable[[Sequence[Frame], Sequence[Poses]], List[Poses]]


def halves(model: PoseModel) -> Tuple[Half, Optional[Half]]:
    """What must be done before tracking, and what is left for after it."""
    halved = model.halved
    return (model, None) if halved is None else (halved.bodies, halved.parts)


def load_model(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> Model:
    """Join a recipe and its opened networks (by their names in the recipe) into a model."""
    model: Model = plug.load("models", recipe.family).load(recipe, dict(runners), options)
    return model


def input_shapes(recipe: Recipe) -> Dict[str, Dict[str, Tuple[int, ...]]]:
    """For each network of a recipe the shape of one sample of its input, as runtimes want it."""
    return {name: {net.input: net.sample_shape} for name, net in recipe.networks.items()}
