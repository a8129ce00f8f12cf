"""The tracker on drawn scenes: compared with plain SORT, and each promise of its docstrings."""

import dataclasses

import numpy as np
import pytest

from edge.people.tracker import Tracker
from edge.settings.config import Track
from edge.skeletons import convert, get
from edge.structures import Detections, Poses
from tests.edge.people.track_scenes import STANDING, IouSort, boxes_of, judge, look, seen, walk

COCO = get("coco17")
MS = 1_000_000
STEP = 33 * MS


def tracker(**options):
    return Tracker(Track(**options), COCO)


def standing(x, y=600.0, tall=300.0, score=0.9, ids=None):
    """People standing at x [n]."""
    x = np.atleast_1d(np.asarray(x, float))
    at = np.stack((x, np.broadcast_to(y, x.shape)), -1)
    kp = (STANDING * tall + at[:, None]).astype(np.float32)
    half = 0.2 * tall
    boxes = np.stack((x - half, at[:, 1] - tall, x + half, at[:, 1]), -1).astype(np.float32)
    scores = np.full(kp.shape[:2], max(score, 0.5), np.float32)
    numbers = np.full(len(x), -1) if ids is None else np.asarray(ids, np.int64)
    return Poses(kp, scores, boxes, numbers, np.full(len(x), score, np.float32), "coco17")


def boxes_at(*x, score=0.9, **where):
    poses = standing(x, **where)
    return Detections(poses.boxes, np.full(len(x), score, np.float32))


def run_one_stage(track, scene, seed, order=None):
    rng = np.random.default_rng(seed)
    truths, results = [], []
    for f in range(len(scene.boxes)):
        poses, _ = seen(scene, f, rng)
        if order is not None:
            poses = poses.take(order.permutation(len(poses)))
        out = track.update(poses, f * scene.dt_ns)
        results.append((out.ids, out.boxes) if isinstance(out, Poses) else out)
        truths.append((np.arange(len(scene.boxes[f])), scene.boxes[f], scene.hidden[f] < 0.6))
    return truths, results


def run_top_down(track, scene, seed, every=5):
    rng = np.random.default_rng(seed)
    truths, results = [], []
    for f in range(len(scene.boxes)):
        found = boxes_of(scene, f, rng) if f % every == 0 else None
        candidates = track.candidates(found, f * scene.dt_ns)
        out = track.update(look(scene, f, candidates, rng)[0], f * scene.dt_ns)
        results.append((out.ids, out.boxes))
        truths.append((np.arange(len(scene.boxes[f])), scene.boxes[f], scene.hidden[f] < 0.6))
    return truths, results


@pytest.mark.one_python
@pytest.mark.parametrize("way", [{}, {"fps": 10.0}, {"speed": (1.0, 2.5)}], ids=str)
def test_better_than_plain_sort(way):
    """Crossings, 10 % misses, 20 % low scores, clutter; summed over scenes."""
    ours, plain = [], []
    for seed in range(3):
        scene = walk(seed, frames=120, **way)
        ours.append(judge(*run_one_stage(tracker(), scene, seed)))
        plain.append(judge(*run_one_stage(IouSort(), scene, seed)))
    shown = "\n".join(f"{a} | {b}" for a, b in zip(ours, plain))
    assert sum(f.switches for f in ours) < 0.9 * sum(f.switches for f in plain), shown
    assert np.mean([f.idf1 for f in ours]) > np.mean([f.idf1 for f in plain]) + 0.05, shown
    assert np.mean([f.mota for f in ours]) > np.mean([f.mota for f in plain]) + 0.03, shown


@pytest.mark.one_python
def test_top_down_with_a_detector_in_every_fifth_frame():
    figures = [judge(*run_top_down(tracker(), walk(s, frames=150), s)) for s in range(3)]
    assert np.mean([f.mota for f in figures]) > 0.93, "\n".join(map(str, figures))
    assert np.mean([f.idf1 for f in figures]) > 0.9, "\n".join(map(str, figures))


