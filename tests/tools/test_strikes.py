"""Training of the network of blows: labels, random motion, and the file of weights."""

import numpy as np
import pytest

from edge.rules._strikes import blows, windows
from tools.benches._pairs import NO_FIGHT, Scene, Truth
from tools.striking import examples, network
from tools.striking.random_motion import random_motion

pytestmark = pytest.mark.one_python


def test_windows_after_a_blow_are_labelled_at_its_limb():
    scene = Scene("x", 10.0, np.zeros((30, 2, 17, 3)), [Truth(1, "left_foot", 0.8, 1.0)], NO_FIGHT)
    shove = Scene("y", 10.0, np.zeros((30, 1, 17, 3)), [Truth(0, "shove", 0.8, 1.0)], NO_FIGHT)
    people = np.repeat([0, 1, 2], 3)
    t_s = np.tile([0.5, 1.15, 1.4], 3)
    labels = examples._labels([scene, shove], people, t_s)
    assert not labels[:3].any()
    assert labels[3:6, 1, 1].tolist() == [0, 1, examples.MAYBE]
    assert np.count_nonzero(labels[3:6]) == 2
    assert labels[6:, :, 2].tolist() == [[0, 0], [1, 1], [examples.MAYBE] * 2]


def test_random_motion_is_that_of_a_body():
    t_s = np.arange(30) / 15
    points = random_motion(t_s, np.random.default_rng(1), 1.0)
    assert points.shape == (30, 17, 3)
    shank = np.linalg.norm(points[:, 13] - points[:, 15], axis=1)
    assert np.ptp(shank) < 1e-6
    assert np.array_equal(points, random_motion(t_s, np.random.default_rng(1), 1.0))


def test_the_first_layer_takes_features_as_they_are(tmp_path, monkeypatch):
    """Mean and spread are part of the weights, and the file gives the same answers."""
    rng = np.random.default_rng(2)
    past = (rng.normal(size=(5, windows.TICKS, windows.TRUNK + 1, 2)) @ [1, 1j]).astype(
        np.complex64
    )
    values = windows.features(past).reshape(10, -1)
    count = values.shape[1]
    sizes = [(32, count), (32,), (16, 32), (16,), (3, 16), (3,)]
    arrays = [rng.normal(0, 0.2, size).astype(np.float32) for size in sizes]
    mean, spread = rng.normal(size=count), rng.uniform(0.5, 2, count)
    network.write(tmp_path / "w.npz", network._as_arrays(arrays, mean, spread))
    monkeypatch.setattr(blows, "WEIGHTS", tmp_path / "w.npz")
    blows.weights.cache_clear()
    try:
        found = blows.likely(past)
    finally:
        blows.weights.cache_clear()
    value = (values - mean) / spread
    for i in (0, 2, 4):
        value = value @ arrays[i].T + arrays[i + 1]
        value = np.maximum(value, 0) if i < 4 else 1 / (1 + np.exp(-value))
    right, left = value[0::2], value[1::2]
    expected = np.stack([left[:, 0], right[:, 0], left[:, 1], right[:, 1]], 1)
    np.testing.assert_allclose(found[:, :4], expected, atol=1e-4)
    np.testing.assert_allclose(found[:, 4], np.maximum(right[:, 2], left[:, 2]), atol=1e-4)
