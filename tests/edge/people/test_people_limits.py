"""Limits of tracker and smoother, each tested on both sides."""

import numpy as np
import pytest

from edge.people import match
from edge.people.smoother import Smoother
from edge.people.stature import heights
from edge.people.tracker import Tracker
from edge.settings.config import Smooth, Track
from edge.skeletons import get
from edge.structures import Detections, Poses
from tests.edge.people.track_scenes import STANDING

COCO = get("coco17")
TALL = 300.0
STEP = 33_000_000


def standing(x, score=0.9, ids=None):
    """People standing at x [n], with boxes of their own size."""
    x = np.asarray(x, float)
    keypoints = (STANDING * TALL + np.stack((x, np.full(len(x), 600.0)), -1)[:, None]).astype("f4")
    boxes = np.concatenate((keypoints.min(1), keypoints.max(1)), 1)
    numbers = np.full(len(x), -1) if ids is None else np.asarray(ids, np.int64)
    scores = np.full((len(x), 17), 0.9, np.float32)
    return Poses(keypoints, scores, boxes, numbers, np.full(len(x), score, np.float32), "coco17")


def tracker(**options):
    return Tracker(Track(**{"min_hits": 1, **options}), COCO)


def test_a_person_begins_at_new_score_and_is_followed_down_to_low_score():
    """The limits are powers of two, so that float32 holds them exactly."""
    options = {"new_score": 0.5, "low_score": 0.25}
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert len(tracker(**options).update(standing([400], score=below), 0)) == 0
    track = tracker(**options)
    assert track.update(standing([400], score=0.5), 0).ids.tolist() == [1]
    assert track.update(standing([400], score=0.25), STEP).ids.tolist() == [1]
    below = np.nextafter(np.float32(0.25), np.float32(0))
    assert len(track.update(standing([400], score=below), 2 * STEP)) == 0


@pytest.mark.parametrize(("gap_s", "published"), [(0.2, 1), (0.3, 0)])
def test_who_was_seen_once_is_given_up_sooner_than_max_gap_s(gap_s, published):
    track = tracker(min_hits=2, max_gap_s=1.0, return_s=0.0)
    gap_ns = int(gap_s * 1e9)
    track.update(standing([400]), 0)
    track.update(standing([]), gap_ns)
    assert len(track.update(standing([400]), gap_ns + STEP)) == published


def test_a_weak_person_takes_nobody_from_a_sure_one():
    """One track; the weak person is more similar to it."""
    worth = np.array([[0.6], [0.9]], np.float32)
    assert match.two_stages(worth, np.array([0.9, 0.3]), 0.6).tolist() == [0, -1]
    assert match.two_stages(worth, np.array([0.9, 0.6]), 0.6).tolist() == [-1, 0]


@pytest.mark.parametrize(("common", "people"), [(4, 2), (5, 1)])
def test_duplicates_share_at_least_five_visible_keypoints(common, people):
    both = standing([400, 402], score=0.9)
    both.person_scores[1] = 0.8
    both.scores[1, common:] = 0
    assert len(tracker().update(both, 0)) == people


def test_a_box_far_too_large_is_not_learned():
    """A box reaches beyond the keypoints by 0.3 heights on each side at most."""
    track = tracker()
    pose = standing([900], ids=[1])
    huge = pose.boxes + np.float32([-0.45, -0.45, 0.45, 0.45]) * np.float32(TALL)
    for f in range(10):
        track.candidates(Detections(huge, np.ones(1, np.float32)), f * STEP)
        track.update(pose, f * STEP)
    for f in range(10, 110):
        track.candidates(None, f * STEP)
        out = track.update(pose, f * STEP)
    reach = np.abs(out.boxes - pose.boxes).max()
    assert 0.25 * TALL < reach < 0.35 * TALL


