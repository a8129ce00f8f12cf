"""In a large crowd most people are looked at in turns, and have head and shoulders only."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from edge.models import ModelOptions, load_model
from edge.models._blazepose import points
from edge.models._blazepose.sparse import HEAD_SHOULDERS
from edge.settings.sections import Crowd
from edge.structures import Poses
from tests.edge.models.blazepose_fakes import SIZES, SeeingRunner, frame, known, new, recipe
from tests.edge.models.test_part_limit import TRIO

FOUR = [*TRIO, TRIO[0].moved(0, 150)]


def cascade_of(**limits: int) -> Tuple[Any, Dict[str, SeeingRunner]]:
    runners = {part: SeeingRunner(part, FOUR) for part in SIZES}
    options = ModelOptions(min_score=0.0, crowd=Crowd(**limits))
    return load_model(recipe(), runners, options), runners


def small_ones(poses: Poses) -> List[int]:
    """Ids of people with head and shoulders only; they have no other keypoint."""
    rest = poses.scores[:, HEAD_SHOULDERS.stop :].any(1)
    assert (poses.scores[:, HEAD_SHOULDERS] > 0).any(1).all()
    assert not poses.keypoints[~rest, HEAD_SHOULDERS.stop :].any()
    return poses.ids[~rest].tolist()


def test_the_largest_are_seen_each_time_and_the_others_in_turns() -> None:
    model, runners = cascade_of(sparse_people=4, whole_people=1)
    for _ in range(6):
        (poses,) = model([frame()], [known(*FOUR)])
        assert sorted(poses.ids.tolist()) == [1, 2, 3, 4], "everybody is told in each frame"
        assert sorted(small_ones(poses)) == [1, 3, 4], "the second is the largest"
    batches = runners["body"].batches
    assert sum(batches) == 6 + 2 * 3, "the largest six times, the others twice"
    assert batches[:3] == batches[3:]
    assert model.report() == {"sparse": {"a": 1}, "sparse_changes": {"a": 1}}


def test_the_tracker_gets_all_keypoints_of_the_people_who_rest() -> None:
    model, _ = cascade_of(sparse_people=2, whole_people=1)
    for _ in range(3):
        (bodies,) = model.bodies([frame()], [known(*FOUR)])
        assert (bodies.scores[:, points.BODY].min(1) > 0.3).all()


def test_somebody_new_is_looked_at_unless_the_detector_saw_keypoints() -> None:
    model, runners = cascade_of(sparse_people=2, whole_people=1)
    model.bodies([frame()], [new(*FOUR)])
    assert runners["body"].batches == [4]
    rows = np.stack([np.c_[p.keypoints[points.BODY], np.full(17, 0.8)] for p in FOUR])
    seen = dataclasses.replace(
        new(*FOUR), ids=np.zeros(4, np.int64) - 1, sightings=np.float32(rows)
    )
    (bodies,) = model.bodies([frame("b")], [seen])
    assert runners["body"].batches[1] < 4
    assert len(bodies) == 4
    order = np.argsort(bodies.keypoints[:, 0, 0] + bodies.keypoints[:, 0, 1])
    truth = np.array(sorted(p.keypoints[0].sum() for p in FOUR))
    np.testing.assert_allclose(bodies.keypoints[order, 0].sum(1), truth, atol=2)


@pytest.mark.parametrize(("people", "on"), [([3, 4, 4, 3], 0), ([4, 5, 4, 4], 1), ([5, 3, 4], 0)])
def test_the_mode_ends_later_than_it_begins(people: List[int], on: int) -> None:
    """It begins with 5 and ends below 4."""
    model, _ = cascade_of(sparse_people=5, whole_people=1)
    five = [*FOUR, TRIO[2].moved(0, 150)]
    for count in people:
        model([frame()], [known(*five[:count])])
    assert model.report()["sparse"] == {"a": on}


def test_never_without_a_bound_and_each_camera_for_itself() -> None:
    model, runners = cascade_of(sparse_people=0, whole_people=1)
    model([frame()], [known(*FOUR)])
    assert runners["body"].batches == [4]
    model, runners = cascade_of(sparse_people=3, whole_people=1)
    few, many = model([frame("few"), frame("many")], [known(*FOUR[:2]), known(*FOUR)])
    assert small_ones(few) == []
    assert len(small_ones(many)) == 3
    assert model.report()["sparse"] == {"few": 0, "many": 1}
