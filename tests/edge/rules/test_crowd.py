"""The rule `crowd`: people per square metre of a polygon."""

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.rules import build_rule, crowd
from edge.scene.ground import Ground
from tests.edge.rules.walking import people

SQUARE = [[400, 400], [800, 400], [800, 800], [400, 800]]
CENTIMETRES = Ground((0.01, 0, 0, 0, 0.01, 0, 0, 0, 1))  # the square has 16 m2


def rule(ground=CENTIMETRES, **options):
    wanted = {"polygon": SQUARE, "over_per_m2": 0.5, "refractory_s": 0.0, "hold_s": 0.0, **options}
    floor = {} if ground is None else {"ground": ground}
    return build_rule({"kind": "crowd", **floor, **wanted}, "rules[0]")


def group(count, x=0.0):
    return {i: (420 + 360 * i / max(count - 1, 1) + x, 500.0 + 20 * (i % 5)) for i in range(count)}


def told(watched, frames, fps=10.0, start_s=1.0):
    events = []
    for i, places in enumerate(frames):
        events += watched(people(places), "hall", round((start_s + i / fps) * 1e9))
    return events


def test_density_is_told_with_hysteresis():
    over, near, calm = [group(10)] * 60, [group(7)] * 60, [group(4)] * 60
    events = told(rule(), calm + over + near + over + calm)
    assert [e.data["action"] for e in events] == ["over", "end"]
    first = events[0]
    assert (first.person, first.level) == (-1, "warning")
    assert first.data["per_m2"] == pytest.approx(10 / 16, abs=0.1)
    assert events[1].data["peak_per_m2"] == pytest.approx(10 / 16, abs=0.01)
    assert events[1].data["held_s"] == pytest.approx(20, abs=1.5)
    assert "people on 16.0 m2" in first.why


def test_a_short_rush_is_no_crowd():
    assert told(rule(), ([group(4)] * 30 + [group(10)] * 10) * 4) == []


def test_misses_of_the_detector_do_not_end_it():
    flickers = [group(10), {}, group(9)] * 60
    assert [e.data["action"] for e in told(rule(over_per_m2=0.3), flickers)] == ["over"]


def test_who_disappears_in_the_polygon_is_hidden_and_who_walks_out_is_not_there():
    group_of_6 = {i: (440.0 + 65 * i, 600.0) for i in range(6)}
    watched = rule(hold_s=4.0, mean_s=0.0)
    told(watched, [group_of_6] * 20 + [{}] * 20)
    assert watched.summary().zones == {"crowd": 6}
    told(watched, [{}] * 40, start_s=5.0)
    assert watched.summary().zones == {"crowd": 0}
    watched = rule(hold_s=60.0, mean_s=0.0)
    leaves = [{**group_of_6, 5: (765.0 + 20 * i, 600.0)} for i in range(20)]
    told(watched, [group_of_6] * 20 + leaves + [{}] * 20)
    assert watched.summary().zones == {"crowd": 5}


def test_few_people_on_little_floor_are_no_crowd():
    tiny = [[400, 400], [480, 400], [480, 480], [400, 480]]  # .64 m2
    pair = {1: (420.0, 450.0), 2: (460.0, 450.0)}
    assert told(rule(polygon=tiny, over_per_m2=2.0), [pair] * 60) == []
    assert told(rule(polygon=tiny, over_per_m2=2.0, least_people=2), [pair] * 60)


def test_the_area_may_be_given():
    events = told(rule(ground=None, area_m2=16.0), [group(10)] * 60)
    assert events[0].data["flow_m_s"] is None
    assert events[0].data["flow_h_s"] == 0


@pytest.mark.parametrize(("step", "towards"), [(4.0, 0), (-4.0, 180), (4j, 270), (-4j, 90)])
def test_flow_has_speed_and_direction(step, towards):
    frames = []
    for i in range(40):
        away = step * (i - 20)
        frames.append(
            {k: (x + np.real(away), y + np.imag(away)) for k, (x, y) in group(10).items()}
        )
    watched = rule()
    told(watched, frames)
    figures = watched.summary().data
    assert figures["flow_m_s"] == pytest.approx(0.4, abs=0.05)
    assert figures["flow_deg"] == towards


def test_the_summary_has_occupancy_and_outline():
    watched = rule(name="platform")
    told(watched, [group(10)] * 60)
    summary = watched.summary()
    assert summary.zones == {"platform": 10}
    assert summary.data["over"] is True
    assert summary.outlines[0].label == "platform: 10, 0.62/m2"
    assert summary.unsure == ""


def test_hidden_feet_are_said():
    watched = rule()
    for i in range(60):
        poses = people(group(10))
        poses.scores[:, 11:] = 0
        events = watched(poses, "hall", i * 10**8)
        assert all(e.score < 0.6 for e in events)
    assert "hidden" in watched.summary().unsure


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "area_m2: is missing"),
        ({"area_m2": 4.0, "under_per_m2": 3.0}, "under_per_m2: must not be above"),
        ({"ground": Ground((1, 0, 0, 0, 1, 0, 0, 1, -700.0))}, "polygon: a corner is above"),
    ],
)
def test_a_wrong_table_is_refused(table, said):
    with pytest.raises(ConfigError, match=said):
        build_rule({"kind": "crowd", "polygon": SQUARE, **table}, "rules[0]")


def test_the_module_is_on_the_ground():
    assert crowd.ON_GROUND
