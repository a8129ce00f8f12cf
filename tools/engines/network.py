"""What an ONNX file is: inputs, outputs, operators, precision, size, and how much it computes."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Optional

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, shape_inference
from onnx.shape_inference import InferenceError

from tools.engines.request import opset

TYPES = {v: k.lower() for k, v in TensorProto.DataType.items()}


def describe(model: onnx.ModelProto) -> Dict[str, Any]:
    """Everything that is shown of a network."""
    graph = model.graph
    weights = {t.name: t for t in graph.initializer}
    standard = ("", "ai.onnx")
    counts = Counter(n.op_type for n in graph.node)
    return {
        "opset": opset(model),
        "domains": sorted({o.domain for o in model.opset_import if o.domain not in standard}),
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "inputs": [_value(v) for v in graph.input if v.name not in weights],
        "outputs": [_value(v) for v in graph.output],
        "operators": dict(counts.most_common()),
        "qdq_pairs": min(counts["QuantizeLinear"], counts["DequantizeLinear"]),
        "precision": precision(model),
        "parameters": sum(int(np.prod(t.dims)) for t in weights.values()),
        "macs_per_sample": macs(model),
        "notes": {p.key: p.value for p in model.metadata_props},
    }


def _value(value: onnx.ValueInfoProto) -> Dict[str, Any]:
    kind = value.type.tensor_type
    shape: List[Any] = [d.dim_value or d.dim_param or "?" for d in kind.shape.dim]
    return {"name": value.name, "type": TYPES.get(kind.elem_type, "?"), "shape": shape}


def precision(model: onnx.ModelProto) -> str:
    """int8 with Q/DQ nodes; else fp16 with FP16 weights; else fp32."""
    if any(n.op_type == "QuantizeLinear" for n in model.graph.node):
        return "int8"
    kinds = {t.data_type for t in model.graph.initializer}
    return "fp16" if TensorProto.FLOAT16 in kinds else "fp32"


def ranges(model: onnx.ModelProto) -> Dict[str, float]:
    """Largest value of each quantized activation, 127 times its scale; weights are left out."""
    constants = {t.name: t for t in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants:
            scale = constants.get(node.input[1])
            if scale is not None and int(np.prod(scale.dims)) == 1:
                found[node.input[0]] = 127 * float(numpy_helper.to_array(scale).ravel()[0])
    return found


def macs(model: onnx.ModelProto) -> Optional[int]:
    """Multiply-accumulates of convolutions and products for one sample; None if sizes are open."""
    shapes = tensor_shapes(model)
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            count = node_macs(node, shapes)
            if count is None:
                return None
            total += count
    return total


def tensor_shapes(model: onnx.ModelProto) -> Dict[str, List[int]]:
    """Shape of each tensor at a batch of 1; 0 = unknown."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    weights = {t.name: list(t.dims) for t in single.graph.initializer}
    del single.graph.value_info[:]
    for value in single.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and dims and not dims[0].dim_value:
            dims[0].dim_value = 1
    for value in single.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(single, data_prop=True).graph
    except InferenceError:
        return weights
    found = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    return {**found, **weights}


def node_macs(node: onnx.NodeProto, shapes: Dict[str, List[int]]) -> Optional[int]:
    """Of one layer: output (input of a ConvTranspose) positions times the weights each meets."""
    transposed = node.op_type == "ConvTranspose"
    place = shapes.get(node.input[0] if transposed else node.output[0], [])
    weight = shapes.get(node.input[1], [])
    if not place or not weight or 0 in place or 0 in weight:
        return None
    if node.op_type in ("Conv", "ConvTranspose"):
        return int(np.prod(place)) * int(np.prod(weight[1:]))
    turned = any(a.name == "transB" and a.i for a in node.attribute)
    inner = weight[-1] if turned or len(weight) == 1 else weight[-2]
    return int(np.prod(place)) * inner
