"""RTMO and MoveNet: whole frames in, people with keypoints out."""

from __future__ import annotations

import logging
from typing import Any, Dict

import numpy as np
import pytest

from edge import geometry
from edge.errors import ConfigError, DataError
from edge.models import Gives, yolox
from edge.models._boxes import sigmoid
from tests.edge.models.model_fakes import frame, model


def rtmo_cells(z: Dict[str, np.ndarray]) -> Any:
    """Boxes [B,N,4] px and scores [B,N] of the network's recorded maps, priors in cell centres."""
    boxes, scores = [], []
    for i, stride in enumerate((16, 32)):
        maps = z[f"bbox_{i}"]
        y, x = np.mgrid[: maps.shape[2], : maps.shape[3]]
        cells = np.stack((x, y), -1).reshape(-1, 2) * stride + (stride - 1) / 2
        raw = maps.transpose(0, 2, 3, 1).reshape(len(maps), -1, 4)
        boxes.append(yolox.decode_boxes(raw, cells.astype(np.float32), stride))
        scores.append(sigmoid(z[f"cls_{i}"]).reshape(len(maps), -1))
    return np.concatenate(boxes, 1), np.concatenate(scores, 1)


def test_rtmo_equals_the_reference_prediction(recorded: Any) -> None:
    """The reference clamps boxes to the input, as a frame of the same size does here."""
    z = recorded("rtmo-s_coco17_640x640")
    expected = recorded("rtmo-s_coco17_640x640.predict")
    boxes, scores = rtmo_cells(z)
    keypoints = np.zeros((*scores.shape, 17, 2), np.float32)
    seen = np.zeros((*scores.shape, 17), np.float32)
    rows = z["decoded_index"][0]
    keypoints[0, rows], seen[0, rows] = z["decoded_keypoints"][0], z["decoded_keypoint_scores"][0]
    outputs = {"boxes": boxes, "scores": scores, "keypoints": keypoints, "visibility": seen}
    pose, runner = model("rtmo", outputs, (640, 640), "coco17", min_score=0.7, max_people=150)
    people = pose([frame(640, 640)], [])[0]
    assert runner.runs == 1
    np.testing.assert_allclose(people.person_scores, expected["image0_scores"], atol=1e-5)
    np.testing.assert_allclose(people.boxes, expected["image0_bboxes_clamped"], atol=2e-3)
    # Keypoints of the best cells and people only were kept: compare whom both have.
    known = np.flatnonzero(people.scores[:75].any(1))
    assert len(known) > 30
    points, point_scores = expected["image0_keypoints"], expected["image0_keypoint_scores"]
    np.testing.assert_allclose(people.keypoints[known], points[known], atol=1e-2)
    np.testing.assert_allclose(people.scores[known], point_scores[known], atol=1e-5)


@pytest.mark.parametrize("suppression", ["pose", "oks"])
def test_poses_tell_two_people_in_one_box_from_one_found_twice(suppression: str) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.uniform(20, 180, (2, 17, 2)).astype(np.float32)
    keypoints = np.stack([one, other, one + 1])[None]
    outputs = {
        "boxes": np.tile(np.float32([20, 20, 180, 180]), (1, 3, 1)),
        "scores": np.float32([[[0.8], [0.7], [0.9]]]),
        "keypoints": keypoints,
        "visibility": np.ones((1, 3, 17), np.float32),
    }
    pose, _ = model("rtmo", outputs, (200, 200), "coco17", suppression=suppression)
    found = pose([frame(200, 200)], [])[0]
    np.testing.assert_allclose(found.person_scores, [0.9, 0.7])
    pose, _ = model("rtmo", outputs, (200, 200), "coco17", suppression=suppression, max_people=1)
    assert len(pose([frame(200, 200)], [])[0]) == 1
    pose, _ = model("rtmo", outputs, (200, 200), "coco17")
    assert len(pose([frame(200, 200)], [])[0]) == 1, "boxes do not tell them apart"


