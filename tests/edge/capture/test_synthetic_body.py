"""The articulated body: rigid bones, mirror symmetry, proportions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import skeletons
from edge.capture._synthetic import body, face

WHOLE = skeletons.get("wholebody133")
FINGERS = [
    (first + 4 * i, first + 4 * i + 1 + k)
    for first in (92, 113)
    for i in range(5)
    for k in range(3)
]


def standing(stature=1.75, curl=0.3):
    frames = np.broadcast_to(np.eye(3), (1, 15, 3, 3)).copy()
    return body.build(frames, np.array([stature]), np.full((1, 2), curl))


def bent(seed, n=4, stature=1.8):
    angles = np.random.default_rng(seed).uniform(-170, 170, (n, 15, 3))
    frames = body.chained(body.turns(angles))
    curl = np.random.default_rng(seed).uniform(0, 1, (n, 2))
    return body.build(frames, np.full(n, stature), curl)


def distance(bodies, a, b):
    return np.linalg.norm(bodies.keypoints[:, a] - bodies.keypoints[:, b], axis=-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(1.4, 2.1))
def test_bones_keep_their_length_whatever_the_angles(seed, stature):
    bodies, rest = bent(seed, stature=stature), standing(stature)
    limbs = [
        (5, 7),
        (7, 9),
        (6, 8),
        (8, 10),
        (11, 13),
        (13, 15),
        (12, 14),
        (14, 16),
        (11, 12),
        (15, 17),
        (15, 18),
        (15, 19),
        (16, 20),
        (16, 21),
        (0, 3),
        (0, 90),
    ]
    for a, b in limbs:
        np.testing.assert_allclose(distance(bodies, a, b), distance(rest, a, b)[0], atol=1e-9)
    np.testing.assert_allclose(distance(bodies, 5, 7), body.UPPER_ARM * stature, atol=1e-9)
    np.testing.assert_allclose(distance(bodies, 13, 15), body.SHANK * stature, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1))
def test_fingers_keep_their_length_as_they_curl(curl):
    open_hand, closed = standing(curl=0.0), standing(curl=curl)
    for first in (92, 113):
        for finger in range(5):
            chain = [first + 4 * finger + k for k in range(4)]
            for a, b in zip(chain, chain[1:]):
                np.testing.assert_allclose(
                    distance(closed, a, b), distance(open_hand, a, b), atol=1e-9
                )
    # Tips come nearer to the wrist on the way to a fist.
    tips = [99, 103, 107, 111]
    assert (distance(closed, 91, tips) <= distance(open_hand, 91, tips) + 1e-9).all()


def test_a_standing_person_is_its_own_mirror():
    points = standing().keypoints[0]
    mirrored = points[WHOLE.flip] * (1, -1, 1)
    np.testing.assert_allclose(mirrored, points, atol=1e-12)
    sides = WHOLE.sides
    assert (points[sides == skeletons.LEFT, 1] > 0).all()  # y is to the left
    assert (points[sides == skeletons.RIGHT, 1] < 0).all()


def test_proportions_are_human():
    """Heights over the floor as shares of stature, after Drillis and Contini."""
    one = standing(1.0).moved(-np.array([[0, 0, 1.0]]) * standing(1.0).lowest[:, None])
    height = one.keypoints[0, :, 2]
    top = max(
        (one.starts[0, :, 2] + one.radii[0, :, 0]).max(),
        (one.ends[0, :, 2] + one.radii[0, :, 1]).max(),
    )
    assert top == pytest.approx(1.0, abs=0.015)
    for name, want in {
        "left_shoulder": 0.818,
        "left_hip": 0.530,
        "left_knee": 0.285,
        "left_ankle": 0.039,
        "left_eye": 0.936,
        "face-8": 0.870,
        "left_elbow": 0.630,
        "left_wrist": 0.485,
    }.items():
        assert height[WHOLE.names.index(name)] == pytest.approx(want, abs=0.02), name
    assert one.lowest[0] == pytest.approx(0, abs=1e-12)


def test_the_face_looks_to_the_front():
    points = standing().keypoints[0]
    at = {n: points[i] for i, n in enumerate(WHOLE.names)}
    assert at["nose"][0] > at["left_eye"][0] > at["left_ear"][0]
    assert at["face-30"] == pytest.approx(at["nose"])
    assert at["face-8"][2] < at["face-57"][2] < at["face-51"][2] < at["face-33"][2] < at["nose"][2]
    assert at["nose"][2] < at["face-27"][2] < at["face-21"][2]
    assert face.FACE.shape == (68, 3)
    # Toes in front of the heel, the big one inside.
    assert at["left_big_toe"][0] > at["left_small_toe"][0] > at["left_heel"][0]
    assert at["left_big_toe"][1] < at["left_small_toe"][1]


def test_turns_are_right_handed_rotations():
    eye = np.eye(3)
    for axis, start, end in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        degrees = np.zeros(3)
        degrees[axis] = 90
        np.testing.assert_allclose(body.turns(degrees) @ eye[start], eye[end], atol=1e-12)
    many = body.turns(np.random.default_rng(0).uniform(-180, 180, (50, 3)))
    np.testing.assert_allclose(
        many @ np.swapaxes(many, 1, 2), np.broadcast_to(eye, (50, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(many), 1, atol=1e-12)


def test_chain_turns_all_that_hangs_on_a_segment():
    angles = np.zeros((1, 15, 3))
    angles[0, body.AT["left_thigh"]] = 0, -90, 0  # leg to the front
    angles[0, body.AT["left_shank"]] = 0, 90, 0  # and down again
    bodies = body.build(body.chained(body.turns(angles)), np.ones(1), np.zeros((1, 2)))
    hip, knee, ankle = bodies.joints[0, [9, 10, 11]]
    np.testing.assert_allclose(knee - hip, (body.THIGH, 0, 0), atol=1e-12)
    np.testing.assert_allclose(ankle - knee, (0, 0, -body.SHANK), atol=1e-12)
    np.testing.assert_allclose(bodies.joints[0, 13:], standing(1.0).joints[0, 13:])  # other leg


def test_nobody():
    none = body.build(np.zeros((0, 15, 3, 3)), np.zeros(0), np.zeros((0, 2)))
    assert none.keypoints.shape == (0, 133, 3)
    assert none.lowest.shape == (0,)


def test_cover_has_an_entry_for_each_keypoint():
    assert body.COVER.shape == (len(WHOLE),)
