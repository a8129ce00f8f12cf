"""In each person's crop the known neighbours are hidden, and nothing else."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import pytest

from edge.models._preprocess import veil
from edge.structures import Poses
from tests.edge.models.blazepose_fakes import cascade, frame, known, new, standing

# BlazePose's points. Who stands on the left stretches out the right arm, their left is shared.
LEFT_ELBOW, RIGHT_ELBOW, LEFT_KNEE, RIGHT_KNEE = 13, 14, 25, 26
OUTSIDE = ([RIGHT_ELBOW, RIGHT_KNEE], [LEFT_ELBOW, LEFT_KNEE])
LIMBS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]  # from the shoulders to wrists and ankles
NOBODY = Poses.empty(133, "wholebody133")


def joined(*some: Poses) -> Poses:
    parts = ("keypoints", "scores", "boxes", "ids", "person_scores")
    return Poses(*(np.concatenate([getattr(p, n) for p in some]) for n in parts), "wholebody133")  # type: ignore[call-arg]


def seen(runner: Any, row: int, place: np.ndarray) -> bool:
    """Whether the crop shows the frame at that place; frames are nowhere black."""
    square = runner.squares[row]
    x, y = np.rint(np.linalg.solve(square[:, :2], place - square[:, 2])).astype(int)
    return bool(runner.fed[row, :, y, x].any())


def test_neighbours_are_hidden_and_oneself_is_not() -> None:
    pair = [standing(450.0), standing(560.0)]
    model, runners = cascade(*pair)
    (poses,) = model([frame()], [known(*pair)])
    assert len(poses) == 2
    for row, other in ((0, 1), (1, 0)):
        for point in LIMBS:
            assert seen(runners["body"], row, pair[row].body[point])
        for point in OUTSIDE[other]:
            assert not seen(runners["body"], row, pair[other].body[point])


def test_who_lies_over_oneself_hides_nothing_of_oneself() -> None:
    pair = [standing(500.0), standing(512.0)]
    model, runners = cascade(*pair)
    model([frame()], [known(*pair)])
    for row in (0, 1):
        for point in LIMBS:
            assert seen(runners["body"], row, pair[row].body[point])


def everything_seen(runners: Any, people: List[Any], rows: int) -> bool:
    """As far as it lies in the crops."""
    places = [person.body[point] for person in people for point in LIMBS]
    asked = [(row, place) for row in range(rows) for place in places]
    asked = [(row, place) for row, place in asked if within(runners["body"].squares[row], place)]
    assert len(asked) > len(people) * rows * len(LIMBS) * 0.8
    return all(seen(runners["body"], *one) for one in asked)


def within(square: np.ndarray, place: np.ndarray) -> bool:
    at = np.linalg.solve(square[:, :2], place - square[:, 2])
    return bool(((at >= 0) & (at < 255)).all())


@pytest.mark.parametrize("known_first", [True, False])
def test_a_box_alone_neither_hides_nor_is_hidden_from(known_first: bool) -> None:
    """A box without keypoints may be a second box of a known person, so it hides nobody."""
    pair = [standing(450.0), standing(560.0)]
    model, runners = cascade(*pair)
    candidates = [known(pair[0]), new(pair[1])][:: 1 if known_first else -1]
    model.bodies([frame()], [joined(*candidates)])
    assert everything_seen(runners, pair, 2)


def test_people_apart_or_of_other_cameras_hide_nothing() -> None:
    far = [standing(300.0), standing(500.0)]
    assert far[0].box[2] < far[1].box[0]
    model, runners = cascade(*far)
    model.bodies([frame()], [known(*far)])
    assert everything_seen(runners, far, 2), "in each other's crops, but their boxes are apart"
    near = [standing(450.0), standing(560.0)]
    model, runners = cascade(*near)
    model.bodies([frame("a"), frame("b")], [known(near[0]), known(near[1], first_id=7)])
    assert everything_seen(runners, near, 2)


def test_cameras_keep_their_own_neighbours() -> None:
    """The rows of several frames are one batch."""
    here = [standing(450.0), standing(560.0)]
    alone = standing(500.0)
    model, runners = cascade(*here, alone)
    frames = [frame(c) for c in "abc"]
    model.bodies(frames, [known(alone), NOBODY, known(*here, first_id=5)])
    body = runners["body"]
    assert all(seen(body, 0, place) for place in here[1].body[LIMBS])
    assert not seen(body, 1, here[1].body[LEFT_ELBOW])
    assert not seen(body, 2, here[0].body[RIGHT_ELBOW])


def test_in_a_crowd_the_nearest_few_are_hidden() -> None:
    """So that the cost rises with the number of people, not with its square."""
    batch = [standing(420.0 + 30 * i) for i in range(7)]
    model, runners = cascade(*batch)
    model.bodies([frame()], [known(*batch)])
    elbows = [seen(runners["body"], 0, person.body[LEFT_ELBOW]) for person in batch]
    assert elbows == [True, False, False, False, False, True, True]


def test_people_in_the_very_same_place_are_few_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: List[int] = []
    draw = veil.draw

    def counted(cells: np.ndarray, which: np.ndarray, people: Any) -> None:
        drawn.append(len(which))
        draw(cells, which, people)

    monkeypatch.setattr(veil, "draw", counted)
    batch = [standing()] * 20
    model, _ = cascade(*batch)
    model.bodies([frame()], [known(*batch)])
    assert drawn == [20 * (4 + 1)]


@pytest.mark.parametrize("degrees", [90.0, -35.0, 180.0])
def test_crops_turn_and_veils_with_them(degrees: float) -> None:
    turn = np.radians(degrees)
    aside = 110 * np.array([np.cos(turn), np.sin(turn)])
    pair = [standing().moved(0, 0, turn), standing().moved(*aside, turn)]  # type: ignore[call-arg]
    model, runners = cascade(*pair)
    model.bodies([frame()], [known(*pair)])
    for row, other in ((0, 1), (1, 0)):
        assert all(seen(runners["body"], row, place) for place in pair[row].body[LIMBS])
        outside = pair[other].body[OUTSIDE[other]]
        assert not any(seen(runners["body"], row, place) for place in outside)