def test_rtmo_keeps_the_boxes_the_reference_keeps(recorded: Any) -> None:
    z = recorded("rtmo_box_s0")
    count = z["scores"].shape[1]
    outputs = {
        "boxes": z["boxes_xyxy"],
        "scores": z["scores"][..., None],
        "keypoints": np.tile(np.arange(count)[None, :, None, None], (2, 1, 17, 2)).astype("f4"),
        "visibility": np.ones((2, count, 17), np.float32),
    }
    pose, _ = model(
        "rtmo",
        outputs,
        (256, 192),
        "coco17",
        max_people=1000,
        options={"min_score": 0.0},
        min_score=0.0,
    )
    for i, people in enumerate(pose([frame(256, 192)] * 2, [])):
        assert people.keypoints[:, 0, 0].tolist() == z[f"nms065_keep_{i}"].tolist()
        assert people.ids.tolist() == [-1] * len(people)


def test_rtmo_with_suppression_inside_keeps_whom_rtmlib_keeps(recorded: Any) -> None:
    """Rtmlib's kept indices count people above the threshold, but it takes keypoints by them from
    the whole list: the same choice shows in another row of its result.
    """
    z = recorded("end2end_postprocess_s0")
    dets, poses = z["rtmo_dets"], z["rtmo_poses"]
    options = {"min_score": 0.5, "nms_iou": 0.45}
    outputs = {"dets": dets, "keypoints": poses}
    pose, _ = model("rtmo", outputs, (640, 640), "coco17", options)
    found = pose([frame(4000, 4000)], [])[0]
    ours = found.keypoints * (640 / 4000)
    rows = np.abs(poses[0, :, None, :, :2] - ours[None]).max((2, 3)).argmin(0)
    np.testing.assert_allclose(ours, poses[0, rows, :, :2], atol=1e-3)
    np.testing.assert_array_equal(found.scores, poses[0, rows, :, 2])
    above = np.flatnonzero(dets[0, :, 4] > 0.5)
    theirs = np.searchsorted(above, rows)
    expected = z["rtmo_keypoints"] * float(z["ratio"])
    np.testing.assert_allclose(poses[0, theirs, :, :2], expected, atol=1e-3)
    np.testing.assert_allclose(poses[0, theirs, :, 2], z["rtmo_scores"], atol=1e-6)


