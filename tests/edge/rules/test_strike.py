"""The rule `strike` on drawn punches and kicks, and on motion that is neither."""

import json
from typing import Any

import numpy as np
import pytest

from edge.rules import build_rule, strike
from edge.rules._strikes import windows
from edge.structures import Poses
from tests.edge.rules.sparring import alone, seen, sparring
from tools.benches._blows import FRIENDLY, Blow, points_of, walking
from tools.benches._mocap import turned

pytestmark = pytest.mark.one_python

PUNCH = Blow("straight", 1, 2.0, 0.18, 0.3)
KICK = Blow("front_kick", 0, 2.0, 0.28, 0.35)
SIDES = (0.3, 1.9, 3.4, 5.0)


def told(points, rate_hz=20.0, pitch_deg=15.0, lost=(), **options):
    rule = strike.build(strike.Options(**options))
    events = []
    for poses, t_ns in seen(points, rate_hz, pitch_deg):
        keep = np.array([i not in lost for i in poses.ids.tolist()], bool)
        events += rule(poses.take(keep), "cam0", t_ns)
    return events


@pytest.mark.parametrize("rate_hz", [12.0, 30.0])
@pytest.mark.parametrize(
    ("blow", "action", "limb"),
    [
        (PUNCH, "punch", "right_hand"),
        (KICK, "kick", "left_foot"),
    ],
)
def test_one_blow_is_told_once_from_every_side(blow, action, limb, rate_hz):
    for side in SIDES:
        events = told(alone([blow], 5.0, rate_hz, side), rate_hz)
        assert [(e.data["action"], e.data["limb"]) for e in events] == [(action, limb)], side
        late_s = events[0].t_ns * 1e-9 - 1 - blow.end_s
        assert -0.15 < late_s < 0.5
        assert events[0].level == "warning"
        assert events[0].data["target"] == -1


def test_the_person_ahead_is_the_target():
    events = told(sparring([PUNCH], [], 5.0, 20.0))
    assert [(e.person, e.data["target"]) for e in events] == [(1, 2)]
    assert "towards person 2" in events[0].why
    assert json.loads(json.dumps(events[0].data)) == events[0].data
    far = told(sparring([PUNCH], [], 5.0, 20.0), reach_h=0.1)
    assert [e.data["target"] for e in far] == [-1]


def test_walking_and_friendly_hands_are_no_blows():
    t_s = np.arange(int(8 * 15)) / 15
    own = np.array([0.2, 0.6, 0.4])
    bodies = [points_of(walking(t_s, own))]
    bodies += [points_of(FRIENDLY[kind](t_s, own)) for kind in ("hug", "handshake", "gestures")]
    for body in bodies:
        assert told(turned(body, 0.7)[:, None], 15.0) == []


def test_options_hold():
    kicks = alone([KICK], 5.0, 20.0, 0.3)
    assert told(kicks, kicks=False) == []
    assert told(kicks, speed_h_s=10) == []
    again = alone([PUNCH, PUNCH._replace(start_s=3.2)], 6.0, 20.0, 0.3)
    assert len(told(again)) == 2
    assert len(told(again, refractory_s=5.0)) == 1


def test_a_lying_person_does_not_strike():
    """The same movement, with the picture turned by a quarter."""
    rule, events = strike.build(strike.Options()), []
    for poses, t_ns in seen(alone([PUNCH], 5.0, 20.0, 0.3), 20.0):
        points = poses.keypoints[..., ::-1].copy()
        boxes = poses.boxes[:, [1, 0, 3, 2]].copy()
        events += rule(
            Poses(points, poses.scores, boxes, poses.ids, poses.person_scores, "coco17"),
            "cam0",
            t_ns,
        )
    assert events == []


def test_too_few_frames_and_hidden_people_are_unsure():
    rule = strike.build(strike.Options())
    for poses, t_ns in seen(alone([], 6.0, 4.0, 0.3), 4.0):
        rule(poses, "cam0", t_ns)
    assert "4.0 frames a second are too few" in rule.summary().unsure
    rule = strike.build(strike.Options())
    for poses, t_ns in seen(alone([], 7.0, 15.0, 0.3), 15.0):
        hidden = np.zeros_like(poses.scores)
        rule(
            Poses(poses.keypoints, hidden, poses.boxes, poses.ids, poses.person_scores, "coco17"),
            "cam0",
            t_ns,
        )
    assert "hidden" in rule.summary().unsure


def test_the_summary_counts():
    rule = strike.build(strike.Options())
    for poses, t_ns in seen(alone([PUNCH], 2.7, 20.0, 0.3), 20.0):
        rule(poses, "cam0", t_ns)
    summary = rule.summary()
    assert summary.data == {"blows": 1, "striking": 1}
    assert summary.labels == {1: "right hand"}
    assert summary.unsure == ""


def test_events_hold_the_contract(contract):
    from edge.messages import Builder

    rule = build_rule({"kind": "strike"}, "rules[0]")
    builder, count = Builder("box"), 0
    for poses, t_ns in seen(sparring([PUNCH], [KICK], 5.0, 20.0), 20.0):
        for event in rule(poses, "cam0", t_ns):
            message = builder.event(event)
            contract(message.topic, json.loads(message.body))
            count += 1
    assert count


def test_windows_do_not_depend_on_the_frame_rate():
    """The same movement at 12 and at 31 frames a second leaves the same window."""
    left = []
    for rate_hz in (24.0, 31.0):
        rule: Any = strike.build(strike.Options())
        people = rule._people
        for poses, t_ns in seen(alone([PUNCH], 2.1, rate_hz, 0.3), rate_hz):
            if t_ns > 3.05e9:
                break
            rows = people.rows_of(poses, t_ns)
            windows.follow(people, rows, windows.bodies(people, rows, poses, t_ns), t_ns)
            people.note_seen(rows, t_ns)
        left.append(people["past"][0, :, : windows.TRUNK])
    assert np.abs(left[0] - left[1]).max() < 0.03
