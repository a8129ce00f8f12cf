"""The rule `action` on figures drawn from the templates themselves; more in tests/tools."""

from __future__ import annotations

import json
from typing import Any, List, Sequence

import numpy as np
import pytest

from edge.messages import Builder
from edge.rules import build_rule
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


def play(watched: Any, frames: Sequence[np.ndarray], rate_hz: float = 20.0) -> List[PoseEvent]:
    told: List[PoseEvent] = []
    for i, row in enumerate(frames):
        told += watched(figure(row), "gym", 10**9 + round(i * 1e9 / rate_hz))
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
