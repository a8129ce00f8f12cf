"""A small network, a models folder with it, and machines, for the tests of engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.engines.machine import Gpu, Machine
from tools.quant.graph import place_int8 as choose
from tools.quant.graph import wire
from tools.quant.qdq import quantize
from tools.quant.ranges_file import SCHEMA

ORIN = Machine(Gpu("Orin", "8.7", "12.6", True), "", "36.4.3", "6.2", "NVIDIA Jetson AGX Orin")
XAVIER = Machine(Gpu("Xavier", "7.2", "11.4", True), "", "35.4.1", "5.1.2", "Jetson AGX Xavier")
LAPTOP = Machine(None, "no NVIDIA driver (libcuda.so.1)", "", "", "x86_64")
RECIPE = """\
family = "simcc"
calibration = "gym"
[networks.main]
file = "net.onnx"
width = 16
height = 12
"""


def network(batch: Union[str, int] = "batch", size: Any = (3, 12, 16)) -> onnx.ModelProto:
    """Conv, Conv, a softmax between, a head and a decode after it: 3 heavy layers."""
    rng = np.random.default_rng(7)
    weights: Dict[str, np.ndarray] = {
        "w0": rng.normal(0, 0.2, (8, 3, 3, 3)),
        "w1": rng.normal(0, 0.1, (8, 8, 3, 3)),
        "w2": rng.normal(0, 0.1, (4, 8, 1, 1)),
        "size": np.array(640.0),
    }
    weights["w1"][5] = 0  # a channel that does nothing
    nodes = [
        helper.make_node("Conv", ["input", "w0"], ["a"], "stem", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Softmax", ["b"], ["c"], "soft", axis=1),
        helper.make_node("Conv", ["c", "w1"], ["d"], "body", pads=[1] * 4),
        helper.make_node("Relu", ["d"], ["e"], "relu1"),
        helper.make_node("Conv", ["e", "w2"], ["f"], "head"),
        helper.make_node("Mul", ["f", "size"], ["out"], "decode"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [value("input", TensorProto.FLOAT, [batch, *size])],
        [value("out", TensorProto.FLOAT, [batch, 4, None, None])],
        [numpy_helper.from_array(np.float32(w), name) for name, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with Q/DQ nodes, the head left out."""
    chosen = choose(wire(model))
    return quantize(model, chosen, dict.fromkeys(chosen.activations, 2.0))


def models_folder(root: Path, model: Optional[onnx.ModelProto] = None) -> Path:
    """`root/engines` with model `small` in three precisions, its cache and its calibration set."""
    folder = root / "engines" / "small"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(RECIPE, encoding="utf-8")
    model = model or network()
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    (folder / "net.int8.onnx").write_bytes(quantized(model).SerializeToString())
    ranges = {"schema": SCHEMA, "amax": {"input": 1.0, "c": 2.5}}
    (folder / "net.ranges.json").write_text(json.dumps(ranges), encoding="utf-8")
    calibration = root / "calibration" / "gym"
    calibration.mkdir(parents=True)
    (calibration / "set.toml").write_text("seed = 1\n", encoding="utf-8")
    return root / "engines"


def names_of(nodes: Any, kind: str) -> List[str]:
    return [node.name for node in nodes if node.op_type == kind]
