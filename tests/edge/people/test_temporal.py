"""What the temporal network is told, and whose state is whose."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import pytest

from edge.people import temporal
from edge.people.innovations import Innovations
from edge.people.smoother import Smoother
from edge.people.temporal import FEATURES, UNITS, Temporal, features
from edge.settings.config import Smooth
from tests.edge.people.test_innovations import COCO
from tests.edge.people.test_smoother import DT_NS, figure, poses


def told(ids: Any = (1,), keypoints: int = 3, **changes: Any) -> Innovations:
    n = len(ids)
    rng = np.random.default_rng(n)
    values = {
        "ids": np.array(ids, np.int64),
        "dt_s": np.full(n, 1 / 30, np.float32),
        "heights_px": np.full(n, 200, np.float32),
        "scores": np.full((n, keypoints), 0.8, np.float32),
        "known": np.ones((n, keypoints), bool),
        "off_h": rng.normal(0, 0.01, (n, keypoints, 2)).astype(np.float32),
        "variance_h2": np.full((n, keypoints), 1e-4, np.float32),
        "speed_h_s": np.ones((n, keypoints, 2), np.float32),
        "step_h": rng.normal(0, 0.01, (n, keypoints, 2)).astype(np.float32),
    }
    return Innovations(**{**values, **changes})


class Counting:
    """A network whose state counts the frames of each keypoint; it adds the count."""

    def __init__(self) -> None:
        self.rows: List[int] = []

    def __call__(
        self, given: np.ndarray, h: np.ndarray, c: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.rows.append(len(given))
        return h[:, :2] + 1, h + 1, c


def test_features_are_lengths_in_heights_scores_and_time() -> None:
    one = told(variance_h2=np.full((1, 3), 0.02**2, np.float32))
    given = features(one)
    assert given.shape == (1, 3, FEATURES)
    np.testing.assert_allclose(given[..., 0:2], one.off_h * 30, rtol=1e-5)
    np.testing.assert_allclose(given[..., 2:4], one.step_h * 30, rtol=1e-5)
    np.testing.assert_allclose(given[..., 4:6], 1, rtol=1e-5)
    np.testing.assert_allclose(given[0, :, 6:8], np.tile(one.off_h[0].mean(0) * 30, (3, 1)), 1e-4)
    np.testing.assert_allclose(given[..., 8:], [[[0.8, 1, 0, 0.6]] * 3], atol=1e-5)


def test_features_are_finite_and_bounded_whatever_comes() -> None:
    for bad in (np.inf, np.nan, 1e30):
        given = features(told(off_h=np.full((1, 3, 2), bad, np.float32)))
        assert np.isfinite(given).all()
        assert np.abs(given).max() <= 3
    new = told(dt_s=np.zeros(1, np.float32), variance_h2=np.full((1, 3), 1e6, np.float32))
    assert np.abs(features(new)).max() <= 3
    assert features(told(ids=())).shape == (0, 3, FEATURES)


def test_states_follow_people_by_their_ids() -> None:
    refine = Temporal(Counting())

    def counts(*ids: int) -> List[float]:
        added = refine(told(ids))
        return [] if added is None else added[:, 0, 0].tolist()

    assert counts(5, 7) == [1, 1]
    assert counts(7, 5) == [2, 2]
    assert counts(5, 9, 7) == [3, 1, 3]
    assert counts(9) == [2]
    assert counts(5, 7) == [4, 4], "away for one frame"
    assert counts() == []
    assert counts(9) == [3], "away for two frames"
    assert counts(5) == [5]
    for _ in range(3):
        counts(9)
    assert counts(5) == [1], "away for three frames"


def test_one_batch_holds_all_keypoints_and_only_known_ones_are_moved() -> None:
    network = Counting()
    known = np.array([[True, False, True], [True, True, False]])
    added = Temporal(network)(told((1, 2), known=known))
    assert network.rows == [6]
    assert added is not None
    np.testing.assert_array_equal(added[..., 0] != 0, known)


def test_memory_stays_flat_while_people_come_and_go() -> None:
    refine = Temporal(Counting())
    for i in range(200):
        refine(told((i, i + 1)))
    assert refine._states.shape[1] <= 2 + temporal._KEEP_FRAMES + 2
    assert refine._states.shape[3] == UNITS


@pytest.mark.parametrize("people", [0, 1, 3])
def test_it_fits_the_smoother(people: int) -> None:
    class Still:
        def __call__(self, given: np.ndarray, h: np.ndarray, c: np.ndarray) -> Any:
            return np.full((len(given), 2), 0.01, np.float32), h, c

    plain = Smoother(Smooth(), COCO)
    moved = Smoother(Smooth(), COCO, Temporal(Still()))
    for f in range(4):
        figures = [figure(300 + 200 * i + f) for i in range(people)]
        frame = poses(figures if people else np.zeros((0, 17, 2)))
        want, got = plain(frame, f * DT_NS).keypoints, moved(frame, f * DT_NS).keypoints
        assert got.shape == want.shape
        if f and people:
            assert (got > want).all()