def test_filters_of_people_who_left_are_not_kept():
    smoother = Smoother(Smooth(), COCO)
    for i in range(50):
        smoother(standing([400], ids=[i]), i * 10**9 // 2)
    assert len(smoother._ids) <= 4, "one comes every half second, and is kept for one"


@pytest.mark.parametrize(("above", "taken"), [(True, True), (False, False)])
def test_a_keypoint_is_believed_above_min_score(above, taken):
    smoother = Smoother(Smooth(min_score=0.25), COCO)
    for f in range(10):
        smoother(standing([400], ids=[1]), f * STEP)
    pose = standing([400], ids=[1])
    pose.scores[0, 9] = np.nextafter(np.float32(0.25), np.float32(1)) if above else 0.25
    out = smoother(pose, 10 * STEP)
    assert (out.scores[0, 9] == pose.scores[0, 9]) == taken


@pytest.mark.parametrize("rate_hz", [10, 30, 60])
@pytest.mark.parametrize("coast_s", [0.0, 0.1, 0.31])
def test_a_lost_keypoint_is_carried_on_for_coast_s_at_any_rate(coast_s, rate_hz):
    smoother, step_ns = Smoother(Smooth(coast_s=coast_s + 1e-4), COCO), 10**9 // rate_hz
    for f in range(10):
        smoother(standing([400], ids=[1]), f * step_ns)
    pose = standing([400], ids=[1])
    pose.keypoints[0, 9], pose.scores[0, 9] = 0, 0
    carried = [smoother(pose, f * step_ns).scores[0, 9] > 0 for f in range(10, 40)]
    frames = int((coast_s + 1e-4) * rate_hz)
    assert carried == [True] * frames + [False] * (30 - frames)
    # It is given up as a whole: seen again, it is where it is, not between there and before.
    moved = standing([400], ids=[1])
    moved.keypoints[0, 9] += 60
    out = smoother(moved, 40 * step_ns)
    np.testing.assert_allclose(out.keypoints[0, 9], moved.keypoints[0, 9], atol=0.5)


def test_one_wrong_keypoint_makes_nobody_taller():
    pose = standing([400])
    points = pose.keypoints.view(np.complex64)[..., 0].copy()
    true = heights(points, pose.scores, pose.boxes)
    points[0, 7] += 200  # an elbow
    np.testing.assert_allclose(heights(points, pose.scores, pose.boxes), true, rtol=0.01)


@pytest.mark.parametrize(("boxes_until_s", "kept"), [(0.6, True), (0.3, False)])
def test_a_track_ends_max_gap_s_after_its_last_observation_or_box(boxes_until_s, kept):
    """The person is observed at 0 s and looked for at 1.5 s, with a limit of 1 s."""
    track = tracker(max_gap_s=1.0, return_s=0.0)
    track.update(standing([400]), 0)
    box = Detections(standing([400]).boxes, np.float32([0.9]))
    for t_ns in range(10**8, 15 * 10**8, 10**8):
        track.candidates(box if t_ns <= boxes_until_s * 1e9 else None, t_ns)
        track.update(standing([]), t_ns)
    assert (track.update(standing([400]), 15 * 10**8).ids.tolist() == [1]) == kept


@pytest.mark.parametrize("others", [True, False], ids=["frames between", "no frame between"])
@pytest.mark.parametrize(("away_s", "kept"), [(0.9, True), (1.1, False)])
def test_filters_restart_when_a_person_was_away_for_more_than_a_second(away_s, kept, others):
    """A weak keypoint coasts in a filter that goes on; after a restart it is as measured."""
    smoother = Smoother(Smooth(coast_s=1.2), COCO)
    for f in range(10):
        smoother(standing([400], ids=[1]), f * STEP)
    end_ns = 9 * STEP
    for i in range(1, 5 if others else 1):
        smoother(standing([900], ids=[2]), end_ns + int(away_s * 1e9 / 5 * i))
    pose = standing([400], ids=[1])
    pose.keypoints[0, 9] += 900
    pose.scores[0, 9] = 0.1
    out = smoother(pose, end_ns + int(away_s * 1e9))
    coasted = np.abs(out.keypoints[0, 9] - pose.keypoints[0, 9]).max() > 700
    assert coasted == kept
    assert (out.scores[0, 9] != pose.scores[0, 9]) == kept


def test_the_score_of_a_lost_keypoint_falls_with_time_not_with_frames():
    left = []
    for rate_hz in (10, 20, 60):
        smoother = Smoother(Smooth(coast_s=1.0), COCO)
        for f in range(rate_hz):
            smoother(standing([400], ids=[1]), f * 10**9 // rate_hz)
        pose = standing([400], ids=[1])
        pose.scores[0, 9] = 0
        for f in range(rate_hz, rate_hz + rate_hz * 3 // 10):
            out = smoother(pose, f * 10**9 // rate_hz)
        left.append(out.scores[0, 9])
    np.testing.assert_allclose(left, left[0], rtol=0.01)
    assert 0.1 < left[0] < 0.3


def test_process_noise_grows_with_time_not_with_frames():
    """After a pause of 0.2 s a filter is as unsure as one that predicted it in many steps."""
    sure = []
    for steps in (1, 2, 12):
        heard = Heard()
        smoother = Smoother(Smooth(coast_s=1.0), COCO, heard)
        for f in range(30):
            smoother(standing([400], ids=[1]), f * 10**9 // 30)
        last_ns, pose = 29 * 10**9 // 30, standing([400], ids=[1])
        pose.scores[:] = 0
        for i in range(1, steps):
            smoother(pose, last_ns + 2 * 10**8 * i // steps)
        smoother(standing([400], ids=[1]), last_ns + 2 * 10**8)
        sure.append(heard.last.variance_h2[0])
    np.testing.assert_allclose(sure[1], sure[0], rtol=0.5)
    np.testing.assert_allclose(sure[2], sure[0], rtol=0.5)


class Heard:
    """Keeps the last record that a smoother showed."""

    def __call__(self, innovations):
        self.last = innovations
