"""The rule `fall` on drawn falls and on daily motion that resembles them, seen from many sides."""

import json
from typing import Dict, List

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.people.smoother import Smoother
from edge.people.tracker import Tracker
from edge.rules import build_rule, fall
from edge.settings.config import Smooth, Track
from edge.skeletons import convert_poses, get
from edge.structures import Poses
from tests.edge.rules.acting import DAILY, FALLS, act, ballistic, events_of, smooth

pytestmark = pytest.mark.one_python

SIDES = [(yaw, pitch) for yaw in (0, 45, 90, 135, 180, -90) for pitch in (0, 15, 30)]
VIEWS = {"yaw": [s[0] for s in SIDES], "pitch": [s[1] for s in SIDES]}
# With the feet to a camera that looks down, a lying body has the picture of one that sits far away.
AWAY = (-90, 30)
LIE_DOWN = [("floor", 2.0, 1.0, smooth), ("back", 2.5, 5, smooth)]
GET_UP = [("floor", 1.0, 0.2, smooth), ("stand", 1.5, 2, smooth)]


def watch(script, options=None, **view):
    rule = fall.build(fall.Options(**(options or {})))
    return [e.data["action"] for e in events_of(rule, act(script, **view))]


def watch_from_all_sides(script, options=None, fps=10.0):
    """What was said of each view: the same person from every side, side by side."""
    rule = fall.build(fall.Options(**(options or {})))
    said: Dict[int, List[str]] = {i: [] for i in range(1, len(SIDES) + 1)}
    for event in events_of(rule, act(script, fps=fps, **VIEWS)):
        said[event.person].append(event.data["action"])
    return {SIDES[i - 1]: actions for i, actions in said.items()}


@pytest.mark.parametrize("fps", [10.0, 30.0])
@pytest.mark.parametrize("name", sorted(FALLS))
def test_falls_are_reported_once_from_every_side(name, fps):
    said = watch_from_all_sides(FALLS[name], fps=fps)
    # A camera that looks down may miss a fall along its view.
    assert {tuple(said.pop((yaw, 30))) for yaw in (90, -90)} <= {(), ("fall",)}
    if name == "slump":
        for side in ((-90, 15), (90, 15)):
            assert said.pop(side) in (["lying"], ["fall"])
    assert said == {side: ["fall"] for side in said}


@pytest.mark.parametrize("fps", [10.0, 30.0])
@pytest.mark.parametrize("name", sorted(DAILY))
def test_daily_life_is_no_fall(name, fps):
    said = watch_from_all_sides(DAILY[name], fps=fps)
    falls = [side for side, actions in said.items() if "fall" in actions]
    # Somebody who drops onto the hands, stays there for .5 s and comes up passes from some sides.
    assert len(falls) <= (5 if name == "burpees" else 0), said
    # Bent double on a chair and seen from the front is the one posture that passes for lying.
    lying = [side for side, actions in said.items() if actions]
    assert len(lying) <= (6 if name == "tie shoes" else len(falls)), said


def test_lying_down_slowly_is_lying():
    said = watch_from_all_sides(LIE_DOWN)
    assert said.pop(AWAY) in ([], ["lying"])
    assert sum(actions == ["lying"] for actions in said.values()) >= len(said) - 1, said
    assert watch(LIE_DOWN, {"lying": False}) == []


def test_data_and_times():
    rule = fall.build(fall.Options())
    events = events_of(rule, act([*FALLS["forward"], *GET_UP]))
    assert [e.data["action"] for e in events] == ["fall", "recover"]
    first, last = events
    # Standing 1.5 s, the fall takes .7 s, the clock starts at 1 s; it is told after some time on
    # the ground, and within 2 s of the impact.
    assert 1 + 1.5 + 0.7 + 0.3 < first.t_ns * 1e-9 < 1 + 1.5 + 0.7 + 2
    assert first.kind == "fall"
    assert first.person == 1
    assert first.camera == "cam0"
    assert set(first.data) == {"action", "down_s", "tilt_deg", "drop_h", "speed_h_s"}
    assert 70 < first.data["tilt_deg"] < 110
    assert 0.7 < first.data["speed_h_s"] < 4
    assert 0.7 < first.data["drop_h"] < 1.3
    assert 0.5 <= first.data["down_s"] < 2
    assert 0.7 < first.score <= 1
    assert last.data["down_s"] > 6
    assert json.loads(json.dumps(first.data)) == first.data


@pytest.mark.parametrize(("drop_h", "action"), [(0.3, "fall"), (1.4, "lying")])
def test_shoulders_that_drop_less_than_drop_h_are_no_fall(drop_h, action):
    """Shoulders drop by .7 to 1.3 heights in this fall (test_data_and_times)."""
    assert watch(FALLS["forward"], {"drop_h": drop_h}) == [action]


def test_up_at_once_is_no_fall():
    assert watch([("front", 0.6, 0.3, ballistic), ("stand", 0.8, 4, smooth)]) == []


def test_two_falls_are_two_events():
    script = [*FALLS["forward"], *GET_UP, *FALLS["backward"]]
    assert watch(script) == ["fall", "recover", "fall"]


def test_getting_up_is_reported_after_recover_s():
    script = [*FALLS["forward"], ("floor", 1.0, 0.2, smooth), ("stand", 1.5, 5, smooth)]

    def recover_time_s(recover_s):
        events = events_of(fall.build(fall.Options(recover_s=recover_s)), act(script))
        assert [e.data["action"] for e in events] == ["fall", "recover"]
        return events[1].t_ns * 1e-9

    assert recover_time_s(3.0) - recover_time_s(1.0) == pytest.approx(2.0, abs=0.1)
    assert watch([*FALLS["forward"], ("stand", 1.0, 0.5, smooth)], {"recover_s": 3.0}) == ["fall"]


