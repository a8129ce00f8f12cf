"""The smoother compared with a textbook filter, and with other filters on fast, noisy motion."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.people.filters.together import covariance
from edge.people.smoother import Smoother
from edge.settings.config import Smooth
from edge.skeletons import get
from edge.structures import Poses
from tests.edge.people.track_scenes import STANDING, walk

COCO = get("coco17")
DT_NS = 33_333_333
TALL = 300.0


def poses(keypoints, scores=0.9, ids=None):
    keypoints = np.asarray(keypoints, np.float32)
    n = len(keypoints)
    low, high = keypoints.min(1), keypoints.max(1)
    boxes = np.concatenate((low, high), 1).astype(np.float32)
    scores = np.broadcast_to(np.float32(scores), keypoints.shape[:2]).copy()
    ids = np.arange(1, n + 1) if ids is None else np.asarray(ids, np.int64)
    return Poses(keypoints, scores, boxes, ids, np.full(n, 0.9, np.float32), "coco17")


def figure(x=500.0, y=600.0):
    return STANDING * TALL + (x, y)


class Textbook:
    """One keypoint axis with matrices in float64, as any textbook writes it."""

    def __init__(self, q, r):
        self.q, self.r = q, r
        self.x, self.p = None, None

    def step(self, z):
        if self.x is None:
            self.x, self.p = np.array([z, 0.0]), np.diag([self.r, 1.0])
            return z
        move = np.array([[1, 1], [0, 1]])
        spread = self.q * np.array([[1 / 3, 1 / 2], [1 / 2, 1]])
        self.x, self.p = move @ self.x, move @ self.p @ move.T + spread
        watch = np.array([[1.0, 0.0]])
        s = watch @ self.p @ watch.T + self.r
        k = self.p @ watch.T / s
        self.x = self.x + (k * (z - self.x[0]))[:, 0]
        rest = np.eye(2) - k @ watch
        self.p = rest @ self.p @ rest.T + k * self.r @ k.T
        return self.x[0]


class WholeBody:
    """The filter of a body with matrices [34,34] in float64, for one axis; no outliers."""

    def __init__(self, q=10.0, r=0.008):
        self.density, self.r = covariance() * q**2 / 30, r
        self.agile = 1.0
        self.x = self.p = np.zeros(0)  # until the first frame

    def transition(self, dt):
        keep = np.exp(-6 * dt)
        body = np.zeros((17, 17))
        body[:, [5, 6, 11, 12]] = 0.25
        own = np.eye(17) - body
        reach = own * (1 - keep) / 6 + body * dt
        return np.block([[np.eye(17), reach], [np.zeros((17, 17)), own * keep + body]])

    def predict(self, dt):
        move = self.transition(dt)
        q = self.density * self.agile
        # The integrals of the noise that a decaying velocity passes on, by Simpson's rule.
        at = np.linspace(0, dt, 201)
        weights = np.ones(201)
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        speed = np.exp(-6 * at)
        way = (1 - speed) / 6
        parts = [weights @ (a * b) * dt / 600 for a, b in ((way, way), (way, speed), (speed,) * 2)]
        spread = np.block([[q * parts[0], q * parts[1]], [q * parts[1], q * parts[2]]])
        self.x, self.p = move @ self.x, move @ self.p @ move.T + spread

    def update(self, z, scores, dt):
        """`z` [17,2] in heights."""
        if not len(self.x):
            self.x = np.concatenate((z, np.zeros((17, 2))))
            zero = np.zeros((17, 17))
            self.p = np.block([[np.eye(17), zero], [zero, self.density * 0.5]])
            known = 0.0
        else:
            self.predict(dt)
            known = 1.0
        watch = np.eye(17, 34)
        noise = np.diag((self.r / np.clip(scores, 0.05, 1)) ** 2)
        total = watch @ self.p @ watch.T + noise
        off, place = z - self.x[:17], self.p[:17, :17]
        gain = self.p @ watch.T @ np.linalg.inv(total)
        pull = np.linalg.solve(total, off)
        found = (pull * (place @ pull)).sum() / 2 * known
        expected = np.trace(place @ np.linalg.inv(total)) * known
        step = (found - expected) / max(expected, 1e-9) * min(1, expected / 17)
        self.x = self.x + gain @ off
        rest = np.eye(34) - gain @ watch
        self.p = rest @ self.p @ rest.T + gain @ noise @ gain.T
        self.agile *= np.exp((1 - np.exp(-dt / 0.3)) * np.clip(step, -1, 3))
        self.agile = np.clip(self.agile, 0.02, 4)
        return self.x[:17] + 0.003 * self.x[17:] * known


def test_the_body_filter_equals_the_textbook():
    """Blocks written out in float32 = matrices in float64, for any steps and scores."""
    rng = np.random.default_rng(0)
    smoother, book = Smoother(Smooth(gate=1e6, min_score=0.0), COCO), WholeBody()
    t, gap_s = 0, 0.0
    for _ in range(80):
        measured = (figure() + rng.normal(size=(17, 2)) * 4).astype(np.float32)
        # Too weak to measure limbs by: the height is the box's longer side, known exactly.
        scores = rng.uniform(0.05, 0.3, 17).astype(np.float32)
        frame = dataclasses.replace(
            poses(measured[None], scores), boxes=np.float32([[0, 0, TALL / 2, TALL]])
        )
        out = smoother(frame, t)
        want = book.update(measured / TALL, scores, gap_s) * TALL
        np.testing.assert_allclose(out.keypoints[0], want, atol=0.02)
        np.testing.assert_array_equal(out.scores[0], scores)
        gap_s = float(rng.choice([0.01, 0.033, 0.1, 0.4]))
        t += round(gap_s * 1e9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_constant_stays_that_constant(seed):
    rng = np.random.default_rng(seed)
    smoother = Smoother(Smooth(), COCO)
    people = np.stack([figure(300 + 200 * i) for i in range(3)])
    t = 0
    for _ in range(20):
        scores = rng.uniform(0, 1, (3, 17))
        out = smoother(poses(people, scores), t)
        np.testing.assert_allclose(out.keypoints, people, atol=0.05)
        t += int(rng.integers(1, 200_000_000))


def fast_motion(frames=600, seed=3):
    """A boxer: walks about, and throws arms and legs with up to 20 H/s² of acceleration."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames) / 30.0
    move = np.zeros((frames, 17, 2))
    for k in range(17):
        reach = {9: 0.12, 10: 0.12, 7: 0.06, 8: 0.06, 15: 0.08, 16: 0.08}.get(k, 0.02)
        for hz in rng.uniform(0.3, 2.0, 3):
            for axis in (0, 1):
                move[:, k, axis] += reach / 2 * np.sin(2 * np.pi * hz * t + rng.uniform(0, 6.3))
    jump = 0.25 * np.maximum(0, np.sin(2 * np.pi * 0.4 * t)) ** 2
    way = np.stack((0.5 * np.sin(0.8 * t), -jump), -1)[:, None]
    return (STANDING + move + way) * TALL + (800, 700)


