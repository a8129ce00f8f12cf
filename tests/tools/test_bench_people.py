"""The crowd that the loop's overhead is measured on: everybody is there, with hands and a face."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any, Counter

import numpy as np
import pytest

from edge.errors import DataError
from edge.structures import Detections, Poses
from tools.benches import overhead
from tools.benches._people import crowded, loop_of
from tools.benches.memory import read_video
from tools.fetch.by_name import ensure_model, ensure_set


def somebody(x1: float, y1: float, x2: float, y2: float) -> Poses:
    box = np.array([[x1, y1, x2, y2]], np.float32)
    return Poses.of_boxes(Detections(box, np.ones(1, np.float32)), 133, "wholebody133")


@pytest.mark.parametrize("people", [1, 4, 5, 18])
def test_a_person_is_pasted_as_often_as_wanted(people: int) -> None:
    """Nine fit into a row of 21 px each, two rows of 49 px into the picture."""
    picture = np.random.default_rng(0).integers(0, 120, (100, 190, 3)).astype(np.uint8)
    full, shifts = crowded(picture, somebody(50, 10, 66, 54), people)
    assert len(np.unique(shifts, axis=0)) == people
    drawn = np.zeros(picture.shape[:2], bool)
    for dx, dy in shifts.astype(int).tolist():
        there = np.s_[10 + dy : 54 + dy, 50 + dx : 66 + dx]
        np.testing.assert_array_equal(full[there], picture[10:54, 50:66])
        assert not drawn[there].any(), "nobody stands before another"
        drawn[there] = True
    assert (full != 127).any(-1).sum() == people * 21 * 49


def test_more_than_fit_are_refused() -> None:
    picture = np.zeros((100, 190, 3), np.uint8)
    with pytest.raises(DataError, match="room for 18 people, not for 19"):
        crowded(picture, somebody(50, 10, 66, 54), 19)


@pytest.fixture
def models() -> Path:
    ensure_model("yolov4-tiny", quiet=True)
    return ensure_model("blazepose", quiet=True).parent


@pytest.fixture
def pictures() -> Any:
    return read_video(ensure_set("walker", quiet=True) / "demo.mp4", overhead.WHOLE + 1)


def test_every_network_sees_everybody_in_every_step(models: Path, pictures: Any) -> None:
    loop = loop_of(models, pictures[-1], cameras=2, people=3, steps=4)
    bare = overhead.Bare(loop.models.runners)
    try:
        loop.round_ms()
    finally:
        loop.close()
    fed: Counter[str] = collections.Counter()
    for name, batch in bare._batches:
        fed[name] += batch
    assert {n: fed[f"blazepose/{n}"] / 4 for n in ("body", "hand", "face")} == {
        "body": 6,
        "hand": 12,
        "face": 6,
    }


def test_somebody_without_a_face_is_no_crowd(models: Path, pictures: Any) -> None:
    with pytest.raises(DataError, match="of 6 hands and faces"):
        loop_of(models, pictures[0], cameras=1, people=2, steps=1)
