"""Keypoints in metres from depth images drawn by formula."""

from __future__ import annotations

import numpy as np
import pytest

from edge import skeletons
from edge.people.lift import Intrinsics, Lift
from edge.structures import Poses

CAMERA = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)
COCO = skeletons.get("coco17")
# A person of 1.7 m, seen from the front: x, y of COCO's keypoints in m around the hips.
BODY = np.array(
    [
        *((0, -0.72), (0.03, -0.75), (-0.03, -0.75), (0.08, -0.73), (-0.08, -0.73)),
        *((0.18, -0.5), (-0.18, -0.5), (0.25, -0.2), (-0.25, -0.2), (0.27, 0.05), (-0.27, 0.05)),
        *((0.1, 0.0), (-0.1, 0.0), (0.1, 0.42), (-0.1, 0.42), (0.1, 0.82), (-0.1, 0.82)),
    ]
)
FAR_M, THICK_PX = 5.0, 9


def scene(at_m: np.ndarray) -> tuple:
    """Poses of one person whose skin is at the depths [17], and the depth image in mm."""
    u = BODY[:, 0] / at_m * CAMERA.fx + CAMERA.cx
    v = BODY[:, 1] / at_m * CAMERA.fy + CAMERA.cy
    depth = np.full((CAMERA.height, CAMERA.width), int(FAR_M * 1000), np.uint16)
    rows, columns = np.mgrid[: CAMERA.height, : CAMERA.width]
    for i in np.argsort(-at_m):
        near = np.hypot(columns - u[i], rows - v[i]) < THICK_PX
        depth[near] = round(at_m[i] * 1000)
    points = np.stack((u, v), 1).astype(np.float32)[None]
    box = np.array([[u.min() - 10, v.min() - 20, u.max() + 10, v.max() + 10]], np.float32)
    scores = np.full((1, 17), 0.9, np.float32)
    one = np.ones(1, np.float32)
    return Poses(points, scores, box, np.zeros(1, np.int64), one, "coco17"), depth


def skin_m(poses: Poses, depth: np.ndarray, scale_m: float = 0.001) -> np.ndarray:
    """Depths [K] without the way from the skin to the joint; NaN = missing."""
    found = Lift(COCO)(poses, depth, scale_m, CAMERA)
    tall_m = (poses.boxes[0, 3] - poses.boxes[0, 1]) / CAMERA.fy * 3.0  # trunks are at 3 m
    inset = Lift(COCO)._inset_h * np.clip(tall_m, 0.8, 2.1)
    return np.where(found.scores[0] > 0, found.points[0, :, 2] - inset, np.nan)


def test_places_follow_the_pinhole_and_the_depth() -> None:
    poses, depth = scene(np.full(17, 3.0))
    found = Lift(COCO)(poses, depth, 0.001, CAMERA)
    assert found.source == "depth"
    np.testing.assert_allclose(skin_m(poses, depth), 3.0, atol=0.01)
    z = found.points[0, :, 2]
    np.testing.assert_allclose(
        found.points[0, :, 0] / z * 600 + 319.5, poses.keypoints[0, :, 0], atol=0.01
    )
    np.testing.assert_allclose(
        found.points[0, :, 1] / z * 600 + 239.5, poses.keypoints[0, :, 1], atol=0.01
    )
    np.testing.assert_allclose(found.points[0, :, :2], BODY, atol=0.03)


def test_background_at_a_keypoints_side_is_no_limb() -> None:
    poses, depth = scene(np.full(17, 3.0))
    moved = poses.keypoints.copy()
    moved[0, 9, 0] += 6  # the wrist lies at the arm's edge: most samples are background
    found = skin_m(
        Poses(moved, poses.scores, poses.boxes, poses.ids, poses.person_scores, "coco17"), depth
    )
    assert found[9] == pytest.approx(3.0, abs=0.01)
    moved[0, 9, 0] += 40  # beside the arm
    off = Poses(moved, poses.scores, poses.boxes, poses.ids, poses.person_scores, "coco17")
    assert np.isnan(skin_m(off, depth)[9])


def test_an_arm_before_the_trunk_is_nearer_than_the_trunk() -> None:
    at_m = np.full(17, 3.0)
    at_m[[7, 9]] = (2.7, 2.4)
    np.testing.assert_allclose(skin_m(*scene(at_m)), at_m, atol=0.02)


def test_holes_are_left_out_and_a_keypoint_in_a_hole_is_missing() -> None:
    poses, depth = scene(np.full(17, 3.0))
    rng = np.random.default_rng(0)
    holes = depth.copy()
    holes[rng.random(depth.shape) < 0.5] = 0
    np.testing.assert_allclose(skin_m(poses, holes), 3.0, atol=0.02)
    u, v = poses.keypoints[0, 13].astype(int)
    holes[v - 15 : v + 15, u - 15 : u + 15] = 0
    found = skin_m(poses, holes)
    assert np.isnan(found[13])
    assert np.isfinite(np.delete(found, 13)).all()
    assert Lift(COCO)(poses, np.zeros_like(depth), 0.001, CAMERA).scores.max() == 0


def test_somebody_in_front_of_a_leg_is_not_the_leg() -> None:
    poses, depth = scene(np.full(17, 3.0))
    u, v = poses.keypoints[0, 14].astype(int)
    depth[v - 30 : v + 30, u - 30 : u + 30] = 1200
    assert np.isnan(skin_m(poses, depth)[14])


def test_a_smaller_depth_image_and_another_unit_give_the_same() -> None:
    poses, depth = scene(np.full(17, 3.0))
    found = skin_m(poses, depth[::2, ::2] // 4, 0.004)
    np.testing.assert_allclose(found, 3.0, atol=0.03)
    half = CAMERA.of_size(320, 240)
    assert (half.fx, half.cx, half.cy) == (300.0, 159.5, 119.5)


def test_hidden_wrong_and_outside_keypoints_are_missing() -> None:
    poses, depth = scene(np.full(17, 3.0))
    scores, places = poses.scores.copy(), poses.keypoints.copy()
    scores[0, 5], places[0, 6], places[0, 15] = 0.1, np.nan, (-500, 900)
    found = skin_m(
        Poses(places, scores, poses.boxes, poses.ids, poses.person_scores, "coco17"), depth
    )
    assert np.isnan(found[[5, 6, 15]]).all()
    assert np.isfinite(np.delete(found, [5, 6, 15])).all()


def test_nobody_and_a_crowd() -> None:
    poses, depth = scene(np.full(17, 3.0))
    nobody = Lift(COCO)(poses.take(slice(0, 0)), depth, 0.001, CAMERA)
    assert nobody.points.shape == (0, 17, 3)
    crowd = Lift(COCO)(Poses.join([poses] * 40), depth, 0.001, CAMERA)
    assert len(crowd) == 40
    np.testing.assert_array_equal(crowd.points[0], crowd.points[39])


def test_hip_centred_points_start_at_the_hips() -> None:
    poses, depth = scene(np.full(17, 3.0))
    lift = Lift(COCO)
    found, middle = lift.hip_centred(lift(poses, depth, 0.001, CAMERA))
    np.testing.assert_allclose(found.points[0, [11, 12]].mean(0), 0, atol=1e-5)
    assert middle[0, 2] == pytest.approx(3.1, abs=0.1)
    scores = poses.scores.copy()
    scores[0, 11] = 0
    lost = Poses(poses.keypoints, scores, poses.boxes, poses.ids, poses.person_scores, "coco17")
    assert lift.hip_centred(lift(lost, depth, 0.001, CAMERA))[0].scores.max() == 0
