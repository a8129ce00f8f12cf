"""The cascade with what the detector saw of each candidate in the same frame."""

from __future__ import annotations

import dataclasses
from typing import List, Tuple

import numpy as np
import pytest

from edge.models._blazepose import points, sightings
from edge.models._blazepose.batch import CandidateBatch
from edge.structures import HINT, Poses
from tests.edge.models.blazepose_fakes import Person, cascade, frame, known, new, standing

BODY = points.BODY
LEFT_WRIST, LEFT_ANKLE, LEFT_FOOT = 9, 15, slice(17, 20)


def seen(people: Poses, *truth: Person, score: float = 0.8) -> Poses:
    """The candidates with sightings of these people."""
    rows = np.full((len(people), 17, 3), score, np.float32)
    rows[..., :2] = [person.keypoints[BODY] for person in truth]
    return dataclasses.replace(people, sightings=rows)


def off(poses: Poses, person: Person) -> float:
    """Median distance of the body from a person's, px."""
    step = poses.keypoints[0, BODY] - person.keypoints[BODY]
    return float(np.median(np.hypot(step[:, 0], step[:, 1])))


def test_a_newcomers_crop_is_where_the_sighting_is() -> None:
    """Two people, one box around both: the box alone shows the one in its middle."""
    left, right = standing(380), standing(540)
    box = np.array([*left.box[:2], *right.box[2:]], np.float32)[None]
    candidate = dataclasses.replace(new(right), boxes=box)
    model, runners = cascade(left, right)
    model([frame()], [candidate])
    unseen = runners["body"].squares[0]
    model, runners = cascade(left, right)
    (poses,) = model([frame()], [seen(candidate, right)])
    shown = runners["body"].squares[0]
    assert off(poses, right) < 1
    middle = np.array([128, 128, 1])
    assert abs((shown @ middle)[0] - 540) < abs((unseen @ middle)[0] - 540)


def test_a_followed_body_that_went_astray_is_pulled_back() -> None:
    """The track drifted to the neighbour; the detector knows where its person is."""
    mine, other = standing(300), standing(700)
    astray = dataclasses.replace(known(other), boxes=known(mine).boxes)
    model, _ = cascade(mine, other)
    (poses,) = model([frame()], [seen(astray, mine)])
    assert off(poses, mine) < 1
    assert poses.ids.tolist() == [1]


def test_a_look_puts_the_crop_where_the_sighting_is_however_near() -> None:
    person = standing()
    moved = person.moved(20, 0)
    model, runners = cascade(person)
    model([frame()], [seen(new(person), moved)])
    newcomers = runners["body"].squares[0]
    model, runners = cascade(person)
    model([frame()], [seen(known(person), moved)])
    np.testing.assert_allclose(runners["body"].squares[0], newcomers, atol=1e-3)


def test_a_body_that_is_another_persons_gives_way_to_the_sighting() -> None:
    """The body network answers with the neighbour whatever it is shown."""
    mine, other = standing(300), standing(700)
    model, _ = cascade(other)
    (poses,) = model([frame()], [seen(new(mine), mine)])
    assert off(poses, mine) < 1e-3
    assert (poses.scores[0, BODY] == np.float32(0.8)).all()
    assert (poses.scores[0, BODY.stop :] == 0).all(), "feet, hands and face are the neighbour's"
    assert poses.person_scores[0] == pytest.approx(0.8)
    (poses,) = model([frame()], [new(mine)])
    assert len(poses) == 0, "without a sighting there is nobody"


def test_somebody_whom_the_body_network_does_not_find_is_there_by_the_sighting() -> None:
    person = standing()
    model, runners = cascade(person)
    runners["body"].spoil = lambda outputs: outputs["score"].fill(0)
    (poses,) = model([frame()], [seen(new(person), person, score=0.5)])
    assert off(poses, person) < 1e-3
    assert poses.person_scores[0] == pytest.approx(0.2), "a chair looks like a person from afar"


def test_a_sighting_of_two_keypoints_says_nothing() -> None:
    person = standing()
    candidate = seen(new(person), person.moved(400, 0))
    assert candidate.sightings is not None
    candidate.sightings[0, 2:, 2] = 0
    model, _ = cascade(person)
    (poses,) = model([frame()], [candidate])
    assert off(poses, person) < 1


def test_numbers_that_are_not_finite_are_no_sighting() -> None:
    person = standing()
    candidate = seen(new(person), person)
    assert candidate.sightings is not None
    candidate.sightings[0, :, 0] = np.nan
    model, _ = cascade(person)
    (poses,) = model([frame()], [candidate])
    assert off(poses, person) < 1
    assert np.isfinite(poses.keypoints).all()