def test_another_number_while_falling():
    """The tracker loses the faller for a moment and gives a new id: it is still the same fall."""
    for seed in range(3):
        frames = act(FALLS["forward"], seed=seed, who=lambda t: 1 if t < 1.9 else 5)
        kept = [(p, t) for p, t in frames if not 2.75e9 < t < 3.0e9]
        rule = fall.build(fall.Options())
        events = [e for p, t in kept for e in rule(p, "cam0", t)]
        assert [(e.data["action"], e.person) for e in events] == [("fall", 5)]


def test_hidden_legs_or_torso():
    assert watch(FALLS["forward"], lost=("legs",)) == ["fall"]
    # Of somebody whose torso is hidden only the box says that they lie.
    assert watch(FALLS["forward"], lost=("torso",)) in (["lying"], ["fall"])
    for name in ("sit", "bend", "stand"):
        assert watch(DAILY[name], lost=("torso",)) == []


def test_a_person_on_the_ground_who_disappears_is_lost_once():
    rule = fall.build(fall.Options())
    frames = list(act(FALLS["forward"]))
    events = events_of(rule, frames)
    end = frames[-1][1]
    empty = Poses.empty(17, "coco17")
    quiet = [e for s in range(1, 10) for e in rule(empty, "cam0", end + s * 10**9)]
    lost = [e for s in range(10, 30) for e in rule(empty, "cam0", end + s * 10**9)]
    assert [e.data["action"] for e in events + quiet + lost] == ["fall", "lost"]
    assert lost[0].person == 1


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_person_who_fell_and_is_not_seen_since_fell(way):
    """The networks may lose a body as soon as it lies on the ground."""
    rule = fall.build(fall.Options())
    frames = list(act(FALLS[way]))
    told_ns = events_of(fall.build(fall.Options()), frames)[0].t_ns
    last_ns = told_ns - round(0.2e9)
    events = [
        event
        for poses, t_ns in frames
        for event in rule(poses if t_ns < last_ns else Poses.empty(17, "coco17"), "cam0", t_ns)
    ]
    assert [e.data["action"] for e in events] == ["fall"]
    assert events[0].t_ns <= told_ns


def test_the_size_of_people_does_not_matter():
    for tall in (40.0, 900.0):
        assert watch(FALLS["backward"], tall=tall) == ["fall"]
        assert watch(DAILY["drop into a chair"], tall=tall) == []


def test_through_tracker_and_filter_in_133_keypoints():
    """The rule sees what the loop gives it."""
    for name, want in (("forward", ["fall"]), ("slump", ["fall"])):
        tracker = Tracker(Track(), get("coco17"))
        smoother = Smoother(Smooth(), get("coco17"))
        rule = fall.build(fall.Options())
        events = []
        for poses, t_ns in act(FALLS[name], fps=20.0, noise=0.01, who=-1):
            seen = convert_poses(smoother(tracker.update(poses, t_ns), t_ns), "wholebody133")
            events += rule(seen, "cam0", t_ns)
        assert [e.data["action"] for e in events] == want


def test_people_are_judged_apart():
    """One falls, one sits, in one picture: rows in any order."""
    rng = np.random.default_rng(0)
    rule = fall.build(fall.Options())
    falls, sits = act(FALLS["forward"], who=1), act(DAILY["sit"], who=2, seed=5)
    events = []
    for (a, t_ns), (b, _) in zip(falls, sits):
        both = Poses(
            np.concatenate((a.keypoints, b.keypoints + np.float32(600))),
            np.concatenate((a.scores, b.scores)),
            np.concatenate((a.boxes, b.boxes + np.float32(600))),
            np.concatenate((a.ids, b.ids)),
            np.concatenate((a.person_scores, b.person_scores)),
            "coco17",
        )
        events += rule(both.take(rng.permutation(2)), "cam0", t_ns)
    assert [(e.data["action"], e.person) for e in events] == [("fall", 1)]


def test_no_one_no_number_and_time_gaps():
    rule = fall.build(fall.Options())
    empty = Poses.empty(17, "coco17")
    for t in (0, 0, 10**9, 5, 10**15):
        assert rule(empty, "cam0", t) == []
    frames = list(act(FALLS["forward"], who=-1))
    assert events_of(rule, frames) == []
    # A camera that shows one frame in three seconds tells no speed, but it does tell lying.
    rule = fall.build(fall.Options())
    slow = [(p, t) for i, (p, t) in enumerate(act([("front", 0.7, 30, ballistic)])) if i % 45 == 0]
    assert [e.data["action"] for e in events_of(rule, slow)] == ["lying"]


def test_options_are_checked():
    assert isinstance(build_rule({"kind": "fall", "tilt_deg": 50}, "rules[0]"), fall.Fall)
    with pytest.raises(ConfigError, match=r"rules\[0\].tilt_deg: 5"):
        build_rule({"kind": "fall", "tilt_deg": 5}, "rules[0]")
    with pytest.raises(ConfigError, match=r"rules\[2\].tilt: unknown key; did you mean 'tilt_deg'"):
        build_rule({"kind": "fall", "tilt": 50}, "rules[2]")


def test_the_summary_counts_who_is_down_until_they_get_up():
    rule = fall.build(fall.Options())
    assert rule.summary().down == 0
    events_of(rule, act(FALLS["forward"]))
    assert (rule.summary().down, rule.summary().data) == (1, {"down": 1, "fallen": 1})
    rule = fall.build(fall.Options())
    events_of(rule, act([*FALLS["forward"], *GET_UP]))
    assert rule.summary().down == 0
