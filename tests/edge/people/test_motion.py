"""The state of tracks: what a detector's box changes, and what an observation changes."""

import numpy as np
import pytest

from edge.people import motion
from edge.structures import Detections, Poses

MS = 1_000_000
MOVED = np.float32([[130, 240, 230, 440]])  # the box of `track`, 30 px to the right, 40 px down


def track(t_ns=0):
    """One person with two keypoints, observed once."""
    pose = Poses(
        np.float32([[[120, 220], [180, 380]]]),
        np.full((1, 2), 0.9, np.float32),
        np.float32([[100, 200, 200, 400]]),
        np.array([1]),
        np.float32([0.9]),
        "coco17",
    )
    return motion.new_tracks(pose, np.float32([200]), 1, t_ns)


def keypoints_after_box(seen_ns, last_ns, t_ns):
    """Predicted keypoints, relative to the observed ones, after a detector's box at `t_ns`."""
    tracks = track(seen_ns)
    expected = motion.predict(tracks, "coco17", t_ns)
    motion.take_boxes(tracks, np.array([0]), MOVED, expected, t_ns, last_ns)
    return motion.predict(tracks, "coco17", t_ns).keypoints - expected.keypoints


def test_a_box_does_not_move_keypoints_that_were_seen_in_the_last_frame():
    assert not keypoints_after_box(seen_ns=0, last_ns=0, t_ns=33 * MS).any()


def test_a_box_moves_keypoints_that_were_not_seen_in_the_last_frame():
    moved = keypoints_after_box(seen_ns=0, last_ns=33 * MS, t_ns=66 * MS)
    np.testing.assert_allclose(moved[0], [[30, 40], [30, 40]], atol=1e-3)


def test_an_observation_ends_the_shift_of_a_box():
    tracks = track()
    expected = motion.predict(tracks, "coco17", 66 * MS)
    motion.take_boxes(tracks, np.array([0]), MOVED, expected, 66 * MS, 33 * MS)
    seen = motion.predict(tracks, "coco17", 66 * MS)
    body17 = np.zeros(17, np.int64)
    motion.observe(tracks, slice(None), seen, seen, tracks.heights, body17, 66 * MS)
    assert not tracks.shift.any()
    np.testing.assert_allclose(tracks.points[0], [150 + 260j, 210 + 420j], atol=1e-3)


def test_a_box_keeps_a_track_alive_and_is_no_observation():
    tracks = track()
    expected = motion.predict(tracks, "coco17", 500 * MS)
    motion.take_boxes(tracks, np.array([0]), MOVED, expected, 500 * MS, 467 * MS)
    assert tracks.alive_ns.tolist() == tracks.boxes_ns.tolist() == [500 * MS]
    assert tracks.seen_ns.tolist() == [0]
    assert tracks.hits.tolist() == [1]
    np.testing.assert_array_equal(tracks.boxes, MOVED)


@pytest.mark.parametrize("people", [0, 3])
def test_joined_tracks_have_all_rows(people):
    boxes = Detections(np.ones((people, 4), np.float32), np.ones(people, np.float32))
    more = motion.new_tracks(Poses.of_boxes(boxes, 2, "coco17"), np.ones(people), 2, 0)
    whole = track().join(more)
    assert whole.ids.tolist() == list(range(1, people + 2))
    assert all(len(rows) == people + 1 for rows in vars(whole).values())
