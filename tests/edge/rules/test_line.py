"""The rule `line`: people who cross a line, and in which direction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.rules import build_rule, line
from edge.rules._lines import crossings
from edge.scene.ground import Ground
from tests.edge.rules.walking import STANDING, TALL, people

DOOR = [[500, 800], [500, 400]]  # upwards in the picture: its right side is the right


def rule(points=DOOR, ground=None, **options):
    return line.build(line.Options(line=points, **options), ground)


def told(watched, frames, fps=10.0, score=0.9):
    out = []
    for i, places in enumerate(frames):
        for e in watched(people(places, score), "door", 10**9 + round(i / fps * 1e9)):
            out.append((e.person, e.data["action"], e.data["in"], e.data["out"]))
    return out


def walk(start, end, steps, who=1, y=600.0):
    return [{who: (float(x), y)} for x in np.linspace(start, end, steps)]


@pytest.mark.parametrize("fps", [10.0, 15.0, 30.0])
def test_to_the_right_of_the_line_is_in(fps):
    assert told(rule(), walk(300, 700, 30), fps) == [(1, "in", 1, 0)]
    assert told(rule(), walk(700, 300, 30), fps) == [(1, "out", 0, 1)]
    assert told(rule(points=DOOR[::-1]), walk(300, 700, 30), fps) == [(1, "out", 0, 1)]


def test_one_direction_may_be_counted():
    there_and_back = walk(300, 700, 30) + walk(700, 300, 30)
    assert [a for _, a, *_ in told(rule(), there_and_back)] == ["in", "out"]
    assert told(rule(count="out"), there_and_back) == [(1, "out", 0, 1)]


def test_standing_on_the_line_and_turning_back_is_no_crossing():
    rng = np.random.default_rng(0)
    sways = [{1: (500 + rng.uniform(-0.09, 0.09) * TALL, 600)} for _ in range(100)]
    assert told(rule(), walk(300, 500, 20) + sways + walk(500, 300, 20)) == []
    assert told(rule(), walk(300, 500, 20) + sways + walk(500, 700, 20)) == [(1, "in", 1, 0)]


def test_round_the_end_of_the_line_is_no_crossing():
    around = walk(300, 300, 2) + [{1: (300.0, float(y))} for y in np.linspace(600, 950, 20)]
    around += walk(300, 700, 30, y=950) + [
        {1: (700.0, float(y))} for y in np.linspace(950, 600, 20)
    ]
    assert told(rule(), around) == []


def test_a_bent_line_is_crossed_once_at_its_corner():
    bent = [[500, 900], [500, 600], [300, 300]]
    assert told(rule(points=bent), walk(300, 700, 41)) == [(1, "in", 1, 0)]


def test_a_new_id_behind_the_line_is_the_same_person():
    frames = walk(400, 480, 10) + [{}] * 4 + walk(530, 700, 20, who=7)
    assert told(rule(), frames) == [(7, "in", 1, 0)]


def test_a_jump_across_the_picture_is_another_person():
    frames = walk(100, 120, 10) + walk(900, 920, 10)
    assert told(rule(), frames) == []


def test_the_same_person_waits_before_counting_again():
    to_and_fro = [*walk(420, 580, 8), *walk(580, 420, 8)] * 3
    assert len(told(rule(refractory_s=0.0), to_and_fro)) == 6
    assert len(told(rule(refractory_s=60.0), to_and_fro)) == 1


def test_a_lost_crossing_within_the_pause_does_not_turn_the_next_one():
    frames = [*walk(420, 580, 8), *walk(580, 420, 8), *walk(420, 420, 30), *walk(420, 580, 8)]
    assert told(rule(refractory_s=1.5), [*frames, *walk(580, 600, 5)]) == [
        (1, "in", 1, 0),
        (1, "in", 2, 0),
    ]


def test_speed_is_on_the_floor_where_the_ground_is_known():
    centimetres = Ground((0.01, 0, 0, 0, 0.01, 0, 0, 0, 1))
    frames = walk(300, 700, 41)  # 10 px a frame: 1 m/s, about .5 H/s
    events = []
    for watched in (rule(), rule(ground=centimetres)):
        for i, places in enumerate(frames):
            events += watched(people(places), "door", i * 10**8)
    assert events[0].data["speed_h_s"] == pytest.approx(0.5, abs=0.1)
    assert events[0].data["speed_m_s"] is None
    assert events[1].data["speed_m_s"] == pytest.approx(1.0, abs=0.1)
    assert events[1].data["speed_h_s"] is None
    assert "1.0 m/s" in events[1].why


def test_the_summary_counts_and_draws():
    watched = rule(name="gate")
    told(watched, walk(300, 700, 30))
    summary = watched.summary()
    assert summary.data == {"in": 1, "out": 0}
    assert [o.label for o in summary.outlines] == ["gate: 1 in, 0 out", "in"]
    assert not any(o.closed for o in summary.outlines)
    assert summary.outlines[1].points.real.max() > 500  # the arrow points to the side of `in`


def test_hidden_feet_are_guessed_and_the_summary_says_so():
    watched = rule()
    for i, places in enumerate(walk(300, 700, 80)):
        poses = people(places)
        poses.scores[:, 11:] = 0
        events = watched(poses, "door", i * 10**8)
        if events:
            assert events[0].data["action"] == "in"
            assert events[0].score == pytest.approx(0.63)
            break
    else:
        pytest.fail("not told")
    for i in range(80):
        watched(poses, "door", 10**10 + i * 10**8)
    assert "feet" in watched.summary().unsure


def test_nearness_falls_with_the_distance():
    poses = people({1: (500.0, 600.0), 2: (500.0 + TALL / 2, 600.0), 3: (500.0 + 2 * TALL, 600.0)})
    assert rule().nearness(poses) == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "line: is missing"),
        ({"line": [[1, 2]]}, "line: expected at least 2"),
        ({"line": [[10, 20], [10, 20]]}, "line: two points"),
        ({"line": [[0.1, 0.2], [0.3, 0.4]]}, "line: all corners are within one px"),
        ({"line": DOOR, "count": "up"}, "count: 'up'"),
        ({"line": DOOR, "ground": [[1, 2]]}, "ground: unknown key"),
    ],
)
def test_a_wrong_table_is_refused(table, said):
    with pytest.raises(ConfigError, match=said):
        build_rule({"kind": "line", **table}, "rules[0]")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=12))
def test_any_closed_way_crosses_a_line_to_the_border_as_often_in_as_out(way):
    points = np.array(
        [complex(x + 0.31, y + 0.17) for x, y in way] + [complex(*way[0]) + 0.31 + 0.17j]
    )
    wall = np.array([20 - 1000j, 20 + 1000j])
    assert sum(crossings(a[None], b[None], wall)[0] for a, b in zip(points, points[1:])) == 0


def test_the_figure_of_these_tests_stands_on_its_place():
    assert STANDING[15:, 1].tolist() == [0, 0]
