"""The gate of bodies: each limit tested on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.models._blazepose import gate
from edge.models._blazepose.batch import CandidateBatch

LONG = 400.0  # longer side of a box, px
# Seventeen keypoints that fill a box of 200 x 400 px, and six of the feet.
BODY = np.float32([[x, y] for x in (0, 100, 200) for y in (0, 80, 160, 240, 320, 400)])[:17]  # type: ignore[index]
FIGURE = np.concatenate((BODY, np.zeros((6, 2), np.float32)))


def batch(*corners: Any, which: Any = None, known: bool = True) -> CandidateBatch:
    """Candidates whose boxes have these top left corners."""
    n = len(corners)
    at = np.float32(corners).reshape(n, 1, 2)
    keypoints = np.zeros((n, 133, 2), np.float32)
    keypoints[:, :23] = FIGURE + at
    return CandidateBatch(
        np.zeros(n, np.int64) if which is None else np.asarray(which),
        np.full((n, 2), 2000, np.float32),
        keypoints,
        np.full((n, 133), 0.9 if known else 0.0, np.float32),
        np.concatenate((at[:, 0], at[:, 0] + np.float32([200, LONG])), 1),  # type: ignore[operator]
        np.arange(n),
        np.zeros((n, 17, 3), np.float32),
        np.zeros(n, bool),
        np.zeros(n, bool),
        np.ones(n, np.float32),
    )


def accepted(candidates: CandidateBatch, found: Any = None, **given: Any) -> Any:
    """Whether the gate accepts what was found: by default the expected keypoints themselves."""
    found = candidates.keypoints[:, :23] if found is None else np.float32(found)
    scores = given.get("scores", np.full(found.shape[:2], 0.9, np.float32))
    person = given.get("person", np.full(len(found), 0.9, np.float32))
    return gate.accepted(candidates, found, np.float32(scores), np.float32(person)).tolist()


def test_a_body_in_its_place_is_accepted() -> None:
    assert accepted(batch((300, 300))) == [True]
    assert accepted(batch((300, 300), known=False)) == [True]


@pytest.mark.parametrize(("score", "stays"), [(0.1, True), (0.09, False)])
def test_a_low_score_is_rejected(score: float, stays: bool) -> None:
    assert accepted(batch((300, 300)), person=[score]) == [stays]


@pytest.mark.parametrize(("jumped", "stays"), [(8, True), (9, False)])
def test_the_median_keypoint_decides_whether_a_body_jumped(jumped: int, stays: bool) -> None:
    """Eight of 17 keypoints may be far from where they were expected; nine may not."""
    one = batch((300, 300))
    one.keypoints[0, :jumped] += np.float32([0, 0.6 * LONG])
    found = batch((300, 300)).keypoints[:, :23]
    assert accepted(one, found) == [stays]


@pytest.mark.parametrize(("share", "stays"), [(0.39, True), (0.41, False)])
def test_a_body_may_move_by_less_than_two_fifths_of_its_box(share: float, stays: bool) -> None:
    one = batch((300, 300))
    one.keypoints[0, :17] += np.float32([0, share * LONG])
    assert accepted(one, batch((300, 300)).keypoints[:, :23]) == [stays]


def test_hidden_keypoints_have_no_vote_on_a_jump() -> None:
    one = batch((300, 300))
    one.keypoints[0, :9] += np.float32([0, 0.6 * LONG])
    one.scores[0, :2] = 0.3
    assert accepted(one, batch((300, 300)).keypoints[:, :23]) == [True]


@pytest.mark.parametrize(("outside", "stays"), [(6, True), (7, False)])
def test_three_fifths_of_a_body_must_be_inside_its_grown_box(outside: int, stays: bool) -> None:
    one = batch((300, 300), known=False)
    found = one.keypoints[:, :23].copy()
    found[0, :outside, 0] -= 0.21 * 200
    found[0, 6:outside, 0] -= 200
    assert accepted(one, found) == [stays]


@pytest.mark.parametrize(("part", "stays"), [(0.25, True), (0.15, False)])
def test_a_body_must_fill_a_fifth_of_its_box(part: float, stays: bool) -> None:
    one = batch((300, 300), known=False)
    found = one.keypoints[:, :23].copy()
    found[..., 1] = 300 + (found[..., 1] - 300) * part
    assert accepted(one, found) == [stays]


@pytest.mark.parametrize(("moved", "stays"), [(0.11, True), (0.13, False)])
def test_a_known_body_in_its_place_may_lie_flat_in_a_tall_box(moved: float, stays: bool) -> None:
    """Somebody who falls: the box that the tracker predicts is taller than the body is now."""
    one = batch((300, 300))
    one.keypoints[0, :23, 1] = 500 + (one.keypoints[0, :23, 1] - 500) * 0.1
    found = one.keypoints[:, :23].copy()
    found[..., 1] += moved * LONG
    assert accepted(one, found) == [stays]


def test_of_two_candidates_with_one_body_the_one_closer_to_it_keeps_it() -> None:
    pair = batch((300, 300), (330, 300))
    found = np.repeat(pair.keypoints[1:, :23], 2, 0)
    assert accepted(pair, found) == [False, True]


def test_bodies_further_apart_than_a_twelfth_are_two() -> None:
    pair = batch((300, 300), (330, 300))
    found = np.repeat(pair.keypoints[1:, :23], 2, 0)
    found[0] -= np.float32([0.09 * LONG, 0])
    assert accepted(pair, found) == [True, True]


def test_the_same_body_in_two_frames_is_two_people() -> None:
    pair = batch((300, 300), (330, 300), which=[0, 1])
    found = np.repeat(pair.keypoints[1:, :23], 2, 0)
    assert accepted(pair, found) == [True, True]


def test_nobody() -> None:
    assert accepted(batch()) == []


@pytest.mark.parametrize(("below", "stays"), [(300, True), (90, False)])
def test_a_close_up_is_judged_by_what_is_in_view(below: float, stays: bool) -> None:
    """Only head and shoulders are visible; the frame ends at the lower side of the box."""
    one = batch((300, 300), known=False)
    one.sizes[:] = (2000, 300 + LONG)
    keypoints = np.zeros((1, 23, 2), np.float32)
    keypoints[0, :7] = np.linspace((310, 310), (490, 360), 7)
    keypoints[0, 7:] = np.linspace((300, 370), (500, 370 + below), 16) + (0, LONG * (below > 100))
    scores = np.zeros((1, 23), np.float32)
    scores[0, :7] = 0.9
    assert accepted(one, keypoints, scores=scores) == [stays]
