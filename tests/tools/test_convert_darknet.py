"""Darknet networks become ONNX that gives the numbers of OpenCV's own darknet reader."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import numpy as np
import onnx
import onnxruntime
import pytest

from edge.errors import ConfigError, DataError
from tests.tools.network_cases import (
    every_layer_cfg,
    every_layer_input,
    every_layer_weights,
    pixels_of,
)
from tools.convert import darknet
from tools.fetch.by_name import ensure_model

GOLDEN = Path(__file__).parent / "golden"
ANCHORS = np.array([[81, 82], [135, 169], [344, 319]], np.float32)  # of the stride 32 head


def test_every_layer_gives_opencv_numbers() -> None:
    model = darknet.convert(every_layer_cfg(), every_layer_weights(), "every")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = every_layer_input()
    found = session.run(["yolo0", "yolo1"], {"input": np.concatenate([1 - image, image])})
    with np.load(GOLDEN / "darknet_layers.npz") as golden:
        for name, values in zip(("yolo0", "yolo1"), found):
            assert values[1].shape == golden[name][0].shape
            assert np.abs(values[1] - golden[name][0]).max() < 1e-5


def test_other_input_sizes_and_output_names() -> None:
    model = darknet.convert(
        every_layer_cfg(), every_layer_weights(), "every", (64, 96), {"fine": "yolo1"}
    )
    (output,) = model.graph.output
    sides = [d.dim_value for d in output.type.tensor_type.shape.dim[1:]]
    assert (output.name, sides) == ("fine", [18, 48, 32])
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]] == [3, 96, 64]


def best_person(head: np.ndarray, side: int) -> Tuple[float, np.ndarray]:
    """Score and x1 y1 x2 y2 px of the best person of a [255, h, w] head (YOLOv4's decoding)."""
    raw = head.reshape(3, 85, *head.shape[1:])
    sure = 1 / (1 + np.exp(-raw[:, [0, 1, 4, 5]]))
    score = sure[:, 2] * sure[:, 3]
    anchor, row, column = np.unravel_index(score.argmax(), score.shape)
    place = 1.05 * sure[anchor, :2, row, column] - 0.025 + np.array([column, row])
    centre = place * side / head.shape[2]
    half = np.exp(raw[anchor, 2:4, row, column]) * ANCHORS[anchor] / 2
    return float(score.max()), np.concatenate([centre - half, centre + half])


def test_the_detector_finds_the_woman_in_the_picture() -> None:
    folder = ensure_model("yolov4-tiny", quiet=True)
    session = onnxruntime.InferenceSession(str(folder / "yolov4-tiny.onnx"))
    image = (pixels_of(416, 416) / 255).astype(np.float32).transpose(2, 0, 1)[None]
    (head,) = session.run(["stride32"], {"input": image})
    score, box = best_person(head[0], 416)
    by_eye = np.array([112, 18, 410, 490]) * 416 / 512  # measured on the picture at 512 px
    shared = np.prod(np.minimum(box, by_eye)[2:] - np.maximum(box, by_eye)[:2])
    union = np.prod(box[2:] - box[:2]) + np.prod(by_eye[2:] - by_eye[:2]) - shared
    assert score > 0.6
    assert shared / union > 0.75


def test_batch_normalisation_is_folded_and_the_batch_is_open() -> None:
    model = onnx.load(str(ensure_model("yolov4-tiny", quiet=True) / "yolov4-tiny.onnx"))
    kinds = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 21
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


CFG, WEIGHTS = every_layer_cfg(), every_layer_weights()


@pytest.mark.parametrize(
    ("cfg", "weights", "message"),
    [
        ("", WEIGHTS, "not a darknet cfg"),
        ("GIF89a\x00\x01", WEIGHTS, "line 1 of the cfg is not key=value"),
        (CFG.replace("[net]", "[yolo]", 1), WEIGHTS, r"its first section is not \[net\]"),
        (
            CFG.replace("[shortcut]", "[lstm]"),
            WEIGHTS,
            r"layer \[lstm\] \(line 22\) is not supported",
        ),
        (CFG.replace("=mish", "=frog"), WEIGHTS, "activation frog is not supported"),
        (CFG.replace("filters=12", "filters=twelve"), WEIGHTS, "filters = twelve is not a number"),
        (CFG.replace("layers=-1,3", "layers=-1,99"), WEIGHTS, "refers to layer 99"),
        (CFG.replace("from=-2", "from=-40"), WEIGHTS, "refers to layer -40"),
        (CFG.replace("filters=12", "filters=13"), WEIGHTS, "too short for this cfg"),
        (CFG.replace("filters=12", "filters=11"), WEIGHTS, "numbers too long for this cfg"),
        (CFG.replace("filters=12", "filters=-12"), WEIGHTS, "at line .*: filters = -12"),
        (CFG.replace("stride=2", "stride=0"), WEIGHTS, "at line .*: stride = 0"),
        (CFG, WEIGHTS[:-4], "too short for this cfg"),
        (CFG, WEIGHTS[:-3], "the weights file is damaged"),
        (CFG, WEIGHTS[:10], "too short"),
        (CFG, WEIGHTS + b"\0" * 8, "2 numbers too long for this cfg"),
    ],
)
def test_bad_files_are_answered_in_one_line(cfg: str, weights: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        darknet.convert(cfg, weights, "net")
    assert str(caught.value).startswith("net: ")
    assert "\n" not in str(caught.value)


def test_an_unknown_output_is_answered_with_those_there_are() -> None:
    with pytest.raises(DataError, match="no output yolo7; it has yolo0, yolo1"):
        darknet.convert(CFG, WEIGHTS, "net", names={"far": "yolo7"})


@pytest.mark.parametrize("size", [(65, 96), (64, 91), (33, 33)])
def test_a_size_that_the_strides_do_not_divide_is_refused(size: Tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=f"do not divide an input of {size[0]} x {size[1]} px"):
        darknet.convert(every_layer_cfg(), every_layer_weights(), "every", size)
