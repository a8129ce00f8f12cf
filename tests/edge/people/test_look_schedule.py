"""When the detector looks; whole runs of a camera are in test_pipeline."""

from __future__ import annotations

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


def frame(t_ms: int) -> Frame:
    room = np.random.default_rng(0).integers(50, 200, (96, 128, 3)).astype(np.uint8)
    return Frame(room, 0, t_ms * MS, "a")


def test_a_configuration_in_nanoseconds_and_slower() -> None:
    detect = Detect(every=5, calm_s=0.5, still_s=2.0)
    assert Pacing.of(detect) == Pacing(5, 500 * MS, 2000 * MS)
    assert Pacing.of(detect, 4) == Pacing(20, 2000 * MS, 8000 * MS)


@pytest.mark.parametrize(("phase", "looks"), [(0, [0, 3, 6]), (1, [0, 2, 5]), (2, [0, 1, 4, 7])])
def test_the_first_frame_then_turns_shifted_by_the_phase(phase: int, looks: List[int]) -> None:
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
