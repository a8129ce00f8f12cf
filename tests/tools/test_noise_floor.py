"""Whom FP32 is stable of, and a gate that judges by them and hides nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import cv2
import numpy as np
import pytest

from edge import skeletons
from edge.recipe import Gate
from edge.structures import Detections, Poses
from tools.calib.selection import Picture
from tools.proof import compare, gate, noise_floor, text_report
from tools.proof.heldout import HeldOutFrames, Predictions

WHOLE = skeletons.get("wholebody133")
GATE = Gate()


def people(count: int = 5) -> Poses:
    """Apart from each other, 200 px high, everything believed."""
    rng = np.random.default_rng(0)
    corner = np.stack((np.arange(count) * 300.0, np.zeros(count)), 1)
    points = corner[:, None] + rng.uniform((20, 20), (80, 180), (count, 133, 2))
    boxes = np.concatenate((corner, corner + (100, 200)), 1).astype(np.float32)
    ids, scores = np.arange(count), np.full(count, 0.8, np.float32)
    keypoints = points.astype(np.float32)
    return Poses(keypoints, np.full((count, 133), 0.9, np.float32), boxes, ids, scores, WHOLE.name)


def moved(poses: Poses, who: List[int], px: float) -> Poses:
    points = poses.keypoints.copy()
    points[who] += np.float32(px)
    return replace(poses, keypoints=points)


def lose_hand(poses: Poses, who: int) -> Poses:
    scores = poses.scores.copy()
    scores[who, WHOLE.parts["left_hand"]] = 0
    return replace(poses, scores=scores)


def without(poses: Poses, who: Set[int]) -> Poses:
    return poses.take(np.array([i for i in range(len(poses)) if i not in who]))


def results(*frames: Poses) -> Predictions:
    return Predictions(WHOLE.name, [], list(frames))


def held(frames: int) -> HeldOutFrames:
    return HeldOutFrames(Path(), [None] * frames, [Detections.empty()] * frames)  # type: ignore[list-item]


def measured(truth: List[Poses], again: List[List[Poses]]) -> noise_floor.NoiseFloor:
    """The floor of a reference that answers `again`, one list of frames a run."""
    runs = iter(again * (noise_floor.RUNS // len(again)))
    return noise_floor.measure(
        held(len(truth)), results(*truth), lambda h, label: results(*next(runs))
    )


def figures(
    truth: List[Poses], found: List[Poses], reference: noise_floor.NoiseFloor
) -> Dict[str, Any]:
    summary = compare.compare_poses(truth, found, WHOLE, reference.stable).summary
    return {**summary, "floor": reference.summary}


def test_one_run_that_differs_is_enough_to_be_unsure() -> None:
    truth = [people(), people(1)]
    same, other = [people(), people(1)], [moved(people(), [2], 60), people(1)]
    gone = [without(people(), {4}), people(1)]
    reference = measured(truth, [same, other, gone, same])
    assert who(reference) == [[True, True, False, True, False], [True]]
    assert reference.summary["runs"] == 4
    assert reference.summary["recall"] == pytest.approx((3 + 5 / 6) / 4)
    assert reference.summary["precision"] == 1.0
    # Judged by the three other runs, only the third loses one of five.
    assert reference.summary["judged_recall"] == pytest.approx((3 + 4 / 5) / 4)
    assert reference.summary["judged_oks"] < 1
    assert 0.9 < reference.summary["mean_oks"] < 1
    assert who(measured(truth, [same])) == [[True] * 5, [True]]


def boxes(count: int) -> Detections:
    corner = np.stack((np.arange(count) * 300.0, np.zeros(count)), 1)
    found = np.concatenate((corner, corner + (100, 200)), 1).astype(np.float32)
    return Detections(found, np.full(count, 0.8, np.float32))


def test_a_detector_may_lose_what_fp32_loses_by_noise_and_the_gate_s_share() -> None:
    """Of 50 people FP32 loses one in two of four runs: 0.96 are then asked for, not 0.97."""
    truth, other = (Predictions(None, [boxes(n)], []) for n in (50, 49))
    runs = iter([truth, other, truth, other])
    reference = noise_floor.measure(held(1), truth, lambda h, label: next(runs))
    assert reference.stable is None
    assert reference.summary == pytest.approx(
        {"runs": 4, "recall": 0.99, "precision": 1.0, "mean_iou": 1.0}
    )
    for left, passes in ((48, True), (47, False)):
        summary = compare.compare_detections(truth.people, [boxes(left)]).summary
        assert gate.failures(summary, GATE) != []
        told = gate.failures({**summary, "floor": reference.summary}, GATE)
        assert (told == []) is passes


def who(reference: noise_floor.NoiseFloor) -> List[List[bool]]:
    """Sure people of each frame; without a hand lost, with all their keypoints."""
    assert reference.stable is not None
    for stable in reference.stable:
        assert np.array_equal(stable.any(1), stable.all(1))
    return [stable.any(1).tolist() for stable in reference.stable]  # type: ignore[misc]


def test_a_hand_that_fp32_finds_now_and_then_is_not_asked_for() -> None:
    """By its own threshold; a hand that it always finds must be found."""
    truth = [people()]
    reference = measured(truth, [truth, [lose_hand(people(), 1)]])
    assert reference.stable[0].any(1).all()  # type: ignore[index]
    assert gate.failures(figures(truth, [lose_hand(people(), 1)], reference), GATE) == []
    found = figures(truth, [lose_hand(people(), 3)], reference)
    (line,) = gate.failures(found, GATE)
    assert line.startswith("left_hand: share of keypoints found 0.7500 is below 0.97")
    assert found["everybody"]["parts"]["left_hand"]["recall"] == 0.8
    assert found["everybody"]["parts"]["left_hand"]["keypoints"] == 105


def test_what_fp32_loses_by_chance_a_candidate_may_lose_too() -> None:
    """Another hand in every run: none of the others told of it."""
    truth = [people()]
    runs = [[lose_hand(people(), i)] for i in range(4)]
    reference = measured(truth, runs)
    assert reference.summary["parts"]["left_hand"]["recall"] == pytest.approx(1 / 2)
    assert reference.summary["parts"]["right_hand"]["recall"] == 1.0
    found = figures(truth, [lose_hand(people(), 4)], reference)
    assert found["parts"]["left_hand"]["keypoints"] == 21
    lines = gate.failures(found, GATE)
    assert lines == ["left_hand: share of keypoints found 0.0000 is below 0.47"]


def test_who_is_sure_does_not_depend_on_the_candidate() -> None:
    """The same people are judged whatever the candidate made of them."""
    truth = [people()]
    reference = measured(truth, [truth, [moved(people(), [2], 60)]])
    for found in (truth[0], moved(people(), [0, 1, 2, 3], 90), without(people(), {0, 2, 3})):
        assert figures(truth, [found], reference)["judged"] == 4


def test_a_candidate_that_errs_where_fp32_errs_passes() -> None:
    truth = [people()]
    reference = measured(truth, [[moved(people(), [2], 60)]])
    found = figures(truth, [moved(people(), [2], -60)], reference)
    assert gate.failures(found, GATE) == []
    assert gate.excess(found, GATE) <= 1
    assert (found["judged"], found["mean_oks"], found["judged_recall"]) == (4, 1.0, 1.0)
    assert found["everybody"]["mean_oks"] < 0.9
    assert found["everybody"]["parts"]["body"]["mean_px"] > 10


def test_a_loss_of_somebody_sure_is_no_more_allowed_than_before() -> None:
    truth = [people()]
    reference = measured(truth, [[moved(people(), [2], 60)]])
    found = figures(truth, [moved(people(), [1], 30)], reference)
    lines = gate.failures(found, GATE)
    assert any(line.startswith("mean OKS 0.") for line in lines)
    assert any(line.startswith("body: mean error") for line in lines)
    assert gate.excess(found, GATE) > 1
    lost = figures(truth, [without(people(), {1})], reference)
    assert "share of stable people found 0.7500 is below 0.97" in gate.failures(lost, GATE)
    assert (lost["lost"], lost["people"], lost["recall"]) == (1, 5, 0.8)


@pytest.mark.parametrize(
    ("who", "line"),
    [
        ("lost", "share of people found 0.8000 is below 0.97"),
        ("gained", "share of people that FP32 finds too 0.8333 is below 0.97"),
        ("far", "mean OKS of everybody"),
    ],
)
def test_nobody_is_hidden(who: str, line: str) -> None:
    """A candidate that does worse to unsure people than FP32 itself fails by the figures of all."""
    truth = [people()]
    reference = measured(truth, [[moved(people(), [2], 5)]])
    assert not reference.stable[0][2].any()  # type: ignore[index]
    found = {
        "lost": without(people(), {2}),
        "gained": people(6),
        "far": moved(people(), [2], 500),
    }[who]
    summary = figures(truth, [found], reference)
    assert summary["mean_oks"] == 1.0
    assert summary["judged_recall"] == 1.0
    lines = gate.failures(summary, GATE)
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert gate.excess(summary, GATE) > 1


def test_a_reference_that_holds_hardly_anybody_proves_nothing() -> None:
    truth = [people()]
    reference = measured(truth, [[moved(people(), [0, 1, 2], 60)]])
    lines = gate.failures(figures(truth, truth, reference), GATE)
    assert lines == ["FP32 keeps the pose of only 2 of 5 people under noise: hold out more frames"]
    half = measured([people(4)], [[moved(people(4), [0, 1], 60)]])
    assert gate.failures(figures([people(4)], [people(4)], half), GATE) == []
    nobody = measured(truth, [[moved(people(), [0, 1, 2, 3, 4], 60)]])
    lines = gate.failures(figures(truth, truth, nobody), GATE)
    assert "mean OKS: there is none" in lines
    empty = measured([people(0)], [[people(0)]])
    assert empty.summary["recall"] is None
    assert gate.failures(figures([people(0)], [people(0)], empty), GATE)


def test_limits_stay_what_they_were_where_fp32_holds_everybody() -> None:
    """Neither easier nor harder than the plain gate."""
    truth = [people()]
    reference = measured(truth, [truth])
    for found in (people(), moved(people(), [0], 4), moved(people(), [3], 60)):
        plain = compare.compare_poses(truth, [found], WHOLE).summary
        with_floor = gate.failures(figures(truth, [found], reference), GATE)
        assert bool(with_floor) == bool(gate.failures(plain, GATE))
        assert set(gate.failures(plain, GATE)) <= set(with_floor)


def add_noise(tmp_path: Path, seed: int) -> Tuple[np.ndarray, noise_floor.NoisyFrames]:
    """A grey picture with black and white edges, add_noise, and its frames."""
    grey = np.full((48, 64, 3), 128, np.uint8)
    grey[:, :8], grey[:, 8:16] = 0, 255
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    picture = Picture("a.png", "held-out", "", 0, 1, "")
    boxes = Detections(people(3).boxes, np.ones(3, np.float32))
    frames = noise_floor.add_noise(HeldOutFrames(tmp_path, [picture], [boxes]), seed)
    return frames.image(0), frames


def test_a_disturbance_is_small_and_the_same_again(tmp_path: Path) -> None:
    noisy, frames = add_noise(tmp_path, 1)
    off = noisy[:, 16:].astype(int) - 128
    assert off.std() == pytest.approx(noise_floor.NOISE, rel=0.1)
    assert abs(off.mean()) < 0.1
    assert np.abs(off).max() <= 6
    assert set(np.unique(noisy[:, :16])) <= {*range(7), *range(249, 256)}, "nothing wraps around"
    shift = frames.people[0].boxes - people(3).boxes
    assert 0 < np.abs(shift).max() <= noise_floor.SHIFT_PX
    assert np.array_equal(noisy, add_noise(tmp_path, 1)[0])
    assert not np.array_equal(noisy, add_noise(tmp_path, 2)[0])


def test_the_page_says_whom_and_how() -> None:
    truth = [people()]
    reference = measured(truth, [[moved(people(), [2], 60)]])
    proof = {
        "steps": [],
        "frames": 1,
        "set": "gym",
        "failures": [],
        "picture": "p.png",
        "passed": True,
        "model": "m",
        "asked": "int8",
        "result": "int8",
        "figures": figures(truth, [moved(people(), [2], -60)], reference),
    }
    text = text_report.text(proof)
    assert "FP32 keeps its own pose of 4 of 5 people" in text
    assert "everybody: OKS body 0.8" in text
    assert "OKS body: mean 1.0000" in text
