"""Limits of the cascade's gate, squares and memory, each tested on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from edge.models._blazepose import crops, gate, points
from edge.models._blazepose.batch import CandidateBatch
from edge.models._blazepose.part_memory import ExpectedParts, PartMemory
from edge.structures import Frame

FRAME = Frame(np.zeros((4, 4, 3), np.uint8), 0, 0, "cam")
ALL, BODY_FEET = points.KEYPOINTS, points.BODY_FEET.stop


def newcomer(box: np.ndarray) -> CandidateBatch:
    """One person with a box only."""
    return CandidateBatch(
        np.zeros(1, np.int64),
        np.array([[640, 480]], np.float32),
        np.zeros((1, ALL, 2), np.float32),
        np.zeros((1, ALL), np.float32),
        box,
        np.full(1, -1),
        np.zeros((1, 17, 3), np.float32),
        np.zeros(1, bool),
        np.zeros(1, bool),
        np.ones(1, np.float32),
    )


@pytest.mark.parametrize(("inside", "accepted"), [(10, False), (11, True)])
def test_a_pose_is_inside_its_box_for_the_most_part(inside: int, accepted: bool) -> None:
    """Of 17 keypoints 10 are less than 0.6, 11 are more; the boxes overlap by half."""
    box = np.array([[100, 100, 200, 300]], np.float32)
    y = np.where(np.arange(BODY_FEET) < inside, 200, 500)
    y[0], y[16] = 100, 500
    x = np.where(np.arange(BODY_FEET) % 2, 100, 200)
    pose = np.stack((x, y), -1)[None].astype(np.float32)
    scores = np.ones((1, BODY_FEET), np.float32)
    found = gate.accepted(newcomer(box), pose, scores, np.array([0.9], np.float32))
    assert found.tolist() == [accepted]


def test_a_body_cut_off_by_the_edge_is_looked_for_beyond_it() -> None:
    sizes = np.full((4, 2), (640, 480), np.float32)
    boxes = np.array(
        [[100, 100, 200, 300], [100, 280, 200, 480], [100, 0, 200, 200], [100, 0, 200, 480]],
        np.float32,
    )
    squares = crops.box_squares(boxes, sizes)
    assert squares.centres[:, 0].tolist() == [150] * 4
    assert squares.centres[:, 1].tolist() == [200, 480, 0, 240], "a cut body's at the edge"
    assert squares.sides.tolist() == [250, 500, 500, 1200]


@pytest.mark.parametrize(("number", "known"), [(7, True), (-1, False)])
def test_only_people_with_a_number_have_hands_to_remember(number: int, known: bool) -> None:
    memory = PartMemory()
    which, ids = np.zeros(1, np.int64), np.array([number])
    body = np.full((1, 33, 2), 50, np.float32)
    count = ALL - BODY_FEET
    parts = ExpectedParts(np.full((1, count, 2), 60, np.float32), np.ones((1, count), np.float32))
    memory.keep([FRAME], which, ids, body, parts)
    expected = memory.expected([FRAME], which, ids, body + 10)
    assert bool(expected.scores.all()) == known
    assert bool(expected.scores.any()) == known
    if known:
        assert (expected.keypoints == 70).all(), "they go with the body"
