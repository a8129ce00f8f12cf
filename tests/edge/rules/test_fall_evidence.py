"""The pasts that the network of the rule `fall` reads."""

import numpy as np
import pytest

from edge.rules._fall import evidence
from edge.rules._person_memory import PersonMemory
from edge.structures import Poses

pytestmark = pytest.mark.one_python
S = 10**9


def memory(count=1):
    people = PersonMemory(10.0, **evidence.FIELDS)
    boxes = np.arange(count)[:, None] * 1000 + np.array([0, 0, 10, 10])
    there = Poses.empty(17, "coco17")
    there = Poses(
        np.zeros((count, 17, 2), np.float32),
        np.ones((count, 17), np.float32),
        boxes.astype(np.float32),
        np.arange(count),
        np.ones(count, np.float32),
        there.skeleton,
    )
    return people, people.rows_of(there, 0)


def signals(value, count=1):
    return np.full((count, evidence.SIGNALS), value, np.float32)


@pytest.mark.parametrize("rate_hz", [5, 10, 15, 25, 30, 60])
def test_a_sample_comes_every_step_at_any_rate(rate_hz):
    people, rows = memory()
    taken = 0
    for frame in range(3 * rate_hz):
        t_ns = S + frame * S // rate_hz
        taken += len(evidence.sample(people, rows, signals(frame / rate_hz), t_ns))
    assert taken == pytest.approx(3 / evidence.STEP_S, abs=2)
    steps = np.diff(people["past"][0, :, 0])
    assert steps == pytest.approx(evidence.STEP_S, abs=0.05)


def test_low_rates_fill_the_steps_between():
    people, rows = memory()
    for k in range(4):
        evidence.sample(people, rows, signals(k), S + k * 6 * S // 10)
    assert people["past"][0, -7:, 0].tolist() == [1, 2, 2, 2, 3, 3, 3]


def test_a_new_past_and_one_after_an_absence_begin_with_the_present():
    people, rows = memory()
    evidence.sample(people, rows, signals(1), S)
    assert (people["past"] == 1).all()
    evidence.sample(people, rows, signals(2), 3 * S)
    assert (people["past"] == 2).all()


def test_what_cannot_be_measured_stays_as_it_was():
    people, rows = memory()
    evidence.sample(people, rows, signals(1), S)
    evidence.sample(people, rows, signals(np.nan), S + S // 5)
    assert (people["past"] == 1).all()


def test_inputs_hold_motion_in_heights_and_no_place():
    past = np.zeros((2, evidence.SAMPLES, evidence.SIGNALS), np.float32)
    past[0, :, 9:] = 500 + 10 * np.arange(evidence.SAMPLES)[:, None]
    past[1] = past[0]
    past[1, :, 9:] += 300  # elsewhere in the picture
    given = evidence.inputs(past, np.array([100.0, 100.0]), np.array([1.0, 1.0]))
    assert given.shape == (2, evidence.INPUTS)
    assert given[0] == pytest.approx(given[1])
    assert given[0].max() == pytest.approx(1.3)


def test_people_have_chances_of_their_own():
    rng = np.random.default_rng(0)
    given = rng.normal(size=(3, evidence.INPUTS)).astype(np.float32)
    found = evidence.chances(given)
    assert ((found > 0) & (found < 1)).all()
    assert found[1] == pytest.approx(evidence.chances(given[1:2])[0])
