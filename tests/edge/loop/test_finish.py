"""The last look at a frame's people."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.loop.assemble import Finish
from edge.settings.config import Config, Pose
from edge.structures import Poses


def three(scores: np.ndarray) -> Poses:
    n = len(scores)
    keypoints = np.arange(n * 34, dtype=np.float32).reshape(n, 17, 2)
    boxes = np.zeros((n, 4), np.float32)
    sure = np.ones((n, 17), np.float32)
    return Poses(keypoints, sure, boxes, np.arange(1, n + 1), scores, "coco17")


def test_people_from_min_score_on_are_published() -> None:
    """One half is a float32 without rounding."""
    below = np.nextafter(np.float32(0.5), np.float32(0))
    finish = Finish(Config(pose=Pose(min_score=0.5)), "coco17")
    people = three(np.array([below, 0.5, 0.75], np.float32))
    assert finish(people).ids.tolist() == [2, 3]
    sure = people.take(np.array([1, 2]))
    assert finish(sure) is sure, "nothing is copied where nothing is left out"


def test_people_are_published_in_the_skeleton_that_is_asked_for() -> None:
    finish = Finish(Config(pose=Pose(skeleton="halpe26")), "coco17")
    made = finish(three(np.ones(2, np.float32)))
    assert (made.skeleton, made.keypoints.shape) == ("halpe26", (2, 26, 2))
    with pytest.raises(ConfigError, match=r"pose.skeleton: no skeleton 'coco18'; there are: coco"):
        Finish(Config(pose=Pose(skeleton="coco18")), "coco17")
