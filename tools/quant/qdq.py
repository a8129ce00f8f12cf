"""Write ranges into a graph as QuantizeLinear/DequantizeLinear pairs for TensorRT 8.5 to 11.

INT8 is symmetric: all zero points are 0. Weights stay float32, with a scale per output channel;
biases stay float32.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.quant.graph import FIRST_OPSET, LAST_OPSET, LAYERS, Graph, Layer, Placement, wire
from tools.quant.ranges import of_weights

STEPS = 127
ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh")


def quantize(
    model: onnx.ModelProto, placement: Placement, ranges: Mapping[str, float]
) -> onnx.ModelProto:
    """A copy of the network with Q/DQ pairs; its inputs and outputs stay the same.

    Args:
        model: float network; not changed.
        placement: which layers and residual branches are INT8.
        ranges: amax of each activation of the placement.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    writer = _Writer(wire(copy))
    for layer in placement.layers:
        writer.layer(layer, float(ranges[layer.activation]))
    for node, tensor in placement.residuals:
        writer.branch(node, tensor, float(ranges[tensor]))
    return writer.done()


class _Writer:
    """Collects the new nodes and puts each right before its first consumer."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._by_name = {n.name: n for n in graph.nodes}
        self._pairs: Dict[str, str] = {}  # tensor -> its dequantized tensor
        self._new: List[onnx.NodeProto] = []
        self._constants: Dict[str, onnx.TensorProto] = {}

    def layer(self, layer: Layer, amax: float) -> None:
        node = self._by_name[layer.name]
        node.input[0] = self._activation(layer.activation, amax)
        node.input[1] = self._weight(layer)

    def branch(self, name: str, tensor: str, amax: float) -> None:
        node = self._by_name[name]
        for i, used in enumerate(node.input):
            if used == tensor:
                node.input[i] = self._activation(tensor, amax)
                return

    def _activation(self, tensor: str, amax: float) -> str:
        if tensor not in self._pairs:
            scale = np.float32(max(amax, 1e-8) / STEPS)
            self._pairs[tensor] = self._pair(tensor, np.array(scale), None)
        return self._pairs[tensor]

    def _weight(self, layer: Layer) -> str:
        key = layer.weight
        if key not in self._pairs:
            amax = of_weights(self._graph.weights[layer.weight], layer.axis)
            self._pairs[key] = self._pair(key, amax / np.float32(STEPS), layer.axis)
        return self._pairs[key]

    def _pair(self, tensor: str, scale: np.ndarray, axis: Optional[int]) -> str:
        names = {p: f"{tensor}/{p}" for p in ("scale", "zero", "int8", "float")}
        self._constants[names["scale"]] = numpy_helper.from_array(
            scale.astype(np.float32), names["scale"]
        )
        self._constants[names["zero"]] = numpy_helper.from_array(
            np.zeros(scale.shape, np.int8), names["zero"]
        )
        extra: Dict[str, Any] = {} if axis is None else {"axis": axis}
        ends = [("QuantizeLinear", tensor, "int8"), ("DequantizeLinear", names["int8"], "float")]
        for op, source, end in ends:
            inputs = [source, names["scale"], names["zero"]]
            self._new.append(
                helper.make_node(op, inputs, [names[end]], name=f"{tensor}/{op}", **extra)
            )
        return names["float"]

    def done(self) -> onnx.ModelProto:
        graph = self._graph.model.graph
        graph.initializer.extend(self._constants.values())
        ordered = _in_order(list(graph.node), self._new)
        del graph.node[:]
        graph.node.extend(ordered)
        # The inferred shapes of the float graph stay: no tensor changed its shape.
        return self._graph.model


def _in_order(old: List[onnx.NodeProto], new: List[onnx.NodeProto]) -> List[onnx.NodeProto]:
    """All nodes, each new one right before the first node that reads its output."""
    producers = {name: node for node in new for name in node.output}
    placed: Set[str] = set()
    ordered: List[onnx.NodeProto] = []

    def place(tensor: str) -> None:
        node = producers.get(tensor)
        if node is not None and node.name not in placed:
            placed.add(node.name)
            for source in node.input:
                place(source)
            ordered.append(node)

    for node in old:
        for tensor in node.input:
            place(tensor)
        ordered.append(node)
    return ordered


def describe(model: onnx.ModelProto) -> Dict[str, int]:
    """How many nodes of each kind that matters, for reports."""
    kinds = [n.op_type for n in model.graph.node]
    return {k: kinds.count(k) for k in ("Conv", "MatMul", "Gemm", "QuantizeLinear")}


def problems(model: onnx.ModelProto) -> List[str]:
    """What TensorRT 8.5 to 11 would refuse or run badly, one line each; empty = fine."""
    graph = wire(model)
    constants = {t.name: t for t in model.graph.initializer}
    found = _opset_problems(model)
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            found += _pair_problems(node, constants)
        if node.op_type == "DequantizeLinear":
            found += _place_problems(node, graph)
    return found


def _opset_problems(model: onnx.ModelProto) -> List[str]:
    found = []
    for entry in model.opset_import:
        if entry.domain not in ("", "ai.onnx"):
            found.append(f"operators of {entry.domain} are not TensorRT's")
        elif not FIRST_OPSET <= entry.version <= LAST_OPSET:
            found.append(f"opset {entry.version} is not in {FIRST_OPSET}..{LAST_OPSET}")
    return found


def _pair_problems(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> List[str]:
    zero = constants.get(node.input[2]) if len(node.input) > 2 else None
    if zero is None:
        return [f"{node.name}: has no zero point, so its type is uint8"]
    checks = [
        (zero.data_type != TensorProto.INT8, "is not int8"),
        (bool(numpy_helper.to_array(zero).any()), "has a zero point that is not 0"),
    ]
    return [f"{node.name}: {text}" for wrong, text in checks if wrong]


def _place_problems(node: onnx.NodeProto, graph: Graph) -> List[str]:
    """Where a dequantized tensor must not go."""
    quantizer = graph.producers.get(node.input[0])
    source = graph.producers.get(quantizer.input[0]) if quantizer is not None else None
    found = []
    for consumer in graph.consumers.get(node.output[0], []):
        if consumer.op_type in LAYERS and node.output[0] in list(consumer.input)[2:]:
            found.append(f"{consumer.name}: its bias is not float32")
        if source is not None and source.op_type in LAYERS and consumer.op_type in ACTIVATIONS:
            found.append(f"{source.name}: is quantized before its activation {consumer.name}")
    return found
