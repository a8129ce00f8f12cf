"""Small graphs for the tests of predictions."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def graph(nodes: List[Any], given_: Dict[str, np.ndarray], outputs: List[str]) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 16, 16])
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    stored = [numpy_helper.from_array(v, n) for n, v in given_.items()]
    made = helper.make_graph(nodes, "g", [image], results, stored)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])


def filters(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def residual_net() -> onnx.ModelProto:
    """A convolution with SiLU, a 1x1 with a residual, a depthwise one, pooling and a classifier."""
    nodes = [
        node("Conv", "image w1", "a", pads=[1, 1, 1, 1]),
        node("Sigmoid", "a", "s"),
        node("Mul", "a s", "b"),
        node("Conv", "b w2", "c"),
        node("Add", "c b", "d"),
        node("Conv", "d w3", "e", pads=[1, 1, 1, 1], group=8),
        node("Relu", "e", "f"),
        node("GlobalAveragePool", "f", "g"),
        node("Flatten", "g", "h"),
        node("Gemm", "h w4", "out", transB=1),
    ]
    given_ = {
        "w1": filters(8, 3, 3, 3),
        "w2": filters(8, 8, 1, 1),
        "w3": filters(8, 1, 3, 3),
        "w4": filters(5, 8),
    }
    return graph(nodes, given_, ["out"])
