"""The contract of all detectors, and each family on recorded outputs."""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from edge.errors import ConfigError, DataError
from edge.models import ModelOptions, load_model, rtmdet, yolox
from edge.models._boxes import RawBoxes, logit, sigmoid
from edge.models._outputs import Outputs
from edge.recipe import Network, Recipe
from tests.edge.models.model_fakes import RecordedRunner, frame, model

FAR = -12.0  # the logit of a probability near 0


def heads(batch: int = 1) -> Dict[str, np.ndarray]:
    return {
        "stride32": np.full((batch, 255, 13, 13), FAR, np.float32),
        "stride16": np.full((batch, 255, 26, 26), FAR, np.float32),
    }


def plant(raw: np.ndarray, frame_: int, anchor: int, y: int, x: int, values: List[float]) -> None:
    """x, y, w, h, objectness, person of one cell."""
    raw[frame_, anchor * 85 : anchor * 85 + 6, y, x] = values


def truth_yolov4(
    values: List[float], anchor: Tuple[float, float], y: int, x: int, stride: int
) -> Any:
    s = 1 / (1 + np.exp(-np.array(values, np.float64)))
    cx, cy = (s[0] * 1.05 - 0.025 + x) * stride, (s[1] * 1.05 - 0.025 + y) * stride
    w, h = anchor[0] * np.exp(values[2]), anchor[1] * np.exp(values[3])
    return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], s[4] * s[5]


def test_yolov4_decodes_the_cells_of_all_heads_and_frames() -> None:
    raw = heads(2)
    here = [0.3, -0.2, 0.1, 0.4, 3.0, 2.0]
    plant(raw["stride32"], 0, 1, 6, 4, here)
    there = [-0.5, 0.6, -0.3, 0.2, 2.0, 4.0]
    plant(raw["stride16"], 1, 2, 8, 7, there)
    detect, runner = model("yolov4", raw, (416, 416))
    first, second = detect([frame(416, 416), frame(832, 416, "b")])
    box, score = truth_yolov4(here, (135, 169), 6, 4, 32)
    np.testing.assert_allclose(first.boxes, [box], atol=1e-3)
    np.testing.assert_allclose(first.scores, [score], atol=1e-6)
    box, score = truth_yolov4(there, (81, 82), 8, 7, 16)
    clipped = np.clip(np.array(box) * 2, 0, [832, 416, 832, 416])
    np.testing.assert_allclose(second.boxes, [clipped], atol=1e-3)
    assert runner.runs == 1


@pytest.mark.parametrize(("min_score", "people"), [(0.25, 1), (0.2500001, 0)])
def test_a_box_of_exactly_min_score_is_a_person(min_score: float, people: int) -> None:
    raw = heads()
    plant(raw["stride32"], 0, 1, 6, 4, [0, 0, 0, 0, 0, 0])  # two logits of 0: a half and a half
    detect, _ = model("yolov4", raw, (416, 416), min_score=min_score)
    (found,) = detect([frame(416, 416)])
    assert len(found) == people


