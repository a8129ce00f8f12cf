"""The rule `action`: repetitions found live, counted, timed, scored; what was off."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import numpy as np
import pytest
from dtaidistance import dtw

from edge.errors import ConfigError
from edge.messages import Builder
from edge.rules import build_rule
from edge.rules._action import spring
from edge.rules._action.alignment import align
from edge.rules._action.features import MIRROR, NAMES, reaches, reaches_in_space
from edge.rules._action.judge import judge
from edge.rules._action.template import Template, as_table, of_table
from edge.settings import templates
from edge.structures import PoseEvent, Poses
from tests.tools.exercising import ends_s, person, seen, times
from tools.benches import _mocap
from tools.templates import shipped
from tools.templates.make import from_examples, resampled

FPS = 30.0


def rule(name: str, **options: Any) -> Any:
    return build_rule(templates.resolved({"kind": "action", "template": name, **options}, ""), "")


def template(name: str) -> Template:
    return of_table(templates.read(name))


def play(watched: Any, body: np.ndarray, heading_rad: float = 0.0, **how: Any) -> List[PoseEvent]:
    told: List[PoseEvent] = []
    for poses, t_ns in seen(body, FPS, heading_rad, **how):
        told += watched(poses, "cam0", t_ns)
    return told


def ended_s(event: PoseEvent) -> float:
    return (event.t_ns - 10**9) * 1e-9 - float(event.data["ended_s"])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(shipped.SHIPPED))
@pytest.mark.parametrize("warp", [0.6, 1.0, 1.6])
def test_every_repetition_at_any_speed_with_noise(name: str, warp: float) -> None:
    period_s, n = shipped.SHIPPED[name][0], 3
    body = shipped.bodies(name, times(period_s, n, warp, FPS), 0.5)
    told = play(rule(name), body, 0.3, seed=1)
    assert [e.data["repetition"] for e in told] == [1, 2, 3]
    late_s = [ended_s(e) - end for e, end in zip(told, ends_s(period_s, n, warp))]
    # Where one repetition flows into the next, the body is nearly still: there is no sharp end.
    assert np.abs(late_s).max() < 0.2 * period_s / warp
    assert min(float(e.data["score"]) for e in told) > 60  # type: ignore[arg-type]
    assert float(told[-1].data["tempo"]) == pytest.approx(warp, rel=0.35)  # type: ignore[arg-type]


@pytest.mark.parametrize("heading_rad", [0.0, 0.8, 1.57, 3.1])
def test_from_every_side(heading_rad: float) -> None:
    body = shipped.bodies("squat", times(3.0, 2, 1.0, FPS), 0.5)
    assert len(play(rule("squat"), body, heading_rad, seed=2)) == 2


def test_a_template_scores_itself_100_and_at_another_speed_90() -> None:
    squat = template("squat")
    assert judge(squat, squat.reaches, False).score == 100
    slow = np.repeat(squat.reaches, 2, 0)
    assert judge(squat, slow, False).score > 90
    assert judge(squat, template("push_up").reaches, False).score < 40
    assert judge(squat, template("jumping_jack").reaches, False).score < 40


def test_other_motion_is_no_exercise() -> None:
    for name in ("gait:stand", "gait:wave", "gait:walk", "gait:run"):
        body, _ = _mocap.played(None, name, np.arange(0, 6, 1 / FPS))
        for exercise in shipped.SHIPPED:
            assert play(rule(exercise), body, 0.5) == [], (name, exercise)


def test_half_a_repetition_is_none() -> None:
    t_s = np.concatenate((np.linspace(0, 1.5, 60), np.full(90, 1.5)))
    assert play(rule("squat"), shipped.bodies("squat", t_s, 0.5)) == []


def test_a_shifted_movement_counts_and_one_of_another_shape_does_not() -> None:
    squat = template("squat")
    shift = np.array([0.2, -0.2, 0.3, -0.2, 0.25, -0.25, 0.1, 0.1, -0.2])
    assert judge(squat, squat.reaches + shift, False).is_one  # a camera from above, a manner
    assert not judge(squat, np.tile(squat.reaches[0], (60, 1)), False).is_one
    faint = squat.reaches[0] + 0.3 * (squat.reaches - squat.reaches[0])
    assert not judge(squat, faint, False).is_one
    aside = squat.reaches.copy()
    aside[:, :4] -= 0.9 * np.sin(np.linspace(0, 6 * np.pi, len(aside)))[:, None]
    assert not judge(squat, aside, False).is_one


def test_a_camera_that_looks_down_sees_every_repetition() -> None:
    for name, heading_rad in (("lunge", 0.8), ("push_up", 0.3), ("jumping_jack", 0.1)):
        period_s = shipped.SHIPPED[name][0]
        body = shipped.bodies(name, times(period_s, 3, 1.0, FPS), 0.5)
        body[:, [7, 9], 1] += 0.12  # an arm held aside
        body = np.concatenate((body, np.repeat(body[-1:], 30, 0)))  # who rests is told last
        told = play(rule(name), body, heading_rad, seed=3, pitch_deg=20.0)
        assert len(told) == 3, name


def test_the_other_side_counts_unless_it_may_not() -> None:
    body = shipped.bodies("basketball_shot", times(2.4, 2, 1.0, FPS), 0.5)
    mirrored = body * [1.0, -1.0, 1.0]
    flip = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    told = play(rule("basketball_shot"), mirrored[:, flip])
    assert [e.data["mirrored"] for e in told] == [True, True]
    assert play(rule("basketball_shot", mirror=False), mirrored[:, flip]) == []


def test_it_says_what_was_off() -> None:
    squat = template("squat")
    shallow = squat.reaches.copy()
    thigh = NAMES.index("left_thigh")
    shallow[:, thigh] = 1 - 0.4 * (1 - shallow[:, thigh])
    verdict = judge(squat, shallow, False)
    assert verdict.score < 90
    worst = verdict.faults[0]
    assert (worst.limb, worst.phase) == ("left_thigh", "bottom")
    assert worst.degrees < -10
    assert "left thigh" in str(worst)
    assert "too low at bottom" in str(worst)
    other = judge(squat, shallow[:, MIRROR], True)
    assert other.faults[0].limb == "right_thigh"


def test_what_it_tells_holds_the_contract(contract: Any) -> None:
    watched = rule("squat")
    body = shipped.bodies("squat", times(3.0, 2, 1.0, FPS), 0.0)
    body[:, [7, 8, 9, 10], 2] += 0.1
    told = play(watched, body)
    for event in told:
        message = Builder("box").event(event)
        contract(message.topic, json.loads(message.body))
    assert told[0].why
    data = watched.summary().data
    assert data["repetitions"] == 2
    (shown,) = data["people"]  # type: ignore[misc]
    assert {"person", "repetitions", "sets", "last", "best", "worst", "tempo"} == set(shown)  # type: ignore[arg-type]
    assert watched.summary().labels == {1: f"squat 2  {shown['last']}"}  # type: ignore[index,call-overload]


def test_who_cannot_be_followed_is_said() -> None:
    watched = rule("squat")
    body = shipped.bodies("squat", times(3.0, 2, 1.0, FPS), 0.5)
    for poses, t_ns in seen(body, FPS, 0.0):
        poses.scores[:, 9:] = 0.1  # nothing below the elbows
        watched(poses, "cam0", t_ns)
    assert "too few limbs" in watched.summary().unsure
    fresh = rule("squat")
    play(fresh, body)
    assert fresh.summary().unsure == ""


def test_two_people_are_counted_apart() -> None:
    watched = rule("squat")
    one = list(seen(shipped.bodies("squat", times(3.0, 2, 1.0, FPS), 0.5), FPS, 0.0))
    two = list(seen(shipped.bodies("squat", times(3.0, 1, 1.0, FPS), 0.5), FPS, 0.7))
    told: List[PoseEvent] = []
    for i, (poses, t_ns) in enumerate(one):
        other = person(two[min(i, len(two) - 1)][0].keypoints[0] + 600, np.full(17, 0.9), 2)
        told += watched(Poses.join([poses, other]), "cam0", t_ns)
    counts = {who: sum(e.person == who for e in told) for who in (1, 2)}
    assert counts == {1: 2, 2: 1}


def test_after_a_gap_it_begins_afresh() -> None:
    watched = rule("squat")
    body = shipped.bodies("squat", times(3.0, 1, 1.0, FPS), 0.5)
    told: List[PoseEvent] = []
    for i, (poses, t_ns) in enumerate(seen(body, FPS, 0.0)):
        late_ns = 3 * 10**9 if i > 75 else 0  # away for 3 s in the middle
        told += watched(poses, "cam0", t_ns + late_ns)
    assert told == []


def test_nobody_and_hidden_people_are_borne() -> None:
    watched = rule("squat")
    assert watched(Poses.empty(17, "coco17"), "cam0", 10**9) == []
    hidden = person(np.zeros((17, 2)), np.zeros(17))
    assert watched(hidden, "cam0", 2 * 10**9) == []
    assert np.isnan(reaches(hidden)).all()


# --- the parts ------------------------------------------------------------------------------------


def test_the_step_is_spring_s_recurrence() -> None:
    rng = np.random.default_rng(0)
    costs = rng.uniform(0, 3, (40, 2, 7))
    far, began = np.full((2, 7), spring.FAR), np.zeros((2, 7), np.int64)
    plain = np.full((2, 7), spring.FAR)
    for t, cost in enumerate(costs):
        may = np.array([True, t % 3 == 0])
        far, began = spring.step(cost, far, began, t, may, np.full(2, 7))
        before = plain.copy()
        for side in (0, 1):
            fresh = 0.0 if side == 0 or t % 3 == 0 else spring.FAR
            for i in range(7):
                left = plain[side, i - 1] if i else fresh
                slid = before[side, i - 1] if i else fresh
                plain[side, i] = cost[side, i] + min(left, before[side, i], slid)
        assert far == pytest.approx(np.minimum(plain, spring.FAR), abs=1e-6)
        assert (began <= t).all()


def test_a_frame_stands_for_few_frames_of_the_template() -> None:
    far, began = np.full((1, 6), spring.FAR), np.zeros((1, 6), np.int64)
    reached = []
    for t in range(3):
        far, began = spring.step(np.ones((1, 6)), far, began, t, np.array([t == 0]), np.full(1, 2))
        reached.append(int((far < spring.FAR).sum()))
    assert reached == [2, 4, 6]  # somebody who stands still needs as long as a fast repetition


def test_the_alignment_is_that_of_dtaidistance() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = rng.normal(size=rng.integers(3, 30)), rng.normal(size=rng.integers(3, 30))
        costs = np.square(a[:, None] - b[None])
        rows, frames = align(costs)
        assert (rows[0], frames[0]) == (0, 0)
        assert (rows[-1], frames[-1]) == (len(a) - 1, len(b) - 1)
        assert costs[rows, frames].sum() == pytest.approx(dtw.distance(a, b) ** 2)


def test_shipped_templates_are_those_of_their_scripts() -> None:
    assert templates.names() == sorted(shipped.SHIPPED)
    for name in shipped.SHIPPED:
        made, there = shipped.make(name), template(name)
        assert made.reaches == pytest.approx(there.reaches, abs=2e-3)
        assert of_table(as_table(there)).reaches == pytest.approx(there.reaches)
        assert there.licence == "Apache-2.0"


def test_several_examples_give_a_mean_and_a_tolerance() -> None:
    t_s = np.arange(0, 3, 0.05)
    bodies = [shipped.bodies("squat", t_s, depth) for depth in (0.0, 0.5, 1.0)]
    wide = [reaches_in_space(body) for body in bodies]
    wide[0][:, 8] -= 0.4
    made = from_examples("squat", wide, "test", "none")
    assert made.examples == 3
    assert made.tolerances[8] > made.tolerances[4] == 0.25
    assert made.reaches[:, 8].mean() == pytest.approx(
        np.mean([w[:, 8].mean() for w in wide]), abs=0.05
    )
    gap = wide[1].copy()
    gap[20:30, 4] = np.nan
    assert np.isfinite(resampled(gap, t_s)).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"template": "sqat"}, r"rules\[0\].template: no template 'sqat'; there are: basketball"),
        ({"template": "/nowhere.toml"}, r"rules\[0\].template: template /nowhere.toml: No such"),
        ({}, "template: is missing"),
        ({"template": 3}, r"rules\[0\].template: 3: write a name or a path"),
    ],
)
def test_a_wrong_template_is_named(wrong: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_rule(templates.resolved({"kind": "action", **wrong}, "rules[0]"), "rules[0]")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limbs": ["leg"]}, "limbs: expected"),
        ({"reaches": [[0.0] * 9] * 3}, "reaches: expected 5 to 400 rows"),
        ({"reaches": [[0.0] * 8] * 9}, "reaches: expected"),
        ({"tolerances": [0.2]}, "tolerances: expected 9"),
        ({"phases": [{"name": "all", "end": 0.5}]}, "phases: their ends must rise"),
        ({"rate_hz": 1.0}, "rate_hz"),
    ],
)
def test_a_wrong_template_file_is_refused(change: Dict[str, Any], words: str) -> None:
    table = {"kind": "action", "template": {**templates.read("squat"), **change}}
    with pytest.raises(ConfigError, match=rf"rules\[0\].template: {words}"):
        build_rule(table, "rules[0]")
