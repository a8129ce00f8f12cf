"""Sessions: the signed command's handler starts, resets and stops what rules count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict, List

import pytest

from edge.commands.handlers import make_handlers
from edge.errors import ConfigError, UnavailableError
from edge.loop.sessions import begin
from edge.rules import build_rule
from edge.settings import templates
from edge.structures import Poses

NOBODY = Poses.empty(17, "coco17")


class Loop:
    """The stages of a pipeline, and the changes that wait for the end of a step."""

    def __init__(self) -> None:
        rom = {"kind": "rom", "angle": "knee", "name": "slide"}
        squat = {"kind": "action", "template": "squat"}
        self.stages: Dict[str, Any] = {
            "gym": SimpleNamespace(rules=[build_rule({**rom, "level": "info"}, "rules[0]")]),
            "door": SimpleNamespace(
                rules=[
                    build_rule(templates.resolved(squat, "rules[1]"), "rules[1]"),
                    build_rule({"kind": "presence", "repeat_s": 2}, "rules[2]"),
                ]
            ),
        }
        self.waiting: List[Callable[[], None]] = []
        self.marks: List[Any] = []

    def between_steps(self, change: Callable[[], None]) -> None:
        self.waiting.append(change)

    def marked(self, camera: str, rules: List[str], mark: Dict[str, Any]) -> None:
        self.marks.append((camera, rules, mark))

    def sessions(self) -> List[Any]:
        """That of each camera after the next step."""
        while self.waiting:
            self.waiting.pop(0)()
        rules = [self.stages[camera].rules[0] for camera in ("gym", "door")]
        for rule in rules:
            rule(NOBODY, "cam0", 10**9)
        return [rule.summary().data["session"] for rule in rules]


def command(loop: Any) -> Callable[..., Dict[str, Any]]:
    unused: Any = None
    handlers = make_handlers(
        unused,
        lambda: ["gym", "door"],
        unused,
        unused,
        begin=lambda wanted: begin(loop, wanted, [{"template": "/etc/edge/own.toml"}]),
    )
    return lambda **args: handlers["session"](args).result


def test_a_session_runs_in_every_rule_that_counts_until_it_stops() -> None:
    loop = Loop()
    session = command(loop)
    assert loop.sessions() == ["", ""]
    assert session(action="start", name="monday") == {
        "action": "start",
        "cameras": "gym,door",
        "rules": "slide,squat",
    }
    assert loop.sessions() == ["monday", "monday"]
    session(action="reset")
    assert loop.sessions() == ["monday", "monday"]
    session(action="stop", camera="gym")
    assert loop.sessions() == ["", "monday"]
    session(action="start", name="late", rule="squat")
    assert loop.sessions() == ["", "late"]


def test_a_reload_before_the_next_step_gets_the_mark_too() -> None:
    loop = Loop()
    command(loop)(action="start", name="monday")
    loop.stages["gym"] = Loop().stages["gym"]
    assert loop.sessions() == ["monday", "monday"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"action": "begin"}, "action"),
        ({"action": "start", "rule": "presence"}, "rule: no 'presence' .*: slide, squat"),
        ({"action": "start", "camera": "roof"}, "camera: no 'roof'"),
        ({"action": "start", "person": 3}, "person: needs a camera"),
        ({"action": "start", "name": "a/b"}, "name"),
        ({}, "action"),
        ({"action": "start", "x_px": 3, "y_px": 4}, "x_px: needs a camera"),
        ({"action": "start", "camera": "gym", "x_px": 3}, "x_px and y_px"),
        ({"action": "start", "camera": "gym", "x_px": 3, "y_px": 4, "person": 1}, "without person"),
        ({"action": "stop", "plan": "3x10"}, "plan: goes with action start"),
        ({"action": "pause", "person": 0, "camera": "gym"}, "person: goes with action start"),
        ({"action": "start", "plan": "3 sets"}, "plan: '3 sets'.* 3x10"),
        ({"action": "start", "plan": "0x10"}, "plan"),
        ({"action": "start", "template": "dance"}, "template: no 'dance'.*lunge, own, push_up"),
        ({"action": "start", "template": "own"}, "own.toml"),
        ({"action": "start", "template": "/etc/passwd"}, "template: no"),
        (
            {"action": "start", "template": "squat", "camera": "gym"},
            "template: needs a rule action",
        ),
    ],
)
def test_a_wrong_session_is_refused(args: Dict[str, Any], words: str) -> None:
    loop = Loop()
    with pytest.raises(ConfigError, match=words):
        command(loop)(**args)
    assert not loop.waiting


def test_a_run_without_rules_has_no_sessions() -> None:
    unused: Any = None
    handlers = make_handlers(unused, list, unused, unused)
    with pytest.raises(UnavailableError, match="no rules"):
        handlers["session"]({"action": "stop"})


def test_a_session_is_paused_and_goes_on() -> None:
    loop = Loop()
    session = command(loop)
    session(action="start", name="monday")
    session(action="pause")
    loop.sessions()
    summaries = [loop.stages[c].rules[0].summary().data for c in ("gym", "door")]
    assert [s.get("paused") for s in summaries] == [True, True]
    session(action="resume")
    loop.sessions()
    summaries = [loop.stages[c].rules[0].summary().data for c in ("gym", "door")]
    assert ["paused" in s for s in summaries] == [False, False]
    assert [s["session"] for s in summaries] == ["monday", "monday"]


def test_a_session_brings_its_exercise_and_its_plan() -> None:
    loop = Loop()
    session = command(loop)
    told = session(action="start", name="monday", template="lunge", plan="3x10")
    assert (told["cameras"], told["rules"]) == ("door", "squat")
    assert loop.sessions() == ["", "monday"], "the rule rom looks for no template"
    now = loop.stages["door"].rules[0].summary()
    assert (now.name, now.data["plan"]) == ("lunge", "3 x 10")
    session(action="pause", rule="lunge")
    session(action="stop", rule="squat")
    loop.sessions()
    after = loop.stages["door"].rules[0].summary()
    assert (after.name, after.data["plan"], after.data["session"]) == ("squat", "", "")
    session(action="start", name="hold", plan="2x8x5", camera="gym")
    loop.sessions()
    assert loop.stages["gym"].rules[0].summary().data["plan"] == "2 x 8 x 5 s"
