"""Cameras: lenses against OpenCV, sizes, and what cannot be seen."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from edge.scene.rig import Rig
from tests.edge.scene.drawn_room import LENS, people, ring

RATIONAL = [0.3, -0.1, 0.001, 0.002, 0.02, 0.1, -0.05, 0.01]
FISHEYE = [0.02, -0.01, 0.004, -0.001, 0, 0, 0, 0]


def points() -> np.ndarray:
    return people([(0.3, -0.4, 1.0), (-0.8, 0.5, 2.0)])


@pytest.mark.parametrize("lens", [LENS, RATIONAL, [0.0] * 8])
def test_points_are_projected_as_opencv_does(lens: list) -> None:
    rig = ring(lens=lens)
    for camera, found in enumerate(rig.project(points())):
        vector, _ = cv2.Rodrigues(rig.turns[camera])
        wanted, _ = cv2.projectPoints(
            points().reshape(-1, 3),
            vector,
            rig.shifts[camera],
            rig.matrices[camera],
            rig.lenses[camera],
        )
        assert np.allclose(found.reshape(-1, 2), wanted[:, 0], atol=1e-6)


def test_a_fisheye_is_projected_as_opencv_does() -> None:
    rig = dataclasses.replace(ring(lens=FISHEYE), fisheye=np.ones(4, bool))
    for camera, found in enumerate(rig.project(points())):
        vector, _ = cv2.Rodrigues(rig.turns[camera])
        wanted, _ = cv2.fisheye.projectPoints(
            points().reshape(-1, 1, 3),
            vector,
            rig.shifts[camera],
            rig.matrices[camera],
            rig.lenses[camera, :4],
        )
        assert np.allclose(found.reshape(-1, 2), wanted[:, 0], atol=1e-6)


@pytest.mark.parametrize(("lens", "fisheye"), [(LENS, False), (RATIONAL, False), (FISHEYE, True)])
def test_directions_undo_the_lens(lens: list, fisheye: bool) -> None:
    rig = dataclasses.replace(ring(lens=lens), fisheye=np.full(4, fisheye))
    pixels = rig.project(points())
    for camera in range(4):
        flat = rig.directions(np.full(2, camera), pixels[camera])
        seen = rig.in_camera(points())[camera]
        assert np.allclose(flat, seen[..., :2] / seen[..., 2:], atol=1e-6)


def test_a_mixed_rig_bends_each_camera_by_its_own_lens() -> None:
    rig = ring(2)
    lenses = np.array([LENS, FISHEYE])
    rig = dataclasses.replace(rig, lenses=lenses, fisheye=np.array([False, True]))
    pixels = rig.project(points())
    both = rig.directions(np.array([0, 1]), np.stack((pixels[0][0], pixels[1][0])))
    seen = rig.in_camera(points())[:, 0]
    assert np.allclose(both, seen[..., :2] / seen[..., 2:], atol=1e-6)


def test_a_pixel_beyond_the_lens_has_no_direction() -> None:
    rig = ring(lens=[-0.5, 0, 0, 0, 0, 0, 0, 0])
    flat = rig.directions(np.zeros(1, np.int64), np.array([[[640.0, 360.0], [4000.0, 360.0]]]))
    assert np.isfinite(flat[0, 0]).all()
    assert np.isnan(flat[0, 1]).all()


def test_a_point_behind_a_camera_is_not_in_its_picture() -> None:
    rig = ring()
    behind = (rig.centres[0] * 2).reshape(1, 1, 3)
    assert np.isnan(rig.project(behind)[0]).all()
    assert np.isfinite(rig.project(behind)[2]).all()


def test_pictures_of_another_size_move_the_same_directions() -> None:
    rig = ring()
    large = rig.sized(1, (3840, 2160))
    pixel = np.array([[[100.0, 200.0]]])
    there = (pixel + 0.5) * 3 - 0.5  # centres of pixels are at whole numbers
    assert np.allclose(
        large.directions(np.ones(1, int), there), rig.directions(np.ones(1, int), pixel)
    )
    with pytest.raises(ValueError, match="another shape"):
        rig.sized(1, (720, 1280))


def test_a_rig_of_wrong_shapes_is_refused() -> None:
    rig = ring()
    with pytest.raises(ValueError, match=r"Rig.shifts: expected \[4, 3\]"):
        Rig(rig.names, rig.turns, rig.shifts[:3], rig.matrices, rig.lenses, rig.fisheye, rig.sizes)
