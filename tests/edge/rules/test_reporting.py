"""What every rule may be told: hours, muted places, levels, repetition, poses before an event."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.messages import Builder
from edge.rules import build_rule
from edge.rules._reporting import Reporting
from edge.structures import PoseEvent
from tests.edge.rules.walking import people

SQUARE = [[400, 400], [800, 400], [800, 800], [400, 800]]
SECOND = 10**9


def zone(minute: Optional[float] = None, **options: Any) -> Any:
    table = {"kind": "zone", "polygon": SQUARE, "enter_s": 0, "leave_s": 0, **options}
    return build_rule(table, "rules[0]", lambda t_ns: minute)


def play(rule: Any, frames: List[Dict[int, Any]], fps: float = 10.0) -> List[PoseEvent]:
    told: List[PoseEvent] = []
    for i, places in enumerate(frames):
        told += rule(people(places), "door", SECOND + round(i * SECOND / fps))
    return told


IN, OUT = {1: (600.0, 600.0)}, {1: (200.0, 600.0)}


def test_a_rule_without_such_keys_is_not_wrapped() -> None:
    assert not isinstance(zone(), Reporting)
    assert isinstance(zone(level="alarm"), Reporting)


def test_the_level_of_the_table_goes_before_that_of_the_rule() -> None:
    assert [e.level for e in play(zone(), [OUT, IN])] == ["info"]
    assert [e.level for e in play(zone(level="alarm"), [OUT, IN])] == ["alarm"]


@pytest.mark.parametrize(
    ("active", "minute", "told"),
    [
        (["22:00-06:00"], 23 * 60, True),
        (["22:00-06:00"], 5 * 60 + 59.9, True),
        (["22:00-06:00"], 6 * 60, False),
        (["22:00-06:00"], 22 * 60, True),
        (["08:00-12:00", "13:00-17:00"], 12.5 * 60, False),
        (["08:00-12:00", "13:00-17:00"], 13 * 60, True),
        (["18:00-24:00"], 23 * 60 + 59, True),
        (["22:00-06:00"], None, True),
    ],
)
def test_hours(active: List[str], minute: Optional[float], told: bool) -> None:
    rule = zone(minute, active=active)
    assert bool(play(rule, [OUT, IN])) == told
    unsure = rule.summary().unsure
    assert bool(unsure) == (minute is None)
    assert rule.summary().data == {"people": 1}


def test_the_summary_without_a_date_is_published(contract: Any) -> None:
    from edge.structures import CameraState

    rule = zone(None, active=["22:00-06:00"])
    play(rule, [OUT, IN])
    state = CameraState("door", "ok", "", 0)
    message = Builder("box").state(state, 1, [rule.summary()])
    contract(message.topic, json.loads(message.body))
    assert "clock" in message.payload["rules"]["zone"]["unsure"]


def test_nobody_in_a_muted_polygon_is_reported_also_once_gone() -> None:
    bed = [[550, 550], [650, 550], [650, 650], [550, 650]]
    frames = [OUT, IN, IN, *([{}] * 30)]
    assert [e.data["action"] for e in play(zone(), frames)] == ["enter", "leave"]
    assert play(zone(mute=[bed]), frames) == []
    elsewhere = [OUT, {1: (450.0, 600.0)}]
    assert [e.data["action"] for e in play(zone(mute=[bed]), elsewhere)] == ["enter"]


def test_the_same_event_is_reported_once_in_a_time() -> None:
    to_and_fro = [OUT, IN] * 10
    assert len(play(zone(), to_and_fro)) == 19
    told = play(zone(repeat_s=1.0), to_and_fro)
    assert [e.data["action"] for e in told] == ["enter", "leave"] * 2
    both = play(zone(repeat_s=60), [{1: OUT[1], 2: OUT[1]}, {1: IN[1], 2: (700.0, 600.0)}])
    assert [e.person for e in both] == [1, 2]


def test_poses_before_an_event_go_with_it(contract: Any) -> None:
    rule = zone(preroll_s=1.0)
    frames = [{1: (float(x), 600.0), 2: (100.0, 100.0)} for x in np.linspace(0, 390, 30)]
    (event,) = play(rule, [*frames, {1: IN[1], 2: (100.0, 100.0)}])
    times_s = [(event.t_ns - m.t_ns) * 1e-9 for m in event.before]
    assert times_s == sorted(times_s, reverse=True)
    assert times_s[0] <= 1.0
    assert len(times_s) == 5
    assert all(m.poses.ids.tolist() == [1] for m in event.before)
    at = event.before[0].poses.keypoints[0, 15:, 0].mean()
    assert abs(at - frames[30 - round(times_s[0] * 10)][1][0]) < 30
    message = Builder("box").event(event)
    contract(message.topic, json.loads(message.body))
    assert len(json.loads(message.body)["preroll"]) == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"active": ["22-6"]}, r"rules\[0\].active\[0\].*HH:MM-HH:MM"),
        ({"active": ["22:00-24:30"]}, "HH:MM-HH:MM"),
        ({"active": "22:00-06:00"}, r"rules\[0\].active: expected a list"),
        ({"mute": [[[0, 0], [9, 9]]]}, r"rules\[0\].mute\[0\]: expected at least 3 corners"),
        ({"level": "loud"}, r"rules\[0\].level.*use"),
        ({"preroll_s": 60}, "largest allowed"),
        ({"activ": ["22:00-06:00"]}, "did you mean 'active'"),
    ],
)
def test_a_wrong_value_is_named(wrong: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        zone(**wrong)


def test_every_event_says_why() -> None:
    (event,) = play(zone(name="bed"), [OUT, IN])
    assert event.why == "came into bed, 1 inside"
