"""The parts of the filters: inverse, motion noise, doubt, consistency, presets."""

import numpy as np
import pytest

from edge.people.filters.doubt import doubted
from edge.people.filters.inverse import inverse
from edge.people.filters.motion_noise import spread, transition
from edge.people.filters.together import covariance
from edge.people.smoother import Smoother
from edge.settings.config import Smooth
from edge.skeletons import get
from tests.edge.people.test_smoother import (
    DT_NS,
    Textbook,
    fast_motion,
    figure,
    one_euro,
    poses,
    weather,
)

COCO = get("coco17")


@pytest.mark.parametrize("people", [0, 1, 40])
def test_inverse_of_bodies_with_missing_keypoints(people):
    rng = np.random.default_rng(0)
    noise = (0.008 / rng.uniform(0.05, 1, (people, 17))) ** 2
    noise[rng.random((people, 17)) < 0.1] = 1e3
    given = covariance() * rng.uniform(1e-4, 0.05, (people, 1, 1)) + np.eye(17) * noise[:, :, None]
    before = given.copy()
    np.testing.assert_allclose(inverse(given), np.linalg.inv(given), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(given, before)
    single = given.astype(np.float32)
    whole = single.astype(np.float64) @ inverse(single)
    np.testing.assert_allclose(whole, np.broadcast_to(np.eye(17), given.shape), atol=0.02)


def test_accelerations_of_neighbours_agree_and_sides_are_alike():
    table = covariance()
    assert (np.linalg.eigvalsh(table) > 0).all()
    swap = COCO.flip
    np.testing.assert_allclose(table, table[np.ix_(swap, swap)])
    correlation = table / np.sqrt(np.outer(np.diag(table), np.diag(table)))
    assert correlation[7, 9] > 0.8, "elbow and wrist"
    assert abs(correlation[9, 15]) < 0.2, "wrist and ankle"


def test_motion_noise_of_one_step_is_that_of_many():
    def after(steps):
        place = both = speed = np.zeros(1)
        dt = np.array([0.3 / steps])
        keep, reach = transition(dt)
        for _ in range(steps):
            place, both, speed = (
                place + (2 * both + speed * reach) * reach,
                (both + speed * reach) * keep,
                speed * keep**2,
            )
            place, both, speed = (a + b for a, b in zip((place, both, speed), spread(dt)))
        return np.concatenate((place, both, speed))

    np.testing.assert_allclose(after(12), after(1), rtol=1e-3)
    assert (np.array(spread(np.zeros(1))) == 0).all()


def test_an_outlier_counts_less_the_farther_it_is():
    far_h2 = np.square(np.float32([0, 0.02, 0.1, 0.3, 3]))
    belief, weighed = doubted(far_h2, np.full(5, 1e-4, "f4"), np.full(5, 1e-4, "f4"), 8.0)
    assert (np.diff(belief) <= 0).all()
    assert belief[0] > 0.99
    assert belief[3] < 1e-6
    pull = np.sqrt(far_h2) * 1e-4 / (1e-4 + weighed)
    assert pull.argmax() < 3, "what is farther out pulls less"
    assert (doubted(far_h2, np.full(5, 1e-4), np.full(5, 1e-4), 1e6)[0] > 0.99).all()


def noisy(scale, frames=240):
    """Figures of consistency where the noise is `scale` times what the filter expects."""
    rng = np.random.default_rng(0)
    smoother = Smoother(Smooth(), COCO)
    assert smoother.consistency() is None
    for f in range(frames):
        off = rng.normal(size=(17, 2)) * 0.008 / 0.9 * 300 * scale
        wild = np.where(rng.random((17, 1)) < 0.05, 60.0, 0.0)
        smoother(poses([figure() + off + wild]), f * DT_NS)
    return smoother.consistency()


def test_consistency_tells_noise_that_the_filter_does_not_expect():
    fitting = noisy(1.0)
    assert 0.5 < fitting.nis < 1.3
    assert 0.03 < fitting.outlier_share < 0.08
    assert noisy(0.4).nis < 0.5 * fitting.nis
    assert noisy(2.0).nis > 1.5 * fitting.nis


def run(preset, seen, scores):
    smoother = Smoother(Smooth(preset=preset), COCO)
    frames = enumerate(zip(seen, scores))
    return np.stack([smoother(poses([z], s), i * DT_NS).keypoints[0] for i, (z, s) in frames])


def test_the_article_preset_is_its_filter_and_counts_frames():
    seen, _ = weather(fast_motion(40))
    ours = run("article", seen, np.full((40, 17), 0.9))
    book = [Textbook(0.1, 0.05) for _ in range(34)]
    for f in range(40):
        want = [b.step(v) for b, v in zip(book, seen[f].ravel())]
        np.testing.assert_allclose(ours[f].ravel(), want, atol=0.05)


def test_the_one_euro_preset_is_one_euro_and_holds_weak_keypoints():
    seen, _ = weather(fast_motion(40))
    scores = np.full((40, 17), 0.9)
    scores[10:14, 9] = 0.1
    ours = run("one-euro", seen, scores)
    np.testing.assert_array_equal(ours[10:14, 9], ours[[9] * 4, 9])
    assert np.abs(ours - seen).max() < 200
    still = run("one-euro", np.stack([figure()] * 5 + [figure() + 30] * 30), scores[:35])
    want = one_euro(np.stack([figure()] * 5 + [figure() + 30] * 30), fmin=8.0, beta=0.0)
    assert ((still[6, :9] - figure()[:9]) > (want[6, :9] - figure()[:9])).all(), "speed opens it"
    np.testing.assert_allclose(still[-1, :9], figure()[:9] + 30, atol=0.5)


@pytest.mark.parametrize("preset", ["article", "one-euro"])
def test_presets_publish_scores_as_measured_and_a_late_keypoint(preset):
    smoother = Smoother(Smooth(preset=preset), COCO)
    scores = np.full(17, 0.9)
    scores[9] = 0
    for f in range(3):
        out = smoother(poses([figure()], scores), f * DT_NS)
        np.testing.assert_allclose(out.scores[0], scores)
    scores[9] = 0.8
    out = smoother(poses([figure() + 50], scores), 3 * DT_NS)
    np.testing.assert_allclose(out.keypoints[0, 9], figure()[9] + 50, atol=0.01)
