"""The rule `action` on figures drawn from the templates themselves; more in tests/tools."""

from __future__ import annotations

import json
from typing import Any, List, Sequence

import numpy as np
import pytest

from edge.messages import Builder
from edge.rules import Mark, Plan, build_rule
from edge.rules._action.features import MIRROR, reaches
from edge.rules._action.template import of_table
from edge.settings import templates
from edge.structures import PoseEvent, Poses

TALL = 300.0
# Limb of the template's row -> keypoints at its end and at its start, length in heights.
CHAIN = [
    *((0, 7, 5, 0.186), (1, 8, 6, 0.186), (2, 9, 7, 0.146), (3, 10, 8, 0.146)),
    *((4, 13, 11, 0.245), (5, 14, 12, 0.245), (6, 15, 13, 0.246), (7, 16, 14, 0.246)),
]


def figure(row: np.ndarray, who: int = 1) -> Poses:
    """A body whose limbs reach down as a row of a template says."""
    body = np.zeros((17, 2))
    angle = np.arccos(np.clip(row, -1, 1))
    trunk = 0.288 * np.array([np.sin(angle[8]), -np.cos(angle[8])])
    for hip, shoulder, side in ((11, 5, 0.05), (12, 6, -0.05)):
        body[hip] = [side, 0]
        body[shoulder] = body[hip] + trunk
    body[:5] = body[5] + [0, -0.1]
    for limb, end, start, length in CHAIN:
        body[end] = body[start] + length * np.array([np.sin(angle[limb]), np.cos(angle[limb])])
    points = (body * TALL + [400.0, 300.0]).astype(np.float32)[None]
    box = np.concatenate([points.min(1), points.max(1)], 1)
    scores = np.full((1, 17), 0.9, np.float32)
    return Poses(points, scores, box, np.array([who]), scores[:, 0], "coco17")


def rule(name: str, **options: Any) -> Any:
    table = {"kind": "action", "template": name, **options}
    return build_rule(templates.resolved(table, "rules[0]"), "rules[0]")


def rows(name: str, repetitions: int) -> np.ndarray:
    """Repetitions of a template with a second of rest before and after."""
    template = of_table(templates.read(name))
    rest = np.repeat(template.reaches[:1], round(template.rate_hz), 0)
    return np.concatenate((rest, *[template.reaches] * repetitions, rest))


def play(
    watched: Any, frames: Sequence[np.ndarray], rate_hz: float = 20.0, start_s: float = 1.0
) -> List[PoseEvent]:
    told: List[PoseEvent] = []
    for i, row in enumerate(frames):
        told += watched(figure(row), "gym", round((start_s + i / rate_hz) * 1e9))
    return told


def test_a_figure_reaches_as_its_row_says() -> None:
    row = of_table(templates.read("squat")).reaches[30]
    assert reaches(figure(row))[0] == pytest.approx(row, abs=0.06)


@pytest.mark.parametrize("name", templates.names())
@pytest.mark.parametrize("rate_hz", [14.0, 20.0, 30.0])
def test_repetitions_are_counted(name: str, rate_hz: float, contract: Any) -> None:
    watched = rule(name)
    told = play(watched, rows(name, 4), rate_hz)
    assert [e.data["repetition"] for e in told] == [1, 2, 3, 4]
    assert min(float(e.data["score"]) for e in told) > 80  # type: ignore[arg-type]
    assert watched.summary().data["repetitions"] == 4
    message = Builder("box").event(told[0])
    contract(message.topic, json.loads(message.body))


def test_the_other_side() -> None:
    mirrored = rows("basketball_shot", 2)[:, MIRROR]
    assert [e.data["mirrored"] for e in play(rule("basketball_shot"), mirrored)] == [True, True]
    assert play(rule("basketball_shot", mirror=False), mirrored) == []


def test_weak_repetitions_may_be_left_out() -> None:
    shallow = rows("squat", 2)
    shallow[:, 4:8] = 1 - 0.5 * (1 - shallow[:, 4:8])
    told = play(rule("squat"), shallow)
    assert told
    assert "too low at bottom" in told[0].why
    assert play(rule("squat", min_score=90), shallow) == []


def test_standing_is_no_exercise() -> None:
    for name in templates.names():
        stand = np.repeat(of_table(templates.read(name)).reaches[:1], 150, 0)
        assert play(rule(name), stand) == []


def test_the_memory_is_bounded_and_people_are_forgotten() -> None:
    watched = rule("squat")
    for who in range(60):
        watched(figure(rows("squat", 1)[0], who), "gym", 10**9 + who * 10**9)
    assert len(watched._people) < 20


def test_a_pause_counts_nothing_and_a_plan_has_sets(contract: Any) -> None:
    watched = rule("squat", reps=2, sets=2)
    watched.mark(Mark("start", "monday"))
    told = play(watched, rows("squat", 2))
    assert [e.data["action"] for e in told] == ["repetition", "repetition", "set"]
    assert {e.data["session"] for e in told} == {"monday"}
    assert (told[-1].data["set"], told[-1].data["plan_done"]) == (1, False)
    message = Builder("box").event(told[-1])
    contract(message.topic, json.loads(message.body))
    watched.mark(Mark("pause"))
    assert play(watched, rows("squat", 2), start_s=15) == []
    assert watched.summary().data["paused"]
    watched.mark(Mark("resume"))
    assert play(watched, rows("squat", 2), start_s=30)[-1].data["plan_done"]
    assert watched.summary().data["people"][0]["sets"] == 2


def test_a_session_looks_for_its_own_exercise() -> None:
    watched = rule("squat")
    watched.mark(Mark("start", "monday", template=templates.read("jumping_jack"), plan=Plan(1, 2)))
    told = play(watched, rows("jumping_jack", 2))
    assert [e.data["exercise"] for e in told] == ["jumping_jack"] * 3
    watched.mark(Mark("stop"))
    assert [e.data["exercise"] for e in play(watched, rows("squat", 2), start_s=15)] == [
        "squat"
    ] * 2


def test_the_summary_follows_every_change() -> None:
    watched = rule("squat")
    play(watched, rows("squat", 1))
    first = watched.summary()
    assert watched.summary() is first
    play(watched, rows("squat", 1), start_s=10)
    assert watched.summary().data["repetitions"] == 2
    watched(Poses.empty(17, "coco17"), "gym", 10**12)
    assert watched.summary().data["people"] == []
