"""Ground truth: exact projection, views that agree, scores that say what a camera can see."""

import dataclasses
from typing import Dict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import skeletons
from edge.capture._synthetic.camera import around, hidden
from edge.capture._synthetic.scene import SKELETON, Scene, Setup
from edge.errors import ConfigError

pytestmark = pytest.mark.one_python

SIZE = (640, 480)


def by_id(scene, index):
    """Keypoints in space of each person in view."""
    return dict(zip(scene.poses(index).ids.tolist(), scene.joints(index)))


@pytest.mark.parametrize("view", range(4))
def test_keypoints_are_the_projected_joints(view):
    scene = Scene(Setup(people=4), *SIZE, view=view)
    matrix = scene.camera.matrix
    for index in (0, 33, 150):
        truth, joints = scene.poses(index), scene.joints(index)
        there = np.concatenate([joints, np.ones((*joints.shape[:2], 1))], axis=2) @ matrix.T
        np.testing.assert_allclose(there[..., :2] / there[..., 2:], truth.keypoints, atol=1e-3)


def test_views_show_the_same_people():
    """Two views are enough to find every point in space again."""
    setup = Setup(people=3, motion="wave,squat,stand", seed=4)
    scenes = [Scene(setup, *SIZE, view=v) for v in range(4)]
    for index in (0, 47):
        seen = [by_id(s, index) for s in scenes]
        assert set(seen[0]) == set(seen[3]) == {0, 1, 2}
        for number in seen[0]:
            for other in seen[1:]:
                if number in other:
                    np.testing.assert_allclose(other[number], seen[0][number], atol=1e-9)
    _triangulates(scenes[0], scenes[1], 47)


def _triangulates(one, other, index):
    truths, joints = (one.poses(index), other.poses(index)), by_id(one, index)
    for number in set(truths[0].ids.tolist()) & set(truths[1].ids.tolist()):
        rows = [t.keypoints[t.ids.tolist().index(number)].astype(float) for t in truths]
        for k in range(0, 133, 12):
            lines = [
                c.matrix[2] * p[k][i] - c.matrix[i]
                for c, p in zip((one.camera, other.camera), rows)
                for i in (0, 1)
            ]
            point = np.linalg.svd(np.array(lines))[2][-1]
            np.testing.assert_allclose(point[:3] / point[3], joints[number][k], atol=1e-3)


def test_seed_and_index_decide_everything():
    a, b = Scene(Setup(seed=5)), Scene(Setup(seed=5))
    for index in (0, 200, 17):  # in any order
        for one, two in zip(_arrays(a.poses(index)), _arrays(b.poses(index))):
            np.testing.assert_array_equal(one, two)
    other = Scene(Setup(seed=6)).poses(17)
    assert not np.array_equal(other.boxes, a.poses(17).boxes)
    # The size of the picture only scales.
    large = Scene(Setup(seed=5), 1280, 960).poses(17)
    np.testing.assert_allclose((large.keypoints + 0.5) / 2 - 0.5, a.poses(17).keypoints, atol=1e-3)


def _arrays(poses):
    return poses.keypoints, poses.scores, poses.boxes, poses.ids, poses.person_scores


@pytest.mark.parametrize("people", [0, 1, 3, 40])
@pytest.mark.parametrize("view", [0, 2])
def test_scores_and_boxes(people, view):
    scene = Scene(Setup(people=people, motion="walk,sit,lie,jump", seed=2), *SIZE, view=view)
    for index in (0, 90):
        truth = scene.poses(index)
        assert len(truth) <= people
        inside = (truth.keypoints >= -0.5).all(-1)
        inside &= (truth.keypoints[..., 0] < 639.5) & (truth.keypoints[..., 1] < 479.5)
        assert set(np.unique(truth.scores).tolist()) <= {0.0, 0.5, 1.0}
        np.testing.assert_array_equal(truth.scores > 0, inside)
        assert inside.any(1).all()
        low, high = truth.boxes[:, None, :2], truth.boxes[:, None, 2:]
        held = ((truth.keypoints >= low - 0.51) & (truth.keypoints <= high + 0.51)).all(-1)
        assert held[inside].all()  # type: ignore[index]
        assert (truth.boxes >= 0).all()
        assert (truth.boxes[:, 2:] <= SIZE).all()
        assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()
        assert len(set(truth.ids.tolist())) == len(truth)
        assert np.isfinite(truth.keypoints).all()


def test_what_is_behind_another_person_is_hidden():
    """Two people in the line of sight of a camera above: hips are hidden, the eyes are not."""
    scene = Scene(Setup(people=2, motion="stand"))
    scene._people._places = np.array([[0.0, 0.0], [0.0, 1.2]])
    near, far = scene.poses(0).scores
    trunk = [5, 6, 11, 12]
    assert (near[trunk] == 1).all()
    assert (far[[11, 12]] == 0.5).all()
    assert (far[[1, 2]] == 1).all()
    alone = Scene(Setup(people=2, motion="stand"))
    alone._people._places = np.array([[-1.0, 0.0], [1.0, 1.2]])
    assert (alone.poses(0).scores[:, trunk] == 1).all()