def test_the_order_of_people_does_not_matter():
    scene = walk(5, people=12, frames=60)
    _, a = run_one_stage(tracker(), scene, 1)
    _, b = run_one_stage(tracker(), scene, 1, order=np.random.default_rng(9))
    for (ids, boxes), (other, others) in zip(a, b):
        np.testing.assert_array_equal(ids, other)
        np.testing.assert_array_equal(boxes, others)


def test_only_differences_of_time_count():
    """No clock is read: the same scene years later gives the same answer."""
    poses = [seen(walk(2, people=8, frames=40), f, np.random.default_rng(f))[0] for f in range(40)]
    runs = []
    for start in (0, 5 * 10**17):
        track = tracker()
        runs.append([track.update(p, start + f * STEP) for f, p in enumerate(poses)])
    for a, b in zip(*runs):
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_size_of_people_does_not_matter():
    """Constants are in person heights: the same scene four times smaller gives the same ids."""
    scene = walk(3, people=10, frames=60)
    rng = np.random.default_rng(0)
    big, small = tracker(), tracker()
    for f in range(60):
        poses, _ = seen(scene, f, rng)
        tiny = Poses(
            poses.keypoints / 4,
            poses.scores,
            poses.boxes / 4,
            poses.ids,
            poses.person_scores,
            "coco17",
        )
        a, b = (t.update(p, f * STEP) for t, p in ((big, poses), (small, tiny)))
        np.testing.assert_array_equal(a.ids, b.ids)


def test_ids_start_at_1_from_left_to_right_and_are_never_used_again():
    track = tracker(min_hits=1)
    assert track.update(standing([900, 100, 500]), 0).ids.tolist() == [1, 2, 3]
    out = track.update(standing([500, 100, 900, 1300]), STEP)
    assert out.ids.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(out.keypoints[:, 0, 0], [100, 500, 900, 1300])
    later = track.update(standing([100]), 10**10)
    assert later.ids.tolist() == [5]


def test_published_after_min_hits():
    track = tracker(min_hits=3)
    counts = [len(track.update(standing([400]), f * STEP)) for f in range(4)]
    assert counts == [0, 0, 1, 1]


def test_a_new_person_needs_a_good_score_a_known_one_does_not():
    track = tracker(min_hits=1)
    assert len(track.update(standing([400], score=0.35), 0)) == 0
    assert track.update(standing([400], score=0.45), STEP).ids.tolist() == [1]
    assert track.update(standing([400], score=0.12), 2 * STEP).ids.tolist() == [1]
    assert len(track.update(standing([400], score=0.05), 3 * STEP)) == 0


@pytest.mark.parametrize(("gap_s", "same"), [(0.1, True), (0.9, True), (1.2, False)])
def test_away_for_a_while(gap_s, same):
    track = tracker(min_hits=1, return_s=0.0)
    for f in range(30):
        out = track.update(standing([400 + 3 * f]), f * STEP)
    gap = int(gap_s * 1e9)
    for t in range(STEP, gap, STEP):
        assert len(track.update(standing([]), 29 * STEP + t)) == 0
    out = track.update(standing([400 + 3 * 29 + 3 * gap / STEP]), 29 * STEP + gap)
    assert (out.ids.tolist() == [1]) == same


@pytest.mark.parametrize(("gap_s", "same"), [(3.8, True), (4.3, False)])
def test_who_comes_back_to_the_same_place_within_return_s_keeps_the_id(gap_s, same):
    track = tracker(min_hits=1)
    for f in range(30):
        track.update(standing([400]), f * STEP)
    for t in range(STEP, int(gap_s * 1e9), STEP):
        assert len(track.update(standing([]), 29 * STEP + t)) == 0
        assert track.boxes.shape[0] == (t <= 10**9), "who is away is not looked for"
    out = track.update(standing([400]), 29 * STEP + int(gap_s * 1e9))
    assert (out.ids.tolist() == [1]) == same


def test_a_camera_that_stalls_starts_anew():
    track = tracker(min_hits=1)
    track.update(standing([400]), 0)
    assert track.update(standing([400]), 5 * 10**9).ids.tolist() == [2]


