"""The rule `hands_up`: people who hold both hands above the head."""

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.rules import build_rule
from tests.edge.rules.walking import STANDING, TALL, people

HANGS, HALF, BESIDE, UP = "hangs", "half", "beside", "up"
# Elbows and wrists of the left side in heights: x, y over the feet.
ARMS = {
    HANGS: ((0.14, 0.63), (0.15, 0.47)),
    HALF: ((0.25, 0.80), (0.35, 0.85)),
    BESIDE: ((0.28, 0.82), (0.27, 0.97)),
    UP: ((0.14, 1.0), (0.13, 1.15)),
}


def pose(left, right, hidden=(), lying=False):
    poses = people({1: (600.0, 700.0)})
    body = STANDING.copy()
    for side, name in ((0, left), (1, right)):
        for row, (x, y) in zip((7 + side, 9 + side), ARMS[name]):
            body[row] = (x if side == 0 else -x, -y)
    if lying:
        body = body[:, ::-1] * [-1, 1]
    poses.keypoints[0] = body * TALL + (600, 700)
    poses.scores[:, list(hidden)] = 0
    return poses


def rule(**options):
    return build_rule({"kind": "hands_up", **options}, "rules[0]")


def events(watched, acts, fps=10.0):
    found, i = [], 0
    for seconds, poses in acts:
        for _ in range(round(seconds * fps)):
            found += watched(poses, "counter", 10**9 + round(i / fps * 1e9))
            i += 1
    return found


@pytest.mark.parametrize("fps", [10.0, 15.0, 30.0])
@pytest.mark.parametrize("raised", [UP, BESIDE])
def test_both_hands_up_are_told_once(fps, raised):
    acts = [(2, pose(HANGS, HANGS)), (4, pose(raised, raised)), (2, pose(HANGS, HANGS))]
    found = events(rule(), acts, fps)
    assert [e.data["action"] for e in found] == ["start", "end"]
    start, end = found
    assert 2.9 <= (start.t_ns - 10**9) * 1e-9 <= 3.5
    assert start.level == "warning"
    assert start.data["above_h"] > 0.02
    assert end.data["held_s"] == pytest.approx(4.3, abs=0.5)


@pytest.mark.parametrize(("left", "right"), [(UP, HANGS), (HALF, HALF), (UP, HALF)])
def test_one_hand_or_hands_at_the_shoulders_are_not_told(left, right):
    assert events(rule(), [(4, pose(left, right))]) == []


def test_a_short_reach_is_not_told_and_a_short_dip_does_not_end_it():
    up, down = pose(UP, UP), pose(HANGS, HANGS)
    assert events(rule(), [(0.6, up), (1, down)] * 4) == []
    found = events(rule(), [(2, up), (0.3, down), (2, up), (1, down)])
    assert [e.data["action"] for e in found] == ["start", "end"]


def test_arms_beyond_the_head_of_somebody_who_lies_are_not_up():
    assert events(rule(), [(4, pose(UP, UP, lying=True))]) == []


def test_a_hidden_hand_changes_nothing_and_is_said():
    watched = rule()
    found = events(watched, [(2, pose(UP, UP)), (8, pose(HANGS, HANGS, hidden=(9,)))])
    assert [e.data["action"] for e in found] == ["start"]
    assert "hidden" in watched.summary().unsure
    assert watched.summary().labels == {1: "hands up"}


def test_a_hidden_face_is_guessed_from_the_shoulders():
    assert events(rule(), [(3, pose(UP, UP, hidden=range(5)))])
    assert events(rule(), [(3, pose(HALF, HALF, hidden=range(5)))]) == []


def test_the_bound_and_the_times_are_options():
    assert events(rule(above_h=0.3), [(4, pose(UP, UP))]) == []
    assert events(rule(for_s=5.0), [(4, pose(UP, UP))]) == []
    up, down = pose(UP, UP), pose(HANGS, HANGS)
    acts = [(2, up), (1, down), (2, up), (1, down)]
    assert len(events(rule(refractory_s=0.0), acts)) == 4
    assert len(events(rule(refractory_s=60.0), acts)) == 2


def test_noise_does_not_make_it_chatter():
    rng, watched, found = np.random.default_rng(0), rule(), []
    for i in range(200):
        poses = pose(BESIDE, BESIDE)
        poses.keypoints[:] += rng.normal(0, 0.012 * TALL, poses.keypoints.shape)
        found += watched(poses, "counter", i * 10**8)
    assert [e.data["action"] for e in found] == ["start"]


def test_a_rule_without_a_name_is_refused():
    with pytest.raises(ConfigError, match="name: is empty"):
        rule(name="")