def rtmo_people(count: int = 3) -> Dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    corners = np.arange(count)[:, None] * 30.0 + [[5, 6]]
    boxes = np.concatenate((corners, corners + 25), 1)
    return {
        "boxes": boxes[None].astype("f4"),
        "scores": np.full((1, count), 0.8, np.float32),
        "keypoints": rng.uniform(0, 90, (1, count, 17, 2)).astype("f4"),
        "visibility": rng.uniform(0.1, 1, (1, count, 17)).astype("f4"),
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_no_person_or_a_missing_keypoint(
    bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    outputs = rtmo_people()
    outputs["boxes"][0, 0, 2] = bad
    outputs["keypoints"][0, 1, 4, 0] = bad
    outputs["visibility"][0, 2, 6] = bad
    pose, _ = model("rtmo", outputs, (100, 100), "coco17")
    with caplog.at_level(logging.WARNING):
        found = pose([frame(100, 100)], [])[0]
    assert len(found) == 2
    assert np.isfinite(found.keypoints).all()
    assert np.argwhere(found.scores == 0).tolist() == [[0, 4], [1, 6]]
    assert len(caplog.records) == 1
    assert "ignored 3 output values" in caplog.text


def test_one_stage_models_never_give_the_unlikely_even_when_asked() -> None:
    """The loop asks for all people (0.0), because the tracker selects them."""
    outputs = rtmo_people()
    outputs["scores"][0] = [0.05, 0.12, 0.7]
    pose, _ = model("rtmo", outputs, (100, 100), "coco17", min_score=0.0)
    np.testing.assert_allclose(pose([frame(100, 100)], [])[0].person_scores, [0.7, 0.12])


def movenet_rows() -> np.ndarray:
    """Two people of high score and four of score 0; coordinates of an input of 256 x 256."""
    rng = np.random.default_rng(6)
    rows = np.zeros((1, 6, 56), np.float32)
    rows[0, :2, :51] = rng.uniform(0.05, 0.45, (2, 51))
    rows[0, :2, 51:] = [[0.1, 0.2, 0.4, 0.5, 0.9], [0.1, 0.6, 0.4, 0.9, 0.95]]
    return rows


def test_movenet_gives_people_in_frame_px() -> None:
    rows = movenet_rows()
    pose, runner = model("movenet", {"people": rows}, (256, 256), "coco17")
    found = pose([frame(640, 320)], [])[0]
    assert pose.gives is Gives.ONE_STAGE_POSES
    assert runner.runs == 1
    np.testing.assert_allclose(found.person_scores, [0.95, 0.9])
    wanted = np.array([[0.6, 0.1, 0.9, 0.4], [0.2, 0.1, 0.5, 0.4]]) * 640
    np.testing.assert_allclose(found.boxes, np.clip(wanted, 0, [640, 320, 640, 320]), atol=1e-3)
    points = rows[0, [1, 0], :51].reshape(2, 17, 3)
    np.testing.assert_allclose(found.keypoints, points[..., 1::-1] * 640, atol=1e-3)
    np.testing.assert_allclose(found.scores, points[..., 2])


def test_movenet_pads_with_black_unless_told_otherwise() -> None:
    pose, runner = model("movenet", {"people": movenet_rows()}, (64, 64), "coco17")
    pose([frame(64, 32, grey=200)], [])
    assert (runner.fed[0, :, :32] == 200).all()
    assert (runner.fed[0, :, 32:] == 0).all()
    pose, runner = model("movenet", {"people": movenet_rows()}, (64, 64), "coco17", {"border": 9})
    pose([frame(64, 32, grey=200)], [])
    assert (runner.fed[0, :, 32:] == 9).all()


def test_people_lie_where_the_letterbox_says() -> None:
    """The keypoints' way back is the inverse of the frame's way in."""
    source = frame(300, 700)
    pose, _ = model("movenet", {"people": movenet_rows()}, (256, 256), "coco17")
    found = pose([source], [])[0]
    matrix = geometry.letterbox(source.size, (256, 256))
    there = geometry.apply(np.tile(matrix, (len(found), 1, 1)), found.keypoints)
    expected = movenet_rows()[0, [1, 0], :51].reshape(2, 17, 3)[..., 1::-1] * 256
    np.testing.assert_allclose(there, expected, atol=1e-3)


def test_no_frames_run_nothing() -> None:
    pose, runner = model("movenet", {"people": movenet_rows()}, (64, 64), "coco17")
    assert pose([], []) == []
    assert runner.runs == 0


PEOPLE = {"people": np.zeros((1, 6, 56), np.float32)}
BROKEN = [
    (
        "movenet",
        {"people": np.zeros((1, 6, 57), "f4")},
        "coco17",
        {},
        DataError,
        "expected [batch, ?, 56]",
    ),
    ("movenet", PEOPLE, "wholebody133", {}, ConfigError, "133 keypoints, the network gives 17"),
    ("movenet", PEOPLE, "coco17", {"nms": 1}, ConfigError, "options.nms"),
    ("rtmo", PEOPLE, "coco17", {}, DataError, "no output 'dets'"),
    (
        "rtmo",
        {**rtmo_people(), "visibility": np.zeros((1, 3, 16), "f4")},
        "coco17",
        {},
        DataError,
        "'visibility' is [?, 3, 16], expected [batch, ?, 17]",
    ),
    (
        "rtmo",
        {"dets": np.zeros((1, 9, 5), "f4"), "keypoints": np.zeros((1, 9, 17, 2), "f4")},
        "coco17",
        {},
        DataError,
        "'keypoints' is [?, 9, 17, 2], expected [batch, ?, ?, 3]",
    ),
    ("rtmo", rtmo_people(), "", {}, ConfigError, "skeleton: is missing"),
]


@pytest.mark.parametrize(("family", "outputs", "skeleton", "options", "error", "text"), BROKEN)
def test_what_does_not_fit_is_refused_in_one_line(
    family: str, outputs: Any, skeleton: str, options: Any, error: Any, text: str
) -> None:
    with pytest.raises(error) as caught:
        model(family, outputs, (256, 256), skeleton, options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
