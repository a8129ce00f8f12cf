"""The benches of motion: their noise, their scenes, their judges, and what may be tuned on what."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge.people.filters import together
from edge.structures import Detections, Poses
from tools.benches import _acts, _mocap, _noise, _together, _walkers, falls, smoothing, tracking
from tools.benches._acts import Act
from tools.benches._walkers import Instant, crowd
from tools.fetch.by_name import ensure_set
from tools.render.motion.acts import REPORT, TUNE, split_of


@pytest.fixture(scope="module")
def sets() -> Path:
    ensure_set("motion-bvh", quiet=True)
    return ensure_set("motion", quiet=True).parent


# Splits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tune", "report"),
    [
        (_mocap.TUNE, _mocap.REPORT),
        (_acts.TUNE_STARTS, _acts.REPORT_STARTS),
        (_acts.TUNE_CALM, _acts.REPORT_CALM),
        (_walkers.TUNE_CLIPS, _walkers.REPORT_CLIPS),
    ],
)
def test_nothing_is_on_both_sides(tune: List[str], report: List[str]) -> None:
    assert not set(tune) & set(report)
    clips = {n for n in (*tune, *report) if not n.startswith("gait:")}
    assert clips & set(_mocap.TUNE) <= set(tune)
    assert clips & set(_mocap.REPORT) <= set(report)


@pytest.mark.parametrize("name", [*_mocap.TUNE, *_mocap.REPORT])
def test_clips_are_split_as_synth_splits_them(name: str) -> None:
    side = TUNE if name in _mocap.TUNE else REPORT
    assert split_of(f"mocap_{name.lower()}") == side


# Noise ---------------------------------------------------------------------------------------


def test_the_noise_is_as_stated() -> None:
    truth = np.zeros((3000, 4, 17, 2))
    heights = np.array([100.0, 200, 400, 1000])
    seen, scores = _noise.measured(truth, heights, 30.0, np.random.default_rng(0))
    sure = scores >= _noise.SCORES[0]
    size = np.hypot(*np.moveaxis(seen, -1, 0)) / heights[:, None]
    spread = np.median(size[sure] * scores[sure]) / np.sqrt(2 * np.log(2))
    assert spread == pytest.approx(_noise.NOISE_H, rel=0.05)
    wild = size[sure] > 0.12
    assert wild.mean() == pytest.approx(_noise.OUTLIERS, rel=0.15)
    lost = (scores == _noise.LOST_SCORE).mean()
    assert lost == pytest.approx(_noise.LOSSES_A_SECOND * 5 / 30, rel=0.1)


def test_losses_come_in_runs() -> None:
    _, scores = _noise.measured(
        np.zeros((4000, 1, 3, 2)), np.ones(1), 30.0, np.random.default_rng(1)
    )
    lost = np.diff(np.concatenate(([0], scores[:, 0, 0] < 0.2, [0])).astype(int))
    lengths = np.flatnonzero(lost < 0) - np.flatnonzero(lost > 0)
    assert lengths.min() >= _noise.LOST[0]
    assert np.median(lengths) <= _noise.LOST[1]


# Smoothing -----------------------------------------------------------------------------------


def test_the_judge_of_smoothing(sets: Path) -> None:
    sight = smoothing.sight(sets, ("punch",), 30, 0)
    right = smoothing.judged(sight, sight.truth)
    assert not right.rmse.any()
    assert not right.jitter.any()
    off = smoothing.judged(sight, sight.truth + (30.0, 40.0))
    assert off.rmse == pytest.approx(50 / smoothing.HEIGHT_PX)
    assert off.jitter == pytest.approx(0, abs=1e-12)
    late = np.roll(sight.truth, 1, axis=0)
    assert smoothing.judged(sight, late).lag == pytest.approx(1, abs=0.15)


def test_a_person_is_as_tall_as_stated(sets: Path) -> None:
    sight = smoothing.sight(sets, ("punch",), 30, 0)
    tall = np.ptp(sight.truth[0, 0, :, 1])
    assert 0.75 < tall / smoothing.HEIGHT_PX < 1.0, "eyes to ankles of somebody upright"


def test_one_euro_follows_slow_motion_and_holds_weak_points(sets: Path) -> None:
    sight = smoothing.sight(sets, ("punch",), 30, 0)
    sure = sight._replace(seen=sight.truth, scores=np.ones_like(sight.scores))
    fast = smoothing.one_euro(sure, 1000.0, 0.0)
    assert np.abs(fast - sight.truth).max() < 3
    blind = sight._replace(scores=np.zeros_like(sight.scores))
    assert np.array_equal(smoothing.one_euro(blind, 2.0, 1.0)[-1], sight.seen[0])


def test_the_smoother_is_better_than_nothing_at_30_fps(sets: Path) -> None:
    sight = smoothing.sight(sets, ("dance_b", "punch"), 30, 0)
    ours, raw = (smoothing.judged(sight, f) for f in (smoothing.ours(sight), sight.seen))
    assert ours.rmse.mean() < raw.rmse.mean()
    assert ours.jitter.mean() < raw.jitter.mean()


@pytest.mark.one_python
@pytest.mark.parametrize("rate_hz", [10, 30, smoothing.CHANGING])
def test_the_smoother_is_far_better_than_one_euro_at_any_rate(sets: Path, rate_hz: int) -> None:
    sight = smoothing.sight(sets, ("dance_b", "punch"), rate_hz, 0)
    ours = smoothing.judged(sight, smoothing.ours(sight))
    other = smoothing.judged(sight, smoothing.one_euro(sight, 8.0, 8.0))
    assert np.median(ours.rmse) < 0.8 * np.median(other.rmse)
    assert np.median(ours.lag) < 0.15


def test_the_rate_that_changes(sets: Path) -> None:
    t_s = smoothing.sight(sets, ("punch",), smoothing.CHANGING, 0).t_s
    assert t_s[0] == 0
    assert 5.8 < t_s[-1] < smoothing.LONG_S
    gaps_s = np.diff(t_s)
    assert gaps_s.min() >= 0.8 / 60 - 1e-9
    assert gaps_s.max() <= 1.2 / 10 + 1e-9
    assert gaps_s.max() > 2 * gaps_s.min()


@pytest.mark.one_python
def test_the_body_filters_table_is_that_of_the_tuning_clips(sets: Path) -> None:
    fit, table = _together.fitted(sets), together.covariance()
    sizes = np.sqrt(np.diag(fit))
    np.testing.assert_allclose(sizes, np.sqrt(np.diag(table)), rtol=0.02)
    scale = np.sqrt(np.outer(np.diag(table), np.diag(table)))
    np.testing.assert_allclose(fit / np.outer(sizes, sizes), table / scale, atol=0.02)


# Tracking ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames(sets: Path) -> List[Instant]:
    return crowd(sets, _walkers.REPORT_CLIPS, 5, 150, 0)


def test_a_crowd_is_as_stated(frames: List[Instant]) -> None:
    seen = sum(len(f.ids) for f in frames)
    found = sum(int((f.of >= 0).sum()) for f in frames)
    assert 0.8 < found / seen < 0.97
    for frame in frames:
        assert set(frame.of[frame.of >= 0]) <= set(frame.ids.tolist())
        assert (frame.found.ids == -1).all()


def test_the_same_seed_makes_the_same_crowd(sets: Path, frames: List[Instant]) -> None:
    again = crowd(sets, _walkers.REPORT_CLIPS, 5, 150, 0)
    assert all(np.array_equal(a.found.keypoints, b.found.keypoints) for a, b in zip(frames, again))


def test_who_knows_everything_gets_the_best_figures(frames: List[Instant]) -> None:
    answer = [(f.of[f.of >= 0], f.found.boxes[f.of >= 0]) for f in frames]
    best = tracking.judged(frames, answer)
    assert (best["switches"], best["false"]) == (0, 0)
    for ours in tracking.own(frames).values():
        judged = tracking.judged(frames, ours)
        assert 0.2 < judged["HOTA"] <= best["HOTA"]


def test_a_candidate_gets_the_pose_of_whoever_fills_its_box(frames: List[Instant]) -> None:
    seen = frames[0].found
    near = Detections(seen.boxes + np.float32(2), seen.person_scores)
    candidates = Poses.of_boxes(near, 17, "coco17")
    looked = tracking.looked(candidates, seen)
    assert np.array_equal(looked.keypoints, seen.keypoints)
    away = Detections(seen.boxes + np.float32(5000), seen.person_scores)
    assert len(tracking.looked(Poses.of_boxes(away, 17, "coco17"), seen)) == 0


class EveryBoxIsNew:
    """A peer that gives each box an id of its own, but none to the first of a frame."""

    def ask(self, request: Dict[str, Any]) -> Dict[str, Any]:
        with np.load(request["file"]) as held:
            counts = held["counts"].tolist()
            assert len(held["boxes"]) == len(held["scores"]) == sum(counts)
        starts = np.cumsum([0, *counts])
        ids = [[-1, *range(a + 1, b)] if b > a else [] for a, b in zip(starts, starts[1:])]
        return {"ids": ids}


def test_a_peer_is_judged_by_the_boxes_that_it_named(frames: List[Instant]) -> None:
    peers: Any = {"trackers": EveryBoxIsNew()}
    answer = tracking.theirs(peers, frames, "sort", {})
    for (ids, boxes), instant in zip(answer, frames):
        assert np.array_equal(boxes, instant.found.boxes[1:])
        assert len(ids) == len(boxes)
    judged = tracking.judged(frames, answer)
    assert judged["switches"] > 100
    assert judged["IDF1"] < 0.1


# Falls ---------------------------------------------------------------------------------------


def test_a_fall_is_ballistic_and_ends_on_the_floor(sets: Path) -> None:
    for act in _acts.falls(sets, _acts.REPORT_STARTS, 30, 1, 0):
        hips = act.points[:, 11:13, 2].mean(1)
        before, after = hips[: int(_acts.BEFORE_S * 30)], hips[int(act.ground_s * 30) + 1 :]
        assert before.mean() > 0.6
        assert after == pytest.approx(0.12, abs=0.02)
        assert -10 < np.diff(hips).min() * 30 < -1
        assert act.points[..., 2].min() >= 0
        assert 0.3 < act.ground_s - _acts.BEFORE_S < 2


def test_falls_go_in_all_directions(sets: Path) -> None:
    ends = [a.points[-1, :5, :2].mean(0) for a in _acts.falls(sets, ("punch",), 10, 1, 0)]
    angles = np.sort([np.arctan2(y, x) for x, y in ends])
    assert np.diff(angles).max() < np.radians(75)


def test_somebody_who_lies_down_takes_seconds(sets: Path) -> None:
    for act in _acts.lying_down(sets, ("punch",), 30, 1, 0):
        speed = np.diff(act.points[int(_acts.BEFORE_S * 30) + 10 :, 11:13, 2].mean(1)) * 30
        assert speed.min() > -1.2


def test_walkers_go_to_and_fro(sets: Path) -> None:
    for act in _acts.calm(sets, ("gait:walk",), 10, 12.0):
        hips = act.points[:, 11:13, :2].mean(1)
        assert np.ptp(hips @ (hips[0] / np.linalg.norm(hips[0]))) > 3
        assert np.linalg.norm(np.diff(hips, axis=0), axis=1).max() < 0.4


def test_the_rule_is_judged(sets: Path) -> None:
    acts = _acts.falls(sets, _acts.REPORT_STARTS, 30, 1, 0)
    found = falls.told(acts, 30, 0.0)
    assert any(t.falls for t in found)
    assert all(t.fall_s > t.act.ground_s for t in found if t.falls)
    still = Act("still", np.repeat(acts[0].points[:1], 200, 0), np.inf)
    assert falls.told([still], 30, 0.0)[0][2:] == (0, 0)


def test_shares_count_those_in_time() -> None:
    act = Act("a", np.zeros((1, 17, 3)), 3.0)
    some = [falls.Told(act, s, int(np.isfinite(s)), 0) for s in (4.0, 6.0, np.inf, 5.0)]
    assert falls._share(some, 2.0) == 0.5
    assert falls._share(some, np.inf) == 0.75