@pytest.mark.parametrize("hz", [0.5, 1.0, 2.0, 3.0])
def test_a_slow_camera_gives_its_people_and_they_keep_their_ids(hz):
    """About `hz`: the times of such a camera are never exact."""
    track, rng = tracker(), np.random.default_rng(1)
    for f in range(12):
        t = int(f / hz * 1e9 + rng.uniform(-0.05, 0.05) * 1e9) + 10**9
        candidates = track.candidates(boxes_at(400 + 5 * f, 900), t)
        assert len(candidates) == 2
        assert not candidates.scores.any(), "keypoints of long ago lead nowhere"
        found = standing([400 + 5 * f, 900], ids=candidates.ids)
        out = track.update(found, t)
        assert out.ids.tolist() == ([1, 2] if f else []), f"frame {f}"


def test_a_slow_camera_forgets_who_is_gone_and_a_normal_one_still_wants_two_frames():
    track = tracker()
    track.candidates(boxes_at(400), 0)
    track.update(standing([400]), 0)
    for t, x in ((1, [400]), (2, []), (3, [])):
        track.candidates(boxes_at(*x), t * 10**9)
        track.update(standing(x, ids=[1] * len(x)), t * 10**9)
    assert len(track.boxes) == 0
    t = 3 * 10**9 + STEP
    assert len(track.update(standing([700]), t)) == 0
    assert track.update(standing([700]), t + STEP).ids.tolist() == [2]


@pytest.mark.parametrize(("confirm_s", "published"), [(0.25, 1), (2.0, 0)])
def test_confirm_s_insists_on_min_hits(confirm_s, published):
    track = tracker(confirm_s=confirm_s)
    track.update(standing([]), 0)
    assert len(track.update(standing([400]), 10**9)) == published


def test_a_picture_for_itself_gives_its_people_at_once_and_no_others():
    track = tracker()
    for f, (x, ids) in enumerate([([400, 900], [1, 2]), ([405], [1]), ([1500], [3]), ([], [])]):
        candidates = track.candidates(boxes_at(*x), f * 40 * MS, True)
        assert len(candidates) == len(x), "nobody of another picture is looked for"
        assert not candidates.scores.any()
        found = standing(x, ids=candidates.ids)
        assert track.update(found, f * 40 * MS).ids.tolist() == ids
        assert len(track.boxes) == len(x)
    assert len(track.update(standing([400]), 200 * MS)) == 0, "no picture for itself any more"


def test_pictures_for_themselves_with_a_one_stage_model():
    track = tracker()
    for f, (x, ids) in enumerate([([400], [1]), ([1500, 500], [2, 3])]):
        assert len(track.candidates(Detections.empty(), f * 40 * MS, True)) == 0
        assert track.update(standing(x), f * 40 * MS).ids.tolist() == ids


def test_motion_after_a_gap_is_that_of_the_gap():
    """Observation-centric: 0.5 s unseen at a new speed, and the next prediction has that speed."""
    track = tracker(min_hits=1)
    for f in range(20):
        track.update(standing([400]), f * STEP)
    speed = 150.0  # px/s, half a height
    at = 400 + speed * 0.5
    t = 19 * STEP + 500 * MS
    assert track.update(standing([at]), t).ids.tolist() == [1]
    ahead = track.candidates(None, t + 200 * MS)
    assert ahead.keypoints[0, 5, 0] - STANDING[5, 0] * 300 == pytest.approx(at + 30, abs=4)


def test_candidates():
    track = tracker(min_hits=1)
    first = track.candidates(boxes_at(300, 900), 0)
    assert first.ids.tolist() == [-1, -1]
    assert not first.scores.any()
    track.update(standing([300, 900]), 0)
    between = track.candidates(None, STEP)
    assert between.ids.tolist() == [1, 2]
    assert (between.scores > 0.5).all()
    track.update(standing([300, 900], ids=[1, 2]), STEP)
    # One known person is refreshed by a weak box, a weak unknown box is nobody, 1500 is new.
    weak = boxes_at(310, 1200, score=0.2)
    found = Detections(
        np.concatenate((weak.boxes, boxes_at(1500).boxes)),
        np.concatenate((weak.scores, boxes_at(1500).scores)),
    )
    third = track.candidates(found, 2 * STEP)
    assert third.ids.tolist() == [1, 2, -1]
    np.testing.assert_allclose(third.boxes[0], weak.boxes[0])
    np.testing.assert_allclose(third.boxes[2], boxes_at(1500).boxes[0])
    np.testing.assert_allclose(third.keypoints[1], standing([900]).keypoints[0], atol=1e-2)


