"""The floor in metres: by a matrix, and by a calibrated camera with a lens."""

import numpy as np
import pytest

from edge.scene.ground import Ground, of_rig
from edge.scene.rig import Rig


def rig(pitch_deg=25.0, height_m=4.0, lens=(), fisheye=False, roll_deg=5.0):
    pitch, roll = np.radians(pitch_deg), np.radians(roll_deg)
    ahead = np.array([0, np.cos(pitch), -np.sin(pitch)])
    right = np.array([1.0, 0, 0])
    turn = np.stack([right, np.cross(ahead, right), ahead])
    cos, sin = np.cos(roll), np.sin(roll)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ turn
    place = np.array([1.0, -2.0, height_m])
    terms = np.zeros((1, 8))
    terms[0, : len(lens)] = lens
    matrix = np.array([[[900.0, 0, 640], [0, 910, 360], [0, 0, 1]]])
    return Rig(
        ("a",),
        turn[None],
        (-turn @ place)[None],
        matrix,
        terms,
        np.array([fisheye]),
        np.array([[1280.0, 720.0]]),
    )


@pytest.mark.parametrize(
    ("lens", "fisheye"), [((), False), ((-0.2, 0.05, 0.001, -0.001), False), ((0.02,), True)]
)
def test_a_calibrated_camera_gives_places_on_the_floor(lens, fisheye):
    camera = rig(lens=lens, fisheye=fisheye)
    there = np.array([complex(x, y) for x in (-2, 0, 3) for y in (4.0, 9.0, 20.0)])
    room = np.stack([there.real, there.imag, np.zeros(len(there))], -1)
    pixels = camera.project(room[None])[0, 0]
    found = of_rig(camera, 0).metres(pixels[:, 0] + 1j * pixels[:, 1])
    assert np.abs(found - there).max() < 1e-3


def test_a_camera_below_the_floor_of_its_calibration_works_too():
    camera = rig(height_m=4.0)
    below = Rig(
        camera.names,
        camera.turns @ np.diag([1.0, -1.0, -1.0])[None],
        camera.shifts,
        camera.matrices,
        camera.lenses,
        camera.fisheye,
        camera.sizes,
    )
    pixels = camera.project(np.array([[[1.0, 6.0, 0.0]]]))[0, 0]
    found = of_rig(below, 0).metres(pixels[:, 0] + 1j * pixels[:, 1])
    assert found[0] == pytest.approx(1 - 6j, abs=1e-6)


def test_above_the_horizon_there_is_no_floor():
    ground = of_rig(rig(roll_deg=0.0), 0)
    horizon = 360 - 910 * np.tan(np.radians(25.0))
    found = ground.metres(np.array([640 + 1j * (horizon - 5), 640 + 1j * (horizon + 5)]))
    assert np.isnan(found[0].real)
    assert np.isfinite(found[1].real)
    assert ground.metres(np.zeros(0, complex)).shape == (0,)


def test_equal_numbers_are_equal_grounds():
    assert of_rig(rig(), 0) == of_rig(rig(), 0)
    assert of_rig(rig(), 0) != of_rig(rig(height_m=4.1), 0)
    assert Ground((1, 0, 0, 0, 1, 0, 0, 0, 1)) == Ground((1.0, 0, 0, 0, 1, 0, 0, 0, 1))
