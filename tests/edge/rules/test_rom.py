"""The rule `rom`: angles, repetitions, bounds, compensation, a plan, and refusal."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.rules import Mark, Plan, build_rule, counting
from edge.structures import PoseEvent, Poses
from tests.edge.rules.walking import STANDING

TALL, FPS = 400.0, 30.0
KNEES, ANKLES = (13, 14), (15, 16)
Track = Callable[[float], float]


def rule(**options: Any) -> Any:
    return build_rule({"kind": "rom", "angle": "left_knee", **options}, "rules[0]")


def leg(knee_deg: float, other_deg: float = 0.0, turn_deg: float = 0.0, lean_deg: float = 0.0):
    """A person [17,2] in heights seen from the side, who looks left; shanks swing back."""
    body = STANDING.copy()
    body[:, 0] *= np.sin(np.radians(turn_deg))
    body[0, 0] -= 0.06 * np.cos(np.radians(turn_deg))
    for knee, ankle, deg in zip(KNEES, ANKLES, (knee_deg, other_deg)):
        swing = np.radians(deg)
        sideways = np.sin(swing) * np.cos(np.radians(turn_deg))
        body[ankle] = body[knee] + 0.28 * np.array([sideways, np.cos(swing)])
    lean, hips = np.radians(lean_deg), body[11:13].mean(0)
    about = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
    body[:11] = (body[:11] - hips) @ about.T + hips
    return body


def poses(bodies: Sequence[np.ndarray], hidden: Sequence[int] = ()) -> Poses:
    n = len(bodies)
    points = np.stack(bodies) * TALL + [400.0, 600.0]
    points[..., 0] += 500.0 * np.arange(n)[:, None]
    points = points.astype(np.float32)
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    scores = np.full((n, 17), 0.9, np.float32)
    scores[:, list(hidden)] = 0.0
    return Poses(points, scores, boxes, np.arange(1, n + 1), scores[:, 0], "coco17")


def play(
    watched: Any, track: Track, seconds: float, start_s: float = 0.0, **view: Any
) -> List[PoseEvent]:
    told: List[PoseEvent] = []
    hidden = view.pop("hidden", ())
    for i in range(round(seconds * FPS)):
        t_s = start_s + i / FPS
        shown = {k: v(t_s) if callable(v) else v for k, v in view.items()}
        told += watched(poses([leg(track(t_s), **shown)], hidden), "cam0", ns(t_s))
    return told


def ns(t_s: float) -> int:
    return 10**9 + round(t_s * 1e9)


def wave(low: float, high: float, period_s: float) -> Track:
    return lambda t_s: low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * t_s / period_s))


def of(events: Sequence[PoseEvent], action: str) -> List[PoseEvent]:
    return [e for e in events if e.data["action"] == action]


def test_a_repetition_has_its_peak_valley_and_range() -> None:
    told = of(play(rule(), wave(10, 90, 2), 12), "repetition")
    assert [e.data["number"] for e in told] == [1, 2, 3, 4, 5, 6]
    data = told[2].data
    assert (data["peak_deg"], data["valley_deg"]) == pytest.approx((90, 10), abs=3)
    assert (data["low_deg"], data["high_deg"]) == pytest.approx((10.5, 89.5), abs=4)
    assert data["angle"] == "left_knee_flexion"
    assert data["measured_in"] == "picture"
    assert "out of plane" in told[2].why


def test_a_stretch_counts_towards_low_angles() -> None:
    told = of(play(rule(toward="low", goal_deg=15), wave(90, 10, 2), 12), "repetition")
    assert len(told) >= 5
    assert told[2].data["peak_deg"] == pytest.approx(10, abs=3)
    assert told[2].data["good"] is True
    late = of(play(rule(toward="low", goal_deg=5), wave(90, 10, 2), 12), "repetition")
    assert late[0].data["faults"] == ["short"]


def legs(knees_deg: np.ndarray) -> Poses:
    """People who differ in their left knee only."""
    bodies = np.tile(leg(0.0), (len(knees_deg), 1, 1))
    swing = np.radians(knees_deg)
    bodies[:, 15] = bodies[:, 13] + 0.28 * np.stack((np.sin(swing), np.cos(swing)), 1)
    return poses(bodies)


def random_set(rng: np.random.Generator, hz: float) -> Tuple[np.ndarray, int]:
    """Angles of a set with rests, holds and noise, and how many repetitions it has."""

    def ease(n: int) -> np.ndarray:
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n))

    count, rest, usual = int(rng.integers(3, 9)), rng.uniform(0, 20), rng.uniform(40, 100)
    parts = [np.full(int(rng.uniform(0.5, 2) * hz), rest)]
    for _ in range(count):
        size = usual * rng.uniform(0.75, 1.1)
        up, down = (int(rng.uniform(0.5, 1.8) * hz) for _ in range(2))
        hold, pause = (int(rng.uniform(0, 1) * hz) for _ in range(2))
        parts += [rest + size * ease(up), np.full(hold, rest + size)]
        parts += [rest + size * (1 - ease(down)), np.full(pause, rest)]
    track = np.concatenate(parts)
    return track + rng.normal(0, 2, len(track)), count


def test_repetitions_are_exact_over_random_sets() -> None:
    hz, rng, watched = 20.0, np.random.default_rng(3), rule()
    sets = [random_set(rng, hz) for _ in range(200)]
    told = np.zeros(len(sets), int)
    for i in range(max(len(track) for track, _ in sets)):
        knees = np.array([track[min(i, len(track) - 1)] for track, _ in sets])
        for event in of(watched(legs(knees), "cam0", ns(i / hz)), "repetition"):
            told[event.person - 1] += 1
    assert (told == [count for _, count in sets]).all()


def test_an_alarm_outside_says_why_and_ends_within() -> None:
    track: Track = lambda t_s: 45.0 if t_s < 2 or t_s > 4 else 25.0  # noqa: E731
    told = play(rule(low_deg=30, high_deg=60), track, 7)
    assert [e.data["action"] for e in told if e.data["action"] != "repetition"] == [
        "outside",
        "end",
    ]
    outside = of(told, "outside")[0]
    assert outside.level == "alarm"
    assert outside.why.startswith("left knee flexion 25 deg < 30 deg for 0.3 s, out of plane")
    assert outside.t_ns == pytest.approx(ns(2.3), abs=1e8)


def test_noise_at_a_bound_does_not_chatter() -> None:
    watched, told = rule(low_deg=30, high_deg=60, refractory_s=0), []
    rng = np.random.default_rng(1)
    for i in range(900):
        knees = np.array([30.0, 60.0, 31.0, 59.0, 28.5, 61.5]) + rng.normal(0, 2, 6)
        told += watched(legs(knees), "cam0", ns(i / FPS))
    starts = [e.person for e in told if e.data["action"] == "outside"]
    assert sorted(starts) == sorted(set(starts))
    assert not of(told, "end")
    assert not of(told, "repetition")


def test_a_hold_is_measured_and_demanded() -> None:
    def track(t_s: float) -> float:
        phase = t_s % 5
        return float(np.interp(phase, [0, 1, 4, 5], [5, 80, 80, 5]))

    told = of(play(rule(hold_s=2.5), track, 15.5), "repetition")
    assert [e.data["good"] for e in told] == [True, True, True]
    assert told[0].data["hold_s"] == pytest.approx(3.0, abs=0.3)
    late = of(play(rule(hold_s=4), track, 14), "repetition")
    assert late[0].data["faults"] == ["hold"]
    assert "hold" in late[0].why


def test_a_plan_is_done_by_good_repetitions_only() -> None:
    track: Track = lambda t_s: wave(5, 100 if t_s >= 4 else 60, 2)(t_s)  # noqa: E731
    watched = rule(reps=2, sets=2, goal_deg=90)
    told = play(watched, track, 12)
    assert len(of(told, "repetition")) == 6
    assert [(e.data["set"], e.data["plan_done"]) for e in of(told, "set")] == [
        (1, False),
        (2, True),
    ]
    data = watched.summary().data
    assert (data["repetitions"], data["good"], data["plan"]) == (6, 4, "2 x 2")
    assert data["people"][0]["sets"] == 2


@pytest.mark.parametrize("view", [{"turn_deg": 60.0}, {"turn_deg": 90.0}, {"hidden": (13,)}])
def test_a_bad_view_is_refused_and_said(view: Dict[str, Any]) -> None:
    watched = rule(low_deg=30, high_deg=60)
    assert play(watched, wave(5, 90, 2), 8, **view) == []
    summary = watched.summary()
    assert summary.unsure
    assert summary.data["people"][0]["state"] == "unsure"
    assert "unsure" in summary.labels[1]
    assert ("hidden" in summary.unsure) == ("hidden" in view)


def test_a_repetition_with_a_long_gap_is_not_guessed() -> None:
    watched = rule()
    half = wave(5, 90, 2)
    told = play(watched, half, 1.0)
    told += play(watched, half, 1.5, start_s=1.0, hidden=(13,))
    told += play(watched, lambda t_s: 5.0, 2, start_s=2.5)
    assert not of(told, "repetition")


def test_a_leaning_trunk_is_a_compensation_and_a_fault() -> None:
    lean = lambda t_s: 35.0 if t_s > 4 else 0.0  # noqa: E731
    told = play(rule(max_lean_deg=20), wave(5, 90, 2), 8, lean_deg=lean)
    warned = of(told, "compensation")
    assert [(e.data["fault"], e.level) for e in warned] == [("trunk lean", "warning")]
    assert of(told, "repetition")[0].data["faults"] == []
    assert of(told, "repetition")[-1].data["faults"] == ["trunk lean"]


def test_uneven_sides_are_told_once() -> None:
    watched = build_rule({"kind": "rom", "angle": "knee", "max_uneven_deg": 15}, "rules[0]")
    told = play(watched, wave(5, 90, 2), 12, other_deg=wave(5, 60, 2))
    assert len(of(told, "repetition")) == 12
    uneven = of(told, "asymmetry")
    assert len(uneven) == 1
    figures: Dict[str, Any] = uneven[0].data
    assert figures["left_deg"] - figures["right_deg"] == pytest.approx(30, abs=5)


def test_who_leaves_has_ended_the_exercise() -> None:
    watched = rule(leave_s=2)
    play(watched, wave(5, 90, 2), 6.5)
    told = []
    for i in range(90):
        told += watched(Poses.empty(17, "coco17"), "cam0", ns(6.5 + i / FPS))
    assert [e.data["action"] for e in told] == ["session"]
    assert told[0].data["angles"]["left_knee_flexion"]["repetitions"] == 3
    assert watched.summary().data["people"] == []


def test_a_session_counts_from_its_start_and_ends_with_a_summary() -> None:
    watched = rule(level="warning")
    assert counting([watched, object()]) == [watched]
    assert watched.names() == ("rom",)
    play(watched, wave(5, 90, 2), 6.5)
    watched.mark(Mark("start", "monday"))
    told = play(watched, wave(5, 90, 2), 5, start_s=8)
    assert [e.data["session"] for e in of(told, "session")] == [""]
    assert watched.summary().data["session"] == "monday"
    assert watched.summary().data["repetitions"] == 2
    watched.mark(Mark("reset"))
    play(watched, lambda t_s: 5.0, 1, start_s=14)
    assert watched.summary().data["repetitions"] == 0
    play(watched, wave(5, 90, 2), 4, start_s=16)
    watched.mark(Mark("stop"))
    (end,) = of(play(watched, lambda t_s: 5.0, 1, start_s=21), "session")
    assert end.data["session"] == "monday"
    assert end.level == "warning"
    assert watched.summary().data["session"] == ""


def test_a_session_of_one_person_judges_nobody_else() -> None:
    watched = rule()
    watched.mark(Mark("start", "his", person=2))
    for i in range(180):
        body = leg(wave(5, 90, 2)(i / FPS))
        told = watched(poses([body, body]), "cam0", ns(i / FPS))
        assert {e.person for e in told} <= {2}
    assert [p["person"] for p in watched.summary().data["people"]] == [2]
    assert watched.summary().data["repetitions"] == 3


def test_nothing_is_counted_while_a_session_is_paused() -> None:
    watched = rule()
    watched.mark(Mark("start", "monday"))
    play(watched, wave(5, 90, 2), 4.5)
    watched.mark(Mark("pause"))
    play(watched, wave(5, 90, 2), 6, start_s=5)
    paused = watched.summary()
    assert paused.data["repetitions"] == 2
    assert (paused.data["paused"], paused.data["people"][0]["state"]) == (True, "paused")
    assert (paused.unsure, paused.labels) == ("", {1: "rom: paused"})
    watched.mark(Mark("resume"))
    play(watched, wave(5, 90, 2), 4.5, start_s=12)
    watched.mark(Mark("stop"))
    (end,) = of(play(watched, lambda t_s: 5.0, 1, start_s=17), "session")
    angles: Any = end.data["angles"]
    assert angles["left_knee_flexion"]["repetitions"] == 4
    assert end.data["watched_s"] == pytest.approx(9.5, abs=0.6)


def test_a_session_has_its_own_plan() -> None:
    watched = rule(reps=5, hold_s=0.1)
    watched.mark(Mark("start", "monday", plan=Plan(2, 1)))
    told = of(play(watched, wave(5, 90, 2), 6.5), "set")
    assert [(e.data["set"], e.data["plan_done"]) for e in told] == [
        (1, False),
        (2, True),
        (3, True),
    ]
    assert watched.summary().data["plan"] == "2 x 1 x 0.1 s"
    watched.mark(Mark("stop"))
    play(watched, wave(5, 90, 2), 1)
    assert watched.summary().data["plan"] == "1 x 5 x 0.1 s"


def test_a_session_of_a_place_judges_who_is_there() -> None:
    watched = rule()
    body = leg(5.0)
    here = poses([body, body])
    there = dataclasses.replace(here, ids=here.ids[::-1].copy())
    middle = here.boxes[0].reshape(2, 2).mean(0)
    watched.mark(Mark("start", "couch", place=complex(*middle)))
    for i in range(20):
        watched(here, "cam0", ns(i / FPS))
    assert [p["person"] for p in watched.summary().data["people"]] == [1]
    for i in range(20, 40):
        watched(there, "cam0", ns(i / FPS))
    assert [p["person"] for p in watched.summary().data["people"]] == [1], "who was chosen stays"
    left = there.take(np.array([0]))
    for i in range(40, 60):
        watched(left, "cam0", ns(i / FPS))
    assert 2 in [p["person"] for p in watched.summary().data["people"]], "the next one there"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"angle": "left_nose"}, r"rules\[0\]\.angle: no 'left_nose'; there are: .*knee"),
        ({"low_deg": 58, "high_deg": 60}, "low_deg"),
        ({"max_uneven_deg": 10}, "both sides"),
        ({"prominence_deg": 1}, "prominence_deg"),
        ({"name": ""}, "name"),
    ],
)
def test_wrong_options_are_refused(table: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        rule(**table)
