"""What people do: falls with the timing of free bodies, exercises, splits."""

from __future__ import annotations

from typing import Sequence

import numpy as np
import pytest

from edge.errors import ConfigError
from tools.render.body.person import Person
from tools.render.motion.acts import (
    SPLITS,
    captured,
    draw_act,
    require_known,
    scripts,
    split_of,
)
from tools.render.motion.falls import KINDS
from tools.render.scene.actor import HIPS, Actor, Path
from tools.render.scene.layout import paths

FALLEN_M = 0.35


@pytest.fixture(scope="module")
def person() -> Person:
    return Person(np.random.default_rng(1), child_share=0)


def actor(person: Person, name: str, seed: int = 0) -> Actor:
    rng = np.random.default_rng(seed)
    return Actor(person, draw_act(name, "tune", rng), Path((0.0, 0.0), 0.0), rng, False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_fall_drops_like_a_body_and_ends_on_the_floor(
    person: Person, kind: str, seed: int
) -> None:
    one = actor(person, kind, seed)
    times = np.arange(-0.5, 2.5, 0.04)
    hips = np.array([one.at(float(t)).keypoints[HIPS].mean(0) for t in times])
    speed = np.diff(hips[:, 2]) / 0.04
    assert hips[0, 2] > 0.75, "upright before"
    assert hips[-1, 2] < FALLEN_M
    assert 1.5 < -speed.min() < 5.0, "m/s; slower is lying down, faster is no body"
    assert np.ptp(hips[-10:], axis=0).max() < 0.02, "still afterwards"
    events = one.act.events(9.0)
    assert [e.kind for e in events] == ["fall", "lying"]
    assert 0.5 < events[0].end_s - events[0].start_s < 1.6
    assert events[1].start_s == events[0].end_s


def test_lying_down_is_slow_and_no_fall(person: Person) -> None:
    one = actor(person, "lie_down")
    hips = [one.at(float(t)).keypoints[HIPS, 2].mean() for t in np.arange(0, 8, 0.05)]
    assert hips[-1] < FALLEN_M
    assert -np.diff(hips).min() / 0.05 < 1.2
    assert "fall" not in [e.kind for e in one.act.events(9.0)]


@pytest.mark.parametrize("name", scripts())
def test_every_script_stands_on_the_floor(person: Person, name: str) -> None:
    one = actor(person, name)
    highest_m = 2.5 if name == "climb" else 0.6
    for t in (0.0, 0.7, 1.9, 4.1):
        posed = one.at(t)
        assert np.isfinite(posed.vertices).all()
        assert -1e-4 < posed.vertices[person.surface.shown > 0, 2].min() < highest_m


def test_squats_are_counted_and_keep_the_feet_in_place(person: Person) -> None:
    one = actor(person, "squat")
    ankles = np.array([one.at(float(t)).keypoints[[15, 16]] for t in np.arange(0, 6, 0.3)])
    assert np.ptp(ankles, axis=0)[:, :2].max() < 0.05
    hips = [one.at(float(t)).keypoints[HIPS, 2].mean() for t in np.arange(0, 12, 0.1)]
    assert np.ptp(hips) > 0.25
    reps = [e for e in one.act.events(12.0) if e.kind == "rep"]
    assert 2 <= len(reps) <= 5
    for rep in reps:
        middle = one.at((rep.start_s + rep.end_s) / 2).keypoints[HIPS, 2].mean()
        assert middle < one.at(rep.start_s).keypoints[HIPS, 2].mean() - 0.2, "up, down, up"


def test_a_walker_crosses_the_floor_at_a_human_pace(person: Person) -> None:
    one = actor(person, "walk")
    way = one.at(2.0).keypoints[HIPS].mean(0) - one.at(0.0).keypoints[HIPS].mean(0)
    assert 0.6 < np.linalg.norm(way[:2]) / 2 < 2.2


def test_walkers_on_a_ring_face_where_they_go(person: Person) -> None:
    rng = np.random.default_rng(0)
    for radius in (1.5, -1.5):
        one = Actor(person, draw_act("walk", "tune", rng), Path((0, 0), 0, radius), rng, False)
        step = one.at(1.05).keypoints[:17].mean(0) - one.at(1.0).keypoints[:17].mean(0)
        nose = one.at(1.0).keypoints[0] - one.at(1.0).keypoints[[3, 4]].mean(0)
        assert (step[:2] @ nose[:2]) > 0.5 * np.linalg.norm(step[:2]) * np.linalg.norm(nose[:2])


@pytest.mark.parametrize("moving", [(1, 1, 0), (1, 1, 1, 1, 0, 0), (1,) * 11 + (0,) * 4, (0,) * 4])
def test_nobody_walks_through_anybody(moving: Sequence[int]) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        ways = paths(rng, [bool(m) for m in moving], 3.5)
        speed = rng.uniform(1.0, 2.6, len(ways)) * moving
        rows = [way.place for way, goes in zip(ways, moving) if not goes]
        assert len(set(rows)) == len(rows)
        for t in np.arange(0, 12, 0.1):
            spots = np.array([way.at(float(v * t))[0] for way, v in zip(ways, speed)])
            gaps = np.linalg.norm(spots[:, None] - spots, axis=2) + 9 * np.eye(len(spots))
            assert gaps.min() > 0.6


def test_captured_clips_belong_to_one_split_each() -> None:
    own = {split: [n for n in captured() if split_of(n) == split] for split in SPLITS}
    assert all(len(names) >= 5 for names in own.values())
    for split, names in own.items():
        drawn = {draw_act("captured", split, np.random.default_rng(i)).name for i in range(40)}
        assert drawn <= set(names)
        for name in names:
            require_known(name, split)


def test_a_motion_of_the_other_split_is_refused() -> None:
    for name in captured():
        other = next(s for s in SPLITS if s != split_of(name))
        with pytest.raises(ConfigError, match=f"{name} belongs to --split {split_of(name)}"):
            require_known(name, other)


def test_an_unknown_motion_names_a_near_one() -> None:
    with pytest.raises(ConfigError, match="did you mean squat"):
        require_known("squatt", "tune")


def test_somebody_who_sits_has_a_seat_below(person: Person) -> None:
    one = actor(person, "sit")
    seat = one.seat()
    assert seat
    top = max(s.vertices[:, 2].min() + 0.05 for s in seat[:1])
    low = min(
        (one.at(float(t)).keypoints[HIPS].mean(0) for t in np.linspace(0, 8, 30)),
        key=lambda p: float(p[2]),
    )
    assert 0 < low[2] - top < 0.2
    assert np.linalg.norm(seat[0].vertices.mean(0)[:2] - low[:2]) < 0.15
    assert actor(person, "stand").seat() == []
