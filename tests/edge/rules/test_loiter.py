"""The rule `loiter`: people who stay within a small place for a long time."""

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.rules import build_rule, loiter
from edge.scene.ground import Ground
from tests.edge.rules.walking import TALL, people

CENTIMETRES = Ground((0.01, 0, 0, 0, 0.01, 0, 0, 0, 1))
FPS = 5.0


def rule(ground=None, **options):
    return loiter.build(loiter.Options(**{"after_s": 10.0, **options}), ground)


def told(watched, frames, fps=FPS):
    out = []
    for i, places in enumerate(frames):
        for e in watched(people(places), "door", 10**9 + round(i / fps * 1e9)):
            out.append((round(i / fps, 1), e.person, e.data["action"]))
    return out


def stays(seconds, x=600.0, who=1, sway_px=0.0, fps=FPS):
    t_s = np.arange(round(seconds * fps)) / fps
    return [{who: (x + sway_px * float(np.sin(t)), 600.0)} for t in t_s]


def walk(start, end, seconds, who=1, fps=FPS):
    return [{who: (float(x), 600.0)} for x in np.linspace(start, end, round(seconds * fps))]


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_a_long_stay_is_told_once_and_so_is_its_end(fps):
    frames = walk(0, 600, 3, fps=fps) + stays(25, sway_px=0.5 * TALL, fps=fps)
    events = told(rule(), frames + walk(600, 1600, 5, fps=fps), fps)
    assert [a for *_, a in events] == ["start", "end"]
    assert 12 <= events[0][0] <= 14


def test_a_walker_does_not_loiter_nor_does_a_short_stay():
    assert told(rule(), walk(0, 3000, 30)) == []
    assert told(rule(), stays(8) + walk(600, 1600, 3) + stays(8, 1600)) == []


def test_wide_pacing_is_no_stay():
    assert told(rule(), stays(60, sway_px=3 * TALL)) == []
    assert told(rule(radius_h=4.0), stays(60, sway_px=3 * TALL))


def test_the_radius_may_be_metres_of_the_floor():
    frames = stays(20, sway_px=150)  # 1.5 m to each side
    assert [a for *_, a in told(rule(CENTIMETRES, radius_m=2.0), frames)] == ["start"]
    assert told(rule(CENTIMETRES, radius_m=0.5), frames) == []
    event = None
    watched = rule(CENTIMETRES, radius_m=2.0)
    for i, places in enumerate(frames):
        event = next(iter(watched(people(places), "door", i * 2 * 10**8)), event)
    assert event.data["radius_h"] is None
    assert 1.0 < event.data["radius_m"] < 2.0
    assert event.level == "warning"
    assert event.why == "stays within 2 m for 10.0 s >= 10 s"


def test_metres_need_the_ground():
    with pytest.raises(ConfigError, match=r"rules\[0\].radius_m: the ground .* edge-tools ground"):
        build_rule({"kind": "loiter", "radius_m": 2.0}, "rules[0]")


def test_people_above_the_horizon_are_not_judged():
    low = Ground((1, 0, 0, 0, 1, 0, 0, 1, -700.0))  # the horizon is at y = 700
    watched = rule(low, radius_m=5.0)
    assert told(watched, stays(30)) == []
    assert "floor" in watched.summary().unsure


def test_a_new_id_at_the_same_place_goes_on_staying():
    events = told(rule(), stays(6) + [{}] * 10 + stays(6, who=9))
    assert [(p, a) for _, p, a in events] == [(9, "start")]


def test_who_vanishes_has_left():
    watched = rule(unseen_s=3.0)
    events = told(watched, stays(12) + [{}] * 30)
    assert [a for *_, a in events] == ["start", "end"]
    assert watched.summary().data == {"people": 0}


def test_only_within_the_polygon():
    spot = [[500, 500], [700, 500], [700, 700], [500, 700]]
    assert told(rule(polygon=spot), stays(30, 300)) == []
    assert [a for *_, a in told(rule(polygon=spot), stays(30))] == ["start"]
    watched = rule(polygon=spot)
    told(watched, stays(30))
    assert watched.summary().labels == {1: "loiters"}
    assert watched.summary().outlines[0].label == "loiter: 1"


def test_the_pause_holds_back_the_next_report():
    twice = stays(15) + walk(600, 1600, 4) + stays(15, 1600)
    assert [a for *_, a in told(rule(), twice)] == ["start", "end", "start"]
    assert [a for *_, a in told(rule(refractory_s=60.0), twice)] == ["start", "end"]
