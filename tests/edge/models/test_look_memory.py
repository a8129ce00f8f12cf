"""Between two looks of a detector with keypoints, people whom only it saw are carried."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from edge.models._blazepose import points
from edge.models._blazepose.look_memory import CARRIED_S
from edge.structures import Frame, Poses
from tests.edge.models.blazepose_fakes import Person, cascade, frame, known, new, standing

BODY = points.BODY


def at(t_s: float, camera: str = "a") -> Frame:
    return dataclasses.replace(frame(camera), t_ns=int(t_s * 1e9))


def looked(people: Poses, *seen: Person, score: float = 0.8) -> Poses:
    """Candidates of a look that saw these people; the others have no sighting."""
    rows = np.zeros((len(people), 17, 3), np.float32)
    for row, person in zip(rows, seen):
        row[:, :2], row[:, 2] = person.keypoints[BODY], score
    return dataclasses.replace(people, sightings=rows)


def off(poses: Poses, person: Person) -> float:
    return float(np.abs(poses.keypoints[0, BODY] - person.keypoints[BODY]).max())


def seen_only_by_the_detector(person: Person, *others: Person) -> Any:
    """A model after a look, at time 0; its body network knows the others only."""
    model, runners = cascade(*(others or (person,)))
    if not others:
        runners["body"].spoil = lambda outputs: outputs["score"].fill(0)
    (poses,) = model([at(0)], [looked(new(person), person)])
    assert len(poses) == 1
    assert poses.carried is None, "it was seen"
    return model


def test_somebody_whom_the_body_network_does_not_find_moves_as_predicted() -> None:
    person = standing()
    model = seen_only_by_the_detector(person)
    for step in (1, 2, 3):
        moved = person.moved(6 * step, 0)
        (poses,) = model([at(0.04 * step)], [known(moved)])
        assert off(poses, moved) < 1e-3
        assert poses.carried is not None
        assert poses.carried.tolist() == [True]
        assert (poses.scores[0, BODY.stop :] == 0).all(), "nobody saw feet or hands"


def test_a_neighbours_body_does_not_take_the_place_of_somebody_who_is_carried() -> None:
    person = standing(500)
    neighbour = person.moved(90, 0)
    model = seen_only_by_the_detector(person, person.moved(300, 0))
    model._body.runner.people = [neighbour]
    (poses,) = model([at(0.04)], [known(person)])
    assert off(poses, person) < 1e-3


def test_a_body_that_is_found_again_is_not_carried() -> None:
    person = standing()
    model = seen_only_by_the_detector(person)
    model._body.runner.spoil = lambda outputs: None
    (poses,) = model([at(0.04)], [known(person.moved(4, 0))])
    assert off(poses, person) < 1
    assert poses.carried is None


@pytest.mark.parametrize(("t_s", "there"), [(CARRIED_S - 0.01, 1), (CARRIED_S + 0.01, 0)])
def test_nobody_is_carried_for_long(t_s: float, there: int) -> None:
    person = standing()
    model = seen_only_by_the_detector(person)
    (poses,) = model([at(t_s)], [known(person)])
    assert len(poses) == there


def test_a_look_that_does_not_see_the_person_ends_it() -> None:
    person = standing()
    model = seen_only_by_the_detector(person)
    (poses,) = model([at(0.04)], [looked(known(person))])
    assert len(poses) == 0
    (poses,) = model([at(0.08)], [known(person)])
    assert len(poses) == 0


def test_each_camera_carries_its_own() -> None:
    person = standing()
    model = seen_only_by_the_detector(person)
    other, mine = model([at(0.04, "b"), at(0.04)], [known(person), known(person)])
    assert (len(other), len(mine)) == (0, 1)


def test_somebody_elsewhere_or_unseen_in_the_last_frame_is_not_carried() -> None:
    person = standing()
    for candidate in (known(person.moved(250, 0)), new(person)):
        model = seen_only_by_the_detector(person)
        (poses,) = model([at(0.04)], [candidate])
        assert len(poses) == 0
