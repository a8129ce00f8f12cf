"""Hands and faces counted by their size: labelled, given, right."""

from __future__ import annotations

from typing import Dict

import numpy as np
import pytest

from tests.tools.evaluation.label_cases import found_of, person, seen_of, truth_of
from tools.evaluation import judge, point_sets, text_report
from tools.evaluation.figures import sizes

WHOLE = point_sets.named("wholebody133")
LEFT, RIGHT, FACE = (WHOLE.parts[name] for name in ("left_hand", "right_hand", "face"))


def labelled(hand_px: float = 24.0, face_px: float = 50.0) -> np.ndarray:
    """A person [133,3] with hands and a face of these sizes."""
    marks = person(count=len(WHOLE))
    for which, size, at in ((LEFT, hand_px, 50), (RIGHT, hand_px, 300), (FACE, face_px, 150)):
        line = np.linspace(0, size, len(which))
        marks[which, :2] = np.column_stack((at + line, 400 + 0.5 * line))
    return marks


def judged(marks: np.ndarray, answer: np.ndarray) -> judge.Result:
    truth = truth_of([[marks]], points=WHOLE)
    return judge.judge(truth, found_of([seen_of([answer], len(WHOLE))], len(WHOLE)))


def answered(marks: np.ndarray) -> np.ndarray:
    """The labels as an answer, all sure."""
    return np.column_stack((marks[:, :2], np.full(len(marks), 0.9)))


def row(least_px: int, visible: int, given: int, right: int) -> Dict[str, int]:
    counts = {"visible": visible, "person_found": visible, "given": given, "right": right}
    return {"least_px": least_px, **counts}


def test_each_hand_and_face_counts_in_the_band_of_its_size() -> None:
    marks = labelled()
    found = judged(marks, answered(marks)).figures["sizes"]
    assert found == {"hands": [row(20, 2, 2, 2)], "face": [row(45, 1, 1, 1)]}


@pytest.mark.parametrize(("off", "right"), [(0.15, 2), (0.25, 1)])
def test_right_is_what_lies_near_in_sizes_of_the_part(off: float, right: int) -> None:
    marks = labelled()
    answer = answered(marks)
    answer[LEFT, 0] += off * 24
    assert judged(marks, answer).figures["sizes"]["hands"] == [row(20, 2, 2, right)]


def test_a_part_without_scores_is_not_given() -> None:
    marks = labelled()
    answer = answered(marks)
    answer[RIGHT, 2] = 0
    assert judged(marks, answer).figures["sizes"]["hands"] == [row(20, 2, 1, 1)]


def test_hidden_parts_are_left_out() -> None:
    marks = labelled()
    marks[LEFT, 2] = 1
    marks[FACE, 2] = 0
    assert judged(marks, answered(marks)).figures["sizes"] == {"hands": [row(20, 1, 1, 1)]}


def test_sets_without_hands_or_people_have_none() -> None:
    marks = person()
    truth = truth_of([[marks]])
    found = judge.judge(truth, found_of([seen_of([answered(marks)])]))
    assert found.figures["sizes"] == {}
    empty = truth_of([[]], points=WHOLE)
    assert (
        sizes.figures(
            empty, judge.judge(empty, found_of([seen_of([], len(WHOLE))], len(WHOLE))).pairs
        )
        == {}
    )


def test_the_text_has_a_line_for_each_band() -> None:
    marks = labelled()
    text = text_report.text(judged(marks, answered(marks)).figures)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "visible person found given right" in lines
    assert "hands from 20 px 2 2 2 2" in lines
    assert "face from 45 px 1 1 1 1" in lines
