"""The rule `zone`: people who enter, stay in and leave a polygon of the picture."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.rules import build_rule, zone
from edge.rules._polygon import depths
from edge.structures import Poses
from tests.edge.rules.walking import TALL, events_of, people

SQUARE = [[400, 400], [800, 400], [800, 800], [400, 800]]


def rule(polygon=SQUARE, **options):
    return zone.build(zone.Options(polygon=polygon, **options))


def walk(start, end, steps, who=1):
    xs = np.linspace(start, end, steps)
    return [{who: (float(x), 600.0)} for x in xs]


def test_one_walks_through():
    frames = walk(200, 1000, 41)  # 20 px a frame: over the border after frames 10 and 30
    events = events_of(rule(enter_s=0.2, leave_s=0.5), frames)
    assert events == [(1.3, 1, "enter", 1), (3.6, 1, "leave", 0)]


def test_who_dithers_on_the_border_is_told_once():
    rng = np.random.default_rng(0)
    margin = 0.03 * TALL
    frames = [{1: (400 + rng.uniform(-0.9, 0.9) * margin, 600)} for _ in range(100)]
    assert events_of(rule(), frames) == []
    assert events_of(rule(), walk(500, 420, 10) + frames) == [(0.2, 1, "enter", 1)]


def test_jumping_over_the_border_must_last():
    inside, outside = {1: (600, 600)}, {1: (200, 600)}
    assert events_of(rule(enter_s=0.5), ([inside] * 4 + [outside] * 4) * 5) == []


def test_dwell_and_count():
    frames = [{1: (600, 600), 2: (200, 600)}] * 30 + [{1: (600, 600), 2: (500, 600)}] * 30
    assert events_of(rule(dwell_s=2.0), frames) == [
        (0.2, 1, "enter", 1),
        (2.0, 1, "dwell", 1),
        (3.2, 2, "enter", 2),
        (5.0, 2, "dwell", 2),
    ]


def test_who_vanishes_inside_leaves():
    watched = rule(name="bed")
    frames = [{1: (600, 600)}] * 10 + [{}] * 30
    events = [
        e for i, places in enumerate(frames) for e in watched(people(places), "door", i * 10**8)
    ]
    assert [e.data["action"] for e in events] == ["enter", "leave"]
    assert events[1].data == {
        "zone": "bed",
        "action": "leave",
        "people": 0,
        "dwell_s": 0.9,
        "in_view": False,
    }
    assert json.loads(json.dumps(events[0].data))["in_view"] is True


def test_a_new_number_inside_is_the_same_person():
    frames = [{1: (600, 600)}] * 10 + [{}] * 3 + [{5: (620, 600)}] * 10 + walk(600, 200, 20, 5)
    assert [(p, a) for _, p, a, _ in events_of(rule(), frames)] == [(1, "enter"), (5, "leave")]


@pytest.mark.parametrize(
    ("anchor", "y", "inside"),
    [
        ("feet", 500, True),
        ("feet", 300, False),  # the zone is y 400 .. 800
        ("hip", 600, True),
        ("hip", 450, False),  # hips are .52 x 200 px above
        ("box_bottom", 410, True),
        ("centre", 480, False),
        ("centre", 520, True),
    ],
)
def test_anchors(anchor, y, inside):
    events = events_of(rule(anchor=anchor), [{1: (600, y)}] * 10)
    assert len(events) == inside


def test_hidden_feet_give_way_to_the_box():
    poses = people({1: (600, 600)})
    poses.scores[:, 15:] = 0
    watched = rule(enter_s=0)
    assert [e.data["action"] for e in watched(poses, "c", 0)] == ["enter"]


def test_shares_of_the_frame():
    shares = [[0.25, 0.25], [0.5, 0.25], [0.5, 1], [0.25, 1]]
    inside = [{1: (600, 600)}] * 10  # of 1600 x 900: x 400 .. 800
    assert len(events_of(rule(shares, width=1600, height=900), inside)) == 1
    assert events_of(rule(shares, width=400, height=900), inside) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 9), st.integers(0, 2**32 - 1))
def test_depth_by_brute_force(n, seed):
    """Against the turning number and a walk along the border in small steps."""
    rng = np.random.default_rng(seed)
    turns = np.sort(rng.uniform(0, 2 * np.pi, n))
    corners = np.exp(1j * turns) * rng.uniform(20, 100, n)  # star-shaped around 0
    points = rng.uniform(-110, 110, 40) + 1j * rng.uniform(-110, 110, 40)
    ends = np.roll(corners, -1)
    border = (corners + (ends - corners) * np.linspace(0, 1, 2000)[:, None]).ravel()
    nearest = np.abs(points[:, None] - border).min(1)
    angles = np.angle((ends - points[:, None]) / (corners - points[:, None])).sum(1)
    got = depths(points, corners)
    np.testing.assert_allclose(np.abs(got), nearest, atol=0.2)
    clear = nearest > 0.5
    np.testing.assert_array_equal((got > 0)[clear], (np.abs(angles) > np.pi)[clear])


def test_a_hollow_polygon():
    """An L: the inner corner is outside."""
    shape = [[0, 0], [900, 0], [900, 300], [300, 300], [300, 900], [0, 900]]
    corners = np.array([complex(*c) for c in shape])
    got = depths(np.array([100 + 100j, 600 + 600j, 100 + 800j, 800 + 100j]), corners)
    np.testing.assert_allclose(got, [100, -300, 100, 100])


def test_nobody_numberless_and_strange_times():
    watched = rule()
    empty = Poses.empty(17, "coco17")
    for t in (5, 5, 0, 10**18):
        assert watched(empty, "c", t) == []
    assert events_of(rule(), [{-1: (600, 600)}] * 20) == []
    watched = rule(enter_s=0)
    assert len(watched(people({1: (600, 600)}), "c", 0)) == 1
    (event,) = watched(empty, "c", 3600 * 10**9)
    assert event.data["action"] == "leave"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "rules[0].polygon: is missing"),
        ({"polygon": [[0, 0], [1, 1]]}, "rules[0].polygon: expected at least 3 corners"),
        ({"polygon": [[0, 0], [1, 1, 2], [5, 0]]}, "each [x, y]"),
        ({"polygon": [[0, 0], [0.5, 0.5], [1, 0]]}, "give width and height"),
        ({"polygon": [[0, 0], [5, 5], [9, 9]]}, "on one line"),
        ({"polygon": [[0, 0], [5, 5], [9, 0]], "width": 64}, "rules[0].width, height: give both"),
        ({"polygon": [[0, 0], [5, 5], [9, 0]], "width": 64, "height": 64}, "shares of them"),
        ({"polygon": "square"}, "rules[0].polygon: expected a list"),
        ({"polygon": [[0, "a"], [5, 5], [9, 0]]}, "rules[0].polygon[0][1]: expected a number"),
        ({"polygon": SQUARE, "anchor": "foot"}, "use feet, hip, box_bottom"),
    ],
)
def test_bad_options(table, message):
    with pytest.raises(ConfigError) as caught:
        build_rule({"kind": "zone", **table}, "rules[0]")
    assert message in str(caught.value)


def test_no_time_inside_is_negative_where_the_clock_runs_back():
    watch = rule(enter_s=0.0, leave_s=0.0)
    inside, outside = people({1: (600.0, 600.0)}), people({1: (200.0, 600.0)})
    events = watch(inside, "cam", 5 * 10**9) + watch(outside, "cam", 4 * 10**9)
    assert [(e.data["action"], e.data["dwell_s"]) for e in events] == [("enter", 0), ("leave", 0)]


def test_the_summary_counts_who_is_inside_now():
    watched = rule(name="platform")
    assert watched.summary().zones == {"platform": 0}
    events_of(watched, walk(200, 600, 21) + [{1: (600.0, 600.0), 2: (500.0, 500.0)}] * 10)
    summary = watched.summary()
    assert (summary.name, summary.kind, summary.data) == ("platform", "zone", {"people": 2})
    assert summary.zones == {"platform": 2}
