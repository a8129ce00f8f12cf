"""Hands and faces that are another person's are refused, near and far alike."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest

from edge.models._blazepose import owners, points
from tests.edge.models.blazepose_fakes import Person, cascade, frame, known, standing

LEFT, RIGHT, FACE = (*points.HANDS, points.FACE)


def of(person: Person, scale: float = 1.0) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left hand [1,21,2], body [1,33,2] and face [1,68,2]."""
    face = person.mesh[points.MESH_68][None] * scale
    return person.hands[:1] * scale, person.body[None] * scale, face


def hand_fits(hand: np.ndarray, body: np.ndarray) -> bool:
    return bool(np.isfinite(owners.hand_misfits(hand, body, np.array([0])))[0])


def face_fits(face: np.ndarray, body: np.ndarray) -> bool:
    return bool(np.isfinite(owners.face_misfits(face, body))[0])


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_the_limits_are_shares_of_the_body(scale: float) -> None:
    hand, body, face = of(standing(), scale)
    assert hand_fits(hand, body)
    assert face_fits(face, body)
    step = 65 * scale * np.array([1, 0])  # half the length of the trunk
    assert hand_fits(hand + 0.3 * step, body)
    assert not hand_fits(hand + 0.4 * step, body)
    assert face_fits(face + 0.3 * step, body)
    assert not face_fits(face + 0.4 * step, body)


def test_of_two_hands_at_a_wrist_that_of_the_wrong_size_is_refused() -> None:
    hand, body, _ = of(standing())
    wrist = hand[:, :1]
    assert hand_fits(wrist + 1.6 * (hand - wrist), body)
    assert not hand_fits(wrist + 4 * (hand - wrist), body), "somebody nearer to the camera"
    assert not hand_fits(wrist + 0.12 * (hand - wrist), body), "somebody further away"


def test_a_face_of_the_wrong_size_is_refused() -> None:
    _, body, face = of(standing())
    nose = body[:, :1]
    assert face_fits(nose + 0.6 * (face - nose), body)
    assert not face_fits(nose + 0.3 * (face - nose), body)
    assert not face_fits(nose + 3 * (face - nose), body)


def test_a_hand_does_not_point_back_along_the_arm() -> None:
    hand, body, _ = of(standing())
    wrist = hand[:, :1]
    back = wrist - (hand - wrist)
    assert not hand_fits(back, body)
    body[:, 13] = body[:, 15] + (0, -20)
    assert hand_fits(back, body), "the forearm points at the camera"


def test_an_arm_that_reaches_to_a_neighbours_wrist_has_no_hand() -> None:
    hand, body, _ = of(standing())
    step = np.array([140, 0])
    body[:, [15, 17, 19, 21]] += step
    assert not hand_fits(hand + step, body)
    body[:, 13] += 0.5 * step
    assert hand_fits(hand + step, body), "the elbow followed"


def two_with_one(part: str, second: Person, group: int) -> Any:
    """Two people whose crops show one hand or face: the poses of the first and the second."""
    first = standing(420.0)
    model, runners = cascade(first, second)
    runners[part].choose = lambda apart: group
    (poses,) = model([frame()], [known(first, second)])
    assert len(poses) == 2
    return poses


def test_one_hand_of_two_people_belongs_to_the_one_whom_it_fits() -> None:
    """Two people side by side: the left wrist of one is beside the right wrist of the other."""
    poses = two_with_one("hand", standing(572.0), 0)
    assert (poses.scores[0, LEFT] > 0).all()
    assert (poses.scores[1, RIGHT] == 0).all()


def test_hands_that_touch_stay_with_their_people() -> None:
    first, second = standing(420.0), standing(592.0)
    model, _ = cascade(first, second)
    (poses,) = model([frame()], [known(first, second)])
    assert (poses.scores[0, LEFT] > 0).all()
    assert (poses.scores[1, RIGHT] > 0).all()


def test_one_face_of_two_people_belongs_to_the_one_whom_it_fits() -> None:
    second = standing(520.0)
    second.body[points.HEAD] += (-85, 0)  # the body network saw the neighbour's head
    poses = two_with_one("face", second, 0)
    assert (poses.scores[0, FACE] > 0).all()
    assert (poses.scores[1, FACE] == 0).all()


def test_people_of_two_cameras_share_nothing() -> None:
    person = standing()
    model, _ = cascade(person)
    found = model([frame("a"), frame("b")], [known(person), known(person)])
    for poses in found:
        assert (poses.scores[0, LEFT] > 0).all()
        assert (poses.scores[0, FACE] > 0).all()


def test_the_frames_of_a_call_are_told_apart() -> None:
    hands = standing().hands[[0, 0]]
    misfits, people = np.array([0.1, 0.2]), np.array([0, 1])
    assert owners.taken(hands, misfits, people, np.array([0, 0]), 0.3).tolist() == [False, True]
    assert owners.taken(hands, misfits, people, np.array([0, 1]), 0.3).tolist() == [False, False]
    refused = np.array([np.inf, 0.2])
    assert owners.taken(hands, refused, people, np.array([0, 0]), 0.3).tolist() == [False, False]
