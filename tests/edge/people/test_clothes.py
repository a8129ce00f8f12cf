"""Clothes: who is asked for colours, what they decide, and when they are learned."""

import numpy as np
import pytest

from edge.people import clothes
from edge.people.colours import SIZE
from edge.people.tracker import Tracker
from edge.settings.config import Track
from edge.skeletons import get
from tests.edge.people.test_tracker import STEP, standing

RED, BLUE = np.zeros((2, SIZE), np.float32)
RED[[3, 9, 20]] = 1
BLUE[[3, 14, 17]] = 1


class Wardrobe:
    """Gives colours by place, and counts who was asked for."""

    def __init__(self, **worn):
        self.worn, self.asked = {float(k[1:]): v for k, v in worn.items()}, 0

    def __call__(self, poses):
        self.asked += len(poses)
        x = poses.keypoints[:, 15:17, 0].mean(1)
        return np.stack([self.worn[min(self.worn, key=lambda w: abs(w - v))] for v in x])


def lost_and_two_come_back(left, right):
    """Somebody in red at 400 is away for a second; then two people are near, in these clothes."""
    track = Tracker(Track(min_hits=1), get("coco17"))
    for f in range(20):
        track.update(standing([400]), f * STEP, Wardrobe(x400=RED))
    for f in range(20, 50):
        track.update(standing([]), f * STEP, Wardrobe(x400=RED))
    wardrobe = Wardrobe(x380=left, x425=right)
    out = track.update(standing([380, 425]), 50 * STEP, wardrobe)
    assert wardrobe.asked >= 2
    return dict(zip(out.ids.tolist(), out.keypoints[:, 15:17, 0].mean(1).round()))[1]


def test_of_two_who_may_be_somebody_lost_the_clothes_decide():
    left, right = lost_and_two_come_back(RED, BLUE), lost_and_two_come_back(BLUE, RED)
    assert left == pytest.approx(380, abs=3)
    assert right == pytest.approx(425, abs=3)


def test_who_is_followed_alone_is_asked_twice_a_second_only():
    track, wardrobe = Tracker(Track(min_hits=1), get("coco17")), Wardrobe(x400=RED)
    for f in range(61):
        track.update(standing([400, 1200]), f * STEP, wardrobe)
    assert wardrobe.asked == pytest.approx(2 * 2 * 61 * STEP * 1e-9, abs=4)


def test_nobody_is_learned_behind_another():
    track, wardrobe = Tracker(Track(min_hits=1), get("coco17")), Wardrobe(x400=RED)
    for f in range(10):
        track.update(standing([400, 460]), f * STEP)
    clothes.learn(track._tracks, standing([400, 460]), np.array([0, 1]), wardrobe, 10 * STEP)
    assert not track._tracks.colours.any()
    clothes.learn(track._tracks, standing([400, 800]), np.array([0, 1]), wardrobe, 10**9)
    assert track._tracks.colours.any(1).all()


def test_unknown_colours_say_nothing():
    worth = np.ones((2, 1), np.float32)
    unknown = np.zeros((2, SIZE), np.float32)
    clothes.compare(worth, standing([400, 430]), np.ones(1), RED[None], lambda poses: unknown)
    assert worth.ravel().tolist() == [1, 1]


def test_without_colours_nobody_is_asked():
    track = Tracker(Track(min_hits=1), get("coco17"))
    assert track.update(standing([400]), 0, None).ids.tolist() == [1]
