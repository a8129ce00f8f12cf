"""People near the camera: the family `posedetection`, and its place in `hybrid`."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np
import pytest

from edge.errors import DataError
from edge.models import ModelOptions, load_model
from edge.models import _ssd as ssd
from edge.models._hybrid import near
from edge.recipe import Network, Recipe
from edge.structures import HINT, Detections
from tests.edge.models.model_fakes import RecordedRunner, frame
from tests.edge.models.test_hybrid import OPTIONS, boxes_of, people_of

SIDE, ROWS = 224, 2254
NETWORK = Network(file="near.onnx", width=SIDE, height=SIDE)
HIPS, CIRCLE = (112.0, 260.0), (112.0, 120.0)  # px of the input: the hips are below the frame


def answer(score: float, hips: Tuple[float, float] = HIPS, row: int = 1600) -> Dict[str, Any]:
    """Outputs with one person, at one anchor."""
    places = np.zeros((1, ROWS, 12), np.float32)
    scores = np.full((1, ROWS, 1), -12, np.float32)
    anchor = ssd.anchors(NETWORK, ((8, 2), (16, 2), (32, 6)))[row]
    places[0, row, :4] = [*(np.array([112, 80]) - anchor), 50, 50]
    places[0, row, 4:8] = np.concatenate((hips - anchor, CIRCLE - anchor))
    scores[0, row] = np.log(score / (1 - score))
    return {"places": places, "scores": scores}


def detector(outputs: Dict[str, Any], least: float = 0.4) -> Any:
    recipe = Recipe(family="posedetection", networks={"main": NETWORK})
    runner = RecordedRunner(NETWORK.sample_shape, outputs)
    return load_model(recipe, {"main": runner}, ModelOptions(min_score=least))


def test_anchors_are_in_the_middle_of_their_cells() -> None:
    middles = ssd.anchors(NETWORK, ((8, 2), (16, 2), (32, 6)))
    assert middles.shape == (ROWS, 2)
    assert middles[[0, 1, 2, -1]].tolist() == [[4, 4], [4, 4], [12, 4], [208, 208]]


def test_hips_below_the_frame_become_hints() -> None:
    (found,) = detector(answer(0.8))([frame(448, 448)])
    assert found.scores.tolist() == pytest.approx([0.8], abs=1e-3)
    assert found.keypoints is not None
    hints = found.keypoints[0]
    np.testing.assert_allclose(hints[[11, 12], :2], [[224, 520]] * 2, atol=0.1)
    np.testing.assert_allclose(hints[[15, 16], 1], 520 + 280, atol=0.1)
    assert (hints[[5, 6, 11, 12, 15, 16], 2] == HINT).all()
    assert (hints[[0, 1, 2, 3, 4, 7, 8, 9, 10, 13, 14], 2] == 0).all()
    np.testing.assert_allclose(found.boxes[0], [98, 240, 350, 448], atol=0.2)


def test_a_person_outside_the_frame_and_a_weak_one_are_left_out() -> None:
    (outside,) = detector(answer(0.8, hips=(112.0, 620.0)))([frame(448, 448)])
    assert len(outside) == 1, "the circle reaches into the frame"
    (beside,) = detector(answer(0.8, hips=(900.0, 120.0), row=1500))([frame(448, 448)])
    assert len(beside) == 1
    (weak,) = detector(answer(0.3))([frame(448, 448)])
    assert len(weak) == 0
    assert detector(answer(0.3))([]) == []
    (all_of,) = detector(answer(0.3)).everybody([frame(448, 448)], 0.1)
    assert len(all_of) == 1
    assert all_of.keypoints is None


def test_broken_numbers_and_outputs() -> None:
    broken = answer(0.8)
    broken["places"][0, 1600, 5] = np.nan
    (found,) = detector(broken)([frame(448, 448)])
    assert len(found) == 0
    few = {"places": np.zeros((1, 9, 12), np.float32), "scores": np.zeros((1, 9, 1), np.float32)}
    with pytest.raises(DataError, match="output 'places'"):
        detector(few)


def people(score: float, box: Tuple[float, ...], hips: float = 0.0) -> Detections:
    keypoints = np.full((1, 17, 3), 0.8, np.float32)
    keypoints[0, 11:, 2] = hips
    return Detections(np.array([box], np.float32), np.array([score], np.float32), keypoints)


@pytest.mark.parametrize(
    ("found", "looks"),
    [
        (Detections.empty(), True),
        (people(0.4, (100, 100, 200, 300), hips=0.9), True),
        (people(0.9, (100, 100, 200, 300), hips=0.9), False),
        (people(0.9, (100, 100, 200, 300)), True),
        (people(0.9, (100, 100, 120, 150)), False),
    ],
    ids=["nobody", "unsure", "whole", "without hips", "far"],
)
def test_it_looks_where_somebody_may_be_missed(found: Detections, looks: bool) -> None:
    assert near.worth_looking(found, (640, 480)) is looks


def hints() -> Detections:
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, [5, 6, 11, 12, 15, 16]] = (300, 500, HINT)
    box = np.array([[100, 100, 400, 480]], np.float32)
    return Detections(box, np.array([0.6], np.float32), keypoints)


def test_hints_stand_in_for_keypoints_that_are_not_visible() -> None:
    joined = near.joined(people(0.5, (110, 100, 400, 480)), hints(), 10)
    assert joined.scores.tolist() == pytest.approx([0.8])
    assert joined.keypoints is not None
    assert joined.keypoints[0, [11, 15], 2].tolist() == [HINT, HINT]
    assert joined.keypoints[0, 5, 2] == pytest.approx(0.8), "visible shoulders stay"
    assert joined.boxes[0].tolist() == [110, 100, 400, 480]


def test_somebody_with_visible_hips_gets_no_hints() -> None:
    joined = near.joined(people(0.5, (110, 100, 400, 480), hips=0.9), hints(), 10)
    assert joined.keypoints is not None
    assert (joined.keypoints[..., 2] > 0).all()


def test_others_are_added_and_the_best_are_kept() -> None:
    apart = people(0.5, (500, 100, 600, 300))
    assert near.joined(apart, hints(), 10).scores.tolist() == pytest.approx([0.6, 0.5])
    assert near.joined(apart, hints(), 1).scores.tolist() == pytest.approx([0.6])
    assert near.joined(apart, Detections.empty(), 10) is apart


@pytest.mark.parametrize(("hips", "runs"), [(True, 0), (False, 1)])
def test_hybrid_runs_it_only_where_it_is_worth_it(hips: bool, runs: int) -> None:
    side = 1040
    networks = {n: Network(file=f"{n}.onnx", width=416, height=416) for n in ("boxes", "people")}
    outputs = {"boxes": boxes_of([0.6]), "people": people_of(), "near": answer(0.8)}
    if hips:
        outputs["people"] = people_of((208, 0.4))
    networks["near"] = NETWORK
    runners = {n: RecordedRunner(networks[n].sample_shape, outputs[n]) for n in networks}
    options = {**OPTIONS, "near": "posedetection"}
    recipe = Recipe(family="hybrid", networks=networks, options=options)
    detect: Any = load_model(recipe, runners, ModelOptions(min_score=0.3))
    (found,) = detect([frame(side, side)])
    assert runners["near"].runs == runs
    assert len(found) == 1 + runs
    (all_of,) = detect.everybody([frame(side, side)], 0.1)
    assert len(all_of) == 2 + hips