def test_yolov4_takes_other_anchors_and_three_heads() -> None:
    raw = {f"h{s}": np.full((1, 255, 416 // s, 416 // s), FAR, np.float32) for s in (8, 16, 32)}
    values = [0.0, 0.0, 0.0, 0.0, 5.0, 5.0]
    plant(raw["h8"], 0, 2, 30, 30, values)
    anchors = {n: [[10, 13], [16, 30], [33, 23]] for n in raw}
    options = {"anchors": anchors, "scale_x_y": {"h8": 1.2}}
    detect, _ = model("yolov4", raw, (416, 416), options=options)
    found = detect([frame(416, 416)])[0]
    np.testing.assert_allclose(
        found.boxes[0], [244 - 16.5, 244 - 11.5, 244 + 16.5, 244 + 11.5], atol=1e-3
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", range(6))
def test_values_that_are_not_finite_are_no_detection_and_are_logged(
    bad: float, where: int, caplog: pytest.LogCaptureFixture
) -> None:
    raw = heads()
    values = [0.3, -0.2, 0.1, 0.4, 3.0, 2.0]
    plant(raw["stride32"], 0, 0, 2, 2, values)
    values[where] = bad
    plant(raw["stride32"], 0, 1, 9, 9, values)
    detect, _ = model("yolov4", raw, (416, 416))
    with caplog.at_level(logging.WARNING):
        for _ in range(30):
            found = detect([frame(416, 416)])[0]
    assert len(found) == 1
    assert np.isfinite(found.boxes).all()
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 2, "the 1st and the 10th run"
    assert all(line.startswith("model.onnx: ignored 1 output") for line in lines)


def test_a_network_of_nothing_but_nan_finds_no_one() -> None:
    nothing = {n: np.full_like(a, np.nan) for n, a in heads().items()}
    detect, _ = model("yolov4", nothing, (416, 416), min_score=0.0)
    assert len(detect([frame(50, 40)])[0]) == 0


def finished(boxes: Any, scores: Any) -> Dict[str, np.ndarray]:
    boxes = np.array(boxes, np.float32)
    return {"boxes": boxes.reshape(len(boxes), -1, 4), "scores": np.array(scores, np.float32)}


def test_boxes_are_suppressed_within_a_frame_sorted_clipped_and_limited() -> None:
    twin = [[10, 10, 60, 90], [11, 10, 61, 90], [80, 10, 120, 90], [-20, 50, 20, 120]]
    outputs = finished([twin, twin], [[0.6, 0.9, 0.7, 0.95], [0.1, 0.2, 0.8, 0.25]])
    detect, runner = model("yolox", outputs, (100, 100))
    first, second = detect([frame(200, 200), frame(100, 100, "b")])
    np.testing.assert_allclose(first.scores, [0.95, 0.9, 0.7])
    assert first.boxes.tolist() == [[0, 100, 40, 200], [22, 20, 122, 180], [160, 20, 200, 180]]
    np.testing.assert_allclose(second.scores, [0.8])
    detect, _ = model("yolox", outputs, (100, 100), max_people=2)
    assert len(detect([frame(200, 200)])[0]) == 2
    assert runner.runs == 1


def test_soft_nms_keeps_a_neighbour_whom_the_overlap_of_boxes_drops() -> None:
    twin = [[10, 10, 60, 90], [14, 10, 64, 90], [30, 10, 80, 90]]
    outputs = finished([twin], [[0.9, 0.85, 0.8]])
    kept = {}
    for suppression in ("box", "soft"):
        detect, _ = model(
            "yolox", outputs, (100, 100), nms_iou=0.4, min_score=0.5, suppression=suppression
        )
        kept[suppression] = detect([frame(100, 100)])[0].boxes[:, 0].tolist()
    assert kept == {"box": [10], "soft": [10, 30]}


def test_boxes_outside_the_frame_or_of_no_size_are_dropped() -> None:
    """There are no boxes in the bars of the letterbox."""
    odd = [[60, 70, 90, 95], [10, 10, 10, 40], [30, 30, 20, 20], [10, 10, 40, 40]]
    detect, _ = model("rtmdet", finished([odd], [[0.9, 0.9, 0.9, 0.9]]), (100, 100), nms_iou=1.0)
    found = detect([frame(200, 100)])[0]
    assert found.boxes.tolist() == [[20, 20, 80, 80]]


def test_no_frames_run_nothing() -> None:
    detect, runner = model("rtmdet", finished([[[0, 0, 9, 9]]], [[0.9]]), (64, 64))
    assert detect([]) == []
    assert runner.runs == 0


def test_yolox_equals_the_reference_network(recorded: Any) -> None:
    z = recorded("yolox-tiny_coco80_416x416")
    priors = yolox.grid(Network(file="x", width=416, height=416), [8, 16, 32])
    np.testing.assert_array_equal(priors, z["priors"][:, :3])
    coarse = (z["bbox_1"], z["bbox_2"])
    rows = [level.transpose(0, 2, 3, 1).reshape(len(level), -1, 4) for level in coarse]
    raw = np.concatenate(rows, 1)
    priors = priors[-raw.shape[1] :]
    boxes = yolox.decode_boxes(raw, priors[:, :2], priors[:, 2:])
    np.testing.assert_allclose(boxes, z["decoded_bboxes"], atol=1e-6 * 2400, rtol=1e-6)


def yolox_maps(classes: int = 2) -> Dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    maps = {}
    for i, side in enumerate((20, 10, 5)):
        maps[f"cls_{i}"] = rng.normal(-1, 2, (2, classes, side, side)).astype("f4")
        maps[f"obj_{i}"] = rng.normal(-1, 2, (2, 1, side, side)).astype("f4")
        maps[f"bbox_{i}"] = rng.normal(0, 1, (2, 4, side, side)).astype("f4")
    return maps


def test_yolox_maps_rows_and_decoded_rows_are_the_same_people() -> None:
    maps = yolox_maps()
    rows = []
    for i in range(3):
        parts = (maps[f"bbox_{i}"], sigmoid(maps[f"obj_{i}"]), sigmoid(maps[f"cls_{i}"]))
        joined = np.concatenate(parts, 1)
        rows.append(joined.transpose(0, 2, 3, 1).reshape(2, -1, 7))
    raw = np.concatenate(rows, 1)
    network = Network(file="x", width=160, height=160)
    priors = yolox.grid(network, [8, 16, 32])
    boxes = yolox.decode_boxes(raw[..., :4], priors[:, :2], priors[:, 2:])
    centred = np.concatenate(
        ((boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]), -1
    )
    decoded = np.concatenate((centred, raw[..., 4:]), -1).astype("f4")
    scores = raw[..., 4:5] * raw[..., 5:]
    frames = [frame(300, 200), frame(150, 200, "b")]
    ways = [
        model("yolox", maps, (160, 160)),
        model("yolox", {"output": raw}, (160, 160)),
        model("yolox", {"output": decoded}, (160, 160), options={"decoded": True}),
        model("yolox", {"boxes": boxes, "scores": scores}, (160, 160)),
    ]
    found = [detect(frames) for detect, _ in ways]
    for other in found[1:]:
        for a, b in zip(found[0], other):
            assert len(a) > 3
            np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
            np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)


@pytest.mark.parametrize(("min_score", "nms_iou"), [(0.7, 0.45), (0.3, 0.65)])
def test_yolox_equals_rtmlib(recorded: Any, min_score: float, nms_iou: float) -> None:
    """Rtmlib then drops what is not above its NMS threshold; a frame of 4000 px is cut nowhere."""
    z = recorded("yolox_postprocess_s0")
    detect, _ = model(
        "yolox", {"output": z["raw"]}, (320, 320), min_score=min_score, nms_iou=nms_iou
    )
    found = detect([frame(4000, 4000)])[0]
    found = found.take(found.scores > nms_iou)
    expected = z[f"score{min_score}_nms{nms_iou}_boxes"] * float(z["ratio"])
    inside = np.clip(expected, 0, 320)
    np.testing.assert_allclose(found.boxes * 320 / 4000, inside, atol=1e-3)


def test_rtmdet_equals_the_reference_network(recorded: Any) -> None:
    z = recorded("rtmdet-nano_person_320x320")
    parts = [rtmdet.decode_level(z[f"cls_{i}"][:, 0], z[f"bbox_{i}"], 8 << i, 0.0) for i in (1, 2)]
    every = RawBoxes.join(parts)
    for i in range(len(z["decoded_bboxes"])):
        mine = every.frame == i
        np.testing.assert_allclose(every.boxes[mine], z["decoded_bboxes"][i], atol=1e-3)
        np.testing.assert_allclose(every.scores[mine], z["decoded_scores"][i], atol=1e-6)


def test_rtmdet_maps_become_detections() -> None:
    maps = {}
    for i, side in enumerate((8, 4, 2)):
        maps[f"cls_{i}"] = np.full((1, 1, side, side), FAR, np.float32)
        maps[f"bbox_{i}"] = np.zeros((1, 4, side, side), np.float32)
    maps["cls_1"][0, 0, 2, 1] = 3.0
    maps["bbox_1"][0, :, 2, 1] = [10, 20, 12, 8]
    detect, _ = model("rtmdet", maps, (64, 64))
    found = detect([frame(64, 64)])[0]
    assert found.boxes.tolist() == [[16 - 10, 32 - 20, 16 + 12, 32 + 8]]
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-3))], atol=1e-6)


