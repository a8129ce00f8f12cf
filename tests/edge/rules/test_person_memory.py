"""Rows of people who come, go, and come back with another id."""

import numpy as np
import pytest

from edge.rules._person_memory import PersonMemory, with_ids
from edge.structures import Poses
from tests.edge.rules.walking import people

HERE, NEAR, FAR = (500, 600), (560, 600), (1500, 600)
S = 10**9


def memory(keep_s=2.0):
    return PersonMemory(keep_s, value=0.0, flag=False)


def seen(kept, places, t_ns):
    """Rows of these people, seen at a time."""
    rows = kept.rows_of(people(places), t_ns)
    kept.note_seen(rows, t_ns)
    return rows


def test_people_keep_their_rows_in_any_order():
    kept = memory()
    first = seen(kept, {7: HERE, 3: FAR}, 0)
    kept["value"][first] = [70, 30]
    again = seen(kept, {3: FAR, 7: HERE}, S)
    assert kept["value"][again].tolist() == [30, 70]
    assert len(kept) == 2


@pytest.mark.parametrize(("away_s", "inherited"), [(1.9, True), (2.1, False)])
def test_a_row_is_inherited_for_keep_s(away_s, inherited):
    kept = memory(keep_s=2.0)
    rows = seen(kept, {7: HERE}, 0)
    kept["value"][rows] = 70
    (row,) = seen(kept, {8: HERE}, int(away_s * S))
    assert (kept["value"][row] == 70) == inherited
    assert kept.ids.tolist() == ([8] if inherited else [7, 8])


def test_a_row_is_inherited_close_to_where_its_person_disappeared():
    """Within half the box's longer side at once, within the whole side after half a second."""
    for x, t_ns, inherited in ((590, 0, True), (610, 0, False), (690, S, True), (710, S, False)):
        kept = memory()
        seen(kept, {7: HERE}, 0)
        seen(kept, {8: (x, 600)}, t_ns)
        assert (len(kept) == 1) == inherited, (x, t_ns)


@pytest.mark.parametrize(("shrinks_s", "inherited"), [(0.1, True), (4.0, False)])
def test_the_size_of_a_moment_ago_counts(shrinks_s, inherited):
    """A box that holds half the body just before the person is lost does not shorten the reach."""
    kept = memory()
    seen(kept, {7: HERE}, 0)
    half = people({7: HERE})
    half.boxes[:, 1] = half.boxes[:, 3] - 60
    kept.note_seen(kept.rows_of(half, int(shrinks_s * S)), int(shrinks_s * S))
    (x, y) = (half.boxes[0, :2] + half.boxes[0, 2:]) / 2
    seen(kept, {8: (x + 80, y + 100)}, int((shrinks_s + 0.1) * S))
    assert (len(kept) == 1) == inherited


def test_the_row_of_a_person_in_view_is_not_inherited():
    kept = memory()
    seen(kept, {7: HERE}, 0)
    seen(kept, {7: HERE, 8: NEAR}, S)
    assert kept.ids.tolist() == [7, 8]


def test_seconds_since_people_were_seen():
    kept = memory()
    seen(kept, {7: HERE, 3: FAR}, 0)
    rows = kept.rows_of(people({3: FAR}), S)
    assert kept.seen_ns.tolist() == [0, 0]
    assert kept.note_seen(rows, S).tolist() == [1, 0]


def test_forgotten_rows_are_dropped_and_new_people_have_default_values():
    kept = memory()
    rows = seen(kept, {7: HERE, 3: FAR}, 0)
    kept["flag"][rows] = True
    kept.forget(np.array([True, False]))
    assert kept.ids.tolist() == [3]
    assert kept["flag"].tolist() == [True]
    rows = seen(kept, {3: FAR, 9: HERE}, S)
    assert kept["flag"][rows].tolist() == [True, False]


def test_people_without_an_id_are_left_out():
    assert with_ids(people({-1: HERE, 4: FAR})).ids.tolist() == [4]
    assert len(with_ids(Poses.empty(17, "coco17"))) == 0
