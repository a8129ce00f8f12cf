"""People of a room with known truth: who is who, where, and when nobody is claimed."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

import numpy as np
import pytest

from edge import skeletons
from edge.scene.pairing import Pairing
from edge.scene.room import Room
from edge.scene_structures import SceneFrame
from edge.structures import Poses
from tests.edge.scene.drawn_room import people, ring, seen

HZ = 30
NEAR = [(0.0, 0.0, 0.3), (0.55, 0.1, 2.0), (-0.4, 0.5, 1.0)]


class Played:
    """A room and what it said of each instant."""

    def __init__(self, cameras: int = 4, gap_ms: float = 100.0, hold: bool = True) -> None:
        self.rig = ring(cameras)
        self.room = Room("hall", self.rig, skeletons.get("coco17"), hold)
        self.pair = Pairing(cameras, 17, round(gap_ms * 1e6), [0] * cameras)
        self.found: List[SceneFrame] = []

    def step(self, poses: Sequence[Optional[Poses]], times_ns: Sequence[int]) -> None:
        for camera, (one, t_ns) in enumerate(zip(poses, times_ns)):
            if one is not None:
                self.pair.add(camera, one, t_ns)
        views = self.pair.instant()
        if views is not None:
            self.found.append(self.room(views))


def at_ns(step: int) -> int:
    return round(step * 1e9 / HZ) + 10**9


def walked(step: int, places: Sequence[Sequence[float]]) -> np.ndarray:
    """People who walk in x at 1 m/s."""
    t_s = step / HZ
    return people([(x + 1.0 * t_s - 0.5, y, turn) for x, y, turn in places], t_s)


def run(
    places: Sequence[Sequence[float]],
    steps: int = 30,
    noise_px: float = 2.0,
    who: Optional[Dict[int, Sequence[int]]] = None,
    played: Optional[Played] = None,
    late_ms: Sequence[float] = (),
    lost: Sequence[int] = (),
) -> Played:
    played = played or Played()
    rng = np.random.default_rng(3)
    late_ms = late_ms or [0.0] * len(played.rig)
    for step in range(steps):
        poses: List[Optional[Poses]] = []
        for camera, ms in enumerate(late_ms):
            # A camera that says it is `ms` later than it is shows people of an earlier time.
            truth = walked(step - ms * HZ / 1000, places)  # type: ignore[arg-type]
            poses.append(seen(played.rig, truth, noise_px, rng, who)[camera])
        played.step(
            [None if c in lost and step > 10 else p for c, p in enumerate(poses)],
            [at_ns(step)] * len(poses),
        )
    return played


def errors_mm(found: SceneFrame, truth: np.ndarray) -> np.ndarray:
    """Distance [N,17] of each joint to that of the nearest person; NaN = missing."""
    points = np.where(found.joints.scores[..., None] > 0, found.joints.points, np.nan)
    off = np.linalg.norm(points[:, None] - truth[None], axis=-1)
    best = np.nanmedian(off, -1).argmin(1)
    return 1000 * off[np.arange(len(off)), best]


def own_of(found: SceneFrame) -> List[set]:
    """For each person told, which real people its cameras see (ids are 100 * camera + person)."""
    return [set((row[row >= 0] % 100).tolist()) for row in found.seen_as]


def test_people_close_together_are_told_apart_and_measured() -> None:
    played = run(NEAR)
    last = played.found[-1]
    assert sorted(own_of(last), key=str) == [{0}, {1}, {2}]
    assert (last.seen_as >= 0).sum(1).tolist() == [4, 4, 4]
    off = errors_mm(last, walked(29, NEAR))
    assert np.nanmedian(off) < 15
    assert np.nanmax(off) < 80
    assert last.joints.source == "views"
    assert last.live.all()


def test_ids_stay_and_are_never_used_again() -> None:
    played = run(NEAR, 40)
    told = [f.ids.tolist() for f in played.found if len(f)]
    assert all(ids == told[-1] for ids in told)
    assert len(set(told[-1])) == 3
    empty = [Poses.empty(17, "coco17")] * 4
    for step in range(40, 90):
        played.step(empty, [at_ns(step)] * 4)
    assert len(played.found[-1]) == 0
    rng = np.random.default_rng(0)
    for step in range(90, 100):
        played.step(seen(played.rig, people([(0, 0, 0)]), 1.0, rng), [at_ns(step)] * 4)
    assert played.found[-1].ids.min() > max(told[-1])


def test_swapped_ids_of_a_camera_do_not_swap_people() -> None:
    played = run(NEAR[:2], 15)
    rng = np.random.default_rng(5)
    before = played.found[-1]
    for step in range(15, 25):
        poses = seen(played.rig, walked(step, NEAR[:2]), 1.0, rng)
        swapped = poses[1].take(np.array([1, 0]))
        poses[1] = Poses(
            swapped.keypoints,
            swapped.scores,
            swapped.boxes,
            poses[1].ids,
            swapped.person_scores,
            "coco17",
        )
        played.step(poses, [at_ns(step)] * 4)
    after = played.found[-1]
    assert after.ids.tolist() == before.ids.tolist()
    assert np.nanmedian(errors_mm(after, walked(24, NEAR[:2]))) < 15
    assert sorted(after.seen_as[:, 1].tolist()) == [100, 101]
    assert after.seen_as[:, 1].tolist() != before.seen_as[:, 1].tolist()


def test_somebody_whom_one_camera_sees_is_not_claimed() -> None:
    played = run(NEAR, who={0: [0, 1, 2], 1: [0, 1], 2: [0, 1], 3: [0, 1]})
    assert {frozenset(own) for found in played.found for own in own_of(found)} == {
        frozenset({0}),
        frozenset({1}),
    }


def test_two_cameras_are_enough_later_than_three() -> None:
    both = run(NEAR[:1], who={0: [0], 1: [0], 2: [], 3: []})
    assert len(both.found[-1]) == 1
    assert (both.found[-1].seen_as >= 0).sum() == 2
    first = [next(i for i, f in enumerate(p.found) if len(f)) for p in (run(NEAR[:1]), both)]
    assert first[0] < first[1]


def test_nobody_is_a_legal_answer() -> None:
    played = Played()
    for step in range(5):
        played.step([Poses.empty(17, "coco17")] * 4, [at_ns(step)] * 4)
    assert len(played.found) == 5
    assert all(len(f) == 0 for f in played.found)
    assert played.found[-1].joints.points.shape == (0, 17, 3)


def test_one_camera_alone_claims_nobody() -> None:
    played = Played()
    rng = np.random.default_rng(1)
    for step in range(10):
        first = seen(played.rig, walked(step, NEAR), 1.0, rng)[0]
        played.step([first, None, None, None], [at_ns(step)] * 4)
    assert played.found
    assert all(len(f) == 0 for f in played.found)
    assert played.found[-1].live.tolist() == [True, False, False, False]


def test_a_lost_camera_costs_no_identity() -> None:
    played = run(NEAR, 40, lost=[2])
    assert played.found[-1].live.tolist() == [True, True, False, True]
    assert played.found[-1].ids.tolist() == next(f for f in played.found if len(f)).ids.tolist()
    assert np.nanmedian(errors_mm(played.found[-1], walked(39, NEAR))) < 20


def test_a_camera_with_a_wrong_time_spoils_little() -> None:
    fast = [(0.0, 0.0, 0.3), (0.2, 0.9, 1.0)]
    good = run(fast, 40)
    bad = run(fast, 40, late_ms=[0, 0, 150, 0])  # people are 150 mm behind in its pictures
    off = [np.nanmedian(errors_mm(p.found[-1], walked(39, fast))) for p in (good, bad)]
    assert len(bad.found[-1]) == 2
    assert off[1] < 35
    assert off[0] < 15


def test_cameras_in_turn_are_interpolated() -> None:
    played = Played()
    rng = np.random.default_rng(2)
    shifts = [0.0, 0.25, 0.5, 0.75]
    for step in range(40):
        for camera, shift in enumerate(shifts):
            truth = walked(step + shift, NEAR[:2])  # type: ignore[arg-type]
            poses: List[Optional[Poses]] = [None] * 4
            poses[camera] = seen(played.rig, truth, 1.0, rng)[camera]
            played.step(poses, [round((step + shift) * 1e9 / HZ) + 10**9] * 4)
    last = played.found[-1]
    assert last.live.all()
    assert len(last) == 2
    true_step = (last.t_ns - 10**9) * HZ / 1e9
    assert np.nanmedian(errors_mm(last, walked(true_step, NEAR[:2]))) < 15  # type: ignore[arg-type]


def test_a_limb_keeps_its_length() -> None:
    def deviation(hold: bool) -> float:
        played = run(NEAR[:1], 60, noise_px=4.0, played=Played(hold=hold))
        points = np.array([f.joints.points[0] for f in played.found if len(f)])[20:]
        arm = np.linalg.norm(points[:, 7] - points[:, 9], axis=-1)
        return float(arm.std() / arm.mean())

    assert deviation(True) < 0.5 * deviation(False)


def test_an_elbow_folds_no_further_than_an_elbow_can() -> None:
    def folded_deg(hold: bool) -> float:
        played, truth = Played(hold=hold), people(NEAR[:1])
        truth[0, 9] = truth[0, 7] + 0.9 * (truth[0, 5] - truth[0, 7])
        for step in range(20):
            played.step(seen(played.rig, truth), [at_ns(step)] * 4)
        points = played.found[-1].joints.points[0]
        upper, lower = points[5] - points[7], points[9] - points[7]
        cosine = upper @ lower / np.linalg.norm(upper) / np.linalg.norm(lower)
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    assert folded_deg(False) < 5
    assert folded_deg(True) == pytest.approx(25, abs=0.5)


def test_an_arm_that_two_views_put_elsewhere_is_not_claimed() -> None:
    played = run(NEAR[:1], 20)
    rng = np.random.default_rng(4)
    truth = walked(20, NEAR[:1])
    wrong = truth.copy()
    wrong[0, 9] += [0.6, 0.5, 0.3]
    for step in range(20, 45):
        poses = seen(played.rig, wrong, 0.5, rng)
        for camera in (2, 3):
            poses[camera].scores[0, 9] = 0
        played.step(poses, [at_ns(step)] * 4)
    assert played.found[-1].joints.scores[0, 9] == 0
    assert played.found[-1].joints.scores[0, 10] > 0


def test_time_that_goes_back_makes_everybody_new() -> None:
    played = run(NEAR[:1], 10)
    rng = np.random.default_rng(4)
    for step in range(8):
        played.step(
            seen(played.rig, walked(step, NEAR[:1]), 1, rng), [at_ns(step) - 20 * 10**9] * 4
        )
    assert played.found[-1].ids.tolist() == [2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_a_keypoint_that_is_no_number_does_no_harm(bad: float) -> None:
    played = run(NEAR[:1], 10)
    poses = seen(played.rig, walked(10, NEAR[:1]))
    poses[0].keypoints[0, 5] = bad
    played.step(poses, [at_ns(10)] * 4)
    last = played.found[-1]
    assert np.isfinite(last.joints.points).all()
    assert last.joints.scores[0, 5] > 0


def test_wholebody_people_have_hands_that_move_with_their_wrists() -> None:
    skeleton = skeletons.get("wholebody133")
    rig = ring()
    room = Room("hall", rig, skeleton)
    pair = Pairing(4, 133, 10**8, [0] * 4)
    found = []
    for step in range(5):
        body = walked(step, NEAR[:1])
        hand = body[:, 9:10] + np.random.default_rng(0).uniform(-0.08, 0.08, (1, 21, 3))
        whole = np.zeros((1, 133, 3))
        whole[:, :17] = body
        whole[:, skeleton.parts["left_hand"]] = hand
        scores = np.zeros((1, 133), np.float32)
        scores[:, :17] = 0.9
        scores[:, skeleton.parts["left_hand"]] = 0.8
        pixels = rig.project(whole)
        for camera in range(4):
            one = Poses(
                np.nan_to_num(pixels[camera]).astype(np.float32),
                scores,
                np.zeros((1, 4), np.float32),
                np.array([7]),
                np.ones(1, np.float32),
                "wholebody133",
            )
            pair.add(camera, one, at_ns(step))
        views = pair.instant()
        assert views is not None
        found.append((room(views), hand))
    last, hand = found[-1]
    rows = skeleton.parts["left_hand"]
    assert np.abs(last.joints.points[:, rows] - hand).max() < 0.02
    assert (last.joints.scores[:, skeleton.parts["face"]] == 0).all()
