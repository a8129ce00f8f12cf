"""What holds for the smoother whatever it is given."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.health import memory_mb
from edge.people.smoother import FILTERS, Smoother
from edge.settings.config import Smooth
from edge.skeletons import get
from edge.structures import Poses
from tests.edge.people.track_scenes import STANDING

WHOLE = get("wholebody133")
FRAMES = 12
SEEDS = given(st.integers(0, 2**32 - 1))
FEW = settings(max_examples=8, deadline=None)


def crowd(rng, people=3, frames=FRAMES):
    """Frames of people who move and are measured badly: [(t_ns, poses)]."""
    offsets = rng.uniform(-0.2, 0.2, (people, 133, 2))
    offsets[:, :17] = STANDING
    place = np.stack((np.arange(people) * 250.0 + 300, np.full(people, 600.0)), -1)[:, None]
    speed, t_ns, out = rng.uniform(-200, 200, (people, 1, 2)), 10**9, []
    for _ in range(frames):
        dt_s = rng.choice([0.0, 0.01, 0.033, 0.1, 0.5, 10.0], p=[0.1, 0.2, 0.4, 0.2, 0.05, 0.05])
        t_ns += int(dt_s * 1e9)
        place = place + speed * min(dt_s, 0.5)
        points = offsets * 300 + place + rng.normal(size=offsets.shape) * 3
        points += 60 * (rng.random((people, 133, 1)) < 0.03)
        scores = rng.uniform(0, 1, (people, 133)) * (rng.random((people, 133)) < 0.9)
        out.append((t_ns, record(points, scores, np.arange(people) + 1)))
    return out


def record(points, scores, ids):
    points = np.asarray(points, np.float32)
    boxes = np.concatenate((points[:, :17].min(1), points[:, :17].max(1)), 1)
    n = len(points)
    scores = np.asarray(scores, np.float32)
    return Poses(points, scores, boxes, ids, np.full(n, 0.9, np.float32), WHOLE.name)


def played(frames, preset="steady"):
    smoother = Smoother(Smooth(preset=preset), WHOLE)
    return [smoother(poses, t_ns) for t_ns, poses in frames]


def changed(frames, points=lambda p: p, boxes=lambda b: b):
    return [
        (
            t,
            dataclasses.replace(
                p,
                keypoints=points(p.keypoints).astype(np.float32),
                boxes=boxes(p.boxes).astype(np.float32),
            ),
        )
        for t, p in frames
    ]


@FEW
@SEEDS
def test_moving_the_picture_moves_the_answer(seed):
    frames = crowd(np.random.default_rng(seed))
    there = changed(frames, lambda p: p + (512, -256), lambda b: b + [512, -256, 512, -256])
    for one, other in zip(played(frames), played(there)):
        np.testing.assert_allclose(other.keypoints, one.keypoints + (512, -256), atol=0.2)
        np.testing.assert_allclose(other.scores, one.scores, atol=1e-3)


@FEW
@SEEDS
def test_a_picture_of_four_times_the_size_gives_the_same(seed):
    frames = crowd(np.random.default_rng(seed))
    large = changed(frames, lambda p: p * 4, lambda b: b * 4)
    for one, other in zip(played(frames), played(large)):
        np.testing.assert_allclose(other.keypoints / 4, one.keypoints, atol=0.05)
        np.testing.assert_allclose(other.scores, one.scores, atol=1e-3)


@FEW
@SEEDS
def test_the_order_of_people_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    frames = crowd(rng)
    mixed = [(t, p.take(rng.permutation(3))) for t, p in frames]
    for one, other in zip(played(frames), played(mixed)):
        back = np.argsort(other.ids)
        np.testing.assert_allclose(other.keypoints[back], one.keypoints, atol=1e-2)
        np.testing.assert_allclose(other.scores[back], one.scores, atol=1e-4)


@pytest.mark.parametrize("preset", list(FILTERS))
@FEW
@SEEDS
def test_whatever_comes_the_answer_is_finite_and_near(preset, seed):
    """NaN, scores of 0, nobody, the same time twice, 10 s of nothing, a clock that runs back."""
    rng = np.random.default_rng(seed)
    frames = crowd(rng)
    for i in rng.choice(FRAMES, 3, replace=False):
        frames[i][1].keypoints[rng.integers(3), rng.integers(133)] = rng.choice([np.nan, np.inf])
        frames[i][1].scores[rng.integers(3)] = rng.choice([0, np.nan])
    frames.insert(4, (frames[3][0], frames[3][1].take(np.zeros(0, np.int64))))
    frames.insert(6, (frames[5][0] - 10**8, frames[5][1]))
    for (_, given_), out in zip(frames, played(frames, preset)):
        assert np.isfinite(out.keypoints).all()
        assert ((out.scores >= 0) & (out.scores <= 1)).all()
        assert len(out) == len(given_)
        assert np.abs(out.keypoints).max(initial=0) < 1e5


@FEW
@SEEDS
def test_after_ten_seconds_everything_begins_again(seed):
    rng = np.random.default_rng(seed)
    frames = [(t, p) for t, p in crowd(rng)]
    late = frames[-1][0] + 10 * 10**9
    last = frames[-1][1]
    out = played([*frames, (late, last)])[-1]
    np.testing.assert_array_equal(out.keypoints, last.keypoints)
    np.testing.assert_array_equal(out.scores, last.scores)


def test_the_same_time_twice_moves_nothing():
    frames = crowd(np.random.default_rng(0))
    smoother = Smoother(Smooth(), WHOLE)
    for _ in range(20):
        out = smoother(frames[0][1], 10**9)
        assert np.isfinite(out.keypoints).all()
    shown = frames[0][1].scores > 0.3
    np.testing.assert_allclose(out.keypoints[shown], frames[0][1].keypoints[shown], atol=1)


def held(thing):
    """Bytes of all arrays that an object of ours holds."""
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, (list, tuple)):
        return sum(held(t) for t in thing)
    ours = type(thing).__module__.startswith("edge.people")
    return sum(held(t) for t in vars(thing).values()) if ours else 0


def memory_after(frames):
    """The most bytes that a smoother held while people came and went."""
    rng = np.random.default_rng(0)
    pool = crowd(rng, people=8, frames=40)
    smoother = Smoother(Smooth(), WHOLE)
    most = 0
    for f in range(frames):
        poses = pool[f % 40][1]
        here = (f // 7 + np.arange(8)) % 8 < 5
        ids = poses.ids + 8 * (f // 50)
        smoother(dataclasses.replace(poses, ids=ids).take(here), f * 33_000_000)
        most = max(most, held(smoother))
    return most


def test_memory_is_flat():
    assert 10_000 < memory_after(400) <= memory_after(200)


@pytest.mark.soak
def test_memory_is_flat_over_a_hundred_thousand_frames():
    short = memory_after(300)
    before_mb = memory_mb()
    assert memory_after(100_000) <= short
    assert memory_mb() < before_mb + 20