def batch_of(sighting: np.ndarray) -> CandidateBatch:
    """One candidate with a sighting [17,3], in a box of 100 x 100 px."""
    return CandidateBatch(
        np.zeros(1, np.int64),
        np.full((1, 2), 1000, np.float32),
        np.zeros((1, 133, 2), np.float32),
        np.zeros((1, 133), np.float32),
        np.float32([[0, 0, 100, 100]]),
        np.zeros(1, np.int64),
        sighting[None].astype(np.float32),
        np.ones(1, bool),
        np.ones(1, bool),
        np.ones(1, np.float32),
    )


@pytest.mark.parametrize(("apart_px", "same"), [(39, True), (41, False)])
def test_a_body_is_the_candidates_up_to_four_tenths_of_the_box(apart_px: float, same: bool) -> None:
    batch = batch_of(np.tile((50, 50, 0.8), (17, 1)))
    body = np.full((1, 23, 2), 50, np.float32)
    body[..., 0] += apart_px
    scores = np.full((1, 23), 0.8, np.float32)
    assert sightings.agreeing(batch, body, scores).tolist() == [same]
    unseen = dataclasses.replace(batch, sighted=np.zeros(1, bool))
    assert sightings.agreeing(unseen, body, scores).tolist() == [False]


def test_head_and_hands_move_with_their_keypoints() -> None:
    places, found = np.zeros((1, 33, 2), np.float32), np.zeros((1, 23, 2), np.float32)
    joined = found.copy()
    joined[0, 0], joined[0, LEFT_WRIST], joined[0, LEFT_WRIST + 1] = (1, 2), (3, 4), (5, 6)
    moved = sightings.followed(places, found, joined)[0]
    assert (moved[:11] == (1, 2)).all()
    assert (moved[15:23:2] == (3, 4)).all()
    assert (moved[16:23:2] == (5, 6)).all()
    assert (moved[[*range(11, 15), *range(23, 33)]] == 0).all()
    assert (places == 0).all(), "a new array"