def test_rtmdet_with_suppression_inside_equals_rtmlib(recorded: Any) -> None:
    z = recorded("end2end_postprocess_s0")
    dets = z["rtmdet_dets"]
    labels = np.zeros(dets.shape[:2], np.int64)
    for outputs in ({"dets": dets}, {"dets": dets, "labels": labels}):
        detect, _ = model("rtmdet", outputs, (640, 640), min_score=0.3)
        found = detect([frame(4000, 4000)])[0]
        expected = z["rtmdet_boxes"] * float(z["ratio"])
        order = np.argsort(-dets[0][dets[0, :, 4] > 0.3, 4], kind="stable")
        np.testing.assert_allclose(
            found.boxes * 640 / 4000, np.clip(expected[order], 0, 640), atol=1e-3
        )
    detect, _ = model("rtmdet", {"dets": dets, "labels": labels + 1}, (640, 640))
    assert len(detect([frame(640, 640)])[0]) == 0, "another class"


def test_outputs_may_have_other_names() -> None:
    outputs = finished([[[5, 5, 40, 40]]], [[0.9]])
    renamed = {"123": outputs["boxes"], "456": outputs["scores"]}
    detect, _ = model("rtmdet", renamed, (64, 64), names={"boxes": "123", "scores": "456"})
    assert len(detect([frame(64, 64)])[0]) == 1


