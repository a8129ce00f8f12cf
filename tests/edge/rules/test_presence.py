"""The rule `presence`: people who enter, stay and leave."""

import json
from typing import Any, Dict, List

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.rules import build_rule, presence
from edge.structures import Poses
from tests.edge.rules.walking import events_of, people

HERE = (500, 600)


def rule(**options):
    return presence.build(presence.Options(**options))


def test_one_comes_and_goes():
    frames: List[Dict[int, Any]] = [{}] * 3 + [{7: HERE}] * 20 + [{}] * 30
    assert events_of(rule(enter_s=0.5, leave_s=2.0), frames) == [
        (0.8, 7, "enter", 1),
        (4.3, 7, "leave", 0),
    ]


def test_a_blip_is_nobody():
    assert events_of(rule(enter_s=0.5), [{}, {7: HERE}, {7: HERE}] + [{}] * 40) == []


def test_short_gaps_are_no_leaving():
    frames = ([{7: HERE}] * 10 + [{}] * 15) * 4
    assert events_of(rule(leave_s=2.0), frames) == [(0.5, 7, "enter", 1)]


def test_counts_and_dwell():
    frames = [{1: HERE}] * 10 + [{1: HERE, 2: (900, 600)}] * 30 + [{2: (900, 600)}] * 30
    assert events_of(rule(dwell_s=2.0), frames) == [
        (0.5, 1, "enter", 1),
        (1.5, 2, "enter", 2),
        (2.0, 1, "dwell", 2),
        (3.0, 2, "dwell", 2),
        (6.0, 1, "leave", 1),
    ]


def test_another_number_at_the_same_place_is_the_same_person():
    frames = [{1: HERE}] * 10 + [{}] * 5 + [{4: (540, 600)}] * 20 + [{}] * 30
    watched = rule()
    events = [
        e
        for i, places in enumerate(frames)
        for e in watched(people(places), "door", 10**9 + i * 10**8)
    ]
    assert [(e.data["action"], e.person) for e in events] == [("enter", 1), ("leave", 4)]
    assert events[1].data["entered_as"] == 1
    assert events[1].data["dwell_s"] == pytest.approx(3.4)


def test_another_number_far_away_is_somebody_else():
    frames = [{1: HERE}] * 10 + [{4: (1500, 600)}] * 30
    actions = [(p, a) for _, p, a, _ in events_of(rule(), frames)]
    assert actions == [(1, "enter"), (4, "enter"), (1, "leave")]


def test_two_new_ids_where_two_people_disappeared_are_kept_apart():
    """Each new id inherits the row of the nearer person."""
    frames = [{1: HERE, 2: (600, 600)}] * 10 + [{}] * 3 + [{8: (598, 600), 9: (503, 600)}] * 10
    watched = rule()
    events_of(watched, frames + [{}] * 25)
    watched = rule()
    events = [
        e
        for i, places in enumerate(frames + [{}] * 25)
        for e in watched(people(places), "door", i * 10**8)
    ]
    left = {e.person: e.data["entered_as"] for e in events if e.data["action"] == "leave"}
    assert left == {8: 2, 9: 1}


def test_the_order_of_people_does_not_matter():
    rng = np.random.default_rng(0)
    a, b = rule(), rule()
    for i in range(200):
        here = rng.permutation(6)[: rng.integers(0, 7)]
        poses = people({int(k): (300 * k, 600) for k in here})
        shuffled = poses.take(rng.permutation(len(poses)))
        one, other = a(poses, "c", i * 10**8), b(shuffled, "c", i * 10**8)
        assert {(e.person, e.data["action"]) for e in one} == {
            (e.person, e.data["action"]) for e in other
        }
        assert one == [] or one[-1].data["people"] == other[-1].data["people"]


def test_a_hundred_come_and_go():
    places = {i: (300 * (i % 20), 250 * (i // 20)) for i in range(100)}
    events = events_of(rule(), [places] * 10 + [{}] * 25)
    assert [e[3] for e in events] == [*range(1, 101), *range(99, -1, -1)]


def test_nobody_numberless_and_strange_times():
    watched = rule(leave_s=0.5)
    empty = Poses.empty(17, "coco17")
    for t in (5, 5, 0, 10**18):
        assert watched(empty, "c", t) == []
    assert events_of(watched, [{-1: HERE}] * 20) == []
    # The person is seen in one frame, then the camera stalls for an hour: no event at all.
    watched = rule()
    assert watched(people({3: HERE}), "c", 0) == []
    assert watched(empty, "c", 3600 * 10**9) == []


def test_data_is_json():
    watched = rule(enter_s=0)
    (event,) = watched(people({3: HERE}), "c", 0)
    assert event.kind == "presence"
    assert json.loads(json.dumps(event.data)) == {
        "action": "enter",
        "people": 1,
        "dwell_s": 0.0,
        "entered_as": 3,
    }
    assert event.score == pytest.approx(0.9)


def test_options_are_checked():
    with pytest.raises(ConfigError, match=r"rules\[1\].leave_s: 0"):
        build_rule({"kind": "presence", "leave_s": 0}, "rules[1]")
    with pytest.raises(ConfigError, match="no rules plug called 'presense'; did you mean"):
        build_rule({"kind": "presense"}, "rules[0]")


def test_the_summary_counts_who_is_here():
    rule = presence.build(presence.Options())
    events_of(rule, [{1: (300.0, 600.0), 2: (700.0, 600.0)}] * 10)
    assert rule.summary().data == {"people": 2}
