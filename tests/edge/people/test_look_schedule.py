"""When the detector looks; whole runs of a camera are in test_pipeline."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, List

import numpy as np
import pytest

from edge.people.look_schedule import Looks, Pacing, Turn, turn_of
from edge.settings.config import Detect
from edge.structures import Frame

MS = 10**6
NOBODY = np.zeros((0, 4), np.float32)
CALM: Any = SimpleNamespace(calm=True, confirmed=True, boxes=NOBODY)


def frame(t_ms: float) -> Frame:
    room = np.random.default_rng(0).integers(50, 200, (96, 128, 3)).astype(np.uint8)
    return Frame(room, 0, round(t_ms * MS), "a")


def test_a_configuration_in_nanoseconds_and_slower() -> None:
    detect = Detect(every=5, calm_s=0.5, still_s=2.0)
    assert Pacing.of(detect) == Pacing(5, 500 * MS, 2000 * MS, 160 * MS, 250 * MS)
    assert Pacing.of(detect, 4) == Pacing(20, 2000 * MS, 8000 * MS, 640 * MS, 1000 * MS)


def looks_at(times_ms: List[float], pacing: Pacing, phase: float = 0.0) -> List[int]:
    """The frames that the detector sees of a camera where somebody moves."""
    record, seen = Looks(), []
    moving: Any = SimpleNamespace(calm=False, confirmed=False, boxes=NOBODY)
    for i, t_ms in enumerate(times_ms):
        now = frame(t_ms)
        turn = turn_of(now, record, moving, pacing, phase)
        record.note(turn, now, NOBODY, pacing, phase)
        if turn is Turn.LOOK:
            seen.append(i)
    return seen


@pytest.mark.parametrize(
    ("hz", "distance"), [(5, 1), (10, 2), (15, 2), (25, 4), (30, 5), (60, 10), (100, 16)]
)
def test_turns_are_counted_by_time_whatever_the_frame_rate(hz: int, distance: int) -> None:
    """The driver's times are never exact."""
    late_ms = np.random.default_rng(hz).uniform(-1, 1, 100)
    looks = looks_at(
        [1000 * i / hz + e for i, e in enumerate(late_ms)], Pacing.of(Detect(calm_s=0, still_s=0))
    )
    assert np.mean(np.diff(looks)) == pytest.approx(max(1, 0.16 * hz), abs=0.25)
    assert set(np.diff(looks)) <= {distance - 1, distance, distance + 1}


def test_turns_by_time_keep_apart_and_are_not_made_up_for() -> None:
    pacing = Pacing(0, every_ns=200 * MS)
    at = [10.0 * i for i in range(100)]
    assert looks_at(at, pacing, 0.0) == [0, 20, 40, 60, 80]
    assert looks_at(at, pacing, 0.5) == [0, 10, 30, 50, 70, 90]
    assert looks_at([0, 10, 20, 700, 710, 720, 790, 800], pacing) == [0, 3, 6]
    assert looks_at(at, Pacing(0)) == list(range(100)), "every_s = 0: every frame"


def test_frames_far_apart_and_pictures_for_themselves_are_always_looked_at() -> None:
    record, pacing = Looks(), Pacing.of(Detect(every=300))
    record.note(Turn.LOOK, frame(0), NOBODY, pacing)
    assert turn_of(frame(250), record, CALM, pacing, 0) is Turn.REST
    assert turn_of(frame(251), record, CALM, pacing, 0) is Turn.LOOK
    photo = dataclasses.replace(frame(40), still=True)
    assert turn_of(photo, record, CALM, pacing, 0) is Turn.LOOK
    slower = Pacing.of(Detect(every=300), 4)
    assert turn_of(frame(900), record, CALM, slower, 0) is Turn.REST, "the machine is too slow"


@pytest.mark.parametrize(
    ("phase", "looks"), [(0, [0, 3, 6]), (1 / 3, [0, 2, 5]), (2 / 3, [0, 1, 4, 7])]
)
def test_the_first_frame_then_turns_shifted_by_the_phase(phase: float, looks: List[int]) -> None:
    record, seen = Looks(), []
    for i in range(8):
        turn = turn_of(frame(10 * i), record, CALM, Pacing(3), phase)
        record.note(turn, frame(10 * i), NOBODY, Pacing(3))
        seen.append(turn is Turn.LOOK)
    assert np.flatnonzero(seen).tolist() == looks


def test_a_decision_changes_nothing() -> None:
    record, pacing = Looks(), Pacing(1, 70 * MS, 400 * MS)
    record.note(Turn.LOOK, frame(0), NOBODY, pacing)
    before = dict(vars(record))
    turns = [turn_of(frame(t), record, CALM, pacing, 0) for t in (69, 70, 330, 331, 400)]
    assert turns == [Turn.REST, Turn.REST_STILL, Turn.REST_STILL, Turn.LOOK, Turn.LOOK]
    assert vars(record) == before


def test_a_still_picture_begins_the_pause_again() -> None:
    record, pacing = Looks(), Pacing(1, 70 * MS, 400 * MS)
    record.note(Turn.LOOK, frame(0), NOBODY, pacing)
    record.note(Turn.REST_STILL, frame(100), NOBODY, pacing)
    assert (record.looked_ns, record.judged_ns, record.seen) == (0, 100 * MS, 2)
    assert turn_of(frame(169), record, CALM, pacing, 0) is Turn.REST
    assert turn_of(frame(170), record, CALM, pacing, 0) is Turn.REST_STILL


def test_without_still_s_no_picture_is_kept() -> None:
    record = Looks()
    record.note(Turn.LOOK, frame(0), NOBODY, Pacing(1, 70 * MS))
    assert record.stillness.share(frame(1), NOBODY) == 0
