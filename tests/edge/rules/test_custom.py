"""The rule `custom`: conditions of the user's own; every example of the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.rules import build_rule
from edge.structures import PoseEvent, Poses
from tests.edge.rules.walking import STANDING, TALL

NOSE, WRISTS, ELBOWS, KNEES, ANKLES = 0, (9, 10), (7, 8), (13, 14), (15, 16)
FPS = 20.0
BED = [[0, 500], [900, 500], [900, 700], [0, 700]]
Shape = Callable[[np.ndarray, float], None]


def rule(when: str, **options: Any) -> Any:
    return build_rule(
        {"kind": "custom", "when": when, "zones": {"bed": BED}, **options}, "rules[0]"
    )


def figure(shape: Shape, t_s: float, side: bool, who: int = 1) -> Poses:
    """One person, 200 px tall, at (400, 600); in heights before, y down."""
    body = STANDING.copy()
    if side:  # seen from the left side, looking left
        body[:, 0] = 0
        body[NOSE, 0] = -0.06
    shape(body, t_s)
    points = (body * TALL + [400.0, 600.0]).astype(np.float32)[None]
    box = np.concatenate([points.min(1), points.max(1)], 1)
    scores = np.full((1, 17), 0.9, np.float32)
    return Poses(points, scores, box, np.array([who]), scores[:, 0], "coco17")


def play(
    watched: Any, shape: Shape, seconds: float = 12.0, side: bool = False, people: int = 1
) -> List[PoseEvent]:
    told: List[PoseEvent] = []
    for i in range(round(seconds * FPS)):
        t_s = i / FPS
        crowd = [figure(shape, t_s, side, who) for who in range(1, people + 1)]
        told += watched(Poses.join(crowd), "cam0", 10**9 + round(t_s * 1e9))
    return told


def actions(events: List[PoseEvent]) -> List[str]:
    return [str(e.data["action"]) for e in events]


def still(body: np.ndarray, t_s: float) -> None:
    """Stands."""


def from_two_s(move: Callable[[np.ndarray], None]) -> Shape:
    def shape(body: np.ndarray, t_s: float) -> None:
        if t_s >= 2:
            move(body)

    return shape


def raised(body: np.ndarray, hands: Tuple[int, ...]) -> None:
    for hand in hands:  # the elbow is two points before
        body[hand - 2, 1], body[hand, 1] = -1.0, -1.1


def curled(body: np.ndarray) -> None:
    body[WRISTS, 0] = body[ELBOWS, 0] - 0.05
    body[WRISTS, 1] = body[ELBOWS, 1] - 0.13


def squatting(body: np.ndarray) -> None:
    body[:13, 1] += 0.3
    body[:13, 0] += 0.15
    body[KNEES, 0] -= 0.12


def leaning(body: np.ndarray) -> None:
    body[:11, 0] -= 0.3
    body[:11, 1] += 0.1


def lying(body: np.ndarray) -> None:
    body[:] = body[:, ::-1] * [1.0, 0.3]


def waving(body: np.ndarray, t_s: float) -> None:
    body[10, 0] -= 0.2 * np.sin(t_s * 20)


def kicking(body: np.ndarray, t_s: float) -> None:
    up = max(0.0, float(np.sin(t_s * 5)))
    body[15] = [-0.3 * up, -0.5 * up]


# Example of the docs -> who shows it, from which side, how many; everybody else only stands.
SHOWN: Dict[str, Tuple[Shape, bool, int]] = {
    "a hand is raised": (from_two_s(lambda b: raised(b, (9,))), False, 1),
    "both hands are up": (from_two_s(lambda b: raised(b, WRISTS)), False, 1),
    "an elbow is bent fully": (from_two_s(curled), True, 1),
    "a fast hand": (waving, False, 1),
    "a deep squat, seen from the side": (from_two_s(squatting), True, 1),
    "somebody leans far": (from_two_s(leaning), True, 1),
    "a hand at the face": (from_two_s(lambda b: b.__setitem__(10, b[NOSE] + 0.03)), False, 1),
    "lying in the bed": (from_two_s(lying), False, 1),
    "a queue": (still, False, 3),
    "a high kick": (kicking, False, 1),
}


def examples() -> Dict[str, str]:
    page = (Path(__file__).parents[3] / "docs/rules.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([a-z ,]+) \| `(.+)` \|$", page.split("| example |")[1], re.M))


def test_every_example_of_the_docs_is_tried() -> None:
    assert set(examples()) == set(SHOWN)


@pytest.mark.parametrize("name", list(SHOWN))
def test_an_example_of_the_docs(name: str) -> None:
    shape, side, people = SHOWN[name]
    told = play(rule(examples()[name]), shape, 13, side, people)
    assert actions(told)[:1] == ["start"]
    assert {e.person for e in told} == set(range(1, people + 1))
    assert play(rule(examples()[name]), still, 13, side) == []


def test_start_and_end_with_hysteresis() -> None:
    def flickering(body: np.ndarray, t_s: float) -> None:
        if 2 <= t_s < 5 and round(t_s * FPS) % 4:  # up for three frames, down for one
            raised(body, (9,))

    told = play(rule('height("left_wrist") > 1 H', name="hand", until_s=0.3), flickering)
    assert actions(told) == ["start", "end"]
    assert told[0].data["name"] == "hand"
    assert told[1].data["held_s"] == pytest.approx(3.3, abs=0.15)
    held = play(rule('height("left_wrist") > 1 H for 0.5 s', until_s=0.3), flickering)
    assert held == []


def test_it_says_what_it_measured() -> None:
    (event,) = play(rule('height("left_wrist") > 1 H'), from_two_s(lambda b: raised(b, (9,))))
    assert event.data["values"] == {"height(left_wrist)": pytest.approx(1.01, abs=0.02)}
    assert event.why.startswith("height(left_wrist) = 1.01 H; held for")


def test_a_rest_between_two_starts() -> None:
    def every_two_s(body: np.ndarray, t_s: float) -> None:
        if t_s % 2 < 1:
            raised(body, (9,))

    free = play(rule('height("left_wrist") > 1 H'), every_two_s)
    rested = play(rule('height("left_wrist") > 1 H', refractory_s=3), every_two_s)
    assert actions(free).count("start") == 6
    assert actions(rested).count("start") == 3


def test_what_cannot_be_judged_neither_begins_nor_ends_and_is_said() -> None:
    watched = rule('angle("left_knee") > 60 deg')
    assert play(watched, from_two_s(squatting), side=False) == []  # from the front
    assert "judged" in watched.summary().unsure
    assert rule('angle("left_knee") > 60 deg').summary().unsure == ""

    def hidden(body: np.ndarray, t_s: float) -> None:
        squatting(body)
        if t_s >= 4:
            body[ANKLES, :] = np.nan

    assert actions(play(rule('angle("left_knee") > 60 deg'), hidden, 8, side=True)) == ["start"]


def test_unknown_is_no_obstacle_where_the_rest_decides() -> None:
    known_true = 'height("nose") > 0.5 H or angle("left_knee") > 60 deg'
    known_false = 'height("nose") > 2 H and angle("left_knee") > 60 deg'
    unknown = 'height("nose") > 0.5 H and angle("left_knee") > 60 deg'
    assert actions(play(rule(known_true), still, 1)) == ["start"]
    assert actions(play(rule(f"not ({known_false})"), still, 1)) == ["start"]
    assert play(rule(unknown), still, 1) == []
    assert play(rule(f"not ({unknown})"), still, 1) == []


def test_one_who_leaves_ends_it() -> None:
    watched = rule('height("nose") > 0.5 H')
    told = play(watched, still, 1)
    for i in range(60):
        told += watched(Poses.empty(17, "coco17"), "cam0", 2 * 10**9 + i * 50_000_000)
    assert actions(told) == ["start", "end"]
    assert told[1].data["values"] == {}
    assert watched.summary().data == {"people": 0}


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 + 2 * 3 > 6.9", True), ("(1 + 2) * 3 > 9", False), ("8 / 2 / 2 >= 2", True)]
    + [("7 - 2 - 1 > 4.5", False), ("-2 * -3 > 5", True), ("1 / 0 > 0", False)]
    + [("1 > 2 or 1 > 0 and 1 > 2", False), ("not 1 > 2 and 1 < 2", True)]
    + [("3 H / 2 s > 1 H/s", True)],
)  # fmt: skip
def test_arithmetic(text: str, value: bool) -> None:
    assert bool(play(rule(text), still, 0.5)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('height("nose") < 0.5', r"left side is in H, this is in a plain number: .*< \^ 0\.5"),
        ('angle("left_elbw") < 3 deg', r"did you mean 'left_elbow'\?: angle\( \^ \"left_elbw\""),
        ('angle("left_hip_rotation") < 3 deg', "no angle of that name"),
        ('speed("left_writs") < 3 H/s', "did you mean 'left_wrist'"),
        ('spede("left_wrist") < 3 H/s', "did you mean 'speed'"),
        ('angle("left_knee") < 3 deg and', r"ends too early: .* and \^"),
        ("people()", "is a number; compare it"),
        ("people() + (1 < 2) > 3", "is true or false; a number is needed"),
        ('inside("bde")', "did you mean 'bed'"),
        ('height("nose") + 1 deg > 2 H', "deg cannot be added to H"),
        ('__import__("os").system("ls")', "when: "),
        ("people() > 1; people() > 2", "not understood"),
        ("", "ends too early"),
        ("(" * 40 + "people() > 1" + ")" * 40, "nested deeper"),
        ("not " * 40 + "people() > 1", "nested deeper"),
        ("-" * 40 + "people() > 1", "nested deeper"),
        ("people() > 1" + " " * 1000, "1012 characters"),
        ("people() > 1 for 5000 s", "3600 s at most"),
    ],
)
def test_a_wrong_condition_is_one_line_with_a_caret(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        rule(text)
    assert str(refused.value).startswith("rules[0].when: ")
    assert "\n" not in str(refused.value)


@given(st.text('angle("left_knee") <>=+-*/ 0.5 deg H/s px not and or for s()', max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_it(text: str) -> None:
    try:
        watched = rule(text)
    except ConfigError:
        return
    play(watched, still, 0.2)


@pytest.mark.parametrize("wrong", [{"name": ""}, {"zones": {"bed": [[0, 0], [9, 9]]}}])
def test_other_wrong_options(wrong: Dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"rules\[0\].{next(iter(wrong))}"):
        rule("people() > 1", **wrong)
