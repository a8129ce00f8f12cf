"""For pictures that hide everybody, models give people of any score, overlapping or not."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest

from edge.models import none
from tests.edge.models.model_fakes import frame, model

FAR = -12.0


def yolov4(scores: List[float]) -> Any:
    """A detector of boxes at nearly the same place, 0.3 at least, with one person at most."""
    raw = {
        "stride32": np.full((1, 255, 13, 13), FAR, np.float32),
        "stride16": np.full((1, 255, 26, 26), FAR, np.float32),
    }
    for anchor, score in enumerate(scores):
        logit = np.log(score / (1 - score))
        raw["stride32"][0, anchor * 85 : anchor * 85 + 6, 6, 4] = [0, 0, 0, 0, logit, 9]
    return model("yolov4", raw, (416, 416), min_score=0.3, max_people=1)


def test_a_detector_gives_weak_overlapping_and_surplus_people() -> None:
    detect, _ = yolov4([0.9, 0.8, 0.1])
    assert len(detect([frame(416, 416)])[0]) == 1
    (all_people,) = detect.everybody([frame(416, 416)], 0.05)
    assert sorted(all_people.scores.round(2).tolist()) == pytest.approx([0.1, 0.8, 0.9], abs=0.01)
    (some,) = detect.everybody([frame(416, 416)], 0.5)
    assert len(some) == 2
    assert detect.everybody([], 0.05) == []
    assert none.Nobody().everybody([frame(10, 10)], 0.0)[0].boxes.shape == (0, 4)


def movenet(scores: List[float]) -> Dict[str, np.ndarray]:
    """People whose boxes hold the legs only; the nose of each is above, at 0.1, 0.1."""
    rows = np.zeros((1, 6, 56), np.float32)
    rows[..., :3] = (0.1, 0.1, 0.9)  # y x score of the nose
    rows[..., 51:55] = (0.5, 0.5, 0.9, 0.7)  # ymin xmin ymax xmax
    rows[0, : len(scores), 55] = scores
    return {"people": rows}


def test_a_one_stage_model_gives_weak_people_with_their_keypoints() -> None:
    pose, _ = model("movenet", movenet([0.9, 0.06]), (100, 100), "coco17", min_score=0.5)
    assert len(pose([frame(100, 100)], [])[0]) == 1
    (found,) = pose.everybody([frame(100, 100)], 0.05)
    np.testing.assert_allclose(found.boxes, [[10, 10, 70, 90]] * 2, atol=0.1)
    assert len(pose.everybody([frame(100, 100)], 0.99)[0]) == 0


def test_looking_at_everybody_says_nothing_about_the_cameras(caplog: Any) -> None:
    """The log's hint to take a network of another shape is for the cameras' own pictures."""
    detect, _ = yolov4([0.9])
    with caplog.at_level("INFO"):
        for _ in range(200):
            detect.everybody([frame(60, 400)], 0.05)
    assert "in an input" not in caplog.text
    assert not caplog.records
