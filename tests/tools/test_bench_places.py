"""The bench of the rules of places: its truth, its judge, and one short scene."""

import numpy as np
import pytest

from tools.benches import _places_truth as truths
from tools.benches import places
from tools.benches._places_truth import Label, Score, Truth

RATE_HZ = 10.0
WALL = (complex(-2, 0), complex(2, 0))


def walks(*corners, metres_a_step=0.1):
    """Places [T,1] along a way."""
    way = [np.zeros(0, complex)]
    for a, b in zip(corners, corners[1:]):
        way.append(np.linspace(a, b, round(abs(b - a) / metres_a_step) + 1))
    return np.concatenate(way)[:, None]


def test_a_crossing_has_a_direction_and_clear_ground():
    there = truths.crossings(walks(-1j, 1j), RATE_HZ, WALL)
    assert [label.action for label in there.labels] == ["out"]
    back = truths.crossings(walks(-1j, 0.1j, -1j), RATE_HZ, WALL)
    assert back.labels == []
    assert {label.action for label in back.doubts} == {"in", "out"}
    assert truths.crossings(walks(3 - 1j, 3 + 1j), RATE_HZ, WALL).labels == []


def test_a_stay_is_labelled_and_a_walk_is_not():
    stays = np.full((200, 1), 1 + 1j)
    (label,) = truths.loitering(stays, RATE_HZ).labels
    assert label.start_s == pytest.approx(truths.LOITER_S, abs=0.2)
    assert truths.loitering(walks(0, 30), RATE_HZ) == Truth([], [])


def test_each_label_answers_once_and_doubts_answer_nothing():
    truth = Truth([Label(1, "start", 5, 9)], [Label(2, "start", 5, 9)])
    told = [(1, "start", 6.0), (1, "start", 8.0), (2, "start", 6.0), (3, "start", 6.0)]
    assert truths.judge(truth, told, 1.0) == Score(1, 1, 1, 1, 1)
    crossing = Truth([Label(1, "in", 5, 6)], [])
    assert truths.judge(crossing, [(1, "in", 6.0), (1, "in", 6.5)], 1.0) == Score(1, 1, 1, 1, 0)


def test_density_is_that_of_the_polygon():
    place = np.tile(np.array([[0.2 + 0.3j, -1 - 1j, 1.4 + 1.4j, 1 + 1.2j, 0.0, 9 + 9j]]), (80, 1))
    assert truths.crowding(place, RATE_HZ, places.SQUARE, 0.3, 2.0).labels
    assert not truths.crowding(place, RATE_HZ, places.SQUARE, 0.7, 2.0).labels


def test_a_short_scene_is_judged(monkeypatch):
    monkeypatch.setitem(places.WALKS, "report", ("gait:walk",))
    monkeypatch.setattr(places, "LONG_S", 2.0)
    score, minutes = places.score(None, "line", "report", (25.0, 5), 0)
    assert 0 < minutes < 1
    assert score.right <= score.labels
