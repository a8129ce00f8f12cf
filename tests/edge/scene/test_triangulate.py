"""Triangulation with known truth: exact, noisy, with wrong views, and with too few."""

from __future__ import annotations

import numpy as np

from edge.scene.rig import Rig
from edge.scene.triangulate import Solved, solve
from tests.edge.scene.drawn_room import people, ring


def flat_of(rig: Rig, points: np.ndarray, noise_px: float = 0.0, seed: int = 0) -> np.ndarray:
    pixels = rig.project(points)
    pixels = pixels + np.random.default_rng(seed).normal(0, noise_px, pixels.shape)
    n = len(points)
    return np.stack([rig.directions(np.full(n, c), pixels[c]) for c in range(len(rig))])


def solved(rig: Rig, flat: np.ndarray, weights: np.ndarray, **more: np.ndarray) -> Solved:
    return solve(rig, flat, weights, 0.1, **more)


def test_exact_views_give_exact_points() -> None:
    rig, truth = ring(), people([(0, 0, 0), (1, -1, 2)])
    found = solved(rig, flat_of(rig, truth), np.ones((4, 2, 17)))
    assert np.abs(found.points - truth).max() < 1e-6
    assert found.fits.all()


def test_noise_of_3_px_is_an_error_of_less_than_two_centimetres() -> None:
    rig, truth = ring(), people([(0.2 * i - 1, 0.1 * i, i) for i in range(12)])
    found = solved(rig, flat_of(rig, truth, 3.0), np.ones((4, 12, 17)))
    error_m = np.linalg.norm(found.points - truth, axis=-1)
    assert np.median(error_m) < 0.02
    assert error_m.max() < 0.08


def test_a_wrong_view_is_rejected_and_the_others_stay() -> None:
    rig, truth = ring(), people([(0, 0, 0)])
    flat = flat_of(rig, truth, 1.0)
    flat[2, 0, 9] += 0.3  # a wrist that is far off in one camera
    found = solved(rig, flat, np.ones((4, 1, 17)))
    assert found.fits[:, 0, 9].tolist() == [True, True, False, True]
    assert np.linalg.norm(found.points[0, 9] - truth[0, 9]) < 0.03
    assert found.fits[:, 0, [7, 8, 10]].all()


def test_two_views_that_contradict_each_other_give_nothing() -> None:
    rig, truth = ring(2), people([(0, 0, 0)])
    flat = flat_of(rig, truth)
    flat[1, 0, 5, 1] += 0.2
    found = solved(rig, flat, np.ones((2, 1, 17)))
    assert np.isnan(found.points[0, 5]).all()
    assert not found.fits[:, 0, 5].any()
    assert np.isfinite(found.points[0, 6]).all()


def test_one_view_gives_nothing() -> None:
    rig, truth = ring(), people([(0, 0, 0)])
    weights = np.zeros((4, 1, 17))
    weights[1] = 1
    found = solved(rig, flat_of(rig, truth), weights)
    assert np.isnan(found.points).all()
    assert not found.fits.any()


def test_views_in_a_line_give_no_depth() -> None:
    rig = ring(2).take([0, 0])
    found = solved(rig, flat_of(rig, people([(0, 0, 0)])), np.ones((2, 1, 17)))
    assert np.isnan(found.points).all()


def test_two_against_two_is_decided_by_what_was_expected() -> None:
    rig, truth = ring(), people([(0, 0, 0)])
    other = truth + [0, 0, 0.5]
    flat = flat_of(rig, truth)
    flat[2:] = flat_of(rig, other)[2:]
    for expected in (truth, other):
        found = solved(rig, flat, np.ones((4, 1, 17)), expected=expected)
        assert np.abs(found.points - expected).max() < 1e-3


def test_a_missing_or_infinite_keypoint_does_no_harm() -> None:
    rig, truth = ring(), people([(0, 0, 0)])
    flat = flat_of(rig, truth)
    flat[0, 0, 3] = np.nan
    weights = np.ones((4, 1, 17))
    weights[1, 0, 4] = 0
    flat[1, 0, 4] = np.inf
    found = solved(rig, flat, weights)
    assert np.abs(found.points - truth).max() < 1e-6
    assert not found.fits[0, 0, 3]
    assert not found.fits[1, 0, 4]


def test_nobody_is_solved_too() -> None:
    found = solved(ring(), np.zeros((4, 0, 17, 2)), np.zeros((4, 0, 17)))
    assert found.points.shape == (0, 17, 3)


def test_the_order_of_cameras_and_people_does_not_matter() -> None:
    rig, truth = ring(), people([(0, 0, 0), (0.8, 0.4, 1), (-1, 0, 2)])
    flat = flat_of(rig, truth, 2.0)
    one = solved(rig, flat, np.ones((4, 3, 17))).points
    turned = solved(rig.take([2, 0, 3, 1]), flat[[2, 0, 3, 1]][:, ::-1], np.ones((4, 3, 17))).points
    assert np.allclose(one, turned[::-1], atol=2e-3)
