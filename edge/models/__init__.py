"""Model families: detectors and pose models, made of networks that a runner executes.

Each family is one file with `GIVES` and `load(recipe, runners, options)`. A family turns frames
into network inputs, and network outputs into records. It does not execute a network itself: it
fills `runner.feed(n)` and reads `runner.run()`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
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
from edge.settings.sections import Crowd
from edge.structures import Detections, Frame, Poses


@dataclass(frozen=True)
class ModelOptions:
    """Thresholds that the operator may change."""

    min_score: float = 0.3  # boxes and people of a lower score are dropped
    nms_iou: float = 0.45  # of two boxes that overlap more, the worse is dropped
    max_people: int = 100  # in one frame; those of the best scores are kept
    crowd: Crowd = field(default_factory=Crowd)
    suppression: str = "box"  # how doubles are known: box soft pose oks (edge.people.suppression)
    world: bool = False  # whether a pose model gives points in metres, too


class Gives(enum.Enum):
    """What the models of a family give; each family file declares it as `GIVES`."""

    BOXES = "boxes"  # a detector
    POSES = "poses"  # of candidates, which a detector and the tracker give
    ONE_STAGE_POSES = "one-stage poses"  # of all people in a frame, without a detector


class Detector(Protocol):
    """Finds the boxes of people; executes its network once for all frames.

    Every detector derives from this class.
    """

    gives: Literal[Gives.BOXES] = Gives.BOXES

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """One Detections for each frame, with clipped boxes, the best score first."""

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """Boxes as `__call__` gives, but of any score from `floor` on, overlapping or not.

        For pictures in which everybody is painted over. The frames belong to no camera.
        """

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """Entries of the metrics message, each a table by camera."""
        return {}


class PoseModel(Protocol):
    """Finds the skeletons of people; executes each network once for all frames.

    Every pose model derives from this class. The defaults here mean that a model lacks the ability.
    """

    gives: Literal[Gives.POSES, Gives.ONE_STAGE_POSES] = Gives.POSES
    skeleton: str
    gives_world: bool = False  # whether `ModelOptions.world` is obeyed
    # Most people of a step who get hands and a face; 0 = all people, None = no such limit.
    part_limit: Optional[int] = None

    @property
    def halved(self) -> Optional[Halves]:
        """The two halves of the model; None = it has no halves."""
        return None

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame.

        A top-down model returns rows for the candidates that it finds, in their order and with
        their ids. A one-stage model ignores the candidates and returns all people with id -1.

        Args:
            frames: borrowed.
            people: the candidates of each frame; borrowed.
        """

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """As `Detector.report`."""
        return {}

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """As `Detector.everybody`; nobody if the model needs candidates."""
        return [Detections.empty() for _ in frames]


class Halves(Protocol):
    """A pose model in two halves: `bodies` for the tracker, and `parts`, which may run later.

    If networks may run at the same time, the loop runs the halves in two threads: `parts` of a step
    runs while `bodies` runs for the next step, or for the step after that. Calling the model runs
    both halves.
    """

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The people with the keypoints that the tracker needs, and `places` for `parts`."""

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The same people with all keypoints, in new arrays.

        Args:
            frames: those of `bodies`.
            people: results of `bodies`; the tracker may have dropped or reordered rows.
        """


Model = Union[Detector, PoseModel]
Half = Callable[[Sequence[Frame], Sequence[Poses]], List[Poses]]


def halves(model: PoseModel) -> Tuple[Half, Optional[Half]]:
    """The part of a model to run before tracking, and the part to run after it, if any."""
    halved = model.halved
    return (model, None) if halved is None else (halved.bodies, halved.parts)


def load_model(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> Model:
    """Make a model of a recipe and its opened networks.

    Args:
        recipe: names the family.
        runners: opened networks by their names in the recipe.
        options: thresholds.
    """
    model: Model = plug.load("models", recipe.family).load(recipe, dict(runners), options)
    return model


def input_shapes(recipe: Recipe) -> Dict[str, Dict[str, Tuple[int, ...]]]:
    """The shape of one sample of each network's input, by name of the network and of the input."""
    return {name: {net.input: net.sample_shape} for name, net in recipe.networks.items()}
