"""With a limit, the largest people get hands and faces; those who have them keep them."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest

from edge.models._blazepose import points
from edge.structures import Poses
from tests.edge.models.blazepose_fakes import Person, cascade, frame, known, new, standing


def sized(x: float, factor: float) -> Person:
    person = standing(x)
    middle = person.body.mean(0)
    parts = (person.body, person.hands, person.mesh)
    return Person(*[(p - middle) * factor + middle for p in parts])


TRIO = [sized(200.0, 0.8), sized(500.0, 1.0), sized(800.0, 0.9)]


def with_parts(poses: Poses) -> List[bool]:
    return [bool(row.any()) for row in poses.scores[:, points.PARTS] > 0]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (0, [True, True, True]),
        (1, [False, True, False]),
        (2, [False, True, True]),
        (3, [True, True, True]),
        (9, [True, True, True]),
    ],
)
def test_the_largest_come_first_and_the_others_keep_their_bodies(
    limit: int, expected: List[bool]
) -> None:
    model, runners = cascade(*TRIO)
    model.part_limit = limit
    (poses,) = model([frame()], [new(*TRIO)])
    assert with_parts(poses) == expected
    assert (poses.scores[:, points.BODY_FEET].max(1) > 0.9).all()
    none = ~np.array(expected)
    assert (poses.scores[none, points.PARTS] == 0).all(), "not looked at = not known"
    assert (poses.keypoints[none, points.PARTS] == 0).all()
    assert runners["body"].batches == [3]
    assert runners["hand"].batches == [2 * sum(expected)]
    assert runners["face"].batches == [sum(expected)]


def test_the_limit_is_of_the_step_not_of_a_camera() -> None:
    model, runners = cascade(*TRIO)
    model.part_limit = 2
    frames, people = [frame("a"), frame("b"), frame("c")], [new(p) for p in TRIO]
    assert [with_parts(p) for p in model(frames, people)] == [[False], [True], [True]]
    assert runners["face"].batches == [2]


def test_people_are_measured_against_their_own_pictures() -> None:
    person = sized(300.0, 0.8)
    model, _ = cascade(person)
    model.part_limit = 1
    found = model([frame("wide"), frame("near", side=800)], [new(person), new(person)])
    assert [with_parts(p) for p in found] == [[False], [True]]


def test_two_of_one_size_do_not_take_turns() -> None:
    """A person who has hands keeps them until another person is half as large again."""
    left, right = sized(250.0, 0.9), sized(750.0, 0.9)
    model, _ = cascade(left, right)
    model.part_limit = 1
    candidates = known(left, right)
    assert with_parts(model([frame()], [candidates.take(np.array([1]))])[0]) == [True]
    assert with_parts(model([frame()], [candidates])[0]) == [False, True]
    grown = candidates.boxes.copy()
    grown[0] += (-10, -10, 10, 10)
    a_little = Poses(
        candidates.keypoints,
        candidates.scores,
        grown,
        candidates.ids,
        candidates.person_scores,
        candidates.skeleton,
    )
    assert with_parts(model([frame()], [a_little])[0]) == [False, True]


def test_nobody_and_the_limit() -> None:
    model, runners = cascade(*TRIO)
    model.part_limit = 1
    (poses,) = model([frame()], [Poses.empty(133, "wholebody133")])
    assert len(poses) == 0
    assert runners["hand"].batches == []
