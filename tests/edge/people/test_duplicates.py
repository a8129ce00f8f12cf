"""Duplicates, each limit tested on both sides."""

import numpy as np
import pytest

from edge.people import duplicates
from edge.people.likeness import nearness
from tests.edge.people.test_match import state


def likeness(shift_px):
    """OKS of two people `shift_px` apart."""
    pair = state(0, shift_px)
    first, second = np.array([0]), np.array([1])
    near, both = nearness(pair, pair, first, second, np.zeros(1, np.float32))
    return float(near.sum() / both.sum())


NEAR_PX, FAR_PX = 14, 28  # between the two limits of duplicates, and below both


def stays(shift_px, known):
    pair = state(0, shift_px)
    return duplicates.drop(pair, np.array([0.9, 0.8]), np.array(known))[0].tolist()


def test_the_distances_of_these_tests_lie_on_both_sides_of_the_limits():
    assert duplicates._DUPLICATE_NEW_OKS < likeness(NEAR_PX) < duplicates._DUPLICATE_OKS
    assert likeness(FAR_PX) < duplicates._DUPLICATE_NEW_OKS
    assert likeness(2) > duplicates._DUPLICATE_OKS


@pytest.mark.parametrize("known", [[True, True], [False, False]])
def test_two_tracks_or_two_new_people_may_be_close_together(known):
    assert stays(NEAR_PX, known) == [True, True]
    assert stays(2, known) == [True, False]


@pytest.mark.parametrize("known", [[True, False], [False, True]])
def test_a_new_person_close_to_a_track_is_a_duplicate(known):
    assert stays(NEAR_PX, known) == [True, False]
    assert stays(FAR_PX, known) == [True, True]


def test_the_better_of_two_duplicates_stays_and_is_marked():
    rows = state(0, 2, 400)
    kept, duplicated = duplicates.drop(rows, np.array([0.5, 0.9, 0.1]), np.zeros(3, bool))
    assert kept.tolist() == [False, True, True]
    assert duplicated.tolist() == [False, True, False]


def part_of(known, legs_px=0.0):
    """Who stays of a person and of a second box around the legs, whose upper body is guessed."""
    pair = state(0, legs_px)
    pair.body[1, :11] += 100j  # head, shoulders and arms, in a person of 300 px
    pair.boxes[1, 1] += 120
    return duplicates.drop(pair, np.array([1.0, 0.9]), np.array(known))[0].tolist()


@pytest.mark.parametrize("known", [[False, False], [True, False]])
def test_a_second_box_around_the_legs_is_a_part_of_the_person(known):
    assert part_of(known) == [True, False]


def test_two_tracks_and_other_legs_are_no_parts():
    assert part_of([True, True]) == [True, True]
    assert part_of([False, False], legs_px=40) == [True, True]


def small_box(shared=8, common=17, low=0.45, high=0.0):
    """Who stays of a person and of a smaller box, with this many keypoints in the same places.

    Of the heights of the person's box, the smaller one begins `low` below its top and ends `high`
    below its bottom.
    """
    pair = state(0, 0)
    pair.body[1, shared:] += 100j
    pair.scores[1, common:] = 0
    tall_px = pair.boxes[0, 3] - pair.boxes[0, 1]
    pair.boxes[1, 1::2] += (low * tall_px, high * tall_px)
    return duplicates.drop(pair, np.array([1.0, 0.9]), np.zeros(2, bool))[0].tolist()


@pytest.mark.parametrize(
    ("shared", "common", "part"), [(0, 17, False), (5, 17, False), (6, 17, True), (4, 8, False)]
)
def test_a_part_shares_five_keypoints_and_a_third_of_the_common(shared, common, part):
    assert small_box(shared, common) == [True, not part]


@pytest.mark.parametrize(("high", "part"), [(0.27, True), (0.33, False)])
def test_a_part_lies_within_the_other_box(high, part):
    """Of the smaller box, .63 and .58 lie within the other."""
    assert small_box(low=0.55, high=high) == [True, not part]


@pytest.mark.parametrize(("low", "part"), [(0.25, True), (0.15, False)])
def test_a_part_is_smaller_than_the_other_box(low, part):
    assert small_box(low=low) == [True, not part]
