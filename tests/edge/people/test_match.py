"""Evidence that a row is somebody known: each cue, and what must not happen."""

import numpy as np
import pytest

from edge.geometry import as_complex
from edge.people import match
from edge.people.motion import BodyState
from tests.edge.people.track_scenes import STANDING

TALL = 300.0


def state(*shifts_px, age_s=0.0, speed_px=0.0, boxes_only=False):
    """The same standing person several times, each shifted to the right."""
    shift = np.asarray(shifts_px, np.float32)
    points = STANDING[None] * TALL + np.stack((400 + shift, np.full(len(shift), 600)), -1)[:, None]
    points = points.astype(np.float32)
    boxes = np.concatenate((points.min(1), points.max(1)), 1)
    n = len(shift)
    return BodyState(
        as_complex(points),
        np.full((n, 17), 0.0 if boxes_only else 0.9, np.float32),
        boxes,
        np.full(n, TALL, np.float32),
        np.full(n, age_s, np.float32),
        np.full(n, speed_px, np.float32),
    )


def worth(rows, tracks, own=None):
    none = np.zeros((len(rows.heights), len(tracks.heights)), bool)
    return match.evidence(rows, tracks, none if own is None else own)


def test_the_predicted_place_is_the_likeliest_and_far_places_are_not_allowed():
    found = [float(worth(state(shift), state(0))[0, 0]) for shift in (0, 6, 12, 24, 60)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 3
    assert found[-1] < 0
    assert worth(state(200), state(0))[0, 0] == -np.inf


def test_the_longer_unseen_the_further_and_the_less_likely():
    near, far = ([worth(state(x), state(0, age_s=a))[0, 0] for a in (0.03, 1.0)] for x in (0, 90))
    assert near[0] > near[1] > 0, "at the predicted place, who was seen just now is likelier"
    assert far[0] < far[1], "a long way needs time"


def test_a_fast_person_may_be_further_after_a_while():
    slow, fast = (state(0, age_s=1.0, speed_px=v) for v in (0, 2 * TALL))
    assert worth(state(200), fast)[0, 0] > worth(state(200), slow)[0, 0]


def test_nobody_lost_takes_over_a_visible_neighbour():
    """The lost one is predicted exactly where the neighbour is; the neighbour moved by 10 px."""
    tracks = state(10, 0)
    tracks.age_s[:] = (0.8, 0.033)
    rows = state(10)
    found = match.two_stages(worth(rows, tracks), np.array([0.9]), 0.6)
    assert found.tolist() == [1]


def test_an_echo_is_a_weak_hint():
    """It decides between equals, and not against a few px."""
    tracks, own = state(0, 10), np.array([[False, True]])
    assert match.two_stages(worth(state(5), tracks, own), np.array([0.9]), 0.6).tolist() == [1]
    assert match.two_stages(worth(state(0), tracks, own), np.array([0.9]), 0.6).tolist() == [0]


def test_posture_tells_two_people_in_one_place():
    other = state(0, 0)
    other.body[1, [7, 8, 9, 10]] -= 100j  # raised arms
    rows = state(0)
    rows.body[0, [7, 8, 9, 10]] -= 100j
    found = worth(rows, other)[0]
    assert found[1] > found[0] + 1


def test_height_tells_a_child_from_an_adult():
    both = state(0, 0, age_s=0.5)
    both.heights[:] = TALL, 0.6 * TALL
    found = worth(state(0), both)[0]
    assert found[0] > found[1] + 1


def test_without_common_keypoints_boxes_are_compared():
    rows = state(0, boxes_only=True)
    near, far = (worth(rows, state(shift))[0, 0] for shift in (0, 60))
    assert near > 0
    assert near > far


@pytest.mark.parametrize(("rows", "tracks"), [(0, 0), (0, 3), (3, 0)])
def test_nobody(rows, tracks):
    found = worth(state(*range(rows)), state(*range(tracks)))
    assert found.shape == (rows, tracks)
    chosen = match.two_stages(found, np.ones(rows), 0.6)
    assert (chosen == -1).all()


def test_the_size_of_the_picture_does_not_matter():
    small = [state(0, 12, age_s=0.1, speed_px=30), state(5)]
    big = [state(0, 12, age_s=0.1, speed_px=30), state(5)]
    for s in big:
        s.body, s.boxes = s.body * 4, s.boxes * 4
        s.heights, s.speeds = s.heights * 4, s.speeds * 4
    np.testing.assert_allclose(worth(small[1], small[0]), worth(big[1], big[0]), rtol=1e-3)