def test_an_unseen_person_is_looked_for_half_the_time_then_only_where_a_detector_says():
    track = tracker(min_hits=1, max_gap_s=1.0)
    track.update(standing([300]), 0)
    for t, looked_for in ((400 * MS, 1), (600 * MS, 0)):
        assert len(track.candidates(None, t)) == looked_for
        track.update(standing([]), t)
    again = track.candidates(boxes_at(330), 700 * MS)
    assert again.ids.tolist() == [1]
    # Not seen since the box moved: the keypoints moved with it.
    np.testing.assert_allclose(again.keypoints[0, 0, 0] - STANDING[0, 0] * 300, 330, atol=1)


def test_a_person_who_was_not_found_is_looked_for_in_the_whole_box():
    """Keypoints that led a network to the wrong place once would do so again."""
    track = tracker(min_hits=1)
    track.update(standing([300, 900]), 0)
    track.candidates(None, STEP)
    track.update(standing([900], ids=[2]), STEP)
    again = track.candidates(None, 2 * STEP)
    assert again.ids.tolist() == [1, 2]
    assert not again.scores[0].any()
    assert (again.scores[1] > 0.5).all()


def test_two_candidates_on_one_person():
    """Two cross and one hides the other: both crops show the front one, who keeps the number."""
    track = tracker(min_hits=1)
    for f in range(20):
        track.update(standing([300 + 5 * f, 600 - 5 * f]), f * STEP)
    rng = np.random.default_rng(0)
    for f in range(20, 40):
        front = 300 + 5 * f
        hidden = abs(600 - 10 * f + -300) < 60
        candidates = track.candidates(None, f * STEP)
        x = [front if hidden else {1: front, 2: 600 - 5 * f}[i] for i in candidates.ids]
        poses = standing(x, ids=candidates.ids)
        shaken = poses.keypoints + rng.normal(size=poses.keypoints.shape).astype(np.float32)
        out = track.update(
            Poses(shaken, poses.scores, candidates.boxes, poses.ids, poses.person_scores, "coco17"),
            f * STEP,
        )
        where = dict(zip(out.ids.tolist(), out.keypoints[:, 0, 0]))
        assert where[1] == pytest.approx(front, abs=8)
        assert set(where) == ({1} if hidden else {1, 2})


def test_one_person_found_twice_is_born_once():
    track = tracker(min_hits=1)
    assert len(track.update(standing([400, 402, 404]), 0)) == 1
    assert track.update(standing([400, 404], ids=[1, -1]), STEP).ids.tolist() == [1]


def test_the_box_follows_the_keypoints_between_detector_frames():
    track = tracker(min_hits=1)
    track.candidates(boxes_at(300), 0)
    track.update(standing([300]), 0)
    for f in range(1, 90):
        candidates = track.candidates(None, f * STEP)
        pose = standing([300 + 6 * f], ids=[1])
        held = Poses(
            pose.keypoints, pose.scores, candidates.boxes, pose.ids, pose.person_scores, "coco17"
        )
        out = track.update(held, f * STEP)
        assert out.ids.tolist() == [1]
    np.testing.assert_allclose(out.boxes, pose.boxes, atol=25)


def test_hidden_legs_keep_their_box():
    track = tracker(min_hits=1)
    for f in range(10):
        candidates = track.candidates(boxes_at(300) if f == 0 else None, f * STEP)
        pose = standing([300], ids=[1] if f else [-1])
        pose.scores[:, 13:] = 0.9 if f < 5 else 0.0
        held = Poses(
            pose.keypoints, pose.scores, candidates.boxes, pose.ids, pose.person_scores, "coco17"
        )
        out = track.update(held, f * STEP)
    assert out.boxes[0, 3] > 600 - 0.25 * 300
    assert not out.scores[0, 13:].any()
    assert track.candidates(None, 10 * STEP).scores[0, 13:].min() > 0.3


