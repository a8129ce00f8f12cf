"""Limits of elbows and knees in space."""

import numpy as np
import pytest

from edge.people.joint_limits import limited
from edge.skeletons import get

COCO = get("coco17")
SURE = np.full((1, 17), 0.9, np.float32)


def upright(knee_deg=0.0, elbow_deg=0.0):
    """Somebody who faces +y, up is +z, right is +x; flexion in degrees, [1,17,3] m."""
    out = np.zeros((17, 3))
    for side, x in ((0, -0.2), (1, 0.2)):
        out[5 + side], out[7 + side] = (x, 0, 1.4), (x, 0, 1.1)
        out[11 + side], out[13 + side] = (x / 2, 0, 0.9), (x / 2, 0, 0.5)
        bend, fold = np.radians(knee_deg), np.radians(elbow_deg)
        out[15 + side] = out[13 + side] + 0.4 * np.array([0, -np.sin(bend), -np.cos(bend)])
        out[9 + side] = out[7 + side] + 0.25 * np.array([0, np.sin(fold), -np.cos(fold)])
    out[:5] = (0, 0.1, 1.6)
    return out[None].astype(np.float32)


@pytest.mark.parametrize("knee", [-8, 0, 60, 150])
@pytest.mark.parametrize("elbow", [0, 90, 150])
def test_what_people_can_do_is_left_alone(knee, elbow):
    person = upright(knee, elbow)
    np.testing.assert_array_equal(limited(person, SURE, COCO), person)


def test_a_knee_that_bends_forwards_is_turned_back():
    np.testing.assert_allclose(limited(upright(-50), SURE, COCO), upright(-10), atol=1e-6)


def test_a_folded_limb_keeps_25_degrees():
    out = limited(upright(172, 175), SURE, COCO)
    np.testing.assert_allclose(out, upright(155, 155), atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_bones_keep_their_lengths_and_the_axes_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    person = np.concatenate([upright(k, e) for k, e in ((-50, 172), (170, 10), (20, 20))])
    person += rng.normal(size=person.shape).astype(np.float32) * 0.02
    scores = np.repeat(SURE, 3, 0)
    out = limited(person, scores, COCO)
    for a, b in ((7, 9), (8, 10), (13, 15), (14, 16)):
        before, after = (np.linalg.norm(p[:, a] - p[:, b], axis=1) for p in (person, out))
        np.testing.assert_allclose(after, before, rtol=1e-5)
    moved = limited(person @ turn + 5, scores, COCO)
    np.testing.assert_allclose(moved, out @ turn + 5, atol=1e-5)
    np.testing.assert_allclose(limited(out, scores, COCO), out, atol=1e-4)


def test_missing_joints_limit_nothing_and_nobody_is_fine():
    person, scores = upright(-50, 175), SURE.copy()
    scores[0, [7, 8, 11]] = 0
    out = limited(person, scores, COCO)
    np.testing.assert_array_equal(out, person)
    person[0, 13] = np.nan
    assert np.isfinite(limited(person, SURE, COCO)[0, 15]).all()
    assert limited(person[:0], SURE[:0], COCO).shape == (0, 17, 3)
