"""The family `hybrid`: a box detector and a one-stage network become one detector."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.models import ModelOptions, load_model
from edge.models._hybrid.join import join
from edge.recipe import Network, Recipe
from edge.structures import Detections
from tests.edge.models.model_fakes import RecordedRunner, frame

FAR = -12.0
SIDE = 416
OPTIONS = {"boxes": "yolov4", "people": "movenet"}


def boxes_of(scores: List[float]) -> Dict[str, np.ndarray]:
    """Heads of YOLOv4: boxes of 81 x 82 px around (208, 208)."""
    raw = {
        "stride32": np.full((1, 255, 13, 13), FAR, np.float32),
        "stride16": np.full((1, 255, 26, 26), FAR, np.float32),
    }
    for anchor, score in enumerate(scores):
        logit = np.log(score / (1 - score))
        raw["stride32"][0, anchor * 85 : anchor * 85 + 6, 6, 6] = [0, 0, 0, 0, logit, 9]
    return raw


def people_of(*people: Tuple[float, float]) -> Dict[str, np.ndarray]:
    """Rows of MoveNet: of each person the middle of a box of 90 px, and the score."""
    rows = np.zeros((1, 6, 56), np.float32)
    for row, (middle, score) in zip(rows[0], people):
        low, high = (middle - 45) / SIDE, (middle + 45) / SIDE
        row[:51] = np.tile((middle / SIDE, middle / SIDE, 0.35), 17)
        row[51:] = (low, low, high, high, score)
    return {"people": rows}


def hybrid(
    boxes: Dict[str, np.ndarray],
    people: Dict[str, np.ndarray],
    options: Optional[Dict[str, Any]] = None,
    **tuned: Any,
) -> Tuple[Any, Dict[str, RecordedRunner]]:
    networks = {n: Network(file=f"{n}.onnx", width=SIDE, height=SIDE) for n in ("boxes", "people")}
    runners = {
        n: RecordedRunner(networks[n].sample_shape, out)
        for n, out in (("boxes", boxes), ("people", people))
    }
    recipe = Recipe(family="hybrid", networks=networks, options={**OPTIONS, **(options or {})})
    return load_model(recipe, runners, ModelOptions(min_score=0.3, **tuned)), runners


def test_a_person_of_both_is_one_detection_with_keypoints() -> None:
    detect, runners = hybrid(boxes_of([0.6]), people_of((208, 0.225)))
    (found,) = detect([frame(SIDE, SIDE)])
    assert len(found) == 1
    # People of .45 are sure, so .225 is .5; keypoints of .7 are sure, so .35 is .5.
    assert found.scores[0] == pytest.approx(1 - 0.4 * 0.5, abs=0.01)
    assert found.boxes[0, 2] - found.boxes[0, 0] == pytest.approx(81, abs=0.5), "the detector's"
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints[0], np.tile((208, 208, 0.5), (17, 1)), atol=0.5)
    assert {name: runner.runs for name, runner in runners.items()} == {"boxes": 1, "people": 1}


def test_people_of_one_network_alone_are_kept_by_their_scores() -> None:
    detect, _ = hybrid(boxes_of([0.6]), people_of((60, 0.4), (350, 0.1)))
    (found,) = detect([frame(SIDE, SIDE)])
    assert found.scores.tolist() == pytest.approx([0.4 / 0.45, 0.6], abs=0.01), "0.1 is too weak"
    assert found.keypoints is not None
    assert (found.keypoints[1] == 0).all(), "nothing is known of a box"
    assert found.keypoints[0, 0, 0] == pytest.approx(60, abs=0.5)


def test_no_frame_and_nobody() -> None:
    detect, runners = hybrid(boxes_of([]), people_of())
    assert detect([]) == []
    assert runners["people"].runs == 0
    (found,) = detect([frame(SIDE, SIDE)])
    assert len(found) == 0
    assert found.keypoints is not None
    assert found.keypoints.shape == (0, 17, 3)


def test_no_more_than_max_people() -> None:
    detect, _ = hybrid(boxes_of([0.6]), people_of((60, 0.4), (350, 0.3)), max_people=2)
    (found,) = detect([frame(SIDE, SIDE)])
    assert found.scores.tolist() == pytest.approx([0.89, 0.67], abs=0.01)


def test_everybody_is_everybody_of_both() -> None:
    detect, _ = hybrid(boxes_of([0.6, 0.1]), people_of((208, 0.4), (350, 0.06)))
    (found,) = detect.everybody([frame(SIDE, SIDE)], 0.05)
    assert len(found) == 4
    assert detect.everybody([], 0.05) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"people": "blazepose"},
            "options.people: 'blazepose' gives poses, hybrid wants one-stage",
        ),
        (
            {"boxes": "movenet"},
            "options.boxes: 'movenet' gives one-stage poses, hybrid wants boxes",
        ),
        ({"boxes": "nosuch"}, "nosuch"),
        ({"people_sure_score": 0.0}, "people_sure_score"),
        ({"people_options": {"border": 900}}, "border"),
    ],
)
def test_wrong_options_are_named(options: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        hybrid(boxes_of([]), people_of(), options)


def test_a_missing_network_and_a_wrong_skeleton_are_named() -> None:
    network = Network(file="n.onnx", width=SIDE, height=SIDE)
    runner = RecordedRunner(network.sample_shape, boxes_of([]))
    recipe = Recipe(family="hybrid", networks={"boxes": network}, options=OPTIONS)
    with pytest.raises(ConfigError, match=r"networks: hybrid wants \[networks.people\]"):
        load_model(recipe, {"boxes": runner}, ModelOptions())
    recipe = Recipe(family="hybrid", networks={}, options=OPTIONS, skeleton="halpe136")
    with pytest.raises(ConfigError, match="skeleton: is 'halpe136'; hybrid gives coco17"):
        load_model(recipe, {}, ModelOptions())


def detections(*rows: Tuple[float, float], keypoints: bool = False) -> Detections:
    """Boxes of 100 px, by their left edge and score."""
    boxes = np.array([(x, 0, x + 100, 100) for x, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([s for _, s in rows], np.float32)
    points = np.repeat(boxes[:, None, :3], 17, 1) if keypoints else None
    return Detections(boxes, scores, points)


def test_each_box_gets_the_person_of_the_best_total_overlap() -> None:
    """The person at 30 overlaps the box at 0 more than that at 60, but only both fit all."""
    joined = join(
        detections((0, 0.5), (60, 0.5)), detections((-25, 0.5), (28, 0.5), keypoints=True), 9
    )
    assert len(joined) == 2
    assert joined.keypoints is not None
    assert sorted(joined.keypoints[:, 0, 0].tolist()) == [-25, 28]


@pytest.mark.parametrize(("apart", "people"), [(42, 1), (44, 2)])
def test_people_who_overlap_less_are_two(apart: int, people: int) -> None:
    """IoU is .41 at 42 px and .39 at 44 px."""
    joined = join(detections((0, 0.5)), detections((apart, 0.5), keypoints=True), 9)
    assert len(joined) == people
