"""Suppression: planted duplicates go, people who hug stay, at any size of picture."""

import dataclasses

import numpy as np
import pytest

from edge.geometry import as_complex
from edge.people import suppression
from edge.people.tracker import Tracker
from edge.settings.config import Track
from edge.skeletons import get
from edge.structures import Poses
from tests.edge.people.track_scenes import STANDING

COCO = get("coco17")
SIZES = [480 / 2160, 1.0]  # of a picture, over 4K


def people(points, scores=None, person_scores=None):
    points = np.asarray(points, np.float32)
    n = len(points)
    boxes = np.concatenate((points.min(1), points.max(1)), 1)
    scores = np.full((n, 17), 0.8, np.float32) if scores is None else np.float32(scores)
    own = np.full(n, 0.8) if person_scores is None else person_scores
    return Poses(points, scores, boxes, np.full(n, -1, np.int64), np.float32(own), "coco17")


def standing(x, tall=900.0, mirrored=False):
    figure = np.array(STANDING)
    if mirrored:
        figure[:, 0] *= -1
    return figure * tall + (x, 1500)


def couple():
    """Two people of different height face to face, arms about each other's trunk."""
    left, right = standing(1000), standing(1130, 960, mirrored=True)
    left[[9, 10]], right[[9, 10]] = right[[5, 6]] + 30, left[[11, 12]] - 40
    return left, right


def crowd(seed=0):
    """A couple, three others; each found once more, with small errors. [10,17,2]."""
    rng = np.random.default_rng(seed)
    real = np.stack([*couple(), standing(300), standing(2200), standing(2400, 700)])
    return np.concatenate((real, real + rng.normal(0, 9, real.shape)))


SCORES = np.concatenate((np.full(5, 0.9), np.full(5, 0.7)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("suppress", [suppression.pose_nms, suppression.oks_nms])
@pytest.mark.parametrize("seed", range(5))
def test_planted_duplicates_go_and_a_couple_stays(suppress, size, seed):
    kept = suppress(people(crowd(seed) * size, person_scores=SCORES))
    assert sorted(kept.tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("suppress", [suppression.pose_nms, suppression.oks_nms])
def test_the_order_of_people_has_no_effect_and_the_best_comes_first(suppress):
    rng = np.random.default_rng(0)
    found, scores = crowd(), rng.permutation(np.linspace(0.5, 0.9, 10))
    for _ in range(5):
        order = rng.permutation(10)
        kept = suppress(people(found[order], person_scores=scores[order]))
        assert (np.diff(scores[order][kept]) < 0).all()
        assert sorted(order[kept] % 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("suppress", [suppression.pose_nms, suppression.oks_nms])
def test_only_keypoints_that_both_have_are_compared(suppress):
    pair = people([standing(500), standing(502)], person_scores=[0.9, 0.8])
    pair.scores[1, 5:] = 0
    pair.keypoints[1, 5:] = 0
    pair.boxes[1] = pair.boxes[0]
    assert suppress(pair).tolist() == [0]
    pair.scores[1, 2:] = 0
    assert suppress(pair).tolist() == [0, 1], "two keypoints are too few to tell"


@pytest.mark.parametrize("suppress", [suppression.pose_nms, suppression.oks_nms])
def test_nobody_and_one(suppress):
    assert suppress(people(np.zeros((0, 17, 2)))).tolist() == []
    assert suppress(people([standing(500)])).tolist() == [0]


def test_the_measure_follows_the_paper():
    """Equations 9 to 11 with loops, sums divided by the number of keypoints."""
    rng = np.random.default_rng(0)
    found = people(crowd()[[0, 5]], scores=rng.uniform(0.1, 1, (2, 17)))
    wide, high = found.boxes[0, 2:] - found.boxes[0, :2]
    total = 0.0
    for k in range(17):
        x, y = found.keypoints[0, k] - found.keypoints[1, k]
        if abs(x) < wide / 20 and abs(y) < high / 20:
            total += np.tanh(found.scores[0, k]) * np.tanh(found.scores[1, k])
        total += 1.7 * np.exp(-(x * x + y * y) / (wide * high) / 0.01)
    points, first, second = as_complex(found.keypoints), np.array([0]), np.array([1])
    got = suppression.pose_distance(points, found.scores, found.boxes, first, second)
    np.testing.assert_allclose(got, total / 17, rtol=1e-4)


def test_the_tracker_drops_a_twin_with_another_leg_and_keeps_a_couple():
    twin = standing(300)
    twin[[13, 15]] += (150, -200)
    twin[[14, 16]] += (-160, -200)
    tracker = Tracker(Track(min_hits=1), COCO)
    points = np.stack([standing(300), twin, *couple()])
    found = people(points, person_scores=[0.9, 0.8, 0.9, 0.9])
    boxes = found.boxes.copy()
    boxes[1] = boxes[0]
    assert len(tracker.update(dataclasses.replace(found, boxes=boxes), 0)) == 3


def test_soft_nms_lowers_scores_by_overlap():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [5, 0, 15, 10], [50, 0, 60, 10]], np.float32)
    scores = np.float32([0.9, 0.8, 0.7, 0.6])
    assert suppression.soft_nms(boxes, scores).tolist() == [0, 3, 2, 1]
    third = 0.7 * np.exp(-2 / 9)  # what the best box leaves of the third
    fourth = 0.8 * np.exp(-2) * np.exp(-2 / 9)
    assert suppression.soft_nms(boxes, scores, third - 1e-3).tolist() == [0, 3, 2]
    assert suppression.soft_nms(boxes, scores, third + 1e-3).tolist() == [0, 3]
    assert suppression.soft_nms(boxes, scores, fourth - 1e-3).tolist() == [0, 3, 2, 1]
    assert suppression.soft_nms(boxes, scores, limit=1).tolist() == [0]
    assert len(suppression.soft_nms(boxes[:0], np.zeros(0, np.float32))) == 0
