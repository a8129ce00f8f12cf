"""Sessions: the signed command's handler starts, resets and stops what rules count."""

from __future__ import annotations

import dataclasses
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

    def between_steps(self, change: Callable[[], None]) -> None:
        self.waiting.append(change)

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
        begin=lambda wanted: begin(loop, **dataclasses.asdict(wanted)),
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