def one(body: np.ndarray, sighting: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Join one found body [23,3] and one sighting [17,3] in a box of 100 x 100 px."""
    batch, found = batch_of(sighting), body[None].astype(np.float32)
    keypoints, scores = sightings.joined(batch, found[..., :2], found[..., 2], np.ones(1, bool))
    return keypoints[0], scores[0]


def test_keypoints_that_agree_are_averaged_by_their_scores() -> None:
    """At equal scores the cascade weighs half of the sighting; 9 of 100 px apart is the same."""
    body, sighting = np.full((23, 3), 0.8), np.full((17, 3), 0.8)
    body[:, :2], sighting[:, :2] = 50, 50
    sighting[LEFT_WRIST, :2] = (59, 50)
    keypoints, scores = one(body, sighting)
    np.testing.assert_allclose(keypoints[LEFT_WRIST], (56, 50), atol=1e-3)
    assert scores[LEFT_WRIST] == pytest.approx(0.8)


@pytest.mark.parametrize(("sure", "x"), [(0.7, 50), (0.6, 61)])
def test_of_keypoints_apart_the_surer_one_is_taken(sure: float, x: float) -> None:
    """The cascade's .7 counts .455, its .6 counts .39, against .42 of the sighting."""
    body, sighting = np.full((23, 3), sure), np.full((17, 3), 0.42)
    body[:, :2], sighting[:, :2] = 50, 50
    sighting[LEFT_WRIST, :2] = (61, 50)
    keypoints, _ = one(body, sighting)
    np.testing.assert_allclose(keypoints[LEFT_WRIST], (x, 50), atol=1e-3)


def test_a_foot_moves_with_its_ankle_and_is_missing_if_the_ankle_is_elsewhere() -> None:
    body, sighting = np.full((23, 3), 0.8), np.full((17, 3), 0.8)
    body[:, :2], sighting[:, :2] = 50, 50
    sighting[LEFT_ANKLE, :2] = (50, 56)
    keypoints, scores = one(body, sighting)
    np.testing.assert_allclose(keypoints[LEFT_FOOT], np.tile((50, 54), (3, 1)), atol=1e-3)
    assert (scores[LEFT_FOOT] == np.float32(0.8)).all()
    sighting[LEFT_ANKLE] = (50, 90, 0.9)
    _, scores = one(body, sighting)
    assert (scores[LEFT_FOOT] == 0).all()


def test_a_keypoint_without_a_sighting_is_the_cascades() -> None:
    body, sighting = np.full((23, 3), 0.8), np.full((17, 3), 0.8)
    body[:, :2], sighting[:, :2] = 50, 50
    sighting[[LEFT_WRIST, LEFT_ANKLE]] = (0, 0, 0)
    keypoints, scores = one(body, sighting)
    assert keypoints[LEFT_WRIST].tolist() == [50, 50]
    assert scores[LEFT_WRIST] == np.float32(0.8)
    assert (scores[LEFT_FOOT] == np.float32(0.8)).all(), "and so is its foot"


def test_hands_and_face_are_looked_for_where_the_joined_body_has_them() -> None:
    """The body network puts the whole arm 30 px too far to the left."""
    person = standing()
    wrong = standing()
    arm = [11, 13, 15, 17, 19, 21]  # BlazePose's left arm
    wrong.body[arm] -= (30, 0)
    model, runners = cascade(person)
    runners["body"].people[:] = [wrong]
    (poses,) = model([frame()], [seen(new(person), person, score=1.0)])
    hand = poses.keypoints[0, points.HANDS[0]] - person.keypoints[points.HANDS[0]]
    assert (poses.scores[0, points.HANDS[0]] > 0.9).all()
    assert np.hypot(hand[:, 0], hand[:, 1]).max() < 1


def hinted(people: Poses, person: Person) -> Poses:
    """The candidates with hints of hips, shoulders and ankles."""
    rows = np.zeros((len(people), 17, 3), np.float32)
    for marks in ([5, 6], [11, 12], [15, 16]):
        rows[:, marks, :2] = person.keypoints[BODY][marks]
        rows[:, marks, 2] = HINT
    return dataclasses.replace(people, sightings=rows)


def test_hints_place_a_newcomers_crop_and_nothing_else() -> None:
    person = standing()
    model, runners = cascade(person)
    (poses,) = model([frame()], [hinted(new(person), person)])
    shown = runners["body"].squares[0] @ np.array([128, 128, 1])
    hips = person.keypoints[BODY][[11, 12]].mean(0)
    np.testing.assert_allclose(shown, hips, atol=2)
    assert len(poses) == 1
    assert off(poses, person) < 1, "hints are not joined with what is found"
    model, runners = cascade(person)
    model([frame()], [known(person)])
    plain = runners["body"].squares[0]
    model, runners = cascade(person)
    model([frame()], [hinted(known(person), person.moved(90, 0))])
    np.testing.assert_allclose(runners["body"].squares[0], plain, atol=1e-3)


@pytest.mark.parametrize("limbs", [[5, 7, 9, 6, 8, 10], [11, 13, 15, 12, 14, 16]])
@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_limbs_that_the_paths_name_differently_are_settled(limbs: List[int], weight: float) -> None:
    """The path with the lower scores gives way; feet go with their legs."""
    person = standing()
    body_feet = person.keypoints[None, points.BODY_FEET].astype(np.float32)
    sighting = np.concatenate((body_feet[0, BODY], np.full((17, 1), weight)), 1)
    sighting = sighting.astype(np.float32)
    sighting[limbs] = sighting[np.roll(limbs, 3)]
    sighting[limbs, 2] = max(weight, 0.35)
    keypoints, scores = sightings.joined(
        batch_of(sighting), body_feet, np.full((1, 23), 0.9, np.float32), np.ones(1, bool)
    )
    wanted = body_feet[0, BODY].copy()
    if weight == 1.0:
        wanted[limbs] = wanted[np.roll(limbs, 3)]
    np.testing.assert_allclose(keypoints[0, BODY], wanted, atol=1e-3)
    left_foot = body_feet[0, [20, 22] if weight == 1.0 and 15 in limbs else [17, 19]]
    np.testing.assert_allclose(keypoints[0, [17, 19]], left_foot, atol=1e-3)
    assert (scores[0, limbs] >= 0.35).all()


def test_limbs_in_a_row_are_not_exchanged() -> None:
    """Seen from the side, left and right are in the same place: nothing contradicts."""
    body_feet = np.zeros((1, 23, 2), np.float32)
    sighting = np.zeros((17, 3), np.float32)
    sighting[:, :2], sighting[:, 2] = 3, 0.9
    keypoints, _ = sightings.joined(
        batch_of(sighting), body_feet, np.full((1, 23), 0.9, np.float32), np.ones(1, bool)
    )
    assert np.ptp(keypoints[0, BODY]) == 0