def test_calm_while_a_detector_could_tell_little():
    track, t_ns = tracker(min_hits=2), 0

    def step(x, found=None):
        nonlocal t_ns
        t_ns += STEP
        candidates = track.candidates(found, t_ns)
        track.update(standing(x, ids=candidates.ids[: len(x)]), t_ns)
        return track.calm

    assert not track.calm, "an empty place is looked at"
    assert not step([], boxes_at())
    assert not step([300.0], boxes_at(300.0)), "a new person"
    assert not step([300.0])
    assert step([300.0], boxes_at(300.0)), "all known"
    assert track.boxes.shape == (1, 4)
    assert track.boxes[0, 0] < 300 < track.boxes[0, 2]
    assert step([300.0])
    assert not step([]), "lost from sight"
    assert step([300.0]), "back"
    assert track.confirmed
    assert step([300.0], boxes_at()), "a posture that the detector does not know"
    assert not track.confirmed
    assert not step([300.0, 900.0], boxes_at(300.0, 900.0)), "a second person"


def test_empty_frames_and_values_that_are_not_finite():
    track = tracker()
    assert track.boxes.shape == (0, 4)
    assert len(track.candidates(None, 0)) == 0
    assert len(track.candidates(Detections.empty(), 0)) == 0
    assert len(track.update(standing([]), 0)) == 0
    for f in range(1, 4):
        poses = standing([300, 700, 1100])
        poses.keypoints[0, 3] = np.nan
        poses.scores[0, 4] = np.nan
        poses.boxes[1, 2] = np.inf
        poses.person_scores[2] = np.nan
        boxes = boxes_at(300, 700)
        boxes.boxes[1, 0] = np.nan
        candidates = track.candidates(boxes, f * STEP)
        assert np.isfinite(candidates.keypoints).all()
        assert np.isfinite(candidates.boxes).all()
        out = track.update(poses, f * STEP)
    assert out.ids.tolist() == [1]
    assert np.isfinite(out.keypoints).all()
    assert out.scores[0, 3] == out.scores[0, 4] == 0


def test_time_that_stands_still_or_runs_back():
    track = tracker(min_hits=1)
    for t in (STEP, STEP, 0, 2 * STEP):
        out = track.update(standing([300]), t)
        assert out.ids.tolist() == [1]
    assert np.isfinite(track.candidates(None, 3 * STEP).keypoints).all()


