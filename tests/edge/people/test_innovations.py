"""What a model that corrects the filter is told, and what becomes of its answer."""

import numpy as np

from edge.people.smoother import Smoother
from edge.settings.config import Smooth
from edge.skeletons import get
from tests.edge.people.test_smoother import DT_NS, TALL, figure, poses

COCO = get("coco17")


class Listener:
    """Keeps every record, and answers with a fixed step."""

    def __init__(self, answer_h=None):
        self.told, self.answer_h = [], answer_h

    def __call__(self, innovations):
        self.told.append(innovations)
        if self.answer_h is None:
            return None
        return np.broadcast_to(np.float32(self.answer_h), innovations.off_h.shape)


def test_innovations_are_measured_minus_predicted_in_heights():
    heard = Listener()
    smoother = Smoother(Smooth(), COCO, heard)
    for f in range(20):
        smoother(poses([figure(500 + 3 * f)], ids=[7]), f * DT_NS)
    jumped = figure(500 + 3 * 20)
    jumped[9] += (0, 6)
    out = smoother(poses([jumped], ids=[7]), 20 * DT_NS)
    first, last = heard.told[0], heard.told[-1]
    assert not first.known.any()
    assert not first.off_h.any(), "nothing was predicted"
    assert (last.ids.tolist(), last.known.all()) == ([7], True)
    np.testing.assert_allclose(last.dt_s, DT_NS * 1e-9, rtol=1e-5)
    tall = last.heights_px[0]
    assert abs(tall - TALL) < 0.1 * TALL
    np.testing.assert_allclose(last.off_h[0, 9] * tall, (0, 6), atol=0.3)
    np.testing.assert_allclose(last.speed_h_s[0] * tall, [[3 * 1e9 / DT_NS, 0]] * 17, atol=3)
    predicted = jumped - last.off_h[0] * tall
    np.testing.assert_allclose(predicted + last.step_h[0] * tall, out.keypoints[0], atol=0.05)
    assert (last.variance_h2 > 0.008**2).all()


def test_the_answer_is_added_and_nothing_is_an_answer():
    plain, moved = Smoother(Smooth(), COCO), Smoother(Smooth(), COCO, Listener((0.01, -0.02)))
    silent = Smoother(Smooth(), COCO, Listener())
    for f in range(5):
        frame = poses([figure(500 + f), figure(900)])
        want, got = plain(frame, f * DT_NS), moved(frame, f * DT_NS)
        np.testing.assert_array_equal(silent(frame, f * DT_NS).keypoints, want.keypoints)
        step = (got.keypoints - want.keypoints) / plain._heights[:, None, None]
        np.testing.assert_allclose(step, np.broadcast_to((0.01, -0.02), step.shape), atol=1e-4)


def test_a_missing_keypoint_has_no_innovation_and_nobody_is_told_too():
    heard = Listener()
    smoother = Smoother(Smooth(), COCO, heard)
    frame = poses([figure()])
    smoother(frame, 0)
    frame.scores[0, 9], frame.keypoints[0, 9] = 0, 0
    smoother(frame, DT_NS)
    assert not heard.told[-1].off_h[0, 9].any()
    smoother(poses(np.zeros((0, 17, 2))), 2 * DT_NS)
    assert len(heard.told[-1]) == 0
