"""What is done again and again keeps no memory, not even in the interpreter's own stores.

CPython keeps up to 2000 freed tuples of each length below 21 for later and lets go of them only in
a full garbage collection, which a loop without garbage never has. tuple(generator), of which
dataclasses.fields and numpy.tile are made, takes a fresh tuple of ten and cuts it to size, so each
call adds one to that store: hours of slow growth that looks like a leak.
"""

from __future__ import annotations

import dataclasses
import gc
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from edge.messages import Builder
from edge.models._boxes import to_frame
from edge.outbox import state_row
from edge.outbox.sqlite_file import connect, transaction
from edge.outbox.state_row import Losses, State, new_token
from edge.people.motion import new_tracks
from edge.recording.ring import Recorder
from edge.settings import config, sections
from edge.structures import Frame, Poses
from edge.telemetry.reader import Telemetry

TIMES, FEW = 400, 250  # sqlite3 alone keeps up to 200 references to its cursors


def kept(deed: Callable[[], object], idle: Callable[[], bool] = lambda: True) -> int:
    """Blocks of the interpreter's allocator that TIMES more repetitions leave taken.

    Args:
        deed: what is repeated.
        idle: whether all that it set going is done.
    """

    def repeat(times: int) -> None:
        for _ in range(times):
            deed()
        while not idle():
            time.sleep(0.001)

    gc.collect()  # empties those stores, as if the program had just begun
    repeat(TIMES)  # takes what the deed has in use at once
    before = sys.getallocatedblocks()
    repeat(TIMES)
    return sys.getallocatedblocks() - before


def crowd(n: int = 2, k: int = 17) -> Poses:
    rng = np.random.default_rng(0)
    return Poses(
        rng.random((n, k, 2), np.float32) * 640,
        rng.random((n, k), np.float32),
        rng.random((n, 4), np.float32),
        np.arange(n),
        rng.random(n, np.float32),
        "coco17",
    )


def test_the_measure_sees_what_is_kept() -> None:
    assert kept(lambda: dataclasses.fields(sections.Telemetry)) > FEW


def test_machine_figures(tmp_path: Path) -> None:
    with closing(Telemetry(sections.Telemetry(), tmp_path)) as telemetry:
        assert kept(telemetry.report) < FEW


def test_segments_of_a_recording(tmp_path: Path) -> None:
    settings = config.Config()
    frame, people = Frame(np.zeros((4, 4, 3), np.uint8), 0, 0, "door"), crowd()
    recorder = Recorder(tmp_path, 1 << 13, Builder("hall"), lambda: settings, True)
    with closing(recorder):
        seen = kept(lambda: recorder([frame], [people]), recorder._queue.empty)
        assert seen < FEW
    last = max(path.name for path in tmp_path.glob("*.poses"))
    assert int(last.partition("-")[2].partition(".")[0]) > TIMES // 2  # each frame began one


def test_the_outbox_writes_its_state() -> None:
    state = State(new_token(), 1, Losses())

    def write() -> None:
        with transaction(db):
            state_row.write(db, state)

    with closing(connect(None)) as db:
        assert kept(write) < FEW


@pytest.mark.parametrize("n", [0, 1, 3])
def test_people_followed(n: int) -> None:
    tracks = new_tracks(crowd(n), np.ones(n, np.float32), 0, 0)
    assert kept(lambda: tracks.take(np.arange(n)).join(tracks)) < FEW


@pytest.mark.parametrize("shape", [(0, 4), (3, 4), (2, 17, 2)])
def test_boxes_of_letterboxed_frames(shape: tuple) -> None:  # type: ignore[type-arg]
    matrix = np.array([[0.5, 0, 7], [0, 0.5, 9]])
    points = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    want = (points - np.resize([7, 9], shape[-1])) * 2
    assert np.array_equal(to_frame(points, matrix), want.astype(np.float32))
    assert kept(lambda: to_frame(points, matrix)) < FEW