def test_own_body_hides_too():
    """From behind no face is seen; from a side not the other side."""
    setup = Setup(people=1, motion="stand", seed=0)
    front, left, right, behind = (
        s[0]
        for s in (
            Scene(dataclasses.replace(setup), *SIZE, view=v).poses(0).scores for v in range(4)
        )
    )
    face = slice(23 + 17, 23 + 68)
    assert (front[face] == 1).mean() > 0.9
    assert (behind[face] == 0.5).all()
    assert front[1] == front[2] == 1
    assert behind[1] == behind[2] == 0.5
    assert (front[5:17] == 1).all()
    # One ear is seen from each side at most.
    assert left[3] + left[4] <= 1.5 or right[3] + right[4] <= 1.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_hidden_against_marching_along_the_ray(seed):
    """The formula against small steps from the camera to the point, for balls and capsules."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((-0.6, -0.6, 2), (0.6, 0.6, 4), (40, 3))
    starts = rng.uniform((-0.6, -0.6, 1.5), (0.6, 0.6, 4.5), (5, 3))
    ends = starts + rng.uniform(-0.4, 0.4, (5, 3)) * np.array([1, 1, 0.1])
    ends[0] = starts[0]
    radii = np.repeat(rng.uniform(0.05, 0.2, (5, 1)), 2, axis=1)
    cover = rng.uniform(0, 0.1, 40)
    found = hidden(points, cover, starts, ends, radii)
    marched, near_edge = _marched(points, cover, starts, ends, radii[:, 0])
    assert (found == marched)[~near_edge].mean() > 0.97
    ball = hidden(points, cover, starts[:1], ends[:1], radii[:1])
    marched, near_edge = _marched(points, cover, starts[:1], ends[:1], radii[:1, 0])
    np.testing.assert_array_equal(ball[~near_edge], marched[~near_edge])


def _marched(points, cover, starts, ends, radius):
    """Whether the first step inside a capsule is early enough; and which points are too close."""
    depth = np.linalg.norm(points, axis=1)
    steps = np.linspace(0.001, 1, 800)
    path = points[:, None] * steps[:, None]  # [P,T,3]
    first = np.full(len(points), np.inf)
    edge = np.zeros(len(points), bool)
    for a, b, r in zip(starts, ends, radius):
        axis = b - a
        s = np.clip((path - a) @ axis / max(axis @ axis, 1e-12), 0, 1)
        gap = np.linalg.norm(path - a - s[..., None] * axis, axis=-1) - r
        inside = gap < 0
        entry = np.where(inside.any(1), steps[inside.argmax(1)] * depth, np.inf)
        first = np.minimum(first, entry)
        edge |= np.abs(gap.min(1)) < 0.004
        edge |= np.abs(entry - (depth - cover)) < 0.01
    return first < depth - cover, edge


def test_people_come_and_go_with_new_numbers():
    scene = Scene(Setup(people=4, seed=3))
    seen = [scene.poses(i).ids.tolist() for i in range(0, 30 * 40, 15)]
    assert len({n for ids in seen for n in ids}) > 4
    assert {len(ids) for ids in seen} >= {2, 3}
    last: Dict[int, int] = {}
    for at, ids in enumerate(seen):  # nobody who was away for long comes back
        for number in ids:
            assert at - last.get(number, at) < 10
            last[number] = at
    truths = [scene.poses(i) for i in range(0, 30 * 20, 15)]
    others = [(t.scores[:, :17] == 0.5).mean() for t in truths if len(t)]
    assert max(others) > 0.25  # they cross in front of each other


def test_walkers_move_evenly():
    scene = Scene(Setup(people=1))
    hips = np.array([by_id(scene, i)[0][[11, 12]].mean(0) for i in range(60)])
    speed = np.linalg.norm(np.diff(hips[:, :2], axis=0), axis=1) * 30
    assert 0.7 < speed.mean() < 1.6
    assert speed.std() < 0.15


def test_falls_begin_when_told():
    scene = Scene(Setup(people=2, motion="fall,stand", event_s=1.5))
    assert scene.onset_s(0) == 1.5
    height = np.array([by_id(scene, i)[0][[11, 12], 2].mean() for i in range(150)])
    assert np.ptp(height[:42]) < 0.05
    assert height[-1] < 0.45 * height[0]
    with pytest.raises(KeyError):
        scene.onset_s(99)


@pytest.mark.parametrize("skeleton", skeletons.names())
def test_every_skeleton(skeleton):
    scene = Scene(Setup(people=3))
    truth, whole = scene.poses(30, skeleton), scene.poses(30)
    assert truth.skeleton == skeleton
    assert whole.skeleton == SKELETON
    want = skeletons.convert_poses(whole, skeleton)
    np.testing.assert_array_equal(truth.keypoints, want.keypoints)
    np.testing.assert_array_equal(truth.scores, want.scores)


def test_a_crowd():
    scene = Scene(Setup(people=100, motion="stand,walk", seed=9))
    truth = scene.poses(0)
    assert len(truth) > 70
    assert truth.keypoints.shape == (len(truth), 133, 2)


def test_unknown_motion():
    with pytest.raises(ConfigError, match="no motion called 'moonwalk'; there are: walk, run"):
        Scene(Setup(motion="walk,moonwalk"))


def test_camera_ring():
    for view in range(4):
        camera = around(640, 480, view, 5.0, 2.0, 60.0)
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.rotation) == pytest.approx(1)
        middle = camera.project(camera.look(np.array([0, 0, 0.95])))
        np.testing.assert_allclose(middle, (319.5, 239.5), atol=1e-9)
        above = camera.project(camera.look(np.array([0, 0, 1.5])))
        assert above[1] < middle[1]
    # What is 5 m away and tan(30) * 5 m to the side is at the edge of 60 degrees.
    level = around(640, 480, 0, 5.0, 0.95, 60.0)
    edge = level.project(level.look(np.array([5 * np.tan(np.radians(30)), 0, 0.95])))
    np.testing.assert_allclose(edge, (639.5, 239.5), atol=1e-9)
