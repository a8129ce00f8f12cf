"""A cascade on probation: none of its halves gets past the guard."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, List, Sequence

import numpy as np

from edge.bundle.guard import GuardedDetector, GuardedPose
from edge.degrade.apply import Degrader
from edge.degrade.levels import Level
from edge.errors import DataError
from edge.loop.rate_limit import RateLimit
from edge.models import Halves, PoseModel, halves
from edge.models.none import Nobody
from edge.settings.config import Config
from edge.structures import Detections, Frame, Poses


class Cascade(PoseModel):
    """A pose model of two halves, of which the second fails when it is told to."""

    skeleton = "coco17"

    def __init__(self) -> None:
        self.part_limit = 0
        self.broken = False

    @property
    def halved(self) -> Halves:
        return self

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        return self.parts(frames, self.bodies(frames, people))

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        return list(people)

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        if self.broken:
            raise DataError("hand.onnx: the network failed")
        return list(people)


class Whole(PoseModel):
    """A pose model that looks at everything at once."""

    skeleton = "coco17"

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        return list(people)


def people() -> Poses:
    box = Detections(np.array([[1, 2, 30, 40]], np.float32), np.ones(1, np.float32))
    return Poses.of_boxes(box, 17, "coco17")


def step(model: Any) -> List[Poses]:
    """As the loop does it."""
    frames = [Frame(np.zeros((48, 64, 3), np.uint8), 0, 0, "a")]
    first, second = halves(model)
    poses = first(frames, [people()])
    return second(frames, poses) if second else poses


def test_what_fails_in_the_second_half_is_done_by_the_model_before() -> None:
    new, told = Cascade(), []

    def give_up(why: str) -> Cascade:
        told.append(why)
        return Cascade()

    guard = GuardedPose(new, give_up)
    assert len(step(guard)[0]) == 1
    assert told == []
    new.broken = True
    assert len(step(guard)[0]) == 1, "no frame is lost"
    assert told == ["hand.onnx: the network failed"]


def test_degrading_reaches_the_model_under_guard() -> None:
    model = Cascade()
    guard = GuardedPose(model, lambda why: model)
    running: Any = SimpleNamespace(
        config=Config(), pipeline=SimpleNamespace(), models=SimpleNamespace(pose=guard)
    )
    running.rate_limit = RateLimit(SimpleNamespace())  # type: ignore[arg-type]
    Degrader(running, SimpleNamespace())._apply(Level(part_limit=4))  # type: ignore[arg-type]
    assert model.part_limit == 4
    assert guard.part_limit == 4
    assert GuardedPose(Whole(), lambda why: model).part_limit is None


def test_guarded_models_give_everybody_too() -> None:
    """A picture that a command asks for on probation must hide the same people."""
    somebody = Detections(np.array([[1, 2, 3, 4]], np.float32), np.ones(1, np.float32))

    class Detect(Nobody):
        def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
            return [somebody]

    class OneStage(Whole):
        def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
            return [somebody]

    def never(why: str) -> Any:
        raise AssertionError(why)

    assert GuardedDetector(Detect(), never).everybody([], 0.1) == [somebody]
    assert GuardedPose(OneStage(), never).everybody([], 0.1) == [somebody]
