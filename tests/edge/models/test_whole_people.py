"""In a crowd, the people who matter get hands and faces; the others keep body and feet."""

from __future__ import annotations

import dataclasses
from typing import Any, List

import numpy as np
import pytest

from edge.models import ModelOptions, load_model
from edge.models._blazepose import points, priority
from edge.people.importance import importance
from edge.rules import build_rule
from edge.settings.sections import Crowd
from edge.structures import Poses
from tests.edge.models.blazepose_fakes import SIZES, SeeingRunner, frame, known, new, recipe
from tests.edge.models.test_part_limit import TRIO, with_parts


def crowd_of(whole_people: int) -> Any:
    runners = {part: SeeingRunner(part, TRIO) for part in SIZES}
    options = ModelOptions(min_score=0.0, crowd=Crowd(whole_people=whole_people))
    return load_model(recipe(), runners, options), runners


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(0, [True] * 3), (1, [False, True, False]), (2, [False, True, True]), (3, [True] * 3)],
)
def test_the_largest_of_each_frame_have_hands_and_faces(limit: int, expected: List[bool]) -> None:
    model, runners = crowd_of(limit)
    found = model([frame("a"), frame("b")], [new(*TRIO), new(*TRIO)])
    assert [with_parts(p) for p in found] == [expected, expected]
    assert runners["face"].batches == [2 * sum(expected)], "the others cost nothing"
    for poses in found:
        assert (poses.scores[:, points.BODY_FEET].max(1) > 0.9).all(), "one skeleton, all bodies"


def test_the_limit_of_the_step_and_that_of_the_frame_both_hold() -> None:
    model, _ = crowd_of(2)
    model.part_limit = 3
    found = model([frame("a"), frame("b")], [new(*TRIO), new(*TRIO)])
    assert sum(sum(with_parts(p)) for p in found) == 3


def test_somebody_who_matters_to_a_rule_comes_first() -> None:
    model, _ = crowd_of(1)
    bodies = model.bodies([frame()], [new(*TRIO)])
    weighed = dataclasses.replace(bodies[0], weights=np.float32([1, 0, 0]))
    assert with_parts(model.parts([frame()], [weighed])[0]) == [True, False, False]


def test_ranks_are_of_each_frame() -> None:
    worth = np.array([1.0, 3, 2, 5, 4])
    first = priority.first_of_each(worth, np.array([0, 0, 0, 2, 2]), 1)
    assert first.tolist() == [False, True, False, True, False]
    assert priority.first_of_each(worth[:0], np.zeros(0, np.int64), 1).tolist() == []


def people_at(*feet: float) -> Poses:
    return known(*[TRIO[1].moved(x - 500, 0) for x in feet])


def test_a_name_and_a_zone_give_weight() -> None:
    people = people_at(500, 520, 3000)
    left = {"polygon": [[400, 0], [510, 0], [510, 2000], [400, 2000]]}
    zone = build_rule({"kind": "zone", **left}, "rules[0]")
    weights = importance(people, frozenset({3}), [zone, object()])
    assert weights is not None
    assert weights[0] == 1
    assert 0.5 < weights[1] < 1, "a step away"
    assert weights[2] == 1, "a rule names it"
    far = importance(people, frozenset(), [zone])
    assert far is not None
    assert far[2] == 0


def test_people_who_matter_alike_have_no_weights() -> None:
    people = people_at(500, 900)
    assert importance(people, frozenset(), [build_rule({"kind": "presence"}, "rules[0]")]) is None
    assert importance(Poses.empty(133, "wholebody133"), frozenset({1}), []) is None


def test_a_zone_that_reports_at_some_hours_weighs_all_the_same() -> None:
    corners = [[400, 0], [510, 0], [510, 2000], [400, 2000]]
    table = {"kind": "zone", "polygon": corners, "active": ["08:00-18:00"]}
    weights = importance(people_at(500), frozenset(), [build_rule(table, "rules[0]")])
    assert weights is not None
    assert weights.tolist() == [1]
    presence = build_rule({"kind": "presence", "active": ["08:00-18:00"]}, "rules[0]")
    assert importance(people_at(500), frozenset(), [presence]) is None
