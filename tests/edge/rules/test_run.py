"""The rule `run`: people who run, by their speed over the floor."""

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.rules import build_rule
from edge.scene.ground import Ground
from tests.edge.rules.walking import people

CENTIMETRES = Ground((0.01, 0, 0, 0, 0.01, 0, 0, 0, 1))


def rule(**options):
    return build_rule({"kind": "run", "ground": CENTIMETRES, **options}, "rules[0]")


def goes(*legs, fps=10.0, who=1):
    """Places of somebody who goes legs of (seconds, m/s)."""
    x, frames = 0.0, []
    for seconds, speed in legs:
        for _ in range(round(seconds * fps)):
            x += speed * 100 / fps
            frames.append({who: (x, 600.0)})
    return frames


def events(watched, frames, fps=10.0):
    found = []
    for i, places in enumerate(frames):
        found += watched(people(places), "yard", 10**9 + round(i / fps * 1e9))
    return found


@pytest.mark.parametrize("fps", [10.0, 15.0, 30.0])
def test_a_run_is_told_once_with_its_speed(fps):
    found = events(rule(), goes((3, 1.4), (4, 3.5), (4, 1.2), fps=fps), fps)
    assert [e.data["action"] for e in found] == ["start", "end"]
    start, end = found
    assert 3.9 < (start.t_ns - 10**9) * 1e-9 < 5.5
    assert start.data["speed_m_s"] == pytest.approx(3.5, abs=0.2)
    assert start.level == "warning"
    assert "m/s > 2.2 m/s" in start.why
    assert end.data["held_s"] == pytest.approx(5.8, abs=1.0)


def test_a_walker_and_a_short_dash_do_not_run():
    assert events(rule(), goes((10, 1.9))) == []
    assert events(rule(), goes((3, 1.2), (0.7, 3.5), (3, 1.2))) == []


def test_slower_for_a_moment_is_one_run():
    found = events(rule(), goes((3, 3.2), (1, 1.8), (3, 3.2), (4, 0)))
    assert [e.data["action"] for e in found] == ["start", "end"]


def test_a_new_id_goes_on_running_and_who_vanishes_ends():
    frames = goes((3, 3.0)) + [{}] * 3
    frames += [{9: (x + 90, y)} for f in goes((3, 3.0)) for _, (x, y) in f.items()]
    frames = frames[:33] + [{9: (900 + 30 * i + 120.0, 600.0)} for i in range(20)] + [{}] * 30
    found = events(rule(), frames)
    assert [(e.person, e.data["action"]) for e in found] == [(1, "start"), (9, "end")]


def test_a_jump_to_another_place_is_no_speed():
    frames = [{1: (100.0 if i % 10 < 5 else 1200.0, 600.0)} for i in range(80)]
    assert events(rule(), frames) == []


def test_hidden_feet_are_not_judged():
    watched = rule()
    for i, places in enumerate(goes((8, 3.5))):
        poses = people(places)
        poses.scores[:, 11:] = 0
        assert watched(poses, "yard", i * 10**8) == []
    assert "hidden" in watched.summary().unsure


def test_the_summary_names_who_runs():
    watched = rule(name="yard run")
    events(watched, goes((4, 3.5)))
    summary = watched.summary()
    assert (summary.name, summary.data, summary.labels) == ("yard run", {"people": 1}, {1: "runs"})


def test_a_faster_run_is_surer():
    scores = [events(rule(), goes((4, speed)))[0].score for speed in (2.4, 2.8, 4.5)]
    assert np.all(np.diff(scores) > 0)
    assert scores[-1] == pytest.approx(0.9)


def test_it_needs_the_ground_and_a_name():
    with pytest.raises(ConfigError, match="the ground of the camera is not known"):
        build_rule({"kind": "run"}, "rules[0]")
    with pytest.raises(ConfigError, match="name: is empty"):
        rule(name="")
