"""The labelled pedestrians: what counts as published, and as a change of identity."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

import numpy as np

from tools.evaluation.rig_run import Body
from tools.scoreboard.pedestrians import Count, Labels, boxes_of, counted, read_labels

ROOT = Path(__file__).parents[2]
BOXES = np.array([[0, 0, 10, 30], [50, 0, 60, 30]], np.float32)
FRAMES = [
    Labels(0, ("a", "b"), BOXES, ("a", "b")),
    Labels(9, ("a", "b"), BOXES + 5, ("a",)),
    Labels(20, ("b", "a"), BOXES, ()),
]


def found(*ids: Tuple[int, int]) -> Dict[int, Tuple[np.ndarray, np.ndarray]]:
    """In each frame two people in the boxes of the labels, with these ids."""
    return {f.index: (np.array(pair), f.boxes + 1) for f, pair in zip(FRAMES, ids)}


def test_everybody_is_published_and_keeps_the_id() -> None:
    assert counted(FRAMES, found((1, 2), (1, 2), (9, 1))) == Count(6, 6, 3, 0)


def test_an_exchange_of_two_is_two_changes() -> None:
    assert counted(FRAMES, found((1, 2), (2, 1), (1, 2))) == Count(6, 6, 3, 2)


def test_who_left_in_between_may_have_another_id() -> None:
    assert counted(FRAMES, found((1, 2), (1, 2), (7, 1))).changes == 0


def test_who_is_not_found_is_not_published_and_not_compared() -> None:
    one = {0: (np.array([1]), BOXES[:1]), 9: (np.array([5]), BOXES[:1] + 200)}
    assert counted(FRAMES, one) == Count(6, 1, 0, 0)


def test_the_labels_of_the_clip() -> None:
    labels = read_labels(ROOT / "calibration/pedestrians/people.toml")
    assert [f.index for f in labels] == [60, 145, 230, 315, 400, 485, 570, 655, 740]
    assert sum(len(f.names) for f in labels) == 58
    for frame, after in zip(labels, labels[1:]):
        assert set(frame.stays) <= set(frame.names) & set(after.names)
        size = frame.boxes[:, 2:] - frame.boxes[:, :2]
        assert (size > 8).all()
        assert (frame.boxes >= 0).all()
        assert (frame.boxes <= [768, 576, 768, 576]).all()


def test_boxes_lie_around_visible_keypoints() -> None:
    points = np.zeros((2, 17, 3))
    points[0, :2] = [[10, 20, 0.9], [30, 90, 0.9]]
    body = Body(points, np.array([100.0, 100.0]), np.array([1, 2]))
    np.testing.assert_allclose(boxes_of(body), [[3, 13, 37, 97], [0, 0, 0, 0]])
