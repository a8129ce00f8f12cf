"""Which nodes must stay FP32, and a graph with FP16 written into it for TensorRT 11.

FP16 has 11 significant bits and ends at 65504. In a normalisation, the square of |x| >= 256 is
above that (NVIDIA/TensorRT issues 2564, 3657). A coordinate above 512 px is exact only to half a
pixel. TensorRT 11 takes all types from the graph, so the casts are written here.
"""

from __future__ import annotations

from typing import Dict, List, Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference, version_converter

from edge.errors import DataError

LARGEST = 65504.0
FRAGILE = {
    "Pow",
    "Sqrt",
    "Exp",
    "ReduceMean",
    "ReduceSum",
    "ReduceL2",
    "ReduceSumSquare",
    "Softmax",
    "LogSoftmax",
    "LayerNormalization",
    "InstanceNormalization",
    "GroupNormalization",
}
HEAVY = ("Conv", "ConvTranspose", "MatMul", "Gemm")
MOVES = {  # operators that only move values, so nothing is rounded
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Concat",
    "Slice",
    "Split",
    "Identity",
    "Shape",
    "Gather",
    "Cast",
    "Constant",
    "Expand",
}
FLOAT_ONLY = {"NonMaxSuppression", "Range", "Constant", "ConstantOfShape", "Cast"}
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
OPSET = 19  # the first opset whose QuantizeLinear takes FP16


def name_nodes(model: onnx.ModelProto) -> bool:
    """Name the nodes without a name, because layers are chosen by name.

    The names are those that `edge-tools quantize` gives.

    Returns:
        Whether a node was named.
    """
    bare = [(i, node) for i, node in enumerate(model.graph.node) if not node.name]
    for i, node in bare:
        node.name = f"{node.op_type}_{i}"
    return bool(bare)


def fragile_nodes(model: onnx.ModelProto) -> Set[str]:
    """Names of nodes that stay FP32: normalisations, and the decoding after the last layers.

    All nodes must have names (`name_nodes`).
    """
    fragile = {n.name for n in model.graph.node if n.op_type in FRAGILE}
    return fragile | {n.name for n in _tail(model.graph) if n.op_type not in MOVES}


def _tail(graph: onnx.GraphProto) -> List[onnx.NodeProto]:
    """Nodes between the last convolutions or matrix products and the outputs."""
    makers = {name: node for node in graph.node for name in node.output}
    todo, found, seen = [o.name for o in graph.output], [], set()
    while todo:
        node = makers.get(todo.pop())
        if node is None or id(node) in seen or node.op_type in (*HEAVY, DEQUANTIZE):
            continue
        seen.add(id(node))
        found.append(node)
        todo += list(node.input)
    return found


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network in FP16; inputs, outputs and fragile nodes stay FP32.

    Raises:
        DataError: the graph has loops or branches.
    """
    if any(a.g.node or a.graphs for n in model.graph.node for a in n.attribute):
        raise DataError(
            "the graph has loops or branches and cannot be written in FP16; use --precision fp32"
        )
    name_nodes(model)
    quantized = any(n.op_type == QUANTIZE for n in model.graph.node)
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if quantized and opset < OPSET:
        model = version_converter.convert_version(model, OPSET)
    return _Caster(model).done()


class _Caster:
    """Rewrites the nodes in order; each tensor then exists in FP32, in FP16 or in both."""

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = shape_inference.infer_shapes(model)
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        graph = self._model.graph
        self._weights = {t.name: t for t in graph.initializer}
        self._float = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
        for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
            if value.type.tensor_type.elem_type == TensorProto.FLOAT:
                self._float.add(value.name)
        for name in {n.input[1] for n in graph.node if n.op_type in (QUANTIZE, DEQUANTIZE)}:
            if name in self._weights:
                self._weights[name] = _representable(self._weights[name])
        self._outputs = {o.name for o in graph.output}
        self._fragile = fragile_nodes(model)
        self._as: Dict[int, Dict[str, str]] = {TensorProto.FLOAT: {}, TensorProto.FLOAT16: {}}
        self._halves: Set[str] = set()  # original names of tensors that are made in FP16
        self._nodes: List[onnx.NodeProto] = []

    def done(self) -> onnx.ModelProto:
        graph = self._model.graph
        for node in list(graph.node):
            self._rewrite(node)
        for name in self._outputs & self._halves:
            made = self._as[TensorProto.FLOAT16][name]
            self._nodes.append(_cast(made, name, TensorProto.FLOAT))
        del graph.node[:]
        graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input} | self._outputs
        kept = [t for t in self._weights.values() if t.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        del graph.value_info[:]
        return self._model

    def _rewrite(self, node: onnx.NodeProto) -> None:
        half = self._computes_half(node)
        wanted = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        for i, name in enumerate(node.input):
            if name in self._float and not (half and node.op_type == "Resize" and i > 0):
                node.input[i] = self._in(name, wanted)
        self._nodes.append(node)
        for i, name in enumerate(node.output):
            if half and name in self._float:
                self._halves.add(name)
                node.output[i] = self._as[TensorProto.FLOAT16][name] = f"{name}/half"

    def _computes_half(self, node: onnx.NodeProto) -> bool:
        if node.op_type in FLOAT_ONLY or node.name in self._fragile:
            return False
        if node.op_type == QUANTIZE and node.input[0] in self._weights:
            return False  # weights are rounded once, to INT8
        if node.op_type == DEQUANTIZE:
            return True
        floats = [name for name in node.input if name in self._float]
        return bool(floats) and not any(self._too_large(name) for name in floats)

    def _too_large(self, name: str) -> bool:
        if name not in self._weights:
            return False
        values = numpy_helper.to_array(self._weights[name])
        return bool(values.size) and float(np.abs(values).max()) > LARGEST

    def _in(self, name: str, wanted: int) -> str:
        """Name of the tensor in a type; a Cast is added before its first consumer if needed."""
        is_half = name in self._halves
        if is_half == (wanted == TensorProto.FLOAT16):
            return self._as[TensorProto.FLOAT16][name] if is_half else name
        known = self._as[wanted]
        if name not in known:
            known[name] = f"{name}/cast"
            if name in self._weights:
                values = numpy_helper.to_array(self._weights[name]).astype(np.float16)
                self._weights[known[name]] = numpy_helper.from_array(values, known[name])
            else:
                source = self._as[TensorProto.FLOAT16][name] if is_half else name
                self._nodes.append(_cast(source, known[name], wanted))
        return known[name]


def _representable(scale: onnx.TensorProto) -> onnx.TensorProto:
    """A quantization scale rounded up to a number that FP16 has: TensorRT refuses a scale of 0.

    QuantizeLinear and DequantizeLinear get the same scale, so values stay the same.
    """
    values = numpy_helper.to_array(scale).astype(np.float32)
    rounded = values.astype(np.float16)
    rounded = np.where(rounded < values, np.nextafter(rounded, np.float16(np.inf)), rounded)
    return numpy_helper.from_array(rounded.astype(np.float32), scale.name)


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}/to{kind}", to=kind)