def weather(truth, seed=0):
    """The noise model of the measurements: .008 H / score, 2 % outliers, dropouts."""
    rng = np.random.default_rng(seed)
    frames = len(truth)
    scores = np.clip(rng.normal(0.8, 0.12, (frames, 17)), 0.35, 1)
    noisy = truth + rng.normal(size=truth.shape) * (0.008 * TALL / scores)[..., None]
    wild = rng.random((frames, 17)) < 0.02
    noisy[wild] += rng.normal(size=(int(wild.sum()), 2)) * 0.15 * TALL
    for k in range(17):
        at = int(rng.integers(20, 60))
        while at < frames - 10:
            length = int(rng.integers(2, 9))
            scores[at : at + length, k] = 0.1
            noisy[at : at + length, k] += rng.normal(size=(length, 2)) * 0.08 * TALL
            at += int(rng.integers(40, 120))
    return noisy, scores


def run(smoother, noisy, scores):
    frames = enumerate(zip(noisy, scores))
    out = [smoother(poses(z[None], s[None]), i * DT_NS) for i, (z, s) in frames]
    return np.stack([o.keypoints[0] for o in out])


def one_euro(noisy, fmin=2.0, beta=0.02):
    """Casiez et al. 2012, px and Hz."""
    out, speed, dt = [noisy[0]], np.zeros_like(noisy[0]), DT_NS * 1e-9

    def share(cut):
        return 1 / (1 + 1 / (2 * np.pi * cut * dt))

    for z in noisy[1:]:
        speed = speed + share(1.0) * ((z - out[-1]) / dt - speed)
        out.append(out[-1] + share(fmin + beta * np.abs(speed)) * (z - out[-1]))
    return np.array(out)


def pixel_filter(noisy, q=0.1, r=0.05):
    """A Kalman filter whose noise was guessed without units: q .1, r .05 px², time in frames."""
    filters = [[Textbook(q, r) for _ in range(2)] for _ in range(17)]
    rows = [[[f.step(v) for f, v in zip(pair, at)] for pair, at in zip(filters, z)] for z in noisy]
    return np.array(rows)


def figures(got, truth):
    """RMSE and mean acceleration error in H, and the lag in frames that fits best."""
    skip = 15
    error = np.linalg.norm(got - truth, axis=-1)[skip:] / TALL
    jerk = np.linalg.norm(np.diff(got - truth, 2, axis=0), axis=-1)[skip:] / TALL
    lags = [np.square(got[skip:] - truth[skip - n : len(truth) - n]).mean() for n in range(4)]
    return np.sqrt((error**2).mean()), jerk.mean(), int(np.argmin(lags))


