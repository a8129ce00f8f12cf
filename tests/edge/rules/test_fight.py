"""The rule `fight` on two drawn people who strike each other, and on pairs who do not."""

import dataclasses
import json

import numpy as np
import pytest

from edge.messages import Builder
from edge.rules import build_rule, fight
from edge.rules._fight.pairs import Pairs
from tests.edge.rules.sparring import seen, sparring
from tools.benches._blows import FRIENDLY, Blow, points_of
from tools.benches._pairs import facing

pytestmark = pytest.mark.one_python

FIRST = [Blow("straight", 1, 1.5, 0.18, 0.3), Blow("straight", 0, 2.4, 0.18, 0.3)]
SECOND = [Blow("straight", 1, 1.9, 0.18, 0.3), Blow("front_kick", 0, 3.0, 0.28, 0.3)]


def told(points, rate_hz=20.0, change=lambda poses, t_s: poses, rule=None, **options):
    rule = rule or fight.build(fight.Options(**options))
    events = []
    for poses, t_ns in seen(points, rate_hz):
        events += rule(change(poses, t_ns * 1e-9 - 1), "cam0", t_ns)
    return events


def starts(events):
    return [e for e in events if e.data["action"] == "start"]


@pytest.mark.parametrize("rate_hz", [12.0, 30.0])
def test_a_fight_is_told_once_and_ends(rate_hz):
    events = told(sparring(FIRST, SECOND, 20.0, rate_hz), rate_hz)
    assert [e.data["action"] for e in events] == ["start", "end"]
    start, end = events
    assert {start.person, start.data["other"]} == {1, 2}
    assert start.level == "alarm"
    assert end.level == "info"
    assert 1.5 < start.t_ns * 1e-9 - 1 < 3.8
    assert start.data["blows"] + start.data["blows_other"] >= 2
    assert f"by {start.person}" in start.why
    assert 0 < start.score <= 1
    assert end.data["held_s"] > start.data["held_s"]


def test_one_blow_is_no_fight():
    assert starts(told(sparring(FIRST[:1], [], 6.0, 20.0))) == []
    assert starts(told(sparring(FIRST[:1], [], 6.0, 20.0), evidence=0.4))


def test_blows_out_of_reach_are_no_fight():
    assert starts(told(sparring(FIRST, SECOND, 6.0, 20.0, gap_m=3.0))) == []


def test_people_of_different_depth_do_not_fight():
    def shrunk(poses, t_s):
        """The second person is far behind the first."""
        points, boxes = poses.keypoints.copy(), poses.boxes.copy()
        middle = points[1].mean(0)
        points[1] = middle + 0.5 * (points[1] - middle)
        boxes[1] = np.concatenate((points[1].min(0) - 5, points[1].max(0) + 5))
        return dataclasses.replace(poses, keypoints=points, boxes=boxes)

    assert starts(told(sparring(FIRST, SECOND, 6.0, 20.0), change=shrunk)) == []


@pytest.mark.parametrize("kind", ["hug", "handshake", "gestures"])
def test_friendly_pairs_do_not_fight(kind):
    t_s = np.arange(int(8 * 15)) / 15
    gap = np.full(len(t_s), 0.4 if kind == "hug" else 0.9)
    people = [points_of(FRIENDLY[kind](t_s, np.array([a, 0.5, 0.2]))) for a in (0.1, 0.6)]
    assert told(facing(people, gap, gap * 0 + 0.5), 15.0) == []


def test_a_person_found_twice_does_not_fight_with_themselves():
    def twice(poses, t_s):
        """The tracker has the first person twice."""
        both = poses.take(np.array([0, 0]))
        return dataclasses.replace(both, ids=np.array([1, 7]))

    assert told(sparring(FIRST, SECOND, 6.0, 20.0), change=twice) == []


def test_evidence_stays_with_the_place_while_ids_change():
    def changed(poses, t_s):
        """The tracker loses the second person, then calls them 9; later it swaps the two."""
        ids = poses.ids.copy()
        if t_s > 2.3:
            ids[1] = 9
        if t_s > 2.8:
            ids = ids[::-1].copy()
        keep = np.array([True, not 1.95 < t_s < 2.3])
        return dataclasses.replace(poses, ids=ids).take(keep)

    events = starts(told(sparring(FIRST, SECOND, 8.0, 20.0), change=changed))
    assert len(events) == 1


def test_a_lost_opponent_can_be_struck():
    def lost(poses, t_s):
        return poses.take(np.array([True, t_s < 1.4]))

    blows = [b._replace(start_s=b.start_s) for b in FIRST] + [FIRST[0]._replace(start_s=3.2)]
    assert len(starts(told(sparring(blows, [], 6.0, 20.0), change=lost))) == 1


def test_refractory_and_dwell():
    again = [b._replace(start_s=b.start_s + 25) for b in FIRST]
    points = sparring(FIRST + again, SECOND, 32.0, 15.0)
    assert len(starts(told(points, 15.0, forget_s=2.0))) == 2
    assert len(starts(told(points, 15.0, forget_s=2.0, refractory_s=60))) == 1
    assert starts(told(sparring(FIRST, SECOND, 6.0, 20.0), dwell_s=30)) == []


def test_the_summary_names_the_pair():
    rule = fight.build(fight.Options())
    told(sparring(FIRST, SECOND, 4.0, 20.0), rule=rule)
    summary = rule.summary()
    assert summary.data == {"fights": 1, "pairs": [[1, 2]]}
    assert summary.labels == {1: "fight", 2: "fight"}
    assert len(summary.outlines) == 1
    assert summary.outlines[0].closed


def test_events_hold_the_contract(contract):
    builder = Builder("box")
    rule = build_rule({"kind": "fight"}, "rules[0]")
    events = told(sparring(FIRST, SECOND, 20.0, 15.0), 15.0, rule=rule)
    assert len(events) == 2
    for event in events:
        message = builder.event(event)
        contract(message.topic, json.loads(message.body))


def test_pairs_are_found_again_and_forgotten():
    pairs = Pairs(heat=0.0)
    rows = pairs.rows_of(np.array([5, 1]), np.array([2, 9]))
    pairs["heat"][rows] = [0.5, 0.7]
    rows = pairs.rows_of(np.array([9, 2, 3]), np.array([1, 5, 2]))
    assert pairs["heat"][rows].tolist() == [0.7, 0.5, 0.0]
    assert list(zip(pairs.first.tolist(), pairs.second.tolist())) == [(1, 9), (2, 3), (2, 5)]
    pairs.forget(pairs["heat"] == 0)
    assert pairs["heat"].tolist() == [0.7, 0.5]
