"""Motions by formula: smooth, on the floor, anatomically possible, and what their names say."""

import numpy as np
import pytest

from edge.capture._synthetic import gaits
from edge.capture._synthetic.body import AT, build
from edge.capture._synthetic.motion import ease

pytestmark = pytest.mark.one_python

STATURE = 1.75
STEP_S = 0.01


def played(name, t, own=(0.1, 0.3, 0.2)):
    motion = gaits.MOTIONS[name]
    posture = motion.at(t, np.tile(own, (len(t), 1)))
    bodies = build(posture.frames, np.full(len(t), STATURE), posture.curl)
    floor = -bodies.joints[:, [11, 14], :2].mean(1) if motion.planted else np.zeros((len(t), 2))
    rise = posture.lift - bodies.lowest
    return bodies.moved(np.concatenate([floor, rise[:, None]], axis=1)), posture


def knee_degrees(bodies, side=0):
    hip, knee, ankle = (bodies.joints[:, 9 + 3 * side + k] for k in range(3))
    a, b = hip - knee, ankle - knee
    cos = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return np.degrees(np.arccos(np.clip(cos, -1, 1)))


@pytest.mark.parametrize("name", gaits.MOTIONS)
def test_smooth_and_on_the_floor(name):
    t = np.arange(-1, 12, STEP_S)
    for own in ((0.0, 0.0, 0.0), (0.9, 0.7, 0.5), (0.4, 0.2, 0.9)):
        bodies, posture = played(name, t, own)
        speed = np.linalg.norm(np.diff(bodies.keypoints, axis=0), axis=-1) / STEP_S
        assert speed.max() < 11, f"{name} jumps: {speed.max():.1f} m/s"
        np.testing.assert_allclose(bodies.lowest, posture.lift, atol=1e-9)
        assert (posture.lift >= 0).all()
        assert ((posture.curl >= 0) & (posture.curl <= 1)).all()
        squared = posture.frames @ np.swapaxes(posture.frames, -1, -2)
        np.testing.assert_allclose(squared, np.broadcast_to(np.eye(3), squared.shape), atol=1e-9)


@pytest.mark.parametrize("name", gaits.MOTIONS)
def test_knees_bend_to_the_back_only(name):
    bodies, _ = played(name, np.arange(-1, 10, 0.02))
    for side in (0, 1):
        hip, knee, ankle = (bodies.joints[:, 9 + 3 * side + k] for k in range(3))
        front = bodies.frames[:, AT["left_thigh"] + 3 * side, :, 0]
        ahead = ((ankle - knee) * front).sum(1) - ((knee - hip) * front).sum(1)
        assert (ahead < 0.02).all()


@pytest.mark.parametrize("name", gaits.MOTIONS)
def test_nobody_and_many(name):
    motion = gaits.MOTIONS[name]
    assert motion.at(np.zeros(0), np.zeros((0, 3))).frames.shape == (0, 15, 3, 3)
    own = np.random.default_rng(0).uniform(0, 1, (40, 3))
    all_at_once = motion.at(np.full(40, 1.3), own)
    one = motion.at(np.array([1.3]), own[7:8])
    np.testing.assert_allclose(all_at_once.frames[7], one.frames[0], atol=1e-12)


def test_walking_feet_stand_while_they_carry():
    """The foot that is lowest moves against the body about as fast as the body moves ahead."""
    t = np.arange(0, 4, STEP_S)
    bodies, _ = played("walk", t)
    pace = gaits.WALK_SPEED * STATURE
    assert 0.9 < pace < 1.5
    heel = bodies.keypoints[:, [19, 22]] + np.stack([pace * t, 0 * t, 0 * t], 1)[:, None]
    ankle = bodies.joints[:, [11, 14]]
    carrying = ankle[..., 2].argmin(1)
    steps = np.diff(heel[..., 0], axis=0) / STEP_S
    carried = np.take_along_axis(steps, carrying[:-1, None], 1)[:, 0]
    swinging = np.take_along_axis(steps, 1 - carrying[:-1, None], 1)[:, 0]
    assert abs(np.median(carried)) < 0.25 * pace
    assert np.median(swinging) > 1.2 * pace