BROKEN = [
    ("yolov4", heads(), {"anchor": {}}, ConfigError, "options.anchor: unknown key"),
    ("yolov4", heads(), {"anchors": {"stride32": [[1.0]]}}, ConfigError, "pairs of width"),
    (
        "yolov4",
        heads(),
        {"classes": 20},
        DataError,
        "'stride32' is [?, 255, 13, 13], expected [batch, 75, ?, ?]",
    ),
    ("yolov4", heads(), {"person": 80}, ConfigError, "the network has 80 classes"),
    (
        "yolov4",
        {"x": heads()["stride32"]},
        {},
        DataError,
        "no output 'stride32'; it gives x [?, 255, 13, 13]",
    ),
    ("yolox", {"output": np.zeros((1, 10, 85), "f4")}, {}, DataError, "expected [batch, 3549, ?]"),
    (
        "yolox",
        {"output": np.zeros((1, 3549, 6), "f4")},
        {"person": 1},
        ConfigError,
        "has 1 classes",
    ),
    ("yolox", finished([[[0, 0, 1, 1]]], [[1]]), {"strides": [7]}, None, ""),
    (
        "yolox",
        {"output": np.zeros((1, 9, 6), "f4")},
        {"strides": [7]},
        ConfigError,
        "not a multiple of the stride 7",
    ),
    (
        "rtmdet",
        {"dets": np.zeros((1, 9, 4), "f4")},
        {},
        DataError,
        "'dets' is [?, 9, 4], expected [batch, ?, 5]",
    ),
    ("rtmdet", {"cls_0": np.zeros((1, 1, 5, 5), "f4")}, {}, DataError, "'cls_0'"),
]


@pytest.mark.parametrize(("family", "outputs", "options", "error", "text"), BROKEN)
def test_what_does_not_fit_is_refused_in_one_line(
    family: str, outputs: Any, options: Any, error: Any, text: str
) -> None:
    if error is None:
        model(family, outputs, (416, 416), options=options)
        return
    with pytest.raises(error) as caught:
        model(family, outputs, (416, 416), options=options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_output_names_and_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"networks.main.outputs.bxes: rtmdet knows dets, labels"):
        model("rtmdet", finished([[[0, 0, 1, 1]]], [[1]]), (64, 64), names={"bxes": "boxes"})
    detect, runner = model("rtmdet", finished([[[0, 0, 1, 1]]], [[1]]), (64, 64))
    recipe: Any = type("R", (), {"networks": {"body": detect._outputs.network}, "family": "x"})
    with pytest.raises(ConfigError, match=r"x wants \[networks.main\] alone, got: body"):
        Outputs(recipe, {"body": runner}, ())


def test_none_finds_no_one() -> None:
    from edge.models import ModelOptions, load_model
    from edge.recipe import Recipe

    detect = load_model(Recipe(family="none", networks={}), {}, ModelOptions())
    assert [len(d) for d in detect([frame(9, 9), frame(5, 5, "b")])] == [0, 0]  # type: ignore[call-arg]


def test_sigmoid_and_logit_know_their_ends() -> None:
    x = np.array([-1e4, -1.0, 0.0, 2.0, 1e4, np.inf, -np.inf], np.float32)
    np.testing.assert_allclose(sigmoid(x)[1:4], 1 / (1 + np.exp(-x[1:4])), atol=1e-7)
    assert sigmoid(x)[[0, 4, 5, 6]].tolist() == [0, 1, 1, 0]
    assert (logit(0.0), logit(1.0)) == (-np.inf, np.inf)
    assert sigmoid(np.array([logit(0.3)]))[0] == pytest.approx(0.3)


def test_an_input_of_another_type_is_told() -> None:
    """OpenCV would fill an array of its own, and the network would look at zeros."""
    outputs = {"dets": np.zeros((1, 1, 5), np.float32)}
    network = Network(file="model.onnx", width=64, height=64, dtype="uint8")
    runner = RecordedRunner(network.sample_shape, outputs)
    recipe = Recipe(family="yolox", networks={"main": network})
    with pytest.raises(DataError, match=r"is float32, but model\.toml says uint8; correct"):
        load_model(recipe, {"main": runner}, ModelOptions())
