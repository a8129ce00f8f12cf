"""Corrections before the filter: bones that are too long, left and right limbs exchanged."""

import numpy as np
import pytest

from edge.people.filters.bones import OUTER, Bones
from edge.people.filters.sides import Sides
from edge.people.filters.sighting import Sighting
from edge.people.smoother import Smoother
from edge.settings.config import Smooth
from edge.skeletons import get
from tests.edge.people.test_smoother import DT_NS, TALL, figure, poses

COCO, WHOLE = get("coco17"), get("wholebody133")
DT_S = np.float32(1 / 30)


def seen(people, scores=0.9, dt_s=DT_S):
    n = len(people)
    points = np.asarray(people, np.float32)
    scores = np.broadcast_to(np.float32(scores), points.shape[:2]).copy()
    return Sighting(points, scores, np.full((n, 1), TALL, "f4"), np.full((n, 1), dt_s, "f4"))


def learned(frames=60, believed=True):
    bones = Bones()
    bones.move(np.array([-1]))
    for _ in range(frames):
        bones.learn(seen([figure()]), np.full((1, 17), believed))
    return bones


def test_a_bone_may_be_short_but_not_longer_than_it_is():
    bones = learned()
    assert (bones.doubt(seen([figure()])) == 1).all()
    short = figure()
    short[9] = short[7] + 1
    assert (bones.doubt(seen([short])) == 1).all()
    long = figure()
    long[9] += (0, 60)
    grows = bones.doubt(seen([long]))[0]
    assert grows[9] > 4
    assert (np.delete(grows, 9) == 1).all()


def test_bounds_are_learned_from_what_is_believed_and_shared_by_both_sides():
    everybody = Bones()
    everybody.move(np.array([-1]))
    own, same = learned().bounds_h(1), everybody.bounds_h(1)
    assert (own <= same).all()
    assert (own < same).any()
    np.testing.assert_array_equal(learned(believed=False).bounds_h(1), same)
    np.testing.assert_array_equal(learned(frames=20).bounds_h(1), same)
    np.testing.assert_array_equal(own[:, ::2], own[:, 1::2])


def test_what_was_learned_goes_with_its_person():
    bones = learned()
    own = bones.bounds_h(1)
    bones.move(np.array([-1, 0]))
    np.testing.assert_array_equal(bones.bounds_h(2)[1:], own)
    assert (bones.bounds_h(2)[0] >= own[0]).all()
    assert len(OUTER) == own.shape[1]


def test_a_missing_keypoint_makes_no_bone_too_long():
    gone = seen([figure()])
    gone.points[0, 9], gone.scores[0, 9] = 0, 0
    assert (learned().doubt(gone) == 1).all()


def exchanged(person, skeleton=COCO, limb=(13, 15)):
    out = np.array(person)
    left, right = np.array(limb), np.array(limb) + 1
    out[left], out[right] = person[right], person[left]
    return out


@pytest.mark.parametrize("limb", [(7, 9), (13, 15)])
def test_exchanged_limbs_are_put_right_for_a_moment(limb):
    sides = Sides(COCO)
    sides.move(np.array([-1, -1]))
    expected = np.stack([figure(), figure(900)]).astype("f4")
    variance = np.full((2, 17), 1e-4, "f4")
    wrong = seen([exchanged(expected[0], limb=limb), expected[1]], dt_s=0.05)
    for _ in range(2):
        np.testing.assert_array_equal(sides.mended(wrong, expected, variance).points, expected)
    kept = sides.mended(wrong, expected, variance)
    np.testing.assert_array_equal(kept.points, wrong.points)
    right = seen(expected, dt_s=0.05)
    assert sides.mended(right, expected, variance) is right
    np.testing.assert_array_equal(sides.mended(wrong, expected, variance).points, expected)


def test_nothing_is_exchanged_on_weak_grounds():
    sides = Sides(COCO)
    sides.move(np.array([-1]))
    expected, variance = figure()[None].astype("f4"), np.full((1, 17), 1e-4, "f4")
    wrong = seen([exchanged(expected[0])])
    unknown = expected.copy()
    unknown[0, 15] = np.nan
    assert sides.mended(wrong, unknown, variance) is wrong
    assert sides.mended(wrong, expected, np.full((1, 17), 0.1, "f4")) is wrong, "it is unsure"
    wrong.scores[0, 13] = 0
    assert sides.mended(wrong, expected, variance) is wrong


def test_hands_and_feet_go_with_their_limbs():
    sides = Sides(WHOLE)
    sides.move(np.array([-1]))
    rng = np.random.default_rng(0)
    person = rng.uniform(0, 600, (133, 2)).astype("f4")
    person[:17] = figure()
    expected = person[None, :17]
    wrong = person.copy()
    for i, j in ((7, 8), (9, 10)):
        wrong[[i, j]] = person[[j, i]]
    wrong[91:112], wrong[112:] = person[112:], person[91:112]
    mended = sides.mended(seen([wrong]), expected, np.full((1, 17), 1e-4, "f4"))
    np.testing.assert_array_equal(mended.points[0], person)


def test_a_lasting_exchange_is_believed_by_the_smoother():
    smoother = Smoother(Smooth(), COCO)
    for f in range(20):
        smoother(poses([figure()]), f * DT_NS)
    turned = exchanged(figure())
    places = [smoother(poses([turned]), (20 + f) * DT_NS).keypoints[0] for f in range(15)]
    np.testing.assert_allclose(places[0], figure(), atol=3)
    np.testing.assert_allclose(places[-1], turned, atol=3)
