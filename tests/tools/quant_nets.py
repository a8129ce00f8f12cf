"""Small networks with the layers that matter to quantization, built by hand."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Collects nodes and constants; every node's name is its output's."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: List[onnx.NodeProto] = []
        self.constants: List[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, op: str, inputs: Sequence[str], out: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, **attributes))
        return out

    def conv(
        self,
        x: str,
        out: str,
        shape: Tuple[int, ...],
        op: str = "Conv",
        bias: bool = True,
        **attributes: Any,
    ) -> str:
        fan = int(np.prod(shape[1:]))
        weight = self.random.normal(0, 1.4 / np.sqrt(fan), shape)
        # Channels of very different size: one range for all would lose the small ones.
        weight *= np.geomspace(0.1, 1, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        inputs = [x, self.constant(f"{out}.w", weight.astype(np.float32))]
        if bias:
            group = attributes.get("group", 1)
            size = shape[1] * group if op == "ConvTranspose" else shape[0]
            inputs.append(
                self.constant(f"{out}.b", self.random.normal(0, 0.1, size).astype(np.float32))
            )
        return self.add(op, inputs, out, **attributes)

    def model(self, outputs: Dict[str, Sequence[Any]], size: Sequence[Any]) -> onnx.ModelProto:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "net",
            [value("input", TensorProto.FLOAT, ["batch", *size])],
            [value(n, TensorProto.FLOAT, ["batch", *s]) for n, s in outputs.items()],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def every_layer() -> onnx.ModelProto:
    """Conv, depthwise, residual Add, ReLU6, LeakyRelu, ConvTranspose, Gemm, MatMul, two heads."""
    net = Net()
    zero, six = net.constant("zero", np.float32(0)), net.constant("six", np.float32(6))
    net.conv("input", "stem", (8, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    net.add("Clip", ["stem", zero, six], "stem6")
    net.conv("stem6", "depth", (8, 1, 3, 3), group=8, pads=[1, 1, 1, 1])
    net.add("Clip", ["depth", zero, six], "depth6")
    net.conv("depth6", "point", (8, 8, 1, 1), bias=False)
    net.add("Add", ["point", "stem6"], "sum")
    net.conv("sum", "wide", (12, 8, 3, 3), pads=[1, 1, 1, 1])
    net.add("LeakyRelu", ["wide"], "leaky", alpha=0.1)
    net.conv("leaky", "up", (12, 6, 2, 2), op="ConvTranspose", strides=[2, 2])
    net.add("Relu", ["up"], "up0")
    net.conv("up0", "map", (2, 6, 1, 1))
    net.add("GlobalAveragePool", ["leaky"], "mean")
    net.add("Flatten", ["mean"], "flat")
    net.conv("flat", "hidden", (16, 12), op="Gemm", transB=1)
    net.add("Relu", ["hidden"], "hidden0")
    net.add(
        "MatMul",
        ["hidden0", net.constant("m.w", net.random.normal(0, 0.3, (16, 10)).astype(np.float32))],
        "mixed",
    )
    net.add("Relu", ["mixed"], "mixed0")
    net.conv("mixed0", "points", (4, 10), op="Gemm", transB=1)
    return net.model({"map": [2, 16, 16], "points": [4]}, [3, 16, 16])


def chain(names: Sequence[str] = ("a", "b", "head")) -> onnx.ModelProto:
    """Convolutions in a row, 3 -> 3 channels, the last is the head."""
    net, x = Net(1), "input"
    for name in names[:-1]:
        net.conv(x, name, (3, 3, 3, 3), pads=[1, 1, 1, 1])
        x = net.add("Relu", [name], f"{name}0")
    net.conv(x, names[-1], (3, 3, 1, 1))
    return net.model({names[-1]: [3, 16, 16]}, [3, 16, 16])


def no_layers() -> onnx.ModelProto:
    net = Net()
    net.add("Relu", ["input"], "out")
    return net.model({"out": [3, 16, 16]}, [3, 16, 16])


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """[count,3,16,16] u8: blobs on a gradient, no two alike."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    found = np.zeros((count, 3, 16, 16))
    for sample in found:
        cy, cx, bright = random.uniform(2, 14), random.uniform(2, 14), random.uniform(40, 255, 3)
        blob = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / random.uniform(4, 40))
        sample[:] = bright[:, None, None] * blob + random.uniform(0, 60) * x / 16
    return np.clip(found, 0, 255).astype(np.uint8)
