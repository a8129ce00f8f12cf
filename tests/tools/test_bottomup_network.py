"""A network in HigherHRNet's form, imported and run in ONNX Runtime on a drawn picture.

The network knows keypoints by their colour: red tells which keypoint it is, blue whose it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge import skeletons
from edge.models import ModelOptions, input_shapes, load_model
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Frame
from tools.__main__ import main

SIZE = 256
REDS = 15 * np.arange(17)
GREEN = 200


def network() -> onnx.ModelProto:
    """Outputs `low` [B,34,64,64], responses and tags, and `high` [B,17,128,128]."""
    constants: Dict[str, np.ndarray] = {
        "parts": np.array([1, 1, 1]),
        "reds": REDS.reshape(1, 17, 1, 1).astype("f4"),
        "width": np.array(-1 / 30, "f4"),
        "green": np.array(1 / GREEN, "f4"),
        "tiny": np.array(1e-3, "f4"),
        "five": np.array(5, "f4"),
        "tile": np.array([1, 17, 1, 1]),
    }

    def pooled(name: str, out: str, stride: int) -> onnx.NodeProto:
        sides = {"kernel_shape": [2 * stride + 1] * 2, "pads": [stride] * 4}
        return helper.make_node("AveragePool", [name], [out], strides=[stride] * 2, **sides)

    nodes = [
        helper.make_node("Split", ["input", "parts"], ["r", "g", "b"], axis=1),
        helper.make_node("Sub", ["r", "reds"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["square"]),
        helper.make_node("Mul", ["square", "width"], ["log"]),
        helper.make_node("Exp", ["log"], ["alike"]),
        helper.make_node("Mul", ["g", "green"], ["there"]),
        helper.make_node("Mul", ["alike", "there"], ["response"]),
        pooled("response", "near", 4),
        pooled("response", "high", 2),
        pooled("b", "blue", 4),
        pooled("g", "greens", 4),
        helper.make_node("Add", ["greens", "tiny"], ["safe"]),
        helper.make_node("Div", ["blue", "safe"], ["ratio"]),
        helper.make_node("Mul", ["ratio", "five"], ["tag"]),
        helper.make_node("Tile", ["tag", "tile"], ["tags"]),
        helper.make_node("Concat", ["near", "tags"], ["low"], axis=1),
    ]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    outputs = [
        helper.make_tensor_value_info("low", TensorProto.FLOAT, ["batch", 34, 64, 64]),
        helper.make_tensor_value_info("high", TensorProto.FLOAT, ["batch", 17, 128, 128]),
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [image], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def picture(people: np.ndarray, scale: int) -> np.ndarray:
    """Keypoints [N,17,2] as discs, `scale` times as large, BGR."""
    image = np.zeros((SIZE * scale, SIZE * scale, 3), np.uint8)
    for n, person in enumerate(people * scale):
        for k, at in enumerate(person):
            colour = (40 + 160 * n, GREEN, int(REDS[k]))
            cv2.circle(image, [int(v) for v in at], 7 * scale, colour, -1)
    return image


def standing(x: float) -> np.ndarray:
    shape = [(0, 0), (18, -8), (-18, -8), (36, 0), (-36, 0), (30, 36), (-30, 36), (44, 70)]
    shape += [(-44, 70), (48, 104), (-48, 104), (18, 104), (-18, 104), (20, 144), (-20, 144)]
    shape += [(20, 186), (-20, 186)]
    return np.array(shape, np.float64) + [x, 40]


@pytest.mark.parametrize("scale", [1, 3])
def test_an_imported_network_finds_drawn_people(tmp_path: Path, scale: int) -> None:
    file = tmp_path / "higher.onnx"
    onnx.save(network(), str(file))
    arguments = ["import", str(file), "--models", str(tmp_path / "models"), "--family", "bottomup"]
    arguments += ["--skeleton", "coco17", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    assert main(arguments) == 0
    recipe = load_recipe(tmp_path / "models" / "higher")
    runner = open_runner(
        tmp_path / "models/higher/model.onnx", input_shapes(recipe)["main"], RunnerOptions()
    )
    model: Any = load_model(recipe, {"main": runner}, ModelOptions())
    crowds: List[np.ndarray] = [np.zeros((0, 17, 2)), standing(70)[None]]
    crowds.append(np.stack((standing(60), standing(190)[skeletons.get("coco17").flip])))
    frames = [Frame(picture(c, scale), 0, 0, str(i)) for i, c in enumerate(crowds)]
    for people, found in zip(crowds, model(frames, [])):
        assert len(found) == len(people)
        order = found.keypoints[:, 0, 0].argsort()
        off = np.abs(found.keypoints[order] / scale - people)
        assert off.max(initial=0) <= 4
        assert found.person_scores.min(initial=1) > 0.3
    runner.close()
