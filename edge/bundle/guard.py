"""Guards around the networks of a bundle on probation, and the trial before they are used."""

from __future__ import annotations

from typing import Callable, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np

from edge import skeletons
from edge.errors import DataError, EdgeError
from edge.loop.assemble import Models
from edge.models import Detector, PoseModel
from edge.structures import Detections, Frame, Poses

Found = TypeVar("Found", Detections, Poses)


class GuardedDetector(Detector):
    """A detector on probation: a call that fails is done again by the detector before it.

    Args:
        stage: the new detector.
        give_up: called with the reason; returns the detector before.
    """

    def __init__(self, stage: Detector, give_up: Callable[[str], Detector]) -> None:
        self.stage = stage
        self._give_up = give_up

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """Call the detector; the loop sees no failure."""
        found, problem = _guarded(lambda: self.stage(frames))
        return self._give_up(problem)(frames) if problem else found

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """Ask the guarded detector; a failure ends the picture it is for, not the probation."""
        return self.stage.everybody(frames, floor)

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """Entries of the guarded detector for the metrics message."""
        return self.stage.report()


class GuardedPose(PoseModel):
    """A pose model on probation: a call that fails is done again by the model before it.

    A model in two stages is called as a whole, so that both stages are under the guard.

    Args:
        stage: the new pose model.
        give_up: called with the reason; returns the pose model before.
    """

    def __init__(self, stage: PoseModel, give_up: Callable[[str], PoseModel]) -> None:
        self.stage = stage
        self.gives, self.skeleton = stage.gives, stage.skeleton
        self._give_up = give_up

    @property
    def part_limit(self) -> Optional[int]:
        """The limit of the guarded model."""
        return self.stage.part_limit

    @part_limit.setter
    def part_limit(self, limit: Optional[int]) -> None:
        self.stage.part_limit = limit

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """Call the pose model; the loop sees no failure."""
        found, problem = _guarded(lambda: self.stage(frames, people))
        return self._give_up(problem)(frames, people) if problem else found

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """Entries of the guarded model for the metrics message."""
        return self.stage.report()

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """Ask the guarded model; a failure ends the picture it is for, not the probation."""
        return self.stage.everybody(frames, floor)


def guard(models: Models, give_up: Callable[[str], Models]) -> Models:
    """Put guards around the stages of `models`, in place.

    Args:
        models: the networks on probation.
        give_up: called with the reason; returns the networks before.
    """
    models.detect = GuardedDetector(models.detect, lambda why: give_up(why).detect)
    models.pose = GuardedPose(models.pose, lambda why: give_up(why).pose)
    return models


def without_guards(models: Models) -> Models:
    """Remove the guards of `models`, in place."""
    if isinstance(models.detect, GuardedDetector):
        models.detect = models.detect.stage
    if isinstance(models.pose, GuardedPose):
        models.pose = models.pose.stage
    return models


def try_out(models: Models) -> None:
    """Run one step on an empty picture with one candidate.

    Raises:
        DataError: a network gives invalid numbers. EdgeError: a network does not run.
    """
    frame = Frame(np.full((480, 640, 3), 127, np.uint8), 0, 0, "trial")
    box = np.array([[200, 100, 400, 460]], np.float32)
    candidate = Detections(box, np.ones(1, np.float32))
    points = len(skeletons.get(models.pose.skeleton))
    found = [*models.detect([frame])]
    candidates = Poses.of_boxes(candidate, points, models.pose.skeleton)
    problem = defect([*found, *models.pose([frame], [candidates])])
    if problem:
        raise DataError(f"the bundle's models were tried: {problem}")


def defect(results: Sequence[Union[Detections, Poses]]) -> str:
    """Return why results of networks cannot be used; "" if they can."""
    for one in results:
        arrays = [one.boxes, one.scores] + ([one.keypoints] if isinstance(one, Poses) else [])
        if not all(np.isfinite(array).all() for array in arrays):
            return "a network gives numbers that are not finite"
    return ""


def _guarded(call: Callable[[], List[Found]]) -> Tuple[List[Found], str]:
    """Return the results of a call, and why they cannot be used; "" if they can."""
    try:
        found = call()
        return found, defect(found)
    except EdgeError as error:
        return [], str(error)