def test_walking_arms_swing_against_the_legs():
    bodies, _ = played("walk", np.arange(0, 4, 0.02))
    leg = bodies.joints[:, AT["left_foot"], 0] - bodies.joints[:, AT["right_foot"], 0]
    arm = bodies.joints[:, AT["left_hand"], 0] - bodies.joints[:, AT["right_hand"], 0]
    assert np.corrcoef(leg, arm)[0, 1] < -0.8


def test_jump_is_ballistic():
    t = np.arange(0, 4, 0.005)
    _, posture = played("jump", t)
    air = posture.lift > 0.01
    assert 0.15 < posture.lift.max() < 0.5
    bends = np.diff(posture.lift, 2) / 0.005**2
    inside = air[:-2] & air[1:-1] & air[2:]
    np.testing.assert_allclose(bends[inside], -gaits.GRAVITY, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "deep"), [("squat", (50, 95)), ("crouch", (25, 70)), ("sit", (80, 105))]
)
def test_bending_down(name, deep):
    bodies, _ = played(name, np.arange(0, 8, 0.02))
    bend = knee_degrees(bodies)
    assert deep[0] < bend.min() < deep[1]
    assert bend.max() > 165
    soles = bodies.frames[:, [AT["left_foot"], AT["right_foot"]], 2, 2]
    assert (soles > 0.97).all()  # level
    # The feet stay where they are.
    assert np.ptp(bodies.joints[:, [11, 14], :2].mean(1), axis=0).max() < 1e-9


def test_wave_lifts_one_hand_above_the_shoulder():
    bodies, _ = played("wave", np.arange(0, 3, 0.02))
    rise = bodies.joints[:, [AT["left_hand"], AT["right_hand"]], 2] - bodies.joints[:, [3, 6], 2]
    assert (rise[:, 0] < 0).all()
    assert (rise[:, 1] > 0.1).all()


@pytest.mark.parametrize("way", [0.1, 0.4, 0.8])
def test_fall(way):
    """As a fall rule sees it: upright, then a fast drop of the hips, then lying still."""
    t = np.arange(-2, 5, STEP_S)
    bodies, _ = played("fall", t, (0.3, 0.6, way))
    hips = bodies.joints[:, [9, 12]].mean(1)
    neck = bodies.joints[:, AT["head"]]
    upright = (neck - hips)[:, 2] / np.linalg.norm(neck - hips, axis=1)
    tilt = np.degrees(np.arccos(np.clip(upright, -1, 1)))
    drop = -np.diff(hips[:, 2]) / STEP_S / STATURE  # statures per second
    assert tilt[t < -0.3].max() < 10
    assert tilt[t > 2].min() > 65
    assert drop[t[:-1] < 0].max() < 0.1
    assert 0.8 < drop.max() < 3
    assert (hips[t > 2.5, 2] < 0.2 * STATURE).all()
    assert np.abs(drop[t[:-1] > 2.5]).max() < 0.05
    head_first = t[np.argmax(drop)]
    assert 0.4 < head_first < 1.6


def test_lying():
    for way in (0.1, 0.5, 0.9):
        bodies, _ = played("lie", np.arange(0, 3, 0.1), (0.3, 0.6, way))
        assert (bodies.keypoints[:, :17, 2] < 0.75).all()
        assert (bodies.joints[:, AT["head"], 2] < 0.4).all()


def test_ease():
    extremes = ((0, 2), (0.5, 4), (1, 2))
    np.testing.assert_allclose(
        ease(np.array([-1, 0, 0.25, 0.5, 1, 9]), extremes), [2, 2, 3, 4, 2, 2]
    )
