"""Lenses against OpenCV, and what they make of people."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.lens import Lens

MATRIX = np.array([[420.0, 0, 599.5], [0, 415, 449.5], [0, 0, 1]])
SIZE = (1200, 900)
BARREL = (-0.22, 0.045, 0.0008, -0.0005, -0.0025)
RATIONAL = (0.1, 0.02, 0.001, -0.001, 0.001, 0.3, 0.05, 0.002)
FISHEYE = (0.05, -0.015, 0.004, -0.001)


def lens_of(terms: tuple, fisheye: bool = False, size: tuple = SIZE) -> Lens:
    return Lens(tuple(MATRIX.ravel().tolist()), terms, fisheye, size)


def directions(widest_deg: float, count: int = 300) -> np.ndarray:
    """x, y at depth 1 all over a cone."""
    rng = np.random.default_rng(3)
    away = np.tan(np.radians(rng.uniform(0, widest_deg, count)))
    around = rng.uniform(0, 2 * np.pi, count)
    return np.stack((away * np.cos(around), away * np.sin(around)), 1)


def shown(flat: np.ndarray, terms: tuple, fisheye: bool) -> np.ndarray:
    """Px of directions, by OpenCV."""
    if fisheye:
        bent = cv2.fisheye.distortPoints(flat[:, None], MATRIX, np.array(terms))
    else:
        ahead = np.concatenate((flat, np.ones((len(flat), 1))), 1)
        bent, _ = cv2.projectPoints(ahead, np.zeros(3), np.zeros(3), MATRIX, np.array(terms))
    return np.asarray(bent).reshape(-1, 2)


@pytest.mark.parametrize(
    ("terms", "fisheye", "widest_deg"),
    [((), False, 60), (BARREL, False, 60), (RATIONAL, False, 60), (FISHEYE, True, 80)],
)
def test_directions_are_those_of_opencv(terms: tuple, fisheye: bool, widest_deg: float) -> None:
    flat = directions(widest_deg)
    pixels = shown(flat, terms or (0.0,) * 4, fisheye)
    assert np.abs(lens_of(terms, fisheye).flat(pixels) - flat).max() < 1e-5
    points = pixels[:, 0] + 1j * pixels[:, 1]
    plain = flat @ MATRIX[:2, :2].T + MATRIX[:2, 2]
    undone = lens_of(terms, fisheye).undistorted(points)
    assert np.abs(undone - (plain[:, 0] + 1j * plain[:, 1])).max() < 0.01


def test_a_fisheye_sees_behind_itself() -> None:
    ray = lens_of((0.0,) * 4, True).rays(np.array([599.5 + 420 * np.radians(100), 449.5]))
    assert np.degrees(np.arctan2(ray[0], ray[2])) == pytest.approx(100, abs=0.01)
    assert np.isnan(lens_of((0.0,) * 4, True).flat(np.array([599.5 + 420 * 2.0, 449.5]))).all()


def test_pictures_of_another_size_have_the_same_directions() -> None:
    half = lens_of(BARREL).sized((600, 450))
    pixels = np.array([[100.0, 120.0], [1100.0, 800.0]])
    assert half.flat((pixels + 0.5) / 2 - 0.5) == pytest.approx(lens_of(BARREL).flat(pixels))
    with pytest.raises(ValueError, match="another shape than the calibrated 600 x 450"):
        half.sized((900, 1200))


def test_where_the_picture_turns_back() -> None:
    assert lens_of(BARREL).fold_px > 750
    folded = lens_of((-0.4, 0.0, 0.0, 0.0))
    assert folded.fold_px == pytest.approx(415 * 2 / 3 / np.sqrt(1.2), rel=1e-3)
    assert np.isnan(folded.flat(np.array([0.0, 0.0]))).all()


@pytest.mark.parametrize(("terms", "fisheye"), [(BARREL, False), (FISHEYE, True)])
def test_people_at_the_edge_look_as_in_the_middle(terms: tuple, fisheye: bool) -> None:
    """A body, turned to by a straight view, has its own angles; as seen it has not."""
    lens = lens_of(terms, fisheye)
    body = np.array([[0, -0.5], [0, 0], [0.25, 0.25], [0, 0.5]])  # in a plane square to the view
    for yaw_deg in (-48, 48):
        yaw = np.radians(yaw_deg)
        along, ahead = (
            np.array([np.cos(yaw), 0, -np.sin(yaw)]),
            np.array([np.sin(yaw), 0, np.cos(yaw)]),
        )
        room = 3 * ahead + body[:, :1] * along + body[:, 1:] * np.array([0.0, 1, 0])
        pixels = shown(room[:, :2] / room[:, 2:], terms, fisheye)
        straight = lens.straight(pixels[None], pixels[None, 1])[0]
        steps, wanted = straight - straight[1], body * 1.0
        size = np.abs(steps).max() / np.abs(wanted).max()
        assert straight[1] == pytest.approx(pixels[1], abs=1e-3)
        assert steps / size == pytest.approx(wanted, abs=0.01)
        seen = (pixels - pixels[1]) / np.abs(pixels - pixels[1]).max() * 0.5
        assert np.abs(seen - wanted).max() > 0.015, "the lens does bend"


def test_keypoints_without_direction_stay_finite() -> None:
    lens = lens_of((-0.4, 0.0, 0.0, 0.0))
    points = np.array([[[600.0, 450], [0.0, 0.0]], [[5.0, 5.0], [1.0, 1.0]]])
    found = lens.straight(points, points[:, 0])
    assert np.isfinite(found).all()
    assert found.dtype == np.float32
    assert lens.straight(np.zeros((0, 17, 2)), np.zeros((0, 2))).shape == (0, 17, 2)
