"""What a network means. One file per family, each with `load(recipe, runners, options)`.

A family turns frames into network inputs (preprocess) and outputs into records (decode). It never
executes a network itself: it fills `runner.feed(n)` and reads `runner.run()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import (
    Callable,
    Dict,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
    cast,
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


class Detector(Protocol):
    """Frames to boxes: one execution for all frames."""

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """One Detections for each frame, boxes clipped to it, best score first."""


class PoseModel(Protocol):
    """Frames and candidates to skeletons: each network executed once for all people."""

    skeleton: str
    one_stage: bool  # finds the people itself: candidates are ignored, no detector needed

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame.

        Top-down models give rows for a subset of `people[i]`, in their order, with their ids;
        one-stage models give whoever they find with ids -1.
        """


class HalvedPoseModel(PoseModel, Protocol):
    """One whose second half nobody waits for: tracking needs the bodies only.

    Where networks may run at once, the loop runs the halves in two threads, the second on one step
    while the first looks at the next, or at the one after. Calling the model does both.
    """

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """What tracking needs, with `places` for the other half."""

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The same people with everything, in new arrays; rows may have been left out or moved."""


Model = Union[Detector, PoseModel]
Half = Callable[[Sequence[Frame], Sequence[Poses]], List[Poses]]


def halves(model: PoseModel) -> Tuple[Half, Optional[Half]]:
    """What must be done before tracking, and what is left for after it."""
    if not (hasattr(model, "bodies") and hasattr(model, "parts")):
        return model, None
    halved = cast(HalvedPoseModel, model)
    return halved.bodies, halved.parts


def load_model(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> Model:
    """Join a recipe and its opened networks (by their names in the recipe) into a model."""
    model: Model = plug.load("models", recipe.family).load(recipe, dict(runners), options)
    return model


def input_shapes(recipe: Recipe) -> Dict[str, Dict[str, Tuple[int, ...]]]:
    """For each network of a recipe the shape of one sample of its input, as runtimes want it."""
    return {name: {net.input: net.sample_shape} for name, net in recipe.networks.items()}