def test_a_hundred_people_of_133_keypoints():
    """All people keep their ids, and earlier results do not change."""
    rng = np.random.default_rng(0)
    base = standing([0] * 100, tall=60)
    grid = np.stack((np.arange(100) % 20 * 90.0, np.arange(100) // 20 * 200.0), -1)
    skeleton = get("wholebody133")
    track = Tracker(Track(min_hits=1), skeleton)
    kept = []
    for f in range(5):
        at = (grid + rng.normal(size=(100, 2)) + f).astype(np.float32)
        kp, scores = convert(base.keypoints + at[:, None], base.scores, "coco17", "wholebody133")
        boxes = base.boxes + np.tile(at, 2)
        poses = Poses(kp, scores, boxes, base.ids, base.person_scores, "wholebody133")
        out = track.update(poses, f * STEP)
        assert sorted(out.ids) == list(range(1, 101))
        kept.append((out, out.keypoints.copy(), out.boxes.copy(), out.ids.copy()))
        x = out.keypoints[:, 0, :] - np.float32(f)
    for out, keypoints, boxes, ids in kept:
        np.testing.assert_array_equal(out.keypoints, keypoints)
        np.testing.assert_array_equal(out.boxes, boxes)
        np.testing.assert_array_equal(out.ids, ids)
    assert np.abs(x - kept[0][1][:, 0]).max() < 10


def test_the_model_may_hand_the_candidates_back():
    """Borrowed arrays of the tracker's own come back into it without harm."""
    track = tracker(min_hits=1)
    track.update(standing([300, 700]), 0)
    for f in range(1, 5):
        out = track.update(track.candidates(None, f * STEP), f * STEP)
        assert out.ids.tolist() == [1, 2]
    np.testing.assert_allclose(out.keypoints, standing([300, 700]).keypoints, atol=0.1)


@pytest.mark.one_python
def test_a_diverging_network_does_not_fill_the_memory():
    """Each frame doubles the boxes; boxes far outside every picture are dropped."""
    track = tracker()
    found, most = boxes_at(300.0, 700.0), 0
    for f in range(700):
        candidates = track.candidates(found if f % 5 == 0 else None, f * STEP)
        size = candidates.boxes[:, 2:] - candidates.boxes[:, :2]
        corner = candidates.boxes[:, :2] - size / 2
        wild = standing(np.full(len(size), 300.0), ids=candidates.ids)
        shape = (wild.keypoints - wild.boxes[:, None, :2]) / np.float32(300)
        people = Poses(
            corner[:, None] + shape * size[:, None] * 2,
            wild.scores,
            np.concatenate((corner, corner + 2 * size), 1),
            candidates.ids,
            wild.person_scores,
            "coco17",
        )
        most = max(most, len(candidates), len(track.update(people, f * STEP)))
    assert most < 50


def test_candidates_carry_what_the_detector_saw_of_each_person():
    track = tracker(min_hits=1)
    track.update(standing([200.0, 800.0]), 0)
    found = boxes_at(500.0, 200.0)
    keypoints = np.zeros((2, 17, 3), np.float32)
    keypoints[:, 0, 0] = (500, 200)
    found = Detections(found.boxes, found.scores, keypoints)
    candidates = track.candidates(found, STEP)
    assert candidates.ids.tolist() == [1, 2, -1]
    assert candidates.sightings is not None
    assert candidates.sightings[:, 0, 0].tolist() == [200, 0, 500], "of the track at 800 nothing"
    assert track.candidates(boxes_at(200.0), 2 * STEP).sightings is None
    assert track.candidates(None, 3 * STEP).sightings is None


def test_the_place_in_the_picture_does_not_matter():
    scene = walk(6, people=10, frames=50)
    rng = np.random.default_rng(0)
    here, there = tracker(), tracker()
    for f in range(50):
        poses, _ = seen(scene, f, rng)
        away = dataclasses.replace(
            poses, keypoints=poses.keypoints + np.float32(512), boxes=poses.boxes + np.float32(512)
        )
        a, b = (t.update(p, f * STEP) for t, p in ((here, poses), (there, away)))
        np.testing.assert_array_equal(a.ids, b.ids)


@pytest.mark.parametrize("step_ns", [0, 10 * 10**9])
def test_frames_of_one_time_and_gaps_of_ten_seconds(step_ns):
    track = tracker(min_hits=1)
    for f in range(5):
        out = track.update(standing([400, 900]), f * step_ns)
        assert len(out) == 2
        assert np.isfinite(out.keypoints).all()
        assert np.isfinite(out.boxes).all()
    assert out.ids.tolist() == ([1, 2] if step_ns == 0 else [9, 10])


def test_nothing_to_compare_by():
    """Scores of 0, NaN and an empty frame: by their boxes people are followed still."""
    track = tracker(min_hits=1)
    track.update(standing([400]), 0)
    blind = standing([402])
    blind.scores[:] = 0
    assert track.update(blind, STEP).ids.tolist() == [1]
    broken = standing([404])
    broken.keypoints[:, ::2] = np.nan
    assert track.update(broken, 2 * STEP).ids.tolist() == [1]
    assert len(track.update(standing([]), 3 * STEP)) == 0
    assert track.update(standing([404]), 4 * STEP).ids.tolist() == [1]


def test_a_box_does_not_shift_who_was_unseen_for_one_frame():
    """A detector gives only the neighbour's box, .3 H away, in the frame after."""
    track = tracker(min_hits=1)
    for f in range(10):
        track.update(standing([400]), f * STEP)
    track.update(standing([]), 10 * STEP)
    track.candidates(boxes_at(490), 11 * STEP)
    assert track.update(standing([400]), 11 * STEP).ids.tolist() == [1]