@pytest.mark.one_python
def test_the_gated_score_adaptive_filter_is_the_best_of_the_table():
    """Same order as measured on motion capture: raw > unit-less > One-Euro, ungated > ours."""
    truth = fast_motion()
    noisy, scores = weather(truth)
    rows = {
        "raw": noisy,
        "q .1 r .05 px": pixel_filter(noisy),
        "one euro": one_euro(noisy),
        "ungated": run(Smoother(Smooth(gate=1e6, min_score=0.0), COCO), noisy, scores),
        "ours": run(Smoother(Smooth(), COCO), noisy, scores),
    }
    table = {name: figures(got, truth) for name, got in rows.items()}
    shown = "\n".join(f"{n}: RMSE {v[0]:.4f} H, jitter {v[1]:.4f} H" for n, v in table.items())
    rmse = {n: v[0] for n, v in table.items()}
    jitter = {n: v[1] for n, v in table.items()}
    assert rmse["ours"] < 0.7 * rmse["raw"], shown
    assert jitter["ours"] < 0.4 * jitter["raw"], shown
    assert rmse["ours"] < min(v for n, v in rmse.items() if n != "ours"), shown
    assert jitter["q .1 r .05 px"] > 1.7 * jitter["ours"], shown
    assert table["ours"][2] == 0, shown


def test_one_wild_measurement_is_not_taken():
    smoother = Smoother(Smooth(), COCO)
    for f in range(20):
        smoother(poses([figure(500 + 2 * f)]), f * DT_NS)
    wild = figure(540)
    wild[9] += 90
    out = smoother(poses([wild]), 20 * DT_NS)
    np.testing.assert_allclose(out.keypoints[0], figure(540), atol=1)
    assert 0 < out.scores[0, 9] < 0.9
    np.testing.assert_allclose(np.delete(out.scores[0], 9), 0.9)


def test_a_refused_measurement_is_taken_when_the_next_confirms_it():
    """A joint that really jumped: a stiff filter with a gate would lose it for ever."""
    smoother = Smoother(Smooth(), COCO)
    for f in range(20):
        smoother(poses([figure()]), f * DT_NS)
    jumped = figure()
    jumped[9] += 120
    places = [smoother(poses([jumped]), f * DT_NS).keypoints[0, 9] for f in range(20, 23)]
    np.testing.assert_allclose(places[0], figure()[9], atol=2)
    # The forearm is too long now, which makes it come a little later.
    np.testing.assert_allclose(places[1], jumped[9], atol=20)
    np.testing.assert_allclose(places[2], jumped[9], atol=6)


def test_a_limb_of_two_minds_stays_between_them():
    """An undecided network gives two places of an elbow in turn; neither is a motion."""
    rng = np.random.default_rng(0)
    smoother = Smoother(Smooth(), COCO)
    two = np.stack([figure(), figure()])
    two[1, 9] += (60, -90)
    low, high = two[:, 9].min(0), two[:, 9].max(0)
    for f in range(200):
        out = smoother(poses([two[int(rng.random() < 0.4)]]), f * DT_NS).keypoints[0, 9]
        assert (out > low - 10).all(), f
        assert (out < high + 10).all(), f


def test_coasting():
    """A hidden keypoint moves with the body and ever less on its own; then it restarts."""
    smoother = Smoother(Smooth(coast_s=8.5 * DT_NS * 1e-9), COCO)
    scores = np.full(17, 0.9)
    for f in range(30):
        smoother(poses([figure(300 + 4 * f)], scores), f * DT_NS)
    scores[9] = 0.1
    believed = []
    for f in range(30, 42):
        measured = figure(300 + 4 * f)
        measured[9] = (0, 0)  # what a network says of a hidden wrist
        out = smoother(poses([measured], scores), f * DT_NS)
        believed.append(out.scores[0, 9])
        if f < 38:
            np.testing.assert_allclose(out.keypoints[0, 9], figure(300 + 4 * f)[9], atol=4)
        else:
            np.testing.assert_allclose(out.keypoints[0, 9], (0, 0), atol=1)
    assert all(a > b for a, b in zip(believed[:8], believed[1:8]))
    assert believed[7] > 0.2
    np.testing.assert_allclose(believed[8:], 0.1)
    back = smoother(poses([figure(500)], 0.9), 42 * DT_NS)
    np.testing.assert_allclose(back.keypoints[0, 9], figure(500)[9], atol=0.1)


def test_a_keypoint_missing_from_the_start_stays_missing():
    smoother = Smoother(Smooth(), COCO)
    scores = np.full(17, 0.9)
    scores[15:] = 0
    for f in range(30):
        out = smoother(poses([figure()], scores), f * DT_NS)
        assert not out.scores[0, 15:].any()


