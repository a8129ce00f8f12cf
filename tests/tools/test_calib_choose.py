"""Which frames are chosen: even, unlike, apart in time, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.calib import choose
from tools.calib.scan import ScannedFrames, strides


def seen(frames: int, clips: int = 1, seed: int = 0, rate_hz: float = 25.0) -> ScannedFrames:
    """Frames that all differ: noise for descriptions, one to four people."""
    rng = np.random.default_rng(seed)
    each = -(-frames // clips)
    index = np.arange(frames) % each
    return ScannedFrames(
        clip=np.arange(frames) // each,
        index=index,
        t_s=index / rate_hz,
        people=rng.integers(1, 5, frames),
        height=rng.uniform(0.1, 0.9, frames).astype(np.float32),
        brightness=rng.uniform(0, 255, frames).astype(np.float32),
        sharpness=rng.uniform(0, 1000, frames).astype(np.float32),
        cells=rng.integers(0, 256, (frames, 512)).astype(np.uint8),
    )


def test_as_many_as_asked_and_none_twice() -> None:
    first, second = choose.pick(seen(1000, 4), 128, 32, 0)
    assert (len(first), len(second)) == (128, 32)
    assert len(np.unique(np.concatenate((first, second)))) == 160


def test_the_seed_decides() -> None:
    one, again, other = (choose.pick(seen(500), 40, 10, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert set(one[1]) != set(other[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 300), st.integers(1, 4), st.integers(0, 1000), st.floats(0.5, 60))
def test_held_out_frames_are_no_neighbours(
    frames: int, clips: int, seed: int, rate_hz: float
) -> None:
    table = seen(frames, clips, seed, rate_hz)
    first, second = choose.pick(table, 30, 10, seed)
    for held in second:
        same = first[table.clip[first] == table.clip[held]]
        apart = np.abs(table.index[same] - table.index[held])
        assert apart.min(initial=99) >= 2
        length_s = np.ptp(table.t_s[table.clip == table.clip[held]])
        least_s = min(1.0, 0.04 * length_s)
        assert np.abs(table.t_s[same] - table.t_s[held]).min(initial=99) > least_s * 0.99


def test_one_moment_is_never_on_both_sides_of_cameras_in_step() -> None:
    table = seen(400, 4)
    first, second = choose.pick(table, 80, 20, 1)
    apart = np.abs(table.t_s[first][:, None] - table.t_s[second][None])
    assert apart.min() > 0.04 * 100 / 25 * 0.99


def test_copies_are_taken_once() -> None:
    table = seen(600)
    cells = table.cells.copy()
    copies = np.arange(600) % 6 != 0
    cells[copies] = cells[0]
    noise = np.random.default_rng(1).integers(0, 2, cells.shape, np.uint8)
    cells = np.where(cells < 255, cells + noise * (copies[:, None]), cells).astype(np.uint8)
    first, second = choose.pick(replace(table, cells=cells), 60, 15, 0)
    both = np.concatenate((first, second))
    assert copies[both].sum() <= 1
    assert len(first) > 40


def test_a_rare_sight_is_chosen() -> None:
    table = seen(1000)
    dark = np.zeros(1000, bool)
    dark[[3, 333, 999]] = True
    rare = replace(
        table,
        brightness=np.where(dark, 20, 120).astype(np.float32),
        people=np.where(dark, 9, 2),
        height=np.full(1000, 0.4, np.float32),
    )
    first, second = choose.pick(rare, 40, 10, 0)
    assert dark[np.concatenate((first, second))].sum() >= 2


def test_few_empty_frames() -> None:
    table = seen(500)
    people = np.where(np.arange(500) % 10 < 8, 0, 2)
    height = np.where(people > 0, table.height, 0).astype(np.float32)
    first, _ = choose.pick(replace(table, people=people, height=height), 50, 10, 0)
    assert 0 < (people[first] == 0).sum() <= 5
    assert (people[first] > 0).sum() == 45


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_single_pictures(count: int) -> None:
    """Clips of one frame are one clip together; nothing breaks where there is next to nothing."""
    table = replace(seen(count, max(count, 1)), clip=np.arange(count), t_s=np.zeros(count))
    first, second = choose.pick(table, 10, 2, 0)
    assert len(first) + len(second) <= count
    assert len(np.intersect1d(first, second)) == 0


def test_single_pictures_are_split_too() -> None:
    table = replace(seen(100, 100), clip=np.arange(100), t_s=np.zeros(100))
    first, second = choose.pick(table, 60, 15, 0)
    assert len(second) == 15
    assert len(first) > 50
    assert np.abs(first[:, None] - second[None]).min() >= 2


@pytest.mark.parametrize(
    ("lengths", "budget", "every"),
    [
        ([100, 100], 400, [1, 1]),
        ([1000, 1000], 100, [20, 20]),
        ([10, 100_000], 110, [1, 1000]),
        ([0, 5], 100, [1, 1]),
        ([5, 7], 1, [5, 7]),
    ],
)
def test_strides(lengths: list, budget: int, every: list) -> None:
    assert strides(lengths, budget) == every
