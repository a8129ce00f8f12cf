"""Distances and scores against recorded figures of mmpose, and against their own definitions."""

from pathlib import Path

import numpy as np
import pytest

from edge import geometry
from edge.skeletons import get
from tools import metrics

GOLDEN = Path(__file__).parent / "golden" / "metrics"


@pytest.fixture(scope="module")
def recorded():
    """12 people x 17 keypoints, some masked, one keypoint never seen, one person of size 0."""
    with np.load(GOLDEN / "pck_nme_s0.npz") as z:
        return dict(z.items())


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.5])
def test_pck(recorded, share):
    each, mean = metrics.pck(*_four(recorded), share)  # type: ignore[call-arg]
    want = recorded[f"pck_{share}_per_keypoint"]  # -1 where nothing counts
    np.testing.assert_allclose(np.nan_to_num(each, nan=-1), want, atol=1e-9)
    assert mean == pytest.approx(recorded[f"pck_{share}_mean"], abs=1e-9)
    assert (~np.isnan(each)).sum() == recorded[f"pck_{share}_count"]


def test_auc_epe_nme(recorded):
    found, truth, mask, norms = _four(recorded)
    assert metrics.auc(found, truth, mask, 30) == pytest.approx(recorded["auc_norm30"], abs=1e-9)
    # These two were recorded in float32.
    assert metrics.epe(found, truth, mask) == pytest.approx(recorded["epe"], rel=1e-6)
    assert metrics.nme(found, truth, mask, norms) == pytest.approx(recorded["nme"], rel=1e-6)


def _four(z):
    return z["pred"], z["gt"], z["mask"], z["norm_factor"]


def test_nobody_and_nothing_counted():
    none = np.zeros((0, 17, 2))
    mask = np.zeros((0, 17), bool)
    assert metrics.nme(none, none, mask, np.zeros((0, 2))) == 0
    assert metrics.pck(none, none, mask, np.zeros((0, 2)), 0.1)[1] == 0
    some = np.zeros((2, 17, 2))
    assert metrics.epe(some, some + 5, np.zeros((2, 17), bool)) == 0
    by_part = metrics.errors_by_part(some, some, np.zeros((2, 17), bool), get("coco17"))
    assert np.isnan(by_part["all"])


def test_errors_by_part():
    skeleton = get("wholebody133")
    truth = np.random.default_rng(0).random((3, 133, 2)) * 100
    found = truth.copy()
    found[:, 23:91, 0] += 3  # the face
    found[:, 112:133] += (3, 4)  # the right hand
    mask = np.ones((3, 133), bool)
    got = metrics.errors_by_part(found, truth, mask, skeleton)
    assert got == pytest.approx(
        {
            "all": (68 * 3 + 21 * 5) / 133,
            "body": 0,
            "feet": 0,
            "face": 3,
            "left_hand": 0,
            "right_hand": 5,
        }
    )
    tall = np.full((3, 2), 50.0)
    assert metrics.errors_by_part(found, truth, mask, skeleton, tall)["face"] == pytest.approx(0.06)
    body = metrics.errors_by_part(found[:, :17], truth[:, :17], mask[:, :17], get("coco17"))
    assert set(body) == {"all", "body"}


def test_oks_is_that_of_the_device_and_of_the_formula():
    rng = np.random.default_rng(0)
    a, b = rng.random((4, 17, 2)) * 100, rng.random((5, 17, 2)) * 100
    areas = rng.uniform(2e3, 9e4, 5)
    weights = (rng.random((5, 17)) > 0.3).astype(float)
    sigmas = get("coco17").sigmas
    got = metrics.oks(a, b, areas, sigmas, weights)
    i, j = 2, 3
    terms = [
        np.exp(-((a[i, k] - b[j, k]) ** 2).sum() / (2 * areas[j] * (2 * float(sigmas[k])) ** 2))
        for k in range(17)
        if weights[j, k]
    ]
    assert got[i, j] == pytest.approx(np.mean(terms), abs=1e-12)
    device = geometry.oks(
        b.astype(np.float32),
        a.astype(np.float32),
        areas.astype(np.float32),
        sigmas,
        weights.astype(np.float32),
    )
    np.testing.assert_allclose(got.T, device, atol=2e-5)
    assert metrics.oks(a, b, areas, sigmas, np.zeros((5, 17))).max() == 0


def test_rescore():
    keypoints = np.array([[0.9, 0.5, 0.2, 0.1], [0.1, 0.2, 0.0, 0.0]])
    np.testing.assert_allclose(metrics.rescore(keypoints, np.array([0.5, 1.0])), [0.5 * 0.7, 0])


def test_suppress_keeps_the_best_of_each():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 17, 2)) * 200
    people = np.stack([one, one + 0.5, other, one + 90, other + 0.2])
    kept = metrics.suppress(
        people, np.array([0.5, 0.9, 0.3, 0.1, 0.2]), np.full(5, 2e4), get("coco17").sigmas
    )
    assert kept.tolist() == [1, 2, 3]
    none = metrics.suppress(people[:0], np.zeros(0), np.zeros(0), get("coco17").sigmas)
    assert none.tolist() == []