def test_each_person_has_a_filter_of_their_own_whatever_the_order():
    """Rows come, go and change places; every id is filtered as if it were alone."""
    rng = np.random.default_rng(1)
    alone = {i: Smoother(Smooth(), COCO) for i in range(1, 9)}
    together = Smoother(Smooth(), COCO)
    for f in range(40):
        here = rng.permutation(np.arange(1, 9))[: rng.integers(0, 9)]
        frames = [figure(200 * i) + rng.normal(size=(17, 2)) * 2 for i in here]
        stacked = np.array(frames).reshape(-1, 17, 2)
        out = together(poses(stacked, ids=here), f * DT_NS)
        assert out.ids.tolist() == here.tolist()
        for row, i in enumerate(here):
            own = alone[i](poses(stacked[row : row + 1], ids=[i]), f * DT_NS)
            np.testing.assert_allclose(out.keypoints[row], own.keypoints[0], atol=1e-3)
            np.testing.assert_allclose(out.scores[row], own.scores[0], atol=1e-6)


@pytest.mark.parametrize("away_s", [0.5, 1.5, 30.0])
def test_who_comes_back_late_starts_anew(away_s):
    """Also if no other person is in view: the state of a minute ago has no effect."""
    smoother = Smoother(Smooth(), COCO)
    for f in range(20):
        smoother(poses([figure(300 + 10 * f)]), f * DT_NS)
    t = 19 * DT_NS + int(away_s * 1e9)
    smoother(poses(np.zeros((0, 17, 2))), t - DT_NS)
    for f in range(3):
        out = smoother(poses([figure(300)]), t + f * DT_NS)
    np.testing.assert_allclose(out.keypoints[0], figure(300), atol=3)


def test_size_does_not_matter():
    """Noise and motion are in person heights."""
    truth = fast_motion(80)
    noisy, scores = weather(truth)
    near = run(Smoother(Smooth(), COCO), noisy, scores)
    far = run(Smoother(Smooth(), COCO), noisy / 8, scores)
    np.testing.assert_allclose(far, near / 8, atol=0.02)


def test_rows_without_an_id_are_left_alone():
    smoother = Smoother(Smooth(), COCO)
    for f in range(5):
        raw = poses([figure(300 + f % 2), figure(900 + f % 2)], ids=[-1, 4])
        out = smoother(raw, f * DT_NS)
    np.testing.assert_array_equal(out.keypoints[0], raw.keypoints[0])
    assert (out.keypoints[1] != raw.keypoints[1]).any()


def test_values_that_are_not_finite():
    smoother = Smoother(Smooth(), COCO)
    bad = poses([figure(), figure(900)])
    bad.keypoints[0, 3] = np.nan
    bad.keypoints[1] = np.inf
    bad.scores[0, 5] = np.nan
    for t in (0, 0, DT_NS, -DT_NS, 10**18):
        out = smoother(bad, t)
        assert np.isfinite(out.keypoints).all()
        assert np.isfinite(out.scores).all()
    assert len(smoother(poses(np.zeros((0, 17, 2))), 10**18)) == 0


def test_input_is_untouched_and_output_stays():
    rng = np.random.default_rng(0)
    scene = walk(0, people=5, frames=6)
    smoother = Smoother(Smooth(), COCO)
    given_out = []
    for f in range(6):
        frame = poses(scene.keypoints[f] + rng.normal(size=(5, 17, 2)))
        before = frame.keypoints.copy()
        out = smoother(frame, f * DT_NS)
        np.testing.assert_array_equal(frame.keypoints, before)
        given_out.append((out, out.keypoints.copy(), out.scores.copy()))
    for out, keypoints, scores in given_out:
        np.testing.assert_array_equal(out.keypoints, keypoints)
        np.testing.assert_array_equal(out.scores, scores)


def test_a_hundred_people_come_at_once():
    """More rows than there was room for, and 133 keypoints each."""
    skeleton = get("wholebody133")
    smoother = Smoother(Smooth(), skeleton)
    rng = np.random.default_rng(0)
    keypoints = (rng.random((100, 133, 2)) * 1000).astype(np.float32)
    boxes = np.concatenate((keypoints.min(1), keypoints.max(1)), 1)
    for f, n in enumerate((1, 2, 30, 100, 100, 99, 100)):
        frame = Poses(
            keypoints[:n],
            np.full((n, 133), 0.8, np.float32),
            boxes[:n],
            np.arange(n),
            np.ones(n, np.float32),
            "wholebody133",
        )
        out = smoother(frame, f * DT_NS)
        np.testing.assert_allclose(out.keypoints, keypoints[:n], atol=0.01)
